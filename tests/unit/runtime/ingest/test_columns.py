"""What columns are taken for, and how they are kept."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tidemill.api.dataset import ColumnSpec
from tidemill.runtime.failures import NotNumeric, SchemaMismatch, TargetMissing, TargetUnusable
from tidemill.runtime.ingest.columns import understand

UNDERSTOOD: dict[str, tuple[Any, dict[str, Any], str, list[Any]]] = {
    "whole numbers are numbers": ([1, 2, None], {}, "Feature Numerical", [1.0, 2.0, None]),
    "truth values are numbers": ([True, False, None], {}, "Feature Numerical", [1.0, 0.0, None]),
    "decimals are numbers": ([Decimal("1.50")], {}, "Feature Numerical", [1.5]),
    "NaN is a missing value": ([1.0, float("nan")], {}, "Feature Numerical", [1.0, None]),
    "infinity is a missing value": ([1.0, float("inf")], {}, "Feature Numerical", [1.0, None]),
    "text is a category": (["x", "y", "x"], {}, "Feature Categorical", ["x", "y", "x"]),
    "empty text is a missing value": (["x", ""], {}, "Feature Categorical", ["x", None]),
    "dictionaries are text": (pa.array(["x", "y"]).dictionary_encode(), {}, "Feature Categorical", ["x", "y"]),
    "numbers can be declared a category": (
        [1.0, 2.0, None],
        {"type": "Categorical"},
        "Feature Categorical",
        ["1", "2", None],
    ),
    "NaN is no category": (
        [1.0, 2.0, float("nan"), 3.5],
        {"type": "Categorical"},
        "Feature Categorical",
        ["1", "2", None, "3.5"],
    ),
    "an Id of floats with a gap keeps its digits": (
        [1e15 + 1, float("nan")],
        {"role": "Id"},
        "Id Categorical",
        ["1000000000000001", None],
    ),
    "NaN is no class": (
        [1.0, float("nan"), 2.0],
        {"role": "Target", "type": "Categorical"},
        "Target Categorical",
        ["1", None, "2"],
    ),
    "truth values are spelled in small letters": (
        [True, False, None],
        {"type": "Categorical"},
        "Feature Categorical",
        ["true", "false", None],
    ),
    "text can be declared numbers": (
        [" 1.5", "", None, "2e3", "NA"],
        {"type": "Numerical"},
        "Feature Numerical",
        [1.5, None, None, 2000.0, None],
    ),
    "an Id is text": ([17, 18], {"role": "Id"}, "Id Categorical", ["17", "18"]),
    "labels that are whole numbers stay so": ([0, 1], {"role": "Target"}, "Target Numerical", [0, 1]),
    "labels with gaps are still whole numbers": (
        [0.0, 1.0, None],
        {"role": "Target"},
        "Target Numerical",
        [0, 1, None],
    ),
    "labels that are truth values stay so": ([True, False], {"role": "Target"}, "Target Categorical", [True, False]),
    "labels that are text stay so": (["no", "yes"], {"role": "Target"}, "Target Categorical", ["no", "yes"]),
    "fractions to predict stay so": ([0.5, 1.5], {"role": "Target"}, "Target Numerical", [0.5, 1.5]),
}


@pytest.mark.parametrize("case", UNDERSTOOD)
def test_a_column_is_understood(case: str) -> None:
    values, declared, expected, kept = UNDERSTOOD[case]

    rows = understand(pa.table({"a": values}), [ColumnSpec(name="a", **declared)] if declared else [])

    assert expected == f"{rows.columns[0].role} {rows.columns[0].type}"
    assert kept == rows.table.column("a").to_pylist()


def test_times_are_kept_but_are_no_features() -> None:
    rows = understand(pa.table({"at": [datetime(2026, 1, 1, tzinfo=UTC)], "a": [1]}), [])

    assert {"at": "Timestamp", "a": "Feature"} == {column.name: column.role for column in rows.columns}


DROPPED = {
    "without values": (pa.nulls(60), "has no values at all"),
    "nested": ([[1]] * 60, "which no model takes"),
    "another text in every row": ([f"name {row}" for row in range(60)], "declare its role to keep it"),
}


@pytest.mark.parametrize("case", DROPPED)
def test_what_no_model_can_take_is_left_out_and_said(case: str) -> None:
    values, message = DROPPED[case]

    rows = understand(pa.table({"a": values, "b": [1] * 60}), [])

    assert ["b"] == rows.table.column_names
    assert message in rows.warnings[0]


def test_a_column_named_target_is_the_target_unless_another_is_declared() -> None:
    table = pa.table({"target": [1, 2], "other": [3, 4]})

    assert understand(table, []).target == "target"
    assert understand(table, [ColumnSpec(name="other", role="Target")]).target == "other"
    assert understand(table, [ColumnSpec(name="target", role="Feature")]).target == ""


def test_a_target_that_is_not_there_is_missed_among_those_that_are() -> None:
    with pytest.raises(
        TargetMissing, match=r"column 'frud' is declared as Target but not among amount, fraud; did you mean 'fraud'\?"
    ):
        understand(pa.table({"amount": [1], "fraud": [0]}), [ColumnSpec(name="frud", role="Target")])


def test_a_declared_column_that_is_not_there_is_a_mismatch() -> None:
    with pytest.raises(SchemaMismatch, match="column 'age' is declared as Feature but not among amount"):
        understand(pa.table({"amount": [1]}), [ColumnSpec(name="age")])


def test_text_among_declared_numbers_is_shown_with_its_row() -> None:
    with pytest.raises(NotNumeric, match=r"column 'a' is declared Numerical but holds '12 kg' in row 3"):
        understand(pa.table({"a": ["1", "", "12 kg", "x"]}), [ColumnSpec(name="a", type="Numerical")])


def test_times_are_no_numbers() -> None:
    with pytest.raises(NotNumeric, match="holds timestamp"):
        understand(pa.table({"a": [datetime(2026, 1, 1, tzinfo=UTC)]}), [ColumnSpec(name="a", type="Numerical")])


def test_a_target_without_values_is_unusable() -> None:
    with pytest.raises(TargetUnusable, match="target 'a' has no values at all"):
        understand(pa.table({"a": pa.nulls(3), "b": [1, 2, 3]}), [ColumnSpec(name="a", role="Target")])


def test_a_target_of_nothing_but_nan_is_unusable() -> None:
    with pytest.raises(TargetUnusable, match="has no values at all"):
        understand(pa.table({"a": [float("nan")] * 3, "b": [1, 2, 3]}), [ColumnSpec(name="a", role="Target")])


def test_there_is_one_target() -> None:
    with pytest.raises(SchemaMismatch, match="more than one Target: a, b"):
        understand(
            pa.table({"a": [1], "b": [1]}), [ColumnSpec(name="a", role="Target"), ColumnSpec(name="b", role="Target")]
        )


def test_an_entity_is_kept_as_text_and_is_no_feature() -> None:
    rows = understand(pa.table({"customer": [1, 2], "age": [3.0, 4.0]}), [ColumnSpec(name="customer", role="Entity")])
    (customer,) = (column for column in rows.columns if column.name == "customer")

    assert ("Entity", "Categorical") == (customer.role, customer.type)
    assert ["1", "2"] == rows.table.column("customer").to_pylist()
