"""The numbers of fitted trees in their ONNX graphs, which the converter rounds to single precision.

* HistGradientBoosting compares in double precision, so its graph does too.
* Other regression trees compare in single precision, as scikit-learn does, and differ in what they add up: the output of
  an ensemble is single precision whatever it adds, so the graph adds what is left of the leaves without their mean, and adds
  the mean in double precision. An answer of 1.7e9 then has an error of its spread, not of its size.
* Gaps are filled in double precision, for which ONNX Runtime has no Imputer.
* A single tree gives the number of a leaf, and the graph looks up its value in double precision: scikit-learn's digits.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tidemill.runtime.model.sklearn_internals import Trees, boosted_trees, regression_trees

DOUBLE: Final = 11
"""TensorProto.DOUBLE"""
FLOAT: Final = 1
"""TensorProto.FLOAT"""
ML_OPSET: Final = 3
"""The first in which trees hold numbers in double precision."""
MAX_COUNTED: Final = 1 << 24
"""Single precision counts no further."""


def exact(model: Any, estimator: Any) -> Any:
    """Return a graph like `model`, converted from `estimator` for rows in single precision, with the estimator's own numbers.

    It is `model` itself where nothing is rounded that matters, or where the trees in it are not those of the estimator.
    """
    boosted = boosted_trees(estimator)
    if boosted is not None:
        return _boosted(model, boosted)
    trees = regression_trees(getattr(estimator, "steps", [("", estimator)])[-1][1])
    return model if trees is None else _regression(model, trees)


def filled_in_double(model: Any, estimator: Any) -> Any:
    """Return a graph like `model`, converted from `estimator` for rows in double precision, that fills gaps with the estimator's own numbers."""
    from onnx import ModelProto, helper

    exact = ModelProto()
    exact.CopyFrom(model)
    fillings = _fillings(estimator)
    nodes = []
    for node in exact.graph.node:
        if node.op_type != "Imputer":
            nodes.append(node)
            continue
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        single = np.array(attributes["imputed_value_floats"], np.float32).astype(np.float64)
        values = next(
            (filling for filling in fillings if np.array_equal(filling.astype(np.float32).astype(np.float64), single)),
            single,
        )
        given, out = node.input[0], node.output[0]
        exact.graph.initializer.append(_tensor(values[None], f"{out}_filling"))
        nodes += [
            helper.make_node("IsNaN", [given], [f"{out}_gaps"]),
            helper.make_node("Where", [f"{out}_gaps", f"{out}_filling", given], [out]),
        ]
    del exact.graph.node[:]
    exact.graph.node.extend(nodes)
    return exact


def _fillings(estimator: Any) -> list[NDArray[np.float64]]:
    """Return the values that the estimator's preparation fills gaps with."""
    preparation = getattr(estimator, "named_steps", {}).get("prepare")
    parts = preparation.named_transformers_.values() if preparation is not None else ()
    return [
        np.asarray(part.named_steps["fill"].statistics_, np.float64)
        for part in parts
        if "fill" in getattr(part, "named_steps", {})
    ]


def _boosted(model: Any, trees: Trees) -> Any:
    """`model` in double precision throughout, up to the output of the ensemble."""
    exact, node, attributes = _copied(model)
    nodes = _numbered(attributes, "nodes")
    thresholds = np.array([trees.thresholds[tree][number] for tree, number in nodes])
    branches = np.array(attributes["nodes_modes"]) != b"LEAF"
    thresholds[~branches] = 0.0
    kind = "class" if node.op_type == "TreeEnsembleClassifier" else "target"
    weights = np.array([trees.values[tree][number] for tree, number in _numbered(attributes, kind)])
    if not (
        _rounds_to(thresholds, attributes.pop("nodes_values"))
        and _rounds_to(weights, attributes.pop(f"{kind}_weights"))
    ):
        return model
    attributes.pop("nodes_hitrates", None)
    attributes.pop("base_values", None)
    attributes["nodes_values_as_tensor"] = _tensor(thresholds)
    attributes[f"{kind}_weights_as_tensor"] = _tensor(weights)
    exact.graph.input[0].type.tensor_type.elem_type = DOUBLE
    for domain in exact.opset_import:
        if domain.domain == "ai.onnx.ml":
            domain.version = ML_OPSET
    if kind == "class":
        attributes["base_values_as_tensor"] = _tensor(trees.base)
        _replace(exact, node, attributes)
    else:
        _centered(exact, node, attributes, trees, weights, f"{kind}_weights_as_tensor")
    return exact


def _regression(model: Any, trees: Trees) -> Any:
    exact, node, attributes = _copied(model)
    if node is None or node.output[0] != model.graph.output[0].name or attributes.get("n_targets") != 1:
        return model
    leaves = _numbered(attributes, "target")
    if max(tree for tree, _ in leaves) + 1 != len(trees.values):
        return model
    if any(number >= len(trees.values[tree]) for tree, number in leaves):
        return model
    weights = np.array([trees.values[tree][number] for tree, number in leaves])
    if not _rounds_to(weights, attributes.pop("target_weights")):
        return model
    attributes.pop("base_values", None)
    if len(trees.values) == 1 and len(weights) < MAX_COUNTED:
        _looked_up(exact, node, attributes, weights + trees.base[0])
    else:
        _centered(exact, node, attributes, trees, weights, "target_weights")
    return exact


def _centered(model: Any, node: Any, attributes: dict[str, Any], trees: Trees, weights: Any, name: str) -> None:
    """Let the ensemble add what is left of each leaf without the mean of its tree, and add the means in double precision."""
    from onnx import helper

    tree = np.array(attributes["target_treeids"], np.int64)
    means = np.bincount(tree, weights) / np.maximum(np.bincount(tree), 1)
    rest = weights - means[tree]
    attributes[name] = _tensor(rest) if name.endswith("tensor") else rest.astype(np.float32).tolist()
    out = node.output[0]
    _output_in_double(model, out)
    model.graph.initializer.append(_tensor(np.array([means.sum() + trees.base[0]]), f"{out}_center"))
    _replace(
        model,
        node,
        attributes,
        helper.make_node("Cast", [f"{out}_rest"], [f"{out}_double"], to=DOUBLE),
        helper.make_node("Add", [f"{out}_double", f"{out}_center"], [out]),
        output=f"{out}_rest",
    )


def _looked_up(model: Any, node: Any, attributes: dict[str, Any], values: NDArray[np.float64]) -> None:
    """Let the tree give the number of a leaf, and look up its value."""
    from onnx import helper

    out = node.output[0]
    attributes["target_weights"] = np.arange(len(values), dtype=np.float32).tolist()
    _output_in_double(model, out)
    model.graph.initializer.append(_tensor(values, f"{out}_leaves"))
    _replace(
        model,
        node,
        attributes,
        helper.make_node("Cast", [f"{out}_number"], [f"{out}_index"], to=7),
        helper.make_node("Gather", [f"{out}_leaves", f"{out}_index"], [out], axis=0),
        output=f"{out}_number",
    )


def _copied(model: Any) -> tuple[Any, Any, dict[str, Any]]:
    """A copy of the graph, the only ensemble of trees in it (None where there are none or several), and its attributes."""
    from onnx import ModelProto, helper

    copy = ModelProto()
    copy.CopyFrom(model)
    nodes = [node for node in copy.graph.node if node.op_type in ("TreeEnsembleClassifier", "TreeEnsembleRegressor")]
    if len(nodes) != 1:
        return copy, None, {}
    return copy, nodes[0], {item.name: helper.get_attribute_value(item) for item in nodes[0].attribute}


def _numbered(attributes: dict[str, Any], kind: str) -> list[tuple[int, int]]:
    return list(zip(attributes[f"{kind}_treeids"], attributes[f"{kind}_nodeids"], strict=True))


def _rounds_to(exact: NDArray[np.float64], rounded: Any) -> bool:
    """Return whether `rounded` are the same numbers in single precision, so that they are of the same trees in the same order."""
    single = np.asarray(rounded, np.float32)
    return exact.shape == single.shape and bool(np.allclose(exact, single, rtol=1e-6, atol=1e-37))


def _replace(model: Any, old: Any, attributes: dict[str, Any], *behind: Any, output: str = "") -> None:
    from onnx import helper

    outputs = [output] if output else list(old.output)
    node = helper.make_node(old.op_type, list(old.input), outputs, domain=old.domain, **attributes)
    nodes = []
    for other in model.graph.node:
        nodes += [node, *behind] if other is old or other.output[0] == old.output[0] else [other]
    nodes = list(nodes)
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _output_in_double(model: Any, name: str) -> None:
    for output in model.graph.output:
        if output.name == name:
            output.type.tensor_type.elem_type = DOUBLE


def _tensor(values: NDArray[np.float64], name: str = "") -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.asarray(values, np.float64), name)
