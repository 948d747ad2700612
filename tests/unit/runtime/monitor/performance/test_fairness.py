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

    result = fairness.unfairness(metric, fairness.groups_of(groups.tolist(), answers, labels, 1))

    assert expected == pytest.approx(result.value)


def test_counts_say_the_same_as_rows(people: Any) -> None:
    groups, _, answers = people
    counts: dict[str, dict[str, int]] = {}
    for group, answer in zip(groups.tolist(), answers.tolist(), strict=True):
        counts.setdefault(group, {}).setdefault(str(answer), 0)
        counts[group][str(answer)] += 1

    by_rows = fairness.unfairness("DemographicParityDifference", fairness.groups_of(groups.tolist(), answers, None, 1))

    assert by_rows == fairness.unfairness("DemographicParityDifference", fairness.counted(counts, "1"))


def test_a_handful_of_people_is_no_group() -> None:
    groups = ["a"] * 100 + ["b"] * 5

    with pytest.raises(ValueError, match="fewer than two groups"):
        fairness.unfairness("DemographicParityDifference", fairness.groups_of(groups, np.ones(105), None, 1))


def pair(metric: str, first: tuple[int, int], second: tuple[int, int]) -> list[fairness.Group]:
    """Two groups whose every rate is `selected` of `rows`."""
    rates: Any = ("SelectionRate", "TruePositiveRate", "FalsePositiveRate")
    return [
        fairness.Group(name, max(1000, rows), dict.fromkeys(rates, fairness.Rate(selected, rows)))
        for name, (selected, rows) in {"a": first, "b": second}.items()
    ]


def test_the_interval_counts_the_rows_that_the_rate_is_of() -> None:
    """Ten favourable labels among a thousand rows are as sure as ten."""
    groups = ["a"] * 1000 + ["b"] * 1000
    labels = np.tile(np.repeat([1, 0], [10, 990]), 2)
    answers = np.zeros(2000, np.int64)
    answers[:9], answers[1000:1006] = 1, 1

    result = fairness.unfairness("EqualOpportunityDifference", fairness.groups_of(groups, answers, labels, 1))
    low, high = fairness.interval("EqualOpportunityDifference", result, 1.96)

    assert (10, 10) == (result.lowest[1].rows, result.highest[1].rows)
    assert 0.3 == pytest.approx(result.value)
    assert (-0.08, 0.58) == pytest.approx((low, high), abs=0.03)


def test_the_interval_of_a_difference_is_newcombes() -> None:
    """The example of Newcombe (1998, table II): 56/70 against 48/80."""
    result = fairness.unfairness("DemographicParityDifference", pair("", (48, 80), (56, 70)))

    assert (0.0524, 0.3339) == pytest.approx(
        fairness.interval("DemographicParityDifference", result, 1.959964), abs=5e-5
    )


def test_of_equalized_odds_the_rate_that_decided_is_judged() -> None:
    groups = ["a"] * 200 + ["b"] * 200
    labels = np.tile(np.repeat([1, 0], [100, 100]), 2)
    answers = np.concatenate((np.repeat([1, 0, 1, 0], [80, 20, 10, 90]), np.repeat([1, 0, 1, 0], [79, 21, 50, 50])))

    result = fairness.unfairness("EqualizedOddsDifference", fairness.groups_of(groups, answers, labels, 1))
    low, high = fairness.interval("EqualizedOddsDifference", result, 1.96)

    assert ("FalsePositiveRate", 0.4) == (result.rate, pytest.approx(result.value))
    assert ("a", "b") == (result.lowest[0], result.highest[0])
    # Newcombe's interval; the lower end is that of 97.5 %, since either of two rates could have given it.
    assert (0.260, 0.507) == pytest.approx((low, high), abs=0.002)


def odds(rates: dict[str, tuple[fairness.Rate, fairness.Rate]]) -> list[fairness.Group]:
    """Groups with a true and a false positive rate each."""
    return [
        fairness.Group(name, 2000, {"TruePositiveRate": true, "FalsePositiveRate": false})
        for name, (true, false) in rates.items()
    ]


def test_of_equalized_odds_a_smaller_difference_that_is_sure_is_not_hidden_by_a_larger_one_that_is_not() -> None:
    few = fairness.Rate(6, 12), fairness.Rate(2, 12)
    groups = odds({"a": (fairness.Rate(800, 1000), few[0]), "b": (fairness.Rate(520, 1000), few[1])})

    result = fairness.unfairness("EqualizedOddsDifference", groups)
    low, high = fairness.interval("EqualizedOddsDifference", result, 1.96)

    assert ("FalsePositiveRate", "TruePositiveRate") == (result.rate, result.other and result.other.rate)
    assert 0.22 < low < 0.28 < result.value < high


@pytest.mark.parametrize("metric", ["EqualizedOddsDifference", "EqualizedOddsRatio"])
def test_intervals_of_equalized_odds_cover_the_larger_of_two_differences(metric: str) -> None:
    rng = np.random.default_rng(8)
    true = {"a": (0.8, 0.30), "b": (0.7, 0.18)}
    differences, ratios = (0.8 - 0.7, 0.30 - 0.18), (0.7 / 0.8, 0.18 / 0.30)
    covered = 0
    for _ in range(1000):
        groups = odds(
            {
                name: (
                    fairness.Rate(int(rng.binomial(80, first)), 80),
                    fairness.Rate(int(rng.binomial(300, other)), 300),
                )
                for name, (first, other) in true.items()
            }
        )
        low, high = fairness.interval(metric, fairness.unfairness(metric, groups), 1.959964)
        covered += low <= (max(differences) if metric.endswith("Difference") else min(ratios)) <= high

    assert 0.93 <= covered / 1000


@pytest.mark.parametrize("metric", ["EqualizedOddsDifference", "EqualizedOddsRatio"])
def test_equalized_odds_are_fairlearns_whichever_rate_decides(metric: str) -> None:
    rng = np.random.default_rng(5)
    decided = set()
    for _ in range(40):
        groups = rng.choice(["a", "b", "c"], 600)
        labels = (rng.random(600) < 0.5).astype(int)
        shift = rng.uniform(-0.3, 0.3, 2)
        answers = (
            rng.random(600) < 0.5 + shift[0] * labels * (groups == "a") + shift[1] * (1 - labels) * (groups == "b")
        ).astype(int)

        result = fairness.unfairness(metric, fairness.groups_of(groups.tolist(), answers, labels, 1))

        assert THEIRS[metric](labels, answers, sensitive_features=groups) == pytest.approx(result.value)
        decided.add(result.rate)
    assert {"TruePositiveRate", "FalsePositiveRate"} == decided


@pytest.mark.parametrize("metric", ["DemographicParityDifference", "DemographicParityRatio"])
@pytest.mark.parametrize(
    ("rows", "true"),
    [((20, 20), (0.02, 0.1)), ((20, 200), (0.2, 0.6)), ((50, 50), (0.9, 0.98)), ((1000, 60), (0.5, 0.5))],
)
def test_intervals_cover_the_truth_also_near_the_ends(
    metric: str, rows: tuple[int, int], true: tuple[float, float]
) -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(1000):
        selected = [int(rng.binomial(size, share)) for size, share in zip(rows, true, strict=True)]
        result = fairness.unfairness(metric, pair(metric, (selected[0], rows[0]), (selected[1], rows[1])))
        low, high = fairness.interval(metric, result, 1.959964)
        shares = dict(zip("ab", true, strict=True))
        lowest, highest = shares[result.lowest[0]], shares[result.highest[0]]
        covered += low <= (highest - lowest if metric.endswith("Difference") else lowest / highest) <= high

    assert 0.93 <= covered / 1000


def test_a_label_that_is_no_class_is_not_unfavourable() -> None:
    groups = ["a"] * 60
    labels, answers = np.array(["yes", "no", "?"] * 20, dtype=object), np.array(["yes"] * 60, dtype=object)

    [group] = fairness.groups_of(groups, answers, labels, "yes", labels != "?")

    assert {"SelectionRate": 60, "TruePositiveRate": 20, "FalsePositiveRate": 20} == {
        name: rate.rows for name, rate in group.rates.items()
    }
