"""Checks the rows of a revision against the expectations of the Dataset and its columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.api.dataset import ColumnSpec, Expectation
from tidemill.contract.numbers import quantity
from tidemill.runtime.failures import SchemaMismatch
from tidemill.runtime.tables.rowhash import hashes

_OF_COLUMNS: Final[dict[str, Callable[[Any], float | None]]] = {
    "MissingShare": lambda column: column.null_count / max(len(column), 1),
    "Minimum": lambda column: pc.min(column).as_py(),
    "Maximum": lambda column: pc.max(column).as_py(),
    "Mean": lambda column: pc.mean(column).as_py(),
    "DistinctCount": lambda column: pc.count_distinct(column, mode="only_valid").as_py(),
}
_OF_NUMBERS: Final = ("Minimum", "Maximum", "Mean")


def broken(table: pa.Table, rules: Sequence[Expectation], declared: Sequence[ColumnSpec]) -> list[str]:
    """A sentence for each bound that `table` does not keep: those of `rules`, and those that columns declare of themselves.

    Raises SchemaMismatch where a rule is about a column that is not there, or about the mean of text.
    """
    return [
        *filter(None, (_judge(table, rule) for rule in rules)),
        *(sentence for spec in declared for sentence in _declared(table, spec)),
    ]


def _judge(table: pa.Table, rule: Expectation) -> str:
    value = _measure(table, rule)
    name = f"{rule.metric} of {rule.column!r}" if rule.column else rule.metric
    if value is None:
        return f"{name} cannot be told, since the column has no values"
    if rule.minimum is not None and value < rule.minimum:
        return f"{name} is {value:.6g}, less than {rule.minimum:.6g}"
    if rule.maximum is not None and value > rule.maximum:
        return f"{name} is {value:.6g}, more than {rule.maximum:.6g}"
    return ""


def _measure(table: pa.Table, rule: Expectation) -> float | None:
    if rule.metric == "RowCount":
        return float(table.num_rows)
    if rule.metric == "DuplicateRowShare":
        distinct = len(np.unique(hashes(table, table.column_names, 0)))
        return 1.0 - distinct / float(max(table.num_rows, 1))
    if rule.column not in table.column_names:
        raise SchemaMismatch(
            f"spec.expectations speaks of column {rule.column!r}, which is not among {', '.join(table.column_names[:20])}; correct it"
        )
    column = table.column(rule.column)
    if rule.metric in _OF_NUMBERS and not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise SchemaMismatch(
            f"spec.expectations has {rule.metric} for column {rule.column!r}, which is not numeric; correct the column or the metric"
        )
    value = _OF_COLUMNS[rule.metric](column)
    return None if value is None else float(value)


def _declared(table: pa.Table, spec: ColumnSpec) -> list[str]:
    if spec.name not in table.column_names:
        return []
    column = table.column(spec.name)
    sentences = []
    if not spec.nullable and column.null_count:
        sentences.append(
            f"column {spec.name!r} is not nullable but misses {quantity(column.null_count, 'value')}, the first in row {_first(pc.is_null(column))}"
        )
    if spec.max_categories is not None:
        distinct = pc.count_distinct(column, mode="only_valid").as_py()
        if distinct > spec.max_categories:
            sentences.append(f"column {spec.name!r} holds {distinct} different values, more than {spec.max_categories}")
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        for bound, outside, word in (
            (spec.minimum, pc.less, "below its minimum"),
            (spec.maximum, pc.greater, "above its maximum"),
        ):
            if bound is None:
                continue
            wrong = outside(column, bound).fill_null(False)
            count = pc.sum(wrong).as_py()
            if count:
                row = _first(wrong)
                sentences.append(
                    f"column {spec.name!r} holds {quantity(count, 'value')} {word} {bound:.6g}, the first ({column[row - 1].as_py():.6g}) in row {row}"
                )
    return sentences


def _first(wrong: Any) -> int:
    """The first row that is wrong, counted from 1."""
    return int(pc.index(wrong, True).as_py()) + 1
