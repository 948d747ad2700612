"""When two answers are the same: by what answers are told apart by, not by how large they are."""

from __future__ import annotations

import numpy as np
import pytest

from tidemill.runtime.model.agreement import difference, robust_std
from tidemill.runtime.model.answer import Answer

NOON = 1_700_000_000.0

UNLIKE: dict[str, tuple[list[float], list[float]]] = {
    "one huge answer": ([1, 2, 1e200], [500, -9, np.inf]),
    "one large answer": ([1, 2, 3, 1e9], [500, -9, 77, 1e9]),
    "a large offset": ([NOON, NOON + 600, NOON + 1200], [NOON, NOON + 620, NOON + 1200]),
    "a constant": ([5.0, 5.0, 5.0, 5.0], [5.0, 5.0, 5.0, 5.00001]),
    "a constant and an outlier": ([5.0, 5.0, 5.0, 1e9], [5.0, 500.0, 5.0, 1e9]),
    "a refused row": ([1, np.nan, 3], [1, 2, 3]),
    "an answered row": ([1, 2, 3], [1, np.nan, 3]),
    "small numbers": ([1e-9, 2e-9, 3e-9], [1e-9, 2.1e-9, 3e-9]),
}


@pytest.mark.parametrize("case", UNLIKE)
def test_what_differs_by_more_than_what_is_told_apart_differs(case: str) -> None:
    expected, given = UNLIKE[case]

    assert "row" in difference(Answer(np.array(expected, np.float64)), Answer(np.array(given, np.float64)))


ALIKE: dict[str, tuple[list[float], list[float]]] = {
    "nothing": ([], []),
    "rounding": ([1, 2, 3], [1.000001, 2, 3]),
    "a large offset": ([NOON, NOON + 600, NOON + 1200], [NOON, NOON + 600.001, NOON + 1200]),
    "far off": ([1, 2, 3, 1e9], [1, 2, 3, 1e9 + 100]),
    "both refuse": ([1, np.nan, 3], [1, np.inf, 3]),
    "a constant": ([5.0, 5.0], [5.0, np.nextafter(5.0, 6)]),
    "all refused": ([np.nan, np.nan], [np.nan, np.inf]),
}


@pytest.mark.parametrize("case", ALIKE)
def test_rounding_is_no_difference(case: str) -> None:
    expected, given = ALIKE[case]

    assert "" == difference(Answer(np.array(expected, np.float64)), Answer(np.array(given, np.float64)))


def test_the_spread_is_a_standard_deviation_that_outliers_and_offsets_leave_alone() -> None:
    values = np.random.default_rng(0).normal(NOON, 1000, 5000)

    assert robust_std(values) == pytest.approx(1000, rel=0.05)
    assert robust_std(np.append(values, [1e200, -1e300, np.inf, np.nan])) == pytest.approx(1000, rel=0.05)
    assert 0 == robust_std(np.full(9, 5.0)) == robust_std(np.array([])) == robust_std(np.array([5, 5, 5, 5, 1e9]))
    assert 0.5 < robust_std(np.array([0.0] * 60 + [1.0, 2.0, 0.5] * 10)) < 3


def test_a_label_may_differ_only_where_rounding_decides_it() -> None:
    tie = Answer(np.array([0]), np.array([[0.5 + 2e-8, 0.5 - 2e-8]]))
    close = Answer(np.array([0]), np.array([[0.500004, 0.499996]]))

    assert "" == difference(tie, Answer(np.array([1]), np.array([[0.5 - 2e-8, 0.5 + 2e-8]])))
    assert "answered with 1" in difference(close, Answer(np.array([1]), np.array([[0.499998, 0.500002]])))
