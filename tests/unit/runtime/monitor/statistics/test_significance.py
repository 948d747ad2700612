"""P-values are adjusted for how many columns are looked at, and chance alone makes no small window drift."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import scipy.stats

from tidemill.runtime.monitor.statistics import significance
from tidemill.runtime.monitor.statistics.comparison import compare, distance
from tidemill.runtime.profile import ProfiledColumn, profile_table

WIDTH = 40
COLUMNS = [ProfiledColumn(f"x{index}", "Numerical") for index in range(WIDTH)]


def table(rows: int, seed: int, *, moved: int = 0, by: float = 0.6) -> pa.Table:
    values = np.random.default_rng(seed).normal(size=(WIDTH, rows))
    values[:moved] += by
    return pa.table({column.name: row for column, row in zip(COLUMNS, values, strict=True)})


@pytest.mark.parametrize("count", [1, 2, 17, 400])
def test_adjusted_p_values_are_scipys(count: int) -> None:
    p_values = np.random.default_rng(count).random(count) ** 3

    expected = scipy.stats.false_discovery_control(p_values)

    assert expected == pytest.approx(significance.benjamini_hochberg(p_values))


def test_of_columns_found_to_have_moved_at_most_one_in_twenty_has_not() -> None:
    false, result = 0, 0
    for seed in range(25):
        before = profile_table(table(600, 2 * seed), COLUMNS)
        now = profile_table(table(400, 2 * seed + 1, moved=10, by=0.4), COLUMNS, before)
        moved = [column.name for column in compare(before, now) if column.statistics["AdjustedPValue"] <= 0.05]
        false += sum(int(name[1:]) >= 10 for name in moved)
        result += len(moved)

    assert result > 200
    # 5 % and three standard errors of it.
    assert false / result <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / result)


def test_without_a_shift_hardly_any_small_window_has_a_single_column_that_moved() -> None:
    alarms = 0
    for seed in range(25):
        before = profile_table(table(500, 2 * seed), COLUMNS)
        now = profile_table(table(150, 2 * seed + 1), COLUMNS, before)
        alarms += any((distance(column, "Auto") or 0) >= 0.1 for column in compare(before, now))

    assert alarms <= 3


def test_a_real_shift_of_a_small_window_is_found_all_the_same() -> None:
    before = profile_table(table(500, 1), COLUMNS)
    now = profile_table(table(150, 2, moved=3, by=0.9), COLUMNS, before)

    distances = {column.name: distance(column, "Auto") or 0 for column in compare(before, now)}

    assert {"x0", "x1", "x2"} == {name for name, value in distances.items() if value >= 0.2}


def test_a_large_window_is_judged_by_size_of_effect_and_not_by_significance() -> None:
    before = profile_table(table(20_000, 1), COLUMNS)
    now = profile_table(table(20_000, 2, moved=WIDTH, by=0.05), COLUMNS, before)

    columns = compare(before, now)

    assert all(column.statistics["AdjustedPValue"] < 0.01 for column in columns)
    assert all((distance(column, "Auto") or 0) < 0.1 for column in columns)


def test_means_and_variances_that_moved_are_told_in_spreads_and_as_a_ratio() -> None:
    random = np.random.default_rng(1)
    column = [ProfiledColumn("x", "Numerical")]
    before = profile_table(pa.table({"x": random.normal(size=50_000)}), column)
    now = profile_table(pa.table({"x": random.normal(0.5, 2, size=50_000)}), column, before)

    (comparison,) = compare(before, now)

    assert 0.5 == pytest.approx(distance(comparison, "MeanShift"), abs=0.03)
    # What lies beyond the reference's range is taken as evenly spread over bins that double.
    assert 2 * np.log(2) == pytest.approx(distance(comparison, "VarianceShift"), abs=0.08)
