"""Protected columns: never trained on, and known to the version so that a service can log them and a monitor compare their groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.contract.layout import LogColumn
from tidemill.runtime.model.encoding import features_of
from tidemill.runtime.model.signature import Feature
from tidemill.runtime.profile.profile import ColumnProfile, ProfiledColumn, profile_table
from tidemill.runtime.protocol.features import EXACT
from tidemill.runtime.tables.schema import Column

FEW: Final = 20
"""Numbers of no more different values than this are codes: each value is a group."""


def columns_of(table: pa.Table, columns: Sequence[Column]) -> tuple[tuple[Feature, ...], tuple[str, ...]]:
    """The protected columns of a version, and warnings about those that are neither numbers nor categories."""
    features, warnings = features_of(table, columns)
    return tuple(_as_groups(feature, table.column(feature.name)) for feature in features), warnings


def _as_groups(column: Feature, values: Any) -> Feature:
    distinct = sorted(pc.unique(values.drop_null()).to_pylist()) if column.type == "Numerical" else ()
    if not 0 < len(distinct) <= FEW:
        return column
    words = tuple(str(int(value) if value.is_integer() and abs(value) < EXACT else value) for value in distinct)
    return Feature(column.name, "Categorical", words)


def profiles(table: pa.Table, columns: Sequence[Feature]) -> tuple[ColumnProfile, ...]:
    """Return the profiles of those that are numbers, named as in the log: groups are their quarters."""
    names = [column.name for column in columns if column.type == "Numerical"]
    logged = [LogColumn.FEATURE + name for name in names]
    if not names:
        return ()
    kinds = [ProfiledColumn(name, "Numerical") for name in logged]
    return profile_table(table.select(names).rename_columns(logged), kinds).columns
