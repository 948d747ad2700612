"""A fitted estimator as ONNX, taken only where it gives the same answers."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from tidemill.runtime.failures import ArtifactCorrupt
from tidemill.runtime.model.predictor import Answer, Matrix, compiled, difference
from tidemill.runtime.model.signature import Signature
from tidemill.runtime.train.graph import quickened

_OPSET: Final = {"": 18, "ai.onnx.ml": 3}


class Compiled(NamedTuple):
    """A model as ONNX, or why there is none."""

    content: bytes
    reason: str


def compile_model(estimator: Any, signature: Signature, rows: Matrix, answer: Answer, scratch: Path) -> Compiled:
    """`estimator` as ONNX, if it says `answer` to `rows` within the tolerances: labels equal, probabilities within 1e-5."""
    try:
        # These libraries print, log and warn about matters that are decided by comparing answers.
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            logging.getLogger("skl2onnx").setLevel(logging.ERROR)
            return _compile(estimator, signature, rows, answer, scratch)
    except Exception as error:  # every converter fails in its own way, and no model is worse for not being compiled
        return Compiled(
            b"",
            f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200] if str(error).strip() else 'no message'}",
        )


def _compile(estimator: Any, signature: Signature, rows: Matrix, answer: Answer, scratch: Path) -> Compiled:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    reason = ""
    file = scratch / "candidate.onnx"
    for kind in (FloatTensorType, DoubleTensorType):
        model = _convert(estimator, signature, kind([None, rows.shape[1]]))
        for graph in (quickened(model, rows, takes_missing=signature.takes_missing), model):
            content: bytes = graph.SerializeToString(deterministic=True)
            file.write_bytes(content)
            try:
                given = compiled(file, signature)(rows)
            except ArtifactCorrupt as error:
                reason = reason or error.message
                continue
            wrong = difference(answer, given)
            if not wrong:
                return Compiled(content, "")
            reason = reason or f"its answers differ: {wrong}"
    return Compiled(b"", reason)


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


def golden_rows(rows: Matrix, signature: Signature, count: int = 24) -> Matrix:
    """Rows to remember the answers to: real ones spread over `rows`, and such as lie at and beyond the edges of what was learnt.

    Where the model takes gaps, some have them; the last two have nothing but gaps and nothing but unseen categories.
    """
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64))]
    low = np.array([feature.minimum if feature.minimum is not None else 0.0 for feature in signature.features])
    high = np.array(
        [
            feature.maximum if feature.maximum is not None else max(len(feature.categories) - 1, 0)
            for feature in signature.features
        ],
        np.float64,
    )
    categorical = np.array([feature.type == "Categorical" for feature in signature.features])
    reach = np.where(categorical, 0.0, high - low)
    made = [low, high, low - reach, high + reach, low - 100 * reach, high + 100 * reach]
    if categorical.any():
        made.append(np.where(categorical, -1.0, chosen[0]))
    if signature.takes_missing:
        gaps = chosen[: min(4, len(chosen))].copy()
        for place, row in enumerate(gaps):
            row[place::4] = np.nan
        made += [*gaps, np.full(len(low), np.nan)]
    fillers = [low + share * (high - low) for share in np.linspace(0.1, 0.9, max(0, 20 - len(chosen) - len(made)))]
    made += [np.where(categorical, np.round(row), row) for row in fillers]
    return np.vstack([chosen, *made])
