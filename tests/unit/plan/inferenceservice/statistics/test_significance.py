"""The exact tests are those of scipy."""

import pytest
from scipy import stats

from tidemill.plan.inferenceservice.statistics.significance import binomial_tail, share_bounds, worse_by_chance


@pytest.mark.parametrize(
    ("count", "total", "share"),
    [(3, 42, 0.05), (2, 20, 0.01), (20, 20, 0.5), (1, 1, 0.3), (600, 10_000, 0.05), (11_000, 1_000_000, 0.01)],
)
def test_the_tail_of_a_binomial_distribution(count: int, total: int, share: float) -> None:
    expected = stats.binomtest(count, total, share, alternative="greater").pvalue

    assert expected == pytest.approx(binomial_tail(count, total, share), rel=1e-6)


def test_a_count_at_or_below_the_mean_is_no_evidence() -> None:
    assert 1.0 == binomial_tail(5, 100, 0.05) == binomial_tail(7, 7, 1.0)
    assert 1.0 == pytest.approx(worse_by_chance(6_000, 100_000, 60_000, 100_000)) == worse_by_chance(0, 0, 3, 10)


def test_a_chance_too_small_for_a_float_is_zero() -> None:
    assert 0.0 == binomial_tail(500_000, 1_000_000, 0.05) == binomial_tail(1, 10, 0.0)
    assert 0.0 == worse_by_chance(60_000, 100_000, 6_000, 100_000)


@pytest.mark.parametrize(
    ("errors", "requests", "others", "other_requests"),
    [(3, 42, 6, 60), (10, 40, 1, 100), (1, 20, 0, 1000), (0, 10, 5, 10), (50, 1000, 400, 10_000), (5, 5, 5, 5)],
)
def test_fishers_exact_test(errors: int, requests: int, others: int, other_requests: int) -> None:
    table = [[errors, requests - errors], [others, other_requests - others]]
    expected = stats.fisher_exact(table, alternative="greater").pvalue

    assert expected == pytest.approx(worse_by_chance(errors, requests, others, other_requests), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("total", [20, 42, 500])
def test_wilsons_interval(total: int) -> None:
    count = round(0.95 * total)
    expected = stats.binomtest(count, total).proportion_ci(confidence_level=0.9, method="wilson")

    assert (expected.low, expected.high) == pytest.approx(share_bounds(count / total, total), rel=1e-6)
