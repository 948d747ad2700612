"""Intervals hold the true value about 95 times of 100."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from tidemill.runtime.monitor.performance.confidence import interval
from tidemill.runtime.monitor.performance.measured import Classified, Predicted
from tidemill.runtime.scoring.intervals import wilson


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
        result = interval(metric, Classified(("no", "yes"), labels, answers))
        assert result is not None
        covered += result.low <= true <= result.high

    assert covered >= 34


def test_intervals_of_numbers_cover_the_truth_and_an_error_has_its_ends_in_order() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(40):
        away = random.normal(size=150)
        result = interval("rmse", Predicted(away, np.zeros(150)))
        assert result is not None and result.low < result.high
        covered += result.low <= 1.0 <= result.high

    assert covered >= 34


def test_the_same_rows_have_the_same_interval() -> None:
    rows = Classified(("no", "yes"), np.array([0, 1] * 60), np.array([0, 1, 1, 1] * 30))

    assert interval("f1", rows) == interval("f1", rows)


@pytest.mark.parametrize("metric", ["recall", "precision", "f1", "jaccard"])
def test_a_few_rows_without_a_hit_are_not_surely_zero(metric: str) -> None:
    labels = np.array([1] * 4 + [0] * 60)
    answers = np.array([0] * 60 + [1] * 4)

    result = interval(metric, Classified(("no", "yes"), labels, answers))

    assert result is not None
    assert 0.0 == result.low and result.high > 0.3


@pytest.mark.parametrize("metric", ["precision", "recall", "f1", "jaccard"])
@pytest.mark.parametrize("rows", [40, 400])
def test_intervals_of_a_rare_positive_class_cover_the_truth(metric: str, rows: int) -> None:
    rng = np.random.default_rng(2)
    both, false_alarm, missed = 0.12, 0.03, 0.05  # shares of rows: true positives, false positives, false negatives
    jaccard = both / (both + false_alarm + missed)
    true = {
        "precision": both / (both + false_alarm),
        "recall": both / (both + missed),
        "jaccard": jaccard,
        "f1": 2 * jaccard / (1 + jaccard),
    }[metric]
    covered = bounded = 0
    for _ in range(600):
        kind = rng.choice(4, rows, p=[both, false_alarm, missed, 1 - both - false_alarm - missed])
        labels, answers = np.isin(kind, (0, 2)).astype(int), np.isin(kind, (0, 1)).astype(int)
        if (result := interval(metric, Classified(("no", "yes"), labels, answers))) is not None:
            bounded += 1
            covered += result.low <= true <= result.high

    assert 0.93 <= covered / bounded
