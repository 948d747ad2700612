"""The numbers of fitted trees in their ONNX graphs, which the converter rounds to single precision.

* HistGradientBoosting compares in double precision, so its graph does too.
* Other regression trees compare in single precision, as scikit-learn does, and add in double precision: the graph widens the
  rows that it has rounded. The trees of a regressor are added in their order, so that answers have scikit-learn's digits.
* Gaps are filled in double precision, for which ONNX Runtime has no Imputer.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tidemill.runtime.model.sklearn_internals import Tree, Trees, boosted_trees, regression_trees
from tidemill.runtime.train.branches import LEAF, SUM_OF_TREES

DOUBLE: Final = 11
"""TensorProto.DOUBLE"""
CLASSES_IN_DOUBLE: Final = 3
"""The version of ai.onnx.ml from which on classifying trees hold numbers in double precision."""
SUMS_IN_DOUBLE: Final = 5
"""The version of ai.onnx.ml from which on trees answer in double precision."""
IR_VERSION: Final = 10
"""The version of the file's own form that goes with SUMS_IN_DOUBLE."""
AVERAGE, SUM = 0, 1
"""Values of `aggregate_function`."""


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
    """`model` in double precision throughout; of a classifier, up to the output of the ensemble."""
    from onnx import helper

    exact, node, attributes = _copied(model)
    if node is None or not _are_those(trees, attributes):
        return model
    exact.graph.input[0].type.tensor_type.elem_type = DOUBLE
    if node.op_type == "TreeEnsembleRegressor":
        _replace(exact, node, _sum(trees, node.input[0], node.output[0]))
        _answer_in_double(exact)
        return exact
    thresholds = [trees.trees[tree].threshold[number] for tree, number in _numbered(attributes, "nodes")]
    branches = np.array(attributes["nodes_modes"]) != LEAF
    for name in ("nodes_values", "class_weights", "nodes_hitrates", "base_values"):
        attributes.pop(name, None)
    attributes["nodes_values_as_tensor"] = _tensor(np.where(branches, thresholds, 0.0))
    weights = [trees.trees[tree].value[number] for tree, number in _numbered(attributes, "class")]
    attributes["class_weights_as_tensor"] = _tensor(np.array(weights))
    attributes["base_values_as_tensor"] = _tensor(trees.base)
    _set_version(exact, CLASSES_IN_DOUBLE)
    _replace(
        exact,
        node,
        helper.make_node(node.op_type, list(node.input), list(node.output), domain=node.domain, **attributes),
    )
    return exact


def _regression(model: Any, trees: Trees) -> Any:
    """`model` with trees that compare rows as it has rounded them, and add in double precision."""
    from onnx import helper

    exact, node, attributes = _copied(model)
    if node is None or not _are_those(trees, attributes):
        return model
    given, out = node.input[0], node.output[0]
    _replace(
        exact,
        node,
        helper.make_node("Cast", [given], [f"{out}_wide"], to=DOUBLE),
        _sum(trees, f"{out}_wide", out),
    )
    _answer_in_double(exact)
    return exact


def _sum(trees: Trees, given: str, out: str) -> Any:
    """A node that adds up the trees one after the other in double precision, beginning with the base, as scikit-learn does."""
    from onnx import helper

    whole = [*(() if trees.averaged else (_leaf(trees.base[0]),)), *(_with_a_branch(tree) for tree in trees.trees)]
    branches = np.cumsum([0, *(np.count_nonzero(~tree.leaf) for tree in whole)])
    leaves = np.cumsum([0, *(np.count_nonzero(tree.leaf) for tree in whole)])
    parts: dict[str, list[Any]] = {name: [] for name in ("features", "splits", "true", "true_leaf", "false", "false_leaf", "missing", "weights")}  # fmt: skip
    for tree, branch, leaf in zip(whole, branches, leaves, strict=False):
        index = np.where(tree.leaf, leaf + np.cumsum(tree.leaf), branch + np.cumsum(~tree.leaf)) - 1
        inner = ~tree.leaf
        parts["features"].append(tree.feature[inner])
        parts["splits"].append(tree.threshold[inner])
        for side, below in (("true", tree.left[inner]), ("false", tree.right[inner])):
            parts[side].append(index[below])
            parts[f"{side}_leaf"].append(tree.leaf[below])
        parts["missing"].append(tree.missing_left[inner])
        parts["weights"].append(tree.value[tree.leaf])
    made = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    count = len(made["features"])
    return helper.make_node(
        SUM_OF_TREES,
        [given],
        [out],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function=AVERAGE if trees.averaged else SUM,
        post_transform=0,
        tree_roots=branches[:-1].tolist(),
        nodes_modes=_tensor(np.zeros(count, np.uint8)),
        nodes_splits=_tensor(made["splits"]),
        nodes_featureids=made["features"].tolist(),
        nodes_truenodeids=made["true"].tolist(),
        nodes_trueleafs=made["true_leaf"].astype(np.int64).tolist(),
        nodes_falsenodeids=made["false"].tolist(),
        nodes_falseleafs=made["false_leaf"].astype(np.int64).tolist(),
        nodes_missing_value_tracks_true=made["missing"].astype(np.int64).tolist(),
        leaf_targetids=[0] * len(made["weights"]),
        leaf_weights=_tensor(made["weights"]),
    )


def _leaf(value: float) -> Tree:
    """A tree that is nothing but a leaf."""
    nothing = np.zeros(1, np.int64)
    return _with_a_branch(
        Tree(np.ones(1, np.bool_), nothing, np.zeros(1), nothing, nothing, np.zeros(1, np.bool_), np.array([value]))
    )


def _with_a_branch(tree: Tree) -> Tree:
    """The tree itself; where it is nothing but a leaf, one that comes to this leaf by either branch, since ONNX has no other."""
    if not tree.leaf[0]:
        return tree
    return Tree(
        np.array([False, True]),
        np.zeros(2, np.int64),
        np.zeros(2),
        np.ones(2, np.int64),
        np.ones(2, np.int64),
        np.zeros(2, np.bool_),
        np.array([0.0, tree.value[0]]),
    )


def _are_those(trees: Trees, attributes: dict[str, Any]) -> bool:
    """Return whether an ensemble of the graph has the values of these trees, rounded."""
    if "nodes_values" not in attributes or attributes.get("n_targets", 1) != 1:
        return False
    kind = "class" if "class_weights" in attributes else "target"
    leaves = _numbered(attributes, kind)
    if max(tree for tree, _ in leaves) + 1 != len(trees.trees):
        return False
    if any(number >= len(trees.trees[tree].value) for tree, number in leaves):
        return False
    weights = np.array([trees.trees[tree].value[number] for tree, number in leaves])
    single = np.asarray(attributes[f"{kind}_weights"], np.float32)
    share = len(trees.trees) if trees.averaged else 1
    return weights.shape == single.shape and bool(np.allclose(weights / share, single, rtol=1e-6, atol=1e-37))


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


def _replace(model: Any, old: Any, *new: Any) -> None:
    nodes: list[Any] = []
    for other in model.graph.node:
        nodes += new if other.output[0] == old.output[0] else [other]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _answer_in_double(model: Any) -> None:
    """Declare what comes behind a sum in double precision as double, and the version that knows such sums."""
    for output in model.graph.output:
        output.type.tensor_type.elem_type = DOUBLE
    _set_version(model, SUMS_IN_DOUBLE)
    model.ir_version = max(model.ir_version, IR_VERSION)


def _set_version(model: Any, version: int) -> None:
    for domain in model.opset_import:
        if domain.domain == "ai.onnx.ml":
            domain.version = version


def _tensor(values: NDArray[Any], name: str = "") -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.asarray(values), name)
