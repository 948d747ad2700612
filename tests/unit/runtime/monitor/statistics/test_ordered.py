"""Distances of numbers from bins keep their bounds around scipy's on the raw numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scipy.stats

from tidemill.runtime.monitor.statistics import ordered
from tidemill.runtime.profile import ProfiledColumn, profile_table
from tidemill.runtime.profile.numerical import Bins, NumericalProfile

_random = np.random.default_rng(3)
SAMPLES: dict[str, tuple[Any, Any]] = {
    "unmoved": (_random.normal(size=50_000), _random.normal(size=20_000)),
    "moved a little": (_random.normal(size=50_000), _random.normal(0.1, 1, 20_000)),
    "moved and widened": (_random.normal(size=50_000), _random.normal(1, 2, 20_000)),
    "skewed": (_random.lognormal(0, 2, 50_000), _random.lognormal(0.2, 2, 20_000)),
    "far outside": (_random.uniform(0, 1, 50_000), _random.uniform(40, 50, 20_000)),
    "whole numbers": (_random.poisson(3, 50_000).astype(float), _random.poisson(4, 20_000).astype(float)),
    "whole numbers that were scaled": (
        _random.integers(0, 100, 50_000).astype(float),
        _random.integers(0, 100, 20_000) * 1.3 + 0.1,
    ),
    "whole numbers of which some were scaled": (
        _random.integers(0, 100, 50_000).astype(float),
        _random.integers(0, 100, 20_000) * np.where(_random.random(20_000) < 0.5, 1.0, 1.3037),
    ),
    "many zeros": (
        _random.exponential(1, 50_000) * (_random.random(50_000) < 0.4),
        _random.exponential(1, 20_000) * (_random.random(20_000) < 0.6),
    ),
    "a small table": (_random.normal(size=455), _random.normal(0.5, 1, 200)),
    "heavy tails": (_random.standard_t(1.5, 50_000), _random.standard_t(1.5, 20_000) + 0.3),
}
samples = pytest.mark.parametrize(("before", "now"), SAMPLES.values(), ids=SAMPLES.keys())


def both(before: Any, now: Any) -> tuple[Bins, Bins]:
    column = [ProfiledColumn("x", "Numerical")]
    reference = profile_table(pa.table({"x": before}), column)
    current = profile_table(pa.table({"x": now}), column, reference)
    sides = (reference.columns[0], current.columns[0])
    assert isinstance(sides[0], NumericalProfile)
    assert isinstance(sides[1], NumericalProfile)
    return sides[0].bins(), sides[1].bins()


@samples
def test_kolmogorov_smirnov_on_raw_numbers_lies_within_the_bounds(before: Any, now: Any) -> None:
    exact = scipy.stats.ks_2samp(before, now).statistic

    test = ordered.kolmogorov_smirnov(*both(before, now))

    assert test.lower - 1e-9 <= exact <= test.upper + 1e-9


@samples
def test_kolmogorov_smirnov_is_within_a_thousandth_of_scipys(before: Any, now: Any) -> None:
    exact = scipy.stats.ks_2samp(before, now).statistic

    # A small table has a bin per value, and what falls between two of them may differ by a row's share.
    room = 0.001 if len(before) > 1000 else 1 / len(now)
    assert exact == pytest.approx(ordered.kolmogorov_smirnov(*both(before, now)).value, abs=room)


@samples
def test_wasserstein_on_raw_numbers_lies_within_the_bounds(before: Any, now: Any) -> None:
    exact = scipy.stats.wasserstein_distance(before, now)

    test = ordered.wasserstein(*both(before, now))

    # Values are placed to within half a cell, a 65,000th of the range.
    room = 1e-5 * float(np.ptp(np.concatenate((before, now))))
    assert test.lower - room <= exact <= test.upper + room


@pytest.mark.parametrize(
    "name", ["moved a little", "moved and widened", "skewed", "far outside", "whole numbers", "many zeros"]
)
def test_wasserstein_is_within_half_a_percent_of_scipys_where_something_moved(name: str) -> None:
    before, now = SAMPLES[name]

    exact = scipy.stats.wasserstein_distance(before, now)

    assert exact == pytest.approx(ordered.wasserstein(*both(before, now)).value, rel=0.005)


def test_whole_numbers_leave_nothing_uncertain() -> None:
    before, now = SAMPLES["whole numbers"]
    sides = both(before, now)

    smirnov, transport = ordered.kolmogorov_smirnov(*sides), ordered.wasserstein(*sides)

    assert smirnov.lower == smirnov.upper
    assert transport.lower == pytest.approx(transport.upper)


@pytest.mark.parametrize("name", ["unmoved", "moved and widened", "whole numbers", "many zeros", "a small table"])
def test_mean_spread_and_quartiles_are_those_of_the_numbers(name: str) -> None:
    before, now = SAMPLES[name]
    bins, _ = both(before, now)

    assert before.mean() == pytest.approx(ordered.mean(bins), abs=1e-3 * before.std())
    assert before.std() == pytest.approx(ordered.standard_deviation(bins), rel=0.01)
    assert np.quantile(before, 0.75) == pytest.approx(ordered.quantile(bins, 0.75), abs=0.02 * before.std())


def test_the_tail_of_kolmogorov_smirnov_is_near_scipys() -> None:
    for distance in (0.02, 0.05, 0.1):
        exact = scipy.stats.kstwobign.sf(distance * np.sqrt(1000 * 1000 / 2000))

        assert exact == pytest.approx(ordered.kolmogorov_smirnov_tail(distance, 1000, 1000), abs=0.02)


def test_nothing_counted_is_an_error_and_not_agreement() -> None:
    before, now = both([1.0, 2.0], [np.nan])

    with pytest.raises(ValueError, match="nothing was counted"):
        ordered.kolmogorov_smirnov(before, now)
