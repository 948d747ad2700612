"""Fairness is Fairlearn's, on rows and on counts."""

from __future__ import annotations

from typing import Any

import fairlearn.metrics as fairlearn
import numpy as np
import pytest

from tidemill.runtime.monitor.performance import fairness

THEIRS = {
    "DemographicParityDifference": fairlearn.demographic_parity_difference,
    "DemographicParityRatio": fairlearn.demographic_parity_ratio,
    "EqualizedOddsDifference": fairlearn.equalized_odds_difference,
    "EqualizedOddsRatio": fairlearn.equalized_odds_ratio,
    "EqualOpportunityDifference": fairlearn.equal_opportunity_difference,
}


@pytest.fixture
def people() -> Any:
    random = np.random.default_rng(4)
    groups = random.choice(["a", "b", "c"], 900, p=[0.5, 0.3, 0.2])
    labels = (random.random(900) < 0.4).astype(int)
    answers = (random.random(900) < 0.25 + 0.3 * labels + 0.2 * (groups == "b")).astype(int)
    return groups, labels, answers


@pytest.mark.parametrize("metric", THEIRS)
def test_every_metric_is_fairlearns(people: Any, metric: str) -> None:
    groups, labels, answers = people
    expected = THEIRS[metric](labels, answers, sensitive_features=groups)

    found = fairness.unfairness(metric, fairness.rates(groups.tolist(), answers, labels, 1))

    assert expected == pytest.approx(found.value)


def test_counts_say_the_same_as_rows(people: Any) -> None:
    groups, _, answers = people
    counts: dict[str, dict[str, int]] = {}
    for group, answer in zip(groups.tolist(), answers.tolist(), strict=True):
        counts.setdefault(group, {}).setdefault(str(answer), 0)
        counts[group][str(answer)] += 1

    by_rows = fairness.unfairness("DemographicParityDifference", fairness.rates(groups.tolist(), answers, None, 1))

    assert by_rows == fairness.unfairness("DemographicParityDifference", fairness.counted(counts, "1"))


def test_a_handful_of_people_is_no_group() -> None:
    groups = ["a"] * 100 + ["b"] * 5

    with pytest.raises(ValueError, match="fewer than two groups"):
        fairness.unfairness("DemographicParityDifference", fairness.rates(groups, np.ones(105), None, 1))
