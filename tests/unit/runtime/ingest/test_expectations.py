"""What rows must hold, and the sentence for what they do not."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from tidemill.api.dataset import ColumnSpec, Expectation
from tidemill.runtime.failures import SchemaMismatch
from tidemill.runtime.ingest.expectations import broken

TABLE = pa.table({"age": [10.0, 20.0, None, 20.0], "city": ["x", "y", "y", "y"]})

RULES: dict[str, tuple[dict[str, Any], str]] = {
    "enough rows": ({"metric": "RowCount", "minimum": 4}, ""),
    "too few rows": ({"metric": "RowCount", "minimum": 5}, "RowCount is 4, less than 5"),
    "too many gaps": (
        {"metric": "MissingShare", "column": "age", "maximum": 0.1},
        "MissingShare of 'age' is 0.25, more than 0.1",
    ),
    "copies": ({"metric": "DuplicateRowShare", "maximum": 0.2}, "DuplicateRowShare is 0.25, more than 0.2"),
    "too small": ({"metric": "Minimum", "column": "age", "minimum": 18}, "Minimum of 'age' is 10, less than 18"),
    "too large": ({"metric": "Maximum", "column": "age", "maximum": 15}, "Maximum of 'age' is 20, more than 15"),
    "mean": ({"metric": "Mean", "column": "age", "minimum": 16, "maximum": 17}, ""),
    "too uniform": (
        {"metric": "DistinctCount", "column": "city", "minimum": 3},
        "DistinctCount of 'city' is 2, less than 3",
    ),
}


@pytest.mark.parametrize("case", RULES)
def test_a_rule_is_kept_or_told(case: str) -> None:
    rule, message = RULES[case]
    table = pa.concat_tables([TABLE.slice(0, 3), TABLE.slice(1, 1)])

    assert ([message] if message else []) == broken(table, [Expectation(**rule)], [])


def test_the_mean_of_nothing_cannot_be_told() -> None:
    empty = pa.table({"age": pa.array([None], pa.float64())})

    assert "cannot be told" in broken(empty, [Expectation(metric="Mean", column="age", minimum=1)], [])[0]


@pytest.mark.parametrize(
    ("metric", "column", "message"),
    [("Mean", "city", "which is not numeric"), ("Minimum", "height", "not among age, city")],
)
def test_a_rule_about_the_wrong_column_is_refused(metric: Any, column: str, message: str) -> None:
    with pytest.raises(SchemaMismatch, match=message):
        broken(TABLE, [Expectation(metric=metric, column=column, minimum=0)], [])


def test_what_a_column_declares_of_itself_is_expected_too() -> None:
    declared = [ColumnSpec(name="age", nullable=False, minimum=15, maximum=19)]

    assert [
        "column 'age' is not nullable but misses 1 value, the first in row 3",
        "column 'age' holds 1 value below its minimum 15, the first (10) in row 1",
        "column 'age' holds 2 values above its maximum 19, the first (20) in row 2",
    ] == broken(TABLE, [], declared)


@pytest.mark.parametrize(("most", "expected"), [(2, []), (1, ["column 'city' holds 2 different values, more than 1"])])
def test_a_column_has_no_more_categories_than_it_is_believed_to_have(most: int, expected: list[str]) -> None:
    assert expected == broken(TABLE, [], [ColumnSpec(name="city", type="Categorical", max_categories=most)])
