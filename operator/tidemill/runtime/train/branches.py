"""Tree ensembles in ONNX, turned so that the branch a row is likely to take is always the same one.

ONNX Runtime walks a tree by one comparison, `value <= threshold`, in a loop. The processor guesses how each comes out and loses a
dozen cycles where it was wrong, which is most of the time that an ensemble takes. Where the likely branch is the false one in
every node, it guesses better, and finds the next node where it is already, since ONNX Runtime lays the false branch right behind its
node. A node is turned by asking `-value <= -(next number above the threshold)` and swapping its
children: the same numbers go the same ways, so answers are the same to the last bit. (Layout: onnxruntime,
core/providers/cpu/ml/tree_ensemble_common.h.) A missing value would go the other way,
and telling it apart costs more than is gained.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SUM_OF_TREES: Final = "TreeEnsemble"
"""Trees that answer in double precision, whose nodes and leaves are counted apart."""
ENSEMBLES: Final = frozenset({"TreeEnsembleClassifier", "TreeEnsembleRegressor", SUM_OF_TREES})
BRANCH, LEAF = b"BRANCH_LEQ", b"LEAF"
MIN_NODES: Final = 500
"""Smaller ensembles are answered in a microsecond or two, which negating the features would take as well."""
MAX_ROWS: Final = 512
"""Rows that are sent through the trees to see which way they go."""
MISSING: Final = "nodes_missing_value_tracks_true"

Indices = NDArray[np.int64]


def turned(node: Any, rows: NDArray[np.float32]) -> Any | None:
    """A node like `node`, an ensemble that is asked for rows like `rows`, to be asked for them and their negatives side by side.

    No value may be missing. None where nothing can be gained, or where the ensemble compares in other ways.
    """
    from onnx import helper

    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type == SUM_OF_TREES:
        return _turned_sum(node, attributes, rows)
    modes = np.array(attributes.get("nodes_modes", ()))
    if node.op_type not in ENSEMBLES or len(modes) < MIN_NODES or not np.isin(modes, (BRANCH, LEAF)).all():
        return None
    if "nodes_values" not in attributes or any(attributes.get(MISSING, ())):
        return None
    trees = _Trees(attributes)
    features, values = trees.features.copy(), trees.values.copy()
    with np.errstate(over="ignore"):  # above the largest number there is infinity
        above = np.nextafter(values, np.float32(np.inf))
    swapped = trees.inner & np.isfinite(above) & trees.mostly_true(rows[:MAX_ROWS])
    if not swapped.any():
        return None
    features[swapped] += rows.shape[1]
    values[swapped] = -above[swapped]
    to_true, to_false = np.array(attributes["nodes_truenodeids"]), np.array(attributes["nodes_falsenodeids"])
    attributes["nodes_truenodeids"] = np.where(swapped, to_false, to_true).tolist()
    attributes["nodes_falsenodeids"] = np.where(swapped, to_true, to_false).tolist()
    attributes["nodes_featureids"], attributes["nodes_values"] = features.tolist(), values.tolist()
    return helper.make_node(node.op_type, list(node.input), list(node.output), domain=node.domain, **attributes)


def _turned_sum(node: Any, attributes: dict[str, Any], rows: NDArray[np.float32]) -> Any | None:
    """The same for trees that answer in double precision; where they would send missing values is forgotten."""
    from onnx import helper, numpy_helper

    features = np.array(attributes["nodes_featureids"], np.int64)
    if 2 * len(features) < MIN_NODES:
        return None
    splits = numpy_helper.to_array(attributes["nodes_splits"])
    sides = [
        (np.array(attributes[f"nodes_{side}nodeids"], np.int64), np.array(attributes[f"nodes_{side}leafs"], np.bool_))
        for side in ("true", "false")
    ]
    balance = np.zeros(len(features), np.int64)
    roots = np.array(attributes["tree_roots"], np.int64)
    row, at = (each.ravel() for each in np.meshgrid(np.arange(len(rows[:MAX_ROWS])), roots, indexing="ij"))
    while len(at):
        true = rows[row, features[at]] <= splits[at]
        balance += np.bincount(at, np.where(true, 1, -1), len(balance)).astype(np.int64)
        leaf = np.where(true, sides[0][1][at], sides[1][1][at])
        row, at = row[~leaf], np.where(true, sides[0][0][at], sides[1][0][at])[~leaf]
    above = np.nextafter(splits, np.inf)
    swapped = np.isfinite(above) & (balance > 0)
    if not swapped.any():
        return None
    attributes["nodes_featureids"] = np.where(swapped, features + rows.shape[1], features).tolist()
    attributes[MISSING] = [0] * len(features)
    attributes["nodes_splits"] = numpy_helper.from_array(np.where(swapped, -above, splits))
    for side, own, opposite in (("true", *sides), ("false", *reversed(sides))):
        attributes[f"nodes_{side}nodeids"] = np.where(swapped, opposite[0], own[0]).tolist()
        attributes[f"nodes_{side}leafs"] = np.where(swapped, opposite[1], own[1]).astype(np.int64).tolist()
    return helper.make_node(node.op_type, list(node.input), list(node.output), domain=node.domain, **attributes)


class _Trees:
    """All nodes of an ensemble, one after the other."""

    def __init__(self, attributes: dict[str, Any]) -> None:
        self.features = np.array(attributes["nodes_featureids"], np.int64)
        self.values = np.array(attributes["nodes_values"], np.float32)
        self.inner = np.array(attributes["nodes_modes"]) == BRANCH
        tree, name = np.array(attributes["nodes_treeids"], np.int64), np.array(attributes["nodes_nodeids"], np.int64)
        self._width = int(name.max()) + 1
        self._keys = tree * self._width + name
        self._order = np.argsort(self._keys)
        self.true = self._indices(tree, attributes["nodes_truenodeids"])
        self.false = self._indices(tree, attributes["nodes_falsenodeids"])
        below = np.zeros(len(tree), np.bool_)
        below[self.true[self.inner]] = below[self.false[self.inner]] = True
        self._roots = np.flatnonzero(~below)

    def _indices(self, tree: Indices, names: Any) -> Indices:
        keys = tree * self._width + np.array(names, np.int64)
        index = self._order[np.searchsorted(self._keys, keys, sorter=self._order).clip(max=len(keys) - 1)]
        if (self._keys[index] != keys)[self.inner].any():
            raise ValueError("a tree names a node that it does not have")
        return np.where(self.inner, index, 0)

    def mostly_true(self, rows: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return whether more of the rows that come to a node go to its true side than to its false one."""
        balance = np.zeros(len(self.inner), np.int64)
        row, at = (each.ravel() for each in np.meshgrid(np.arange(len(rows)), self._roots, indexing="ij"))
        # A walk is no longer than there are nodes; what has come to a leaf is not looked at again.
        for _ in range(len(self.inner)):
            going = self.inner[at]
            row, at = row[going], at[going]
            if not len(at):
                break
            true = rows[row, self.features[at]] <= self.values[at]
            balance += np.bincount(at, np.where(true, 1, -1), len(balance)).astype(np.int64)
            at = np.where(true, self.true[at], self.false[at])
        return balance > 0
