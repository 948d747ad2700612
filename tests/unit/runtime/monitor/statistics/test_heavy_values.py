"""Values that many rows share are told from all others, and what scipy says of the raw numbers comes out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scipy.stats

from tidemill.runtime.monitor.statistics.comparison import Comparison, compare, distance
from tidemill.runtime.profile import ProfiledColumn, profile_table

COLUMN = [ProfiledColumn("x", "Numerical")]
_rng = np.random.default_rng(11)


def compared(before: Any, now: Any) -> Comparison:
    reference = profile_table(pa.table({"x": before}), COLUMN)
    (comparison,) = compare(reference, profile_table(pa.table({"x": now}), COLUMN, reference))
    return comparison


def modes(*centres: float, rows: int, by: float = 0.0) -> Any:
    return np.concatenate([_rng.normal(centre + by, 1, rows) for centre in centres])


ZEROS = np.where(_rng.random(20_000) < 0.6, 0.0, _rng.lognormal(6, 2.5, 20_000))
SENTINELS = np.where(_rng.random(20_000) < 0.6, -999999.0, _rng.normal(size=20_000))
CASES: dict[str, tuple[Any, Any]] = {
    "zeros became fees": (ZEROS, np.where(ZEROS == 0, _rng.uniform(0.5, 9, 20_000), ZEROS)),
    "a sentinel beside numbers that moved": (SENTINELS, np.where(SENTINELS == -999999.0, SENTINELS, SENTINELS + 5)),
    "a sensor that was stuck": (np.full(2000, 101325.0), _rng.normal(101325, 1, 2000)),
    "a constant and one outlier": (np.append(np.full(20_000, 5.0), 1e6), _rng.normal(5, 0.01, 10_000)),
    "two modes far apart": (modes(0, 1e9, rows=10_000), modes(0, 1e9, rows=5_000, by=0.5)),
    "three modes": (modes(0, 1e6, 1e12, rows=10_000), modes(0, 1e6, 1e12, rows=5_000, by=0.7)),
    "fill values in a thousandth": (
        np.where(_rng.random(40_000) < 0.0008, 1e20, _rng.normal(size=40_000)),
        np.where(_rng.random(20_000) < 0.0008, 1e20, _rng.normal(1, 1, 20_000)),
    ),
    "half of the rows moved by a quarter": (
        np.where(_rng.random(20_000) < 0.5, 300.0, _rng.uniform(0, 1e6, 20_000)),
        np.where(_rng.random(20_000) < 0.5, 300.25, _rng.uniform(0, 1e6, 20_000)),
    ),
}
cases = pytest.mark.parametrize(("before", "now"), CASES.values(), ids=CASES.keys())


@cases
def test_kolmogorov_smirnov_is_scipys_to_a_thousandth(before: Any, now: Any) -> None:
    exact = scipy.stats.ks_2samp(before, now).statistic

    assert exact == pytest.approx(compared(before, now).statistics["KolmogorovSmirnov"], abs=0.001)


@cases
def test_what_certainly_moved_never_passes(before: Any, now: Any) -> None:
    assert (distance(compared(before, now), "Auto") or 0.0) >= 0.2


@pytest.mark.parametrize(
    "name", ["zeros became fees", "a sentinel beside numbers that moved", "a sensor that was stuck"]
)
def test_wasserstein_mean_and_std_are_those_of_the_raw_numbers(name: str) -> None:
    before, now = CASES[name]

    statistics = compared(before, now).statistics

    assert scipy.stats.wasserstein_distance(before, now) == pytest.approx(statistics["Wasserstein"], rel=0.02)
    assert now.mean() == pytest.approx(statistics["Mean"], rel=0.002)
    if before.std() > 0:
        assert now.std() / before.std() == pytest.approx(statistics["SpreadRatio"], rel=0.02)


def test_modes_far_apart_have_the_stability_index_of_their_quantiles() -> None:
    before, now = CASES["three modes"]
    cuts = np.quantile(before, np.arange(1, 20) / 20)
    shares = [
        np.bincount(np.searchsorted(cuts, side, side="right"), minlength=20) / len(side) for side in (before, now)
    ]
    exact = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())

    assert exact == pytest.approx(compared(before, now).statistics["PSI"], rel=0.02)


def test_a_fill_value_that_only_the_window_has_is_within_the_bounds() -> None:
    before, now = _rng.normal(15, 8, 5000), np.where(np.arange(5000) < 5, 9.96921e36, _rng.normal(15, 8, 5000))

    statistics = compared(before, now).statistics

    assert (
        statistics["WassersteinLower"]
        <= scipy.stats.wasserstein_distance(before, now)
        <= statistics["WassersteinUpper"]
    )
    assert now.mean() == pytest.approx(statistics["Mean"], rel=1e-12)


def test_a_constant_that_became_another_moved_by_the_difference() -> None:
    statistics = compared([7.0] * 500, [8.0] * 500).statistics

    assert (1.0, 0.0, 1.0) == (
        statistics["Wasserstein"],
        statistics["VarianceShift"],
        statistics["WassersteinNormalised"],
    )
    assert statistics["WassersteinLower"] <= 1.0 <= statistics["WassersteinUpper"]


def test_the_std_of_a_constant_off_all_lattices_is_zero() -> None:
    statistics = compared([0.1] * 500, [0.11] * 500).statistics

    assert 0.01 == pytest.approx(statistics["WassersteinNormalised"])
    assert (0.0, 1.0) == (statistics["VarianceShift"], statistics["SpreadRatio"])


def test_whole_amounts_that_got_cents_hardly_moved() -> None:
    amounts = np.where(_rng.random(20_000) < 0.5, 0.0, np.floor(_rng.exponential(50, 20_000)))
    now = np.where(amounts > 0, amounts + np.round(_rng.random(20_000), 2), 0.0)

    statistics = compared(amounts, now).statistics

    assert scipy.stats.ks_2samp(amounts, now).statistic == pytest.approx(statistics["KolmogorovSmirnov"], abs=0.001)


def test_tiny_negative_numbers_above_the_reference_lie_right_of_it() -> None:
    before, now = np.linspace(-1e6, -0.01, 4000), np.append(np.full(3999, -1e-13), 5.0)

    statistics = compared(before, now).statistics

    # Beyond the grid a position is known to a 65,536th of its width.
    assert now.mean() == pytest.approx(statistics["Mean"], abs=1e6 / 65_536)
    assert statistics["MeanShift"] > 1.7
    assert statistics["KolmogorovSmirnovUpper"] >= 1 - 1e-12


def test_features_trained_in_double_and_served_in_single_precision_have_not_moved() -> None:
    before = np.round(_rng.uniform(0.1, 4, 4000), 1)

    comparison = compared(before, before.astype(np.float32))

    assert 0.0 == comparison.statistics["KolmogorovSmirnov"] == distance(comparison, "Auto")
    # On raw numbers nearly all differ, which the bound knows.
    assert (
        comparison.statistics["KolmogorovSmirnovUpper"]
        >= scipy.stats.ks_2samp(before, before.astype(np.float32)).statistic
    )


def test_whole_numbers_beyond_two_to_the_53_keep_their_differences() -> None:
    first = 2**60
    before, now = (
        pa.array([first + index % 100 for index in range(2000)]),
        pa.array([first + 100 + index % 100 for index in range(2000)]),
    )

    statistics = compared(before, now).statistics

    assert (1.0, 100.0) == (statistics["KolmogorovSmirnov"], pytest.approx(statistics["Wasserstein"]))
    assert float(first) == pytest.approx(statistics["Mean"], rel=1e-15)
