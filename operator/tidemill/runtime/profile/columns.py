"""Choose which columns of a file are profiled, which are left out and why, and which are identifiers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tidemill.runtime.profile.arrow import is_text
from tidemill.runtime.profile.grid import Floats
from tidemill.runtime.profile.profile import LeftOut, ProfiledColumn

MIN_ROWS: Final = 50
"""Fewer rows than this do not show that a column is an identifier."""
_DISTINCT: Final = 0.5
"""A column of text with a larger share of distinct values is an identifier."""
_RUNNING: Final = 0.99
"""So large a share of the whole numbers must be distinct for a running number …"""
_GAPS: Final = 2
"""… within a range that holds at most so many times as many numbers."""
_PANDAS_INDEX: Final = re.compile(r"__index_level_\d+__")


def columns_of(schema: pa.Schema) -> tuple[tuple[ProfiledColumn, ...], tuple[LeftOut, ...]]:
    """Return how to profile each column, by its type, and which are left out and why."""
    profiled, left_out = [], []
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if _PANDAS_INDEX.fullmatch(field.name) and field.name in _index_columns(schema.metadata):
            left_out.append(LeftOut(field.name, "is the index of a pandas table"))
        elif pa.types.is_boolean(kind) or is_text(kind):
            profiled.append(ProfiledColumn(field.name, "Categorical"))
        elif pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
            profiled.append(ProfiledColumn(field.name, "Numerical"))
        else:
            left_out.append(LeftOut(field.name, why_left_out(kind)))
    return tuple(profiled), tuple(left_out)


def _index_columns(metadata: Mapping[bytes, bytes] | None) -> frozenset[str]:
    """The columns that pandas wrote of its index."""
    try:
        index = json.loads((metadata or {})[b"pandas"])["index_columns"]
        return frozenset(name for name in index if isinstance(name, str))
    except (KeyError, TypeError, ValueError):
        return frozenset()


def why_left_out(kind: Any) -> str:
    """Return why a column of this Arrow type is not profiled, as a phrase that follows its name.

    >>> why_left_out(pa.date32()), why_left_out(pa.list_(pa.int64()))
    ('holds dates or times (date32[day]), which are not compared', 'holds nested values (list<item: int64>), which are not compared')
    """
    if pa.types.is_null(kind):
        return "has no values at all"
    if pa.types.is_temporal(kind):
        return f"holds dates or times ({kind}), which are not compared"
    if pa.types.is_nested(kind):
        return f"holds nested values ({str(kind)[:80]}), which are not compared"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return f"holds bytes ({kind}), which are not compared"
    return f"holds values of type {kind}, which are not compared"


def text_identifier(name: str, distinct: float, present: int) -> LeftOut | None:
    """Return the column as an identifier where hardly a value comes twice."""
    if present < MIN_ROWS or distinct <= _DISTINCT * present:
        return None
    return LeftOut(name, f"has about {distinct:,.0f} distinct values in {present:,} rows, as an identifier has", True)


def running_number(name: str, distinct: float, present: int, low: int, high: int) -> LeftOut | None:
    """Return the column of whole numbers as an identifier where they count the rows."""
    if present < MIN_ROWS or distinct < _RUNNING * present or high - low + 1 > _GAPS * present:
        return None
    return LeftOut(name, f"counts the rows from {low} to {high}, as a running number does", True)


def may_be_running(sample: Floats, rows: int) -> bool:
    """Return whether numbers drawn from a column of `rows` rows can be a running number: whole, distinct and close enough."""
    if len(sample) < min(MIN_ROWS, rows) or not len(sample) or not np.isfinite(sample).all():
        return False
    low, high = float(sample.min()), float(sample.max())
    if not _RUNNING * len(sample) <= high - low + 1 <= _GAPS * rows or not bool((sample == np.floor(sample)).all()):
        return False
    return len(np.unique(sample)) >= _RUNNING * len(sample)


def may_be_identifier(distinct: int, present: int) -> bool:
    """Return whether so many distinct texts among rows drawn from a column leave it open that the column is an identifier."""
    return distinct > _DISTINCT * present
