"""Columns side by side: categories beyond those that are counted by name, columns without spread, and how methods read them."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pytest

from tidemill.api.methods import Method
from tidemill.runtime.monitor.statistics import shares
from tidemill.runtime.monitor.statistics.comparison import Comparison, compare, distance, unknown_share
from tidemill.runtime.monitor.statistics.grouping import groups
from tidemill.runtime.profile import Profile, ProfiledColumn, profile_table
from tidemill.runtime.profile.categorical import CATEGORIES, CategoricalProfile

MANY = [f"category {index:04d}" for index in range(3 * CATEGORIES)]
METHODS = [method for method in get_args(Method) if method not in {"MMD", "PCA", "ADWIN", "PageHinkley"}]


def compared(before: Any, now: Any) -> Comparison:
    """One column, of words or of numbers."""
    kind = "Categorical" if isinstance(before[0], str) else "Numerical"
    columns = [ProfiledColumn("x", kind)]  # type: ignore[arg-type]
    reference = profile_table(pa.table({"x": before}), columns)
    (comparison,) = compare(reference, profile_table(pa.table({"x": now}), columns, reference))
    return comparison


def categorical(comparison: Comparison) -> tuple[CategoricalProfile, CategoricalProfile]:
    assert isinstance(comparison.reference, CategoricalProfile)
    assert isinstance(comparison.current, CategoricalProfile)
    return comparison.reference, comparison.current


def test_three_thousand_categories_against_themselves_have_no_new_one() -> None:
    comparison = compared(MANY * 5, MANY * 5)

    assert (0.0, 0.0) == (comparison.statistics["NewCategoryShare"], unknown_share(*categorical(comparison)))
    assert 0.0 == comparison.statistics["LostCategoryShare"]


@pytest.mark.parametrize("seed", range(3))
def test_other_rows_with_the_same_categories_have_hardly_a_new_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    popular = 1 / np.arange(1, len(MANY) + 1)
    before, now = (random.choice(MANY, 20_000, p=popular / popular.sum()).tolist() for _ in range(2))

    comparison = compared(before, now)

    # Which of the rare ones are counted by name is chance, and more often those that chance favoured in the reference.
    assert categorical(comparison)[1].others / 20_000 > 0.13
    assert comparison.statistics["NewCategoryShare"] < 0.05


def test_a_few_more_rare_categories_than_before_are_chance_and_many_more_are_not() -> None:
    assert [0.0, 0.05] == [round(shares.new_share((5_000, 20_000), (now, 20_000)), 9) for now in (5_200, 6_000)]


def test_new_categories_are_told_among_many_rare_ones() -> None:
    comparison = compared(MANY * 5, [*MANY * 4, *(f"new {index}" for index in range(len(MANY)))])

    # Two thirds of the known rows have a category that is not counted by name; one fifth of all rows is new.
    assert 0.8 * 2 / 3 + 0.2 - 2 / 3 == pytest.approx(comparison.statistics["NewCategoryShare"])


def test_a_category_that_is_gone_is_lost_and_none_is_new() -> None:
    statistics = compared(["a"] * 70 + ["b"] * 20 + ["c"] * 10, ["a"] * 50 + ["c"] * 50).statistics

    assert (0.2, 1.0, 0.0) == (
        statistics["LostCategoryShare"],
        statistics["LostCategories"],
        statistics["NewCategoryShare"],
    )


def test_frequent_categories_stand_alone_rare_ones_together_and_new_ones_apart() -> None:
    comparison = compared(
        ["a"] * 50 + ["b"] * 30 + ["c"] * 12 + ["d"] * 8, ["a"] * 60 + ["c"] * 20 + ["d"] * 10 + ["e"] * 10
    )

    before, now = groups(comparison.reference, comparison.current)

    assert ([50, 30, 20, 0], [60, 0, 30, 10]) == (before.tolist(), now.tolist())


@pytest.mark.parametrize("method", ["KolmogorovSmirnov", "Wasserstein"])
def test_orders_of_categories_mean_nothing(method: Any) -> None:
    comparison = compared(["a", "b", "c"] * 100, ["a"] * 100 + ["b"] * 200)

    assert 1 / 3 == pytest.approx(comparison.statistics["TotalVariation"])
    assert comparison.statistics["TotalVariation"] == distance(comparison, method)


@pytest.mark.parametrize("method", ["MeanShift", "VarianceShift"])
def test_categories_have_neither_mean_nor_variance(method: Any) -> None:
    assert distance(compared(["a", "b"] * 100, ["a"] * 200), method) is None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("before", "now"),
    [
        pytest.param([1.0, 2.0, 3.0] * 100, [2.0] * 300, id="became constant"),
        pytest.param([2.0] * 300, [1.0, 2.0, 3.0] * 100, id="was constant"),
        pytest.param([2.0] * 300, [1e300] * 300, id="is another constant, far away"),
        pytest.param([-1e308, 1e308] * 150, [1e308] * 300, id="of the largest numbers there are"),
    ],
)
def test_a_column_without_spread_is_told_in_numbers_that_a_status_can_hold(method: Any, before: Any, now: Any) -> None:
    comparison = distance(compared(before, now), method)

    assert comparison is not None and np.isfinite(comparison) and comparison >= 0


def test_a_variance_that_came_to_nothing_is_beyond_all_thresholds() -> None:
    assert 1e9 == distance(compared([1.0, 2.0, 3.0] * 100, [2.0] * 300), "VarianceShift")


def test_a_column_without_values_is_not_compared() -> None:
    empty = Profile(3, profile_table(pa.table({"x": [1.0, 2.0]}), [ProfiledColumn("x", "Numerical")]).columns)
    now = profile_table(
        pa.table({"x": pa.array([None, None], pa.float64())}), [ProfiledColumn("x", "Numerical")], empty
    )

    assert all(distance(column, method) is None for column in compare(empty, now) for method in METHODS)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("exponent", "categories", "rows"), [(1.2, 800, 3000), (1.5, 800, 100), (1.2, 10_000, 20_000)])
def test_a_long_tail_is_not_drift(exponent: float, categories: int, rows: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    popular = 1 / np.arange(1, categories + 1) ** exponent
    before, now = (
        [f"shop {code}" for code in random.choice(categories, size, p=popular / popular.sum())] for size in (5000, rows)
    )

    comparison = compared(before, now)

    assert (distance(comparison, "Auto") or 0.0) < 0.1
    assert comparison.statistics["NewCategoryShare"] < 0.05


def test_new_categories_beyond_a_long_tail_are_drift() -> None:
    random = np.random.default_rng(1)
    popular = 1 / np.arange(1, 801) ** 1.2
    before, now = (
        [f"shop {code}" for code in random.choice(800, size, p=popular / popular.sum())] for size in (5000, 3000)
    )

    comparison = compared(before, [name if index % 5 else f"new {index}" for index, name in enumerate(now)])

    assert (distance(comparison, "Auto") or 0.0) >= 0.2
    assert 0.2 == pytest.approx(comparison.statistics["NewCategoryShare"], abs=0.03)


def test_functions_that_lie_far_apart_are_far_whatever_the_groups_say() -> None:
    comparison = compared([0.0] * 500 + [1.0] * 500, [0.0] * 800 + [1.0] * 200)

    assert (distance(comparison, "Auto") or 0.0) >= 4 * 0.3**2 - 0.01


def test_what_is_significant_at_five_percent_only_is_worth_a_warning_at_most() -> None:
    comparison = compared(["a"] * 950 + ["b"] * 50, ["a"] * 12 + ["b"] * 4)

    assert 0.01 < comparison.statistics["AdjustedPValue"] < 0.05
    assert comparison.statistics["PSI"] > 0.2
    assert 0.15 == distance(comparison, "Auto")
