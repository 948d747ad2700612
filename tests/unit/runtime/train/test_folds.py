"""Which rows judge a trial."""

from __future__ import annotations

import numpy as np
import pytest

from tidemill.runtime.failures import NotEnoughRows
from tidemill.runtime.train.folds import ALWAYS_TRAINED, folds

ALONE = np.arange(100, dtype=np.uint64)
RARE = np.array([0] * 90 + [1] * 10)


def test_every_row_judges_once_in_folds_of_the_same_size() -> None:
    assert [20] * 5 == np.bincount(folds(ALONE, RARE, "Regression", 5, 7)).tolist()


def test_a_rare_class_is_in_every_fold() -> None:
    splits = folds(ALONE, RARE, "Classification", 5, 7)

    assert [2] * 5 == np.bincount(splits[RARE == 1]).tolist()


def test_rows_that_belong_together_are_in_one_fold() -> None:
    group_ids = np.repeat(np.arange(20, dtype=np.uint64), 5)
    truth = np.tile([0, 1, 0, 1, 0], 20)

    splits = folds(group_ids, truth, "Classification", 4, 7)

    assert all(1 == len(set(splits[group_ids == family].tolist())) for family in range(20))
    assert [25] * 4 == np.bincount(splits).tolist()


def test_folds_hang_on_the_seed_and_not_on_the_order_of_the_rows() -> None:
    splits = folds(ALONE, RARE, "Classification", 5, 7)

    assert splits[::-1].tolist() == folds(ALONE[::-1], RARE[::-1], "Classification", 5, 7).tolist()
    assert splits.tolist() != folds(ALONE, RARE, "Classification", 5, 8).tolist()


def test_a_class_with_a_single_row_is_always_learnt_and_never_asked_for() -> None:
    truth = RARE.copy()
    truth[99] = 2

    splits = folds(ALONE, truth, "Classification", 5, 7)

    assert [ALWAYS_TRAINED] == splits[truth == 2].tolist()
    assert set(range(5)) == set(splits[truth != 2].tolist())


def test_fewer_groups_than_folds_are_refused_with_what_to_do() -> None:
    with pytest.raises(NotEnoughRows, match=r"form 3 groups, which cannot be divided into 5 folds; lower spec\.tuning"):
        folds(np.repeat(np.arange(3, dtype=np.uint64), 30), np.zeros(90, np.int64), "Regression", 5, 7)
