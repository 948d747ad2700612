"""Columns as pictures: constants, heavy values, large numbers and categories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tidemill.runtime.html.charts import Distribution
from tidemill.runtime.monitor.report.distributions import describe, distribution
from tidemill.runtime.monitor.statistics.comparison import compare
from tidemill.runtime.profile import ProfiledColumn, profile_table

RNG = np.random.default_rng(5)


def shown(before: Any, now: Any) -> Distribution:
    kind = "Categorical" if isinstance(before[0], str) else "Numerical"
    first, second = (pa.table({"x": pa.array(side)}) for side in (before, now))
    columns = [ProfiledColumn("x", kind)]
    reference = profile_table(first, columns)
    [comparison] = compare(reference, profile_table(second, columns, reference))
    return distribution(comparison)


@pytest.mark.parametrize("constant", [0.0, 0.1, 7.0, 101325.0, -273.15, 1e9 + 0.25, 1e300])
def test_a_constant_is_one_bar(constant: float) -> None:
    result = shown(np.full(500, constant), np.full(300, constant))

    assert "" == result.beyond
    assert (1.0, 1.0) == pytest.approx((sum(result.before), sum(result.after)))
    assert 1 == sum(share > 0 for share in result.before)
    assert "Share of rows per value; both sides are nearly the same." == describe(result)


@pytest.mark.parametrize("constant", [0.1, 7.0, 101325.0])
def test_a_constant_that_became_another_is_a_bar_on_either_side(constant: float) -> None:
    result = shown(np.full(500, constant), np.full(300, constant + 1))

    assert "" == result.beyond
    assert (1.0, 1.0) == pytest.approx((sum(result.before), sum(result.after)), abs=0.02)
    assert np.argmax(result.before) < np.argmax(result.after)


def test_a_value_that_most_rows_have_is_in_the_picture() -> None:
    result = shown(np.where(RNG.random(4000) < 0.6, 0.0, RNG.lognormal(3, 1, 4000)), RNG.lognormal(3, 1, 4000))

    assert "" == result.beyond
    assert 0.6 <= result.before[0] <= 0.95


LARGE = {
    "epoch seconds": 1.7e9 + RNG.uniform(0, 86400, 5000),
    "a billion and a little": 1e9 + RNG.normal(0, 0.01, 5000),
    "a billion and nearly nothing": 1e9 + RNG.normal(0, 1e-6, 5000),
    "identifiers": 10.0**12 + RNG.integers(0, 10**6, 5000),
    "tiny": RNG.normal(0, 1e-9, 5000),
    "huge": RNG.normal(5e20, 1e20, 5000),
    "nanoseconds since 1970": 1_700_000_000_000_000_000 + RNG.integers(0, 10**12, 5000),
    "days as whole numbers": 20_240_101.0 + RNG.integers(0, 28, 5000),
}


@pytest.mark.parametrize("values", LARGE.values(), ids=LARGE.keys())
def test_rows_and_ticks_of_large_numbers_are_told_apart(values: Any) -> None:
    result = shown(values, values + values.std())

    assert len(result.names) == len(set(result.names))
    assert len(result.axis.positions) == len({text for _, text in result.axis.positions})
    assert all(low != high for low, high in (name.split(" to ") for name in result.names))


def test_rare_categories_stand_together() -> None:
    result = shown([f"c{index}" for index in range(40)] * 5, [f"c{index}" for index in range(41)] * 5)

    assert ("28 rarer ones", "others") == result.names[-2:]
    assert (1.0, 1.0) == pytest.approx((sum(result.before), sum(result.after)))


def test_words_say_only_what_rose_and_what_fell() -> None:
    risen = Distribution(("a", "b"), (0.5, 0.2), (0.5, 0.5))

    assert "The largest gain is at b, from 20.0% to 50.0%." in describe(risen)
    assert "loss" not in describe(risen)
