"""Columns in the types that the reference has them in, where rows of several parts are put together.

Counting takes a column as it comes, and tells what is of another type. Samples and groups cannot: parts whose types differ do
not add up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from tidemill.contract.layout import LogColumn
from tidemill.runtime.model.signature import Signature
from tidemill.runtime.tables.spelling import spell

Kind = Literal["Numerical", "Categorical"]


def kinds_of(signature: Signature) -> dict[str, Kind]:
    """Return how the log's columns of a version's features and answers are to be taken."""
    answers: Kind = "Categorical" if signature.task == "Classification" else "Numerical"
    sent = (*signature.features, *signature.protected)
    features: dict[str, Kind] = {LogColumn.FEATURE + column.name: column.type for column in sent}
    return {LogColumn.PREDICTION: answers, **features}


def conformed(table: pa.Table, kinds: Mapping[str, Kind]) -> pa.Table:
    """Return `table` with the columns of these names as float64 or text; other values are missing.

    >>> conformed(pa.table({"x": ["1.5", "many"], "c": [2.0, None]}), {"x": "Numerical", "c": "Categorical"}).to_pydict()
    {'x': [1.5, None], 'c': ['2', None]}
    """
    for index, field in enumerate(table.schema):
        kind = kinds.get(field.name)
        if kind == "Numerical" and not pa.types.is_float64(field.type):
            table = table.set_column(index, field.name, _numbers(table.column(index)))
        elif kind == "Categorical" and not pa.types.is_string(field.type):
            table = table.set_column(index, field.name, _texts(table.column(index)))
    return table


def _numbers(column: Any) -> Any:
    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return column.cast(pa.float64(), safe=False)
    return _by_value(column, _number, pa.float64())


def _texts(column: Any) -> Any:
    return column.cast(pa.string()) if pa.types.is_null(column.type) else _by_value(column, spell, pa.string())


def _by_value(column: Any, spelled: Any, kind: Any) -> Any:
    """Each distinct value spelled once."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    try:
        coded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
        values = pa.array([None if value is None else spelled(value) for value in coded.dictionary.to_pylist()], kind)
        return pa.chunked_array([values.take(coded.indices)], kind)
    except (pa.ArrowException, NotImplementedError):
        return pa.nulls(len(whole), kind)


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return number if not np.isnan(number) else None
