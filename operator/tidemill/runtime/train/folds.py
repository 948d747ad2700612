"""Which rows judge a trial: parts of the rows that are learnt from, and never the hold-out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tidemill.runtime.failures import NotEnoughRows
from tidemill.runtime.model.signature import Task
from tidemill.runtime.tables.rowhash import mix

ALWAYS_LEARNT = -1
"""The fold of rows that judge nobody, because without them nobody would know their class."""


def folds(kin: NDArray[np.uint64], truth: NDArray[np.int64], task: Task, count: int, seed: int) -> NDArray[np.int64]:
    """The fold of each row, from 0; rows of one `kin` are in one fold, and classes are spread evenly where kin allow it.

    Folds hang on what rows are and not on their order. Raises NotEnoughRows.
    """
    families, family = np.unique(kin, return_inverse=True)
    if len(families) < count:
        raise NotEnoughRows(
            f"the training rows form {len(families)} groups, which cannot be divided into {count} folds; lower spec.tuning.objective.validation.folds, or give the Dataset more rows"
        )
    sizes = np.bincount(family)
    drawn = mix(families ^ np.uint64(seed))
    classes = np.zeros(len(families), np.int64)
    if task == "Classification":
        classes[family] = truth
        if (classes[family] != truth).any():
            classes[:] = 0
    # Within a class the largest families first, so that the last ones even the folds out.
    order = np.lexsort((drawn, -sizes, classes))
    of_family = np.empty(len(families), np.int64)
    of_family[order] = np.arange(len(families)) % count
    found: NDArray[np.int64] = of_family[family]
    if task == "Classification":
        for label in np.unique(truth):
            of_class = found[truth == label]
            if (of_class == of_class[0]).all():
                found[np.isin(family, family[truth == label])] = ALWAYS_LEARNT
    return found
