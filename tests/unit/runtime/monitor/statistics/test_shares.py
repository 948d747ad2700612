"""Statistics on counts agree with scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
import scipy.stats.contingency

from tidemill.runtime.monitor.statistics import shares

TABLES = {
    "alike": ([100, 200, 300], [101, 199, 305]),
    "moved": ([100, 200, 300, 50], [300, 200, 100, 10]),
    "of very different sizes": ([100_000, 200_000, 50_000], [10, 30, 2]),
    "with an empty bin on one side": ([50, 0, 30], [40, 10, 20]),
    "with a bin that is empty on both sides": ([50, 0, 30], [40, 0, 20]),
}
tables = pytest.mark.parametrize(("before", "now"), TABLES.values(), ids=TABLES.keys())


@tables
def test_jensen_shannon_is_scipys_distance_in_bits(before: Any, now: Any) -> None:
    expected = scipy.spatial.distance.jensenshannon(before, now, base=2)

    assert expected == pytest.approx(shares.jensen_shannon(before, now), abs=1e-9)


@tables
def test_total_variation_and_hellinger_follow_their_formulas(before: Any, now: Any) -> None:
    p, q = np.array(before) / np.sum(before), np.array(now) / np.sum(now)

    assert np.abs(p - q).sum() / 2 == pytest.approx(shares.total_variation(before, now))
    assert np.linalg.norm(np.sqrt(p) - np.sqrt(q)) / np.sqrt(2) == pytest.approx(
        shares.hellinger(before, now), abs=1e-7
    )


@pytest.mark.parametrize("name", ["alike", "moved"])
def test_relative_entropy_is_scipys_where_no_bin_is_empty(name: str) -> None:
    before, now = TABLES[name]

    assert scipy.stats.entropy(now, before) == pytest.approx(shares.kullback_leibler(before, now))


@pytest.mark.parametrize("name", ["alike", "moved"])
def test_the_stability_index_is_relative_entropy_in_both_directions(name: str) -> None:
    before, now = TABLES[name]

    both = scipy.stats.entropy(now, before) + scipy.stats.entropy(before, now)

    assert both == pytest.approx(shares.psi(before, now))


@tables
def test_chi_square_and_cramers_v_are_scipys(before: Any, now: Any) -> None:
    table = np.array([before, now])
    table = table[:, table.sum(axis=0) > 0]
    statistic, p_value, degrees, _ = scipy.stats.chi2_contingency(table, correction=False)

    test = shares.chi_square(before, now)

    assert (statistic, degrees) == (pytest.approx(test.statistic), test.degrees)
    assert p_value == pytest.approx(test.p_value, rel=1e-9)
    assert scipy.stats.contingency.association(table, "cramer") == pytest.approx(shares.cramers_v(before, now))


@pytest.mark.parametrize("degrees", [1, 2, 5, 19, 60])
@pytest.mark.parametrize("statistic", [0.01, 1.0, 20.0, 300.0])
def test_the_tail_of_chi_square_is_scipys(statistic: float, degrees: int) -> None:
    assert scipy.stats.chi2.sf(statistic, degrees) == pytest.approx(
        shares.chi_square_tail(statistic, degrees), rel=1e-8, abs=1e-300
    )


@pytest.mark.parametrize(
    "distance",
    [
        shares.psi,
        shares.jensen_shannon,
        shares.kullback_leibler,
        shares.hellinger,
        shares.total_variation,
        shares.cramers_v,
    ],
)
def test_nothing_counted_is_an_error_and_not_agreement(distance: Any) -> None:
    with pytest.raises(ValueError, match="nothing was counted"):
        distance([1, 2], [0, 0])


@pytest.mark.parametrize("table", [(4950, 50, 9, 1), (0, 5000, 3, 27), (300, 20, 8, 2), (1000, 10, 0, 12)])
def test_groups_that_expect_hardly_a_row_are_tested_as_fisher_does(table: tuple[int, int, int, int]) -> None:
    a, b, c, d = table
    tails = [scipy.stats.fisher_exact([[a, b], [c, d]], alternative=side)[1] for side in ("less", "greater")]

    assert min(1.0, 2 * min(tails)) == pytest.approx(shares._fisher(d, c + d, b, a + b), rel=1e-9)


@pytest.mark.parametrize("rows", [2, 10, 30])
def test_chance_is_hardly_ever_significant_where_groups_expect_hardly_a_row(rows: int) -> None:
    rng = np.random.default_rng(rows)
    weights = [0.95, 0.04, 0.01]
    hits = [
        shares.small_sample_p_value(rng.multinomial(5000, weights), rng.multinomial(rows, weights)) <= 0.05
        for _ in range(1000)
    ]

    assert np.mean(hits) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 1000)
