"""Columns that lost their values, their type or themselves, and those that did not."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from tidemill.runtime.scoring import verdicts
from tidemill.runtime.scoring.verdicts import Values, why_lost

LOST = {
    "most values": (Values(1000, 0, 0), Values(2000, 1900, 0), "95% of the values are missing, 0% before"),
    "more than before": (Values(1000, 100, 0), Values(1000, 300, 0), "30% of the values are missing, 10% before"),
    "all values": (Values(1000, 10, 0), Values(50, 50, 0), "it is absent or has no values"),
    "its type": (Values(1000, 10, 0), Values(200, 0, 200), "100% of the values are of another type, 0% before"),
    "its type in part": (Values(9, 0, 0), Values(90, 0, 60), "67% of the values are of another type, 0% before"),
    "both": (
        Values(1000, 0, 0),
        Values(1000, 200, 300),
        "20% of the values are missing, 0% before and 30% of the values are of another type, 0% before",
    ),
}
KEPT = {
    "as many as before": (Values(1000, 400, 0), Values(1000, 420, 0)),
    "fewer than before": (Values(1000, 400, 0), Values(1000, 100, 0)),
    "a column that had none": (Values(1000, 1000, 0), Values(1000, 1000, 0)),
    "a window of few rows": (Values(1000, 50, 0), Values(10, 2, 0)),
    "a window without rows": (Values(1000, 50, 0), Values(0, 0, 0)),
    "a reference without rows": (Values(0, 0, 0), Values(100, 100, 0)),
}


@pytest.mark.parametrize(("before", "now", "reason"), LOST.values(), ids=LOST.keys())
def test_a_column_that_lost_values_says_how(before: Values, now: Values, reason: str) -> None:
    assert reason == why_lost(before, now)


@pytest.mark.parametrize(("before", "now"), KEPT.values(), ids=KEPT.keys())
def test_a_column_that_kept_them_says_nothing(before: Values, now: Values) -> None:
    assert "" == why_lost(before, now)


@pytest.mark.parametrize("rows", [10, 30, 100, 1000])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_where_nothing_is_lost_hardly_a_window_warns(rows: int, share: float) -> None:
    missing = np.random.default_rng(1).binomial(rows, share, 2000).tolist()

    warned = sum(why_lost(Values(5000, int(5000 * share), 0), Values(rows, count, 0)) != "" for count in missing)

    assert warned / 2000 <= 0.01


def test_examples_hold() -> None:
    assert 0 == doctest.testmod(verdicts).failed
