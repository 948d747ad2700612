"""The bounds that are printed as certain hold on the raw numbers, whatever their offsets, scales, ties and outliers.

`TIDEMILL_BOUNDS=100000 pytest tests/properties/test_bounds.py` (`make search-bounds`) tries as many pairs of samples.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.runtime.monitor.statistics import ordered
from tidemill.runtime.profile import numerical
from tidemill.runtime.profile.numerical import Bins
from tidemill.runtime.profile.numerical_counter import NumericalCounter

PAIRS: Final = int(os.environ.get("TIDEMILL_BOUNDS", "0")) or 300
OFFSETS: Final = (0.0, 0.0, 1.0, 1e3, 1e6, 1e9, 1e12, -1e9)
SCALES: Final = (1.0, 1.0, 1e-6, 1e-3, 1e3, 1e9)
Draw = Callable[[np.random.Generator, int], Any]


def outlier(rng: np.random.Generator, rows: int) -> Any:
    values = rng.normal(size=rows)
    values[rng.integers(rows)] = 1e15
    return values


KINDS: Final[dict[str, Draw]] = {
    "normal": lambda rng, rows: rng.normal(size=rows),
    "whole numbers": lambda rng, rows: rng.integers(0, rng.integers(1, 3000) + 1, rows).astype(float),
    "snowflake ids": lambda rng, rows: (2**60 + rng.integers(0, 10_000_000, rows)).astype(float),
    "a constant": lambda rng, rows: np.full(rows, float(rng.choice([0, 0.1, 7, 101325, 1 / 3]))),
    "lognormal": lambda rng, rows: rng.lognormal(0, rng.uniform(0.1, 4), rows),
    "zeros and amounts": lambda rng, rows: np.where(rng.random(rows) < rng.random(), 0.0, rng.exponential(1, rows)),
    "two modes": lambda rng, rows: (
        rng.normal(size=rows) + np.where(rng.random(rows) < 0.5, 0.0, 10.0 ** rng.integers(0, 13))
    ),
    "ties": lambda rng, rows: np.round(rng.normal(size=rows), int(rng.integers(0, 4))),
    "fill values": lambda rng, rows: np.where(
        rng.random(rows) < rng.choice([0.0005, 0.01, 0.3]),
        10.0 ** float(rng.choice([5, 20, 36])),
        rng.normal(size=rows),
    ),
    "an outlier": outlier,
    "heavy tails": lambda rng, rows: rng.standard_t(1, rows),
    "sentinels": lambda rng, rows: np.where(rng.random(rows) < 0.6, -999999.0, rng.normal(size=rows)),
    "cents": lambda rng, rows: np.round(rng.exponential(20, rows), 2),
}


def sides(before: Any, now: Any) -> tuple[Bins, Bins]:
    """Both samples on bins that fit the first."""
    bins = numerical.empty("x", before)
    results = []
    for values in (before, now):
        counter = NumericalCounter(bins)
        counter.add(values)
        results.append(counter.profile().bins())
    return results[0], results[1]


def exact_kolmogorov_smirnov(before: Any, now: Any) -> float:
    stops = np.concatenate((before, now))
    cumulated = [np.searchsorted(np.sort(side), stops, side="right") / len(side) for side in (before, now)]
    return float(np.abs(cumulated[0] - cumulated[1]).max())


def check(before: Any, now: Any) -> None:
    """Raise AssertionError where a bound is missed."""
    reference, current = sides(before, now)

    smirnov, exact = ordered.kolmogorov_smirnov(reference, current), exact_kolmogorov_smirnov(before, now)
    # Shares are rounded to 12 digits.
    assert smirnov.lower - 1e-12 <= exact <= smirnov.upper + 1e-12

    transport, exact = ordered.wasserstein(reference, current), scipy.stats.wasserstein_distance(before, now)
    # scipy sums differences of rounded numbers: some units in the last place of the largest of them.
    room = 64 * 2.0**-53 * float(max(np.abs(before).max(), np.abs(now).max()))
    assert transport.lower - room <= exact <= transport.upper + room


@pytest.mark.parametrize("part", range(10))
def test_no_bound_is_missed_by_any_pair_of_samples(part: int) -> None:
    rng = np.random.default_rng([7, part])
    kinds = list(KINDS.values())
    sizes = [1, 5, 50, 300, 1500] if PAIRS <= 1000 else [1, 5, 50, 50, 300, 300, 1500]
    for number in range(PAIRS // 10):
        offset, scale = float(rng.choice(OFFSETS)), float(rng.choice(SCALES))
        kind = kinds[rng.integers(len(kinds))]
        other = kind if rng.random() < 0.7 else kinds[rng.integers(len(kinds))]
        before = kind(rng, int(rng.choice(sizes))) * scale + offset
        if rng.random() < 0.2:
            now = rng.choice(before, int(rng.choice(sizes))) + rng.choice([0, 1e-13, 1e-3, 0.25]) * rng.choice(
                [1, scale]
            )
        else:
            now = other(rng, int(rng.choice(sizes))) * scale + offset
        if rng.random() < 0.05:
            now = np.asarray(np.clip(now, -1e38, 1e38).astype(np.float32), np.float64)
        try:
            check(before, now)
        except AssertionError as error:
            raise AssertionError(f"part {part}, pair {number}, offset {offset}, scale {scale}: {error}") from error


@given(
    st.lists(st.one_of(st.floats(-1e12, 1e12), st.sampled_from([0.0, 0.1, 1e20, -999999.0])), min_size=1, max_size=60),
    st.lists(st.one_of(st.floats(-1e12, 1e12), st.sampled_from([0.0, 0.1, 1e20, -1e-13])), min_size=1, max_size=60),
)
@settings(max_examples=40, deadline=None)
def test_no_bound_is_missed_by_numbers_that_are_meant_to(before: list[float], now: list[float]) -> None:
    check(np.array(before), np.array(now))
