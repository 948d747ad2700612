"""Laws of profiles, whatever numbers and words a table holds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.runtime.monitor.statistics.comparison import compare, distance
from tidemill.runtime.profile import Counter, Profile, ProfiledColumn, profile_table

COLUMNS = (ProfiledColumn("x", "Numerical"), ProfiledColumn("c", "Categorical"))
numbers = st.one_of(
    st.none(),
    st.floats(),
    st.floats(-100, 100),
    st.integers(-5, 5).map(float),
    st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, 1.7e308, -1.7e308]),
)
words = st.one_of(st.none(), st.sampled_from("abcdef"), st.text(max_size=5))
rows = st.lists(st.tuples(numbers, words), max_size=60)


def table(of: list[tuple[Any, Any]]) -> pa.Table:
    return pa.table({"x": pa.array([x for x, _ in of], pa.float64()), "c": pa.array([c for _, c in of], pa.string())})


def counted(reference: Profile, *batches: list[tuple[Any, Any]]) -> Profile:
    counter = Counter(reference)
    for batch in batches:
        counter.add(table(batch))
    return counter.profile()


@given(rows, rows, st.randoms(use_true_random=False), st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_rows_in_any_order_and_any_shards_are_the_same_bytes(
    reference: list[Any], current: list[Any], random: Any, shards: int
) -> None:
    bins = profile_table(table(reference), COLUMNS)
    whole = counted(bins, current)

    shuffled = random.sample(current, len(current))
    parts = [counted(bins, shuffled[start::shards]) for start in range(shards)]
    random.shuffle(parts)

    assert whole.to_json() == parts[0].merge(*parts[1:]).to_json()
    assert whole.to_json() == counted(bins, *(shuffled[start::shards] for start in range(shards))).to_json()


@given(rows, rows)
@settings(max_examples=60, deadline=None)
def test_every_row_is_counted_once(reference: list[Any], current: list[Any]) -> None:
    x, c = counted(profile_table(table(reference), COLUMNS), current).columns

    assert x.present + x.missing + x.infinities + x.invalid == len(current)  # type: ignore[union-attr]
    assert x.counts.sum() == sum(value is not None and math.isfinite(value) for value, _ in current)
    assert c.counts.sum() + c.missing + c.others == len(current)  # type: ignore[union-attr]


@given(rows)
@settings(max_examples=60, deadline=None)
def test_a_profile_survives_its_json(reference: list[Any]) -> None:
    profile = profile_table(table(reference), COLUMNS)

    assert profile == Profile.from_json(profile.to_json())


@given(rows)
@settings(max_examples=60, deadline=None)
def test_nothing_has_moved_from_itself(reference: list[Any]) -> None:
    profile = profile_table(table(reference), COLUMNS)

    assert all(distance(column, "PSI") in (None, 0.0) for column in compare(profile, profile))


@given(rows, rows)
@settings(max_examples=60, deadline=None)
def test_every_statistic_is_a_number_within_its_range(reference: list[Any], current: list[Any]) -> None:
    bins = profile_table(table(reference), COLUMNS)

    for column in compare(bins, counted(bins, current)):
        for name, value in column.statistics.items():
            assert not math.isnan(value), name
            if name in (
                "JensenShannon",
                "Hellinger",
                "TotalVariation",
                "CramersV",
                "KolmogorovSmirnov",
                "MissingShare",
            ):
                assert -1e-12 <= value <= 1 + 1e-12, name
        if "KolmogorovSmirnovUpper" in column.statistics:
            assert column.statistics["KolmogorovSmirnov"] <= column.statistics["KolmogorovSmirnovUpper"]
            assert column.statistics["WassersteinLower"] <= column.statistics["WassersteinUpper"] * (1 + 1e-9)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.lists(st.floats(-1e7, 1e7), min_size=1, max_size=200)
)
@settings(max_examples=60, deadline=None)
def test_the_bound_of_kolmogorov_smirnov_holds_on_the_raw_numbers(before: list[float], now: list[float]) -> None:
    bins = profile_table(pa.table({"x": before}), COLUMNS[:1])
    (column,) = compare(bins, profile_table(pa.table({"x": now}), COLUMNS[:1], bins))

    positions = np.sort(np.concatenate((before, now)))
    cumulated = [np.searchsorted(np.sort(side), positions, side="right") / len(side) for side in (before, now)]
    exact = np.abs(cumulated[0] - cumulated[1]).max()

    assert exact <= column.statistics["KolmogorovSmirnovUpper"] + 1e-9
    assert column.statistics["KolmogorovSmirnov"] <= exact + 1e-9
