"""A fitted estimator as ONNX, taken only where it gives the same answers, also where the two may differ.

Holds for skl2onnx 1.20 and onnx 1.19: `exact`, `branches` and `graph` rewrite the graphs that this converter makes, whose nodes and
attributes it does not document. `compile_model` asserts the versions; answers are compared in any case.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.runtime.failures import ArtifactCorrupt
from tidemill.runtime.model.agreement import difference, robust_std
from tidemill.runtime.model.answer import Answer, Ask, Matrix, answered, reason_of
from tidemill.runtime.model.onnx import CompiledModel, compiled
from tidemill.runtime.model.signature import Signature
from tidemill.runtime.model.sklearn_internals import boosted_trees
from tidemill.runtime.process.versions import SupportedVersions
from tidemill.runtime.train.branches import ENSEMBLES
from tidemill.runtime.train.exact import exact, filled_in_double
from tidemill.runtime.train.graph import gaps_reach_trees, quickened
from tidemill.runtime.train.probes import MAX_REAL_ROWS, Threshold, probe_rows

SKL2ONNX: Final = SupportedVersions("skl2onnx", (1, 20), (1, 21))
ONNX: Final = SupportedVersions("onnx", (1, 19), (1, 20))
_OPSET: Final = {"": 18, "ai.onnx.ml": 3}


class NotThisForm(Exception):
    """The estimator has no form of this kind."""


class Compiled(NamedTuple):
    """A model as ONNX, or why there is none."""

    content: bytes
    reason: str


def compile_model(estimator: Any, signature: Signature, rows: Matrix, ask: Ask, scratch: Path) -> Compiled:
    """Return `estimator` as ONNX, if it answers as `ask`, which asks the estimator: labels equal, probabilities within 1e-5, numbers within 1e-5 of their spread.

    They are compared on the real `rows` and on rows made of these that tell the two apart.
    """
    SKL2ONNX.require()
    ONNX.require()
    # These libraries print, log and warn about matters that are decided by comparing answers.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.getLogger("skl2onnx").setLevel(logging.ERROR)
        return _compile(estimator, signature, rows[:MAX_REAL_ROWS], ask, scratch)


def _compile(estimator: Any, signature: Signature, rows: Matrix, ask: Ask, scratch: Path) -> Compiled:
    reasons = []
    verified: tuple[Matrix, Answer, float] | None = None
    boosted = boosted_trees(estimator) is not None
    for convert in _FORMS if signature.task == "Classification" else _FORMS_OF_NUMBERS:
        try:
            model = convert(estimator, signature)
            # The converter writes down where missing values go for HistGradientBoosting alone.
            if not boosted and gaps_reach_trees(model, takes_missing=signature.takes_missing):
                reasons.append("its trees take missing values, which ONNX sends another way")
                continue
            if verified is None:
                verified = _verified(signature, rows, ask, _thresholds(model, estimator, signature))
            for graph in (quickened(model, rows, takes_missing=signature.takes_missing), model):
                content: bytes = graph.SerializeToString(deterministic=True)
                wrong = _difference(content, signature, scratch, *verified)
                if not wrong:
                    return Compiled(content, "")
                reasons.append(wrong)
        except NotThisForm:
            continue
        except Exception as error:  # every converter fails in its own way
            reasons.append(f"{type(error).__name__}: {reason_of(error)}")
    return Compiled(b"", reasons[0] if reasons else "no form of it can be written as ONNX")


def _difference(content: bytes, signature: Signature, scratch: Path, matrix: Matrix, answer: Answer, std: float) -> str:
    """The first difference between the answers of an ONNX model and the right ones; empty where there is none."""
    file = scratch / "candidate.onnx"
    file.write_bytes(content)
    try:
        wrong = difference(answer, _given(compiled(file, signature), matrix), std)
    except ArtifactCorrupt as error:
        return error.message
    return wrong and f"its answers differ: {wrong}"


def _verified(
    signature: Signature, rows: Matrix, ask: Ask, thresholds: list[Threshold]
) -> tuple[Matrix, Answer, float]:
    """The rows to compare on, the estimator's answers, and the robust standard deviation of those to real rows."""
    matrix = np.vstack([rows, probe_rows(rows, signature, thresholds)])
    answer = answered(ask, matrix)
    return matrix, answer, robust_std(answer.values[: len(rows)])


def _given(model: CompiledModel, matrix: Matrix) -> Answer:
    """The answers of a compiled model as they are served: rows with values that it cannot hold are refused."""
    with np.errstate(over="ignore"):
        answer = model.ask(matrix)
    beyond: NDArray[np.bool_] = (np.abs(matrix) > model.largest).max(axis=1)
    if not beyond.any():
        return answer
    values = np.where(beyond, -1 if answer.values.dtype.kind == "i" else np.nan, answer.values)
    probabilities = answer.probabilities
    return Answer(values, None if probabilities is None else np.where(beyond[:, None], np.nan, probabilities))


def _exact(estimator: Any, signature: Signature) -> Any:
    """For rows in single precision, with the numbers of its trees in double precision."""
    single = _single(estimator, signature, boosted=True)
    closer = exact(single, estimator)
    if closer is single:
        raise NotThisForm
    return closer


def _single(estimator: Any, signature: Signature, *, boosted: bool = False) -> Any:
    """For rows in single precision; HistGradientBoosting compares in double precision, so no such form of it is right."""
    from skl2onnx.common.data_types import FloatTensorType

    if not boosted and boosted_trees(estimator) is not None:
        raise NotThisForm
    return _convert(estimator, signature, FloatTensorType([None, len(signature.features)]))


def _double(estimator: Any, signature: Signature) -> Any:
    """For rows in double precision."""
    from skl2onnx.common.data_types import DoubleTensorType

    if boosted_trees(estimator) is not None:
        raise NotThisForm
    model = _convert(estimator, signature, DoubleTensorType([None, len(signature.features)]))
    return filled_in_double(model, estimator)


_FORMS: Final[tuple[Callable[[Any, Signature], Any], ...]] = (_exact, _single, _double)
"""The estimator as ONNX, the quickest first."""
_FORMS_OF_NUMBERS: Final = (_exact, _double, _single)
"""The same for regressions, whose answers are double: the one with scikit-learn's digits first, which costs a microsecond at most."""


def _thresholds(model: Any, estimator: Any, signature: Signature) -> list[Threshold]:
    """Return the thresholds of the trees of a graph, those near the roots first."""
    from onnx import helper

    # Behind a preparation numbers come first, in their order; categories are compared with 0 and 1.
    numbers = [index for index, feature in enumerate(signature.features) if feature.type == "Numerical"]
    features = numbers if hasattr(estimator, "steps") else list(range(len(signature.features)))
    first_node: dict[Threshold, int] = {}
    for node in model.graph.node:
        if node.op_type not in ENSEMBLES:
            continue
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        for number, feature, value in _branches(attributes):
            if feature < len(features):
                threshold = (features[feature], float(value))
                first_node[threshold] = min(first_node.get(threshold, number), number)
    return sorted(first_node, key=lambda threshold: (first_node[threshold], threshold))


def _branches(attributes: dict[str, Any]) -> Iterator[tuple[int, int, float]]:
    """Yield the number within its tree, the feature and the threshold of each branch of an ensemble."""
    from onnx import numpy_helper

    if "nodes_splits" in attributes:
        nodes = np.arange(len(attributes["nodes_featureids"]))
        roots = np.array(attributes["tree_roots"])
        numbers = nodes - roots[np.searchsorted(roots, nodes, side="right") - 1]
        splits = numpy_helper.to_array(attributes["nodes_splits"])
        yield from zip(numbers.tolist(), attributes["nodes_featureids"], splits.tolist(), strict=True)
        return
    values = attributes.get("nodes_values")
    if values is None:
        values = numpy_helper.to_array(attributes["nodes_values_as_tensor"])
    for number, feature, value, mode in zip(
        attributes["nodes_nodeids"], attributes["nodes_featureids"], values, attributes["nodes_modes"], strict=True
    ):
        if mode == b"BRANCH_LEQ":
            yield number, feature, value


def _convert(estimator: Any, signature: Signature, kind: Any) -> Any:
    from skl2onnx import convert_sklearn

    options = None
    if signature.task == "Classification":
        last = getattr(estimator, "steps", [("", estimator)])[-1][1]
        # Probabilities as one tensor, not as a list of dictionaries; the one classifier that does not know this word has neither.
        options = (
            {id(last): {"raw_scores": False}}
            if type(last).__name__ == "LinearSVC"
            else {id(estimator): {"zipmap": False}}
        )
    model = convert_sklearn(estimator, "tidemill", [("features", kind)], options=options, target_opset=_OPSET)
    model.producer_version = ""
    return model
