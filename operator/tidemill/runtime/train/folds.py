"""Cross-validation folds of the training rows; the hold-out is never among them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidemill.runtime.failures import NotEnoughRows
from tidemill.runtime.model.signature import Task
from tidemill.runtime.tables.rowhash import mix

ALWAYS_TRAINED = -1
"""The fold of rows that no trial is judged by: without them the model would not know their class."""


def folds(
    group_ids: NDArray[np.uint64], truth: NDArray[np.int64], task: Task, count: int, seed: int
) -> NDArray[np.int64]:
    """Return the fold of each row, from 0; rows of one group are in one fold, and classes are spread evenly where groups allow it.

    Folds depend on what rows are and not on their order. Raises NotEnoughRows.
    """
    groups, group = np.unique(group_ids, return_inverse=True)
    if len(groups) < count:
        raise NotEnoughRows(
            f"the training rows form {len(groups)} groups, which cannot be divided into {count} folds; lower spec.tuning.objective.validation.folds, or give the Dataset more rows"
        )
    sizes = np.bincount(group)
    drawn = mix(groups ^ np.uint64(seed))
    classes = np.zeros(len(groups), np.int64)
    if task == "Classification":
        classes[group] = truth
        if (classes[group] != truth).any():
            classes[:] = 0
    # Within a class the largest groups first, so that the last ones even the folds out.
    order = np.lexsort((drawn, -sizes, classes))
    of_group = np.empty(len(groups), np.int64)
    of_group[order] = np.arange(len(groups)) % count
    fold: NDArray[np.int64] = of_group[group]
    if task == "Classification":
        for label in np.unique(truth):
            of_class = fold[truth == label]
            if (of_class == of_class[0]).all():
                fold[np.isin(group, group[truth == label])] = ALWAYS_TRAINED
    return fold
