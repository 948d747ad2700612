"""Intervals hold the true value about 95 times of 100."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from tidemill.runtime.monitor.performance.confidence import interval, wilson
from tidemill.runtime.monitor.performance.measured import Classified, Predicted


@pytest.mark.parametrize(("hits", "rows"), [(0, 20), (9, 10), (480, 500), (100_000, 200_000)])
def test_the_interval_of_a_share_is_wilsons(hits: int, rows: int) -> None:
    expected = binomtest(hits, rows).proportion_ci(method="wilson")

    assert (expected.low, expected.high) == pytest.approx(wilson(hits, rows), abs=1e-6)


@pytest.mark.parametrize(
    ("metric", "true"), [("accuracy", 0.8), ("recall", 0.8), ("f1", 0.8), ("balanced_accuracy", 0.8)]
)
def test_intervals_of_classes_cover_the_truth(metric: str, true: float) -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(40):
        labels = np.repeat([0, 1], 100)
        answers = np.where(random.random(200) < 0.8, labels, 1 - labels)
        found = interval(metric, Classified(("no", "yes"), labels, answers))
        assert found is not None
        covered += found.low <= true <= found.high

    assert covered >= 34


def test_intervals_of_numbers_cover_the_truth_and_an_error_has_its_ends_in_order() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(40):
        away = random.normal(size=150)
        found = interval("rmse", Predicted(away, np.zeros(150)))
        assert found is not None and found.low < found.high
        covered += found.low <= 1.0 <= found.high

    assert covered >= 34


def test_the_same_rows_have_the_same_interval() -> None:
    rows = Classified(("no", "yes"), np.array([0, 1] * 60), np.array([0, 1, 1, 1] * 30))

    assert interval("f1", rows) == interval("f1", rows)
