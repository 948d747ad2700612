"""A row's hash is that of its content and of nothing else."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as some

from tidemill.runtime.tables.rowhash import hashes, shares

VALUES = some.lists(
    some.tuples(some.none() | some.floats(allow_nan=False, width=32), some.none() | some.text(max_size=5)),
    min_size=1,
    max_size=30,
)


def of(rows: list[tuple[float | None, str | None]]) -> pa.Table:
    return pa.table(
        {"a": pa.array([row[0] for row in rows], pa.float64()), "b": pa.array([row[1] for row in rows], pa.string())}
    )


@settings(deadline=None)
@given(VALUES)
def test_order_of_rows_and_columns_does_not_matter(rows: list[tuple[float | None, str | None]]) -> None:
    table = of(rows)

    assert hashes(table, ["a", "b"], 7).tolist() == hashes(of(rows[::-1]), ["b", "a"], 7).tolist()[::-1]


@settings(deadline=None)
@given(VALUES)
def test_equal_rows_and_only_these_have_equal_hashes(rows: list[tuple[float | None, str | None]]) -> None:
    keys = hashes(of(rows), ["a", "b"], 7).tolist()

    # 0.0 and -0.0 are the same number
    assert len({(None if number is None else number + 0.0, text) for number, text in rows}) == len(set(keys))


def test_values_do_not_wander_between_columns() -> None:
    there, here = pa.table({"a": [1.0], "b": [2.0]}), pa.table({"a": [2.0], "b": [1.0]})

    assert hashes(there, ["a", "b"], 0) != hashes(here, ["a", "b"], 0)


def test_a_number_is_the_same_as_integer_and_as_float() -> None:
    assert (
        hashes(pa.table({"a": [1, None]}), ["a"], 0).tolist()
        == hashes(pa.table({"a": [1.0, float("nan")]}), ["a"], 0).tolist()
    )


def test_the_numbers_are_the_same_on_every_machine() -> None:
    table = pa.table({"a": [1.5, None], "b": ["x", None]})

    assert GOLDEN == hashes(table, ["a", "b"], 7).tolist()


def test_shares_are_spread_evenly() -> None:
    drawn = shares(pa.table({"a": np.arange(20_000)}), ["a"], 7)

    counts, _ = np.histogram(drawn, bins=20, range=(0, 1))
    assert 850 < counts.min() <= counts.max() < 1150


GOLDEN = [7461199296130328717, 11482952350024879871]
