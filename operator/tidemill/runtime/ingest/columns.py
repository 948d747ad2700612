"""From a table as it came to one as it is kept: every column with a role and a type, numbers as float64, categories as text."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.api.dataset import ColumnSpec
from tidemill.contract.numbers import quantity
from tidemill.runtime.failures import NotNumeric, SchemaMismatch, TargetMissing, TargetUnusable
from tidemill.runtime.ingest.bundled import TARGET
from tidemill.runtime.tables.schema import HOLDOUT, Column
from tidemill.runtime.tables.spelling import EXACT, MISSING_WORDS
from tidemill.runtime.tables.texts import as_text

_ENOUGH_TO_JUDGE = 50


class Understood(NamedTuple):
    """A table as it is kept."""

    table: pa.Table
    columns: tuple[Column, ...]
    target: str
    warnings: tuple[str, ...]


def understand(table: pa.Table, declared: Sequence[ColumnSpec]) -> Understood:
    """Give each column of `table` its role and type, as declared or else inferred, and convert it; ignored ones are dropped.

    Raises TargetMissing, SchemaMismatch or NotNumeric where the table is not what was declared.
    """
    specs = {spec.name: spec for spec in declared}
    _check_presence(table, declared)
    target = next((spec.name for spec in declared if spec.role == "Target"), "")
    if not target and TARGET in table.column_names and TARGET not in specs:
        target = TARGET
    kept: dict[str, Any] = {}
    columns: list[Column] = []
    warnings: list[str] = []
    for name in table.column_names:
        spec = specs.get(name) or ColumnSpec(name=name, role="Target" if name == target else "Feature")
        values = _combined(table.column(name))
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        column, converted = _convert(spec, values, warnings, inferred=name not in specs)
        if column.role != "Ignored":
            columns.append(column)
            kept[name] = converted
    return Understood(pa.table(kept), tuple(columns), target, tuple(warnings))


def _check_presence(table: pa.Table, declared: Sequence[ColumnSpec]) -> None:
    there = table.column_names
    if HOLDOUT in there:
        raise SchemaMismatch(f"the column name {HOLDOUT!r} is Tidemill's own; rename that column in the source")
    targets = [spec.name for spec in declared if spec.role == "Target"]
    if len(targets) > 1:
        raise SchemaMismatch(f"spec.columns names more than one Target: {', '.join(targets)}; leave one")
    for spec in declared:
        if spec.name not in there:
            near = difflib.get_close_matches(spec.name, there, 1)
            problem = f"column {spec.name!r} is declared as {spec.role} but not among {_some(there)}"
            remedy = f"; did you mean {near[0]!r}?" if near else "; correct spec.columns or the source"
            raise (TargetMissing if spec.role == "Target" else SchemaMismatch)(problem + remedy)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f" … ({quantity(len(names), 'column')})" if len(names) > 20 else "")


def _convert(spec: ColumnSpec, values: Any, warnings: list[str], *, inferred: bool) -> tuple[Column, Any]:
    name, role, kind = spec.name, spec.role, values.type
    if role == "Target":
        return _target(spec, values)
    if role in ("Id", "Entity"):
        return Column(name=name, role=role, type="Categorical"), as_text(values)
    if role in ("Timestamp", "Ignored"):
        return Column(name=name, role=role, type="Other"), values
    if inferred and _beyond_floats(values):
        return _ignored(
            name,
            values,
            warnings,
            "holds whole numbers beyond 2^53, which a float does not tell apart; declare its role and type to keep it",
        )
    if role == "Weight" or spec.type == "Numerical":
        return Column(name=name, role=role, type="Numerical"), as_numbers(name, values, warnings)
    if spec.type == "Categorical":
        return Column(name=name, role=role, type="Categorical"), as_text(values)
    if pa.types.is_null(kind):
        return _ignored(name, values, warnings, "has no values at all")
    if _is_number(kind) or pa.types.is_boolean(kind):
        return Column(name=name, role=role, type="Numerical"), as_numbers(name, values, warnings)
    if pa.types.is_temporal(kind):
        return Column(name=name, role="Timestamp" if inferred else role, type="Other"), values
    if not _is_text(kind):
        return _ignored(name, values, warnings, f"holds {kind}, which no model takes")
    present = len(values) - values.null_count
    if inferred and present >= _ENOUGH_TO_JUDGE and pc.count_distinct(values, mode="only_valid").as_py() == present:
        return _ignored(
            name,
            values,
            warnings,
            "is another text in every row, as names and numbers of things are; declare its role to keep it",
        )
    return Column(name=name, role=role, type="Categorical"), as_text(values)


def _beyond_floats(values: Any) -> bool:
    """Return whether whole numbers among the values would be rounded as floats."""
    if not (pa.types.is_integer(values.type) or pa.types.is_decimal(values.type)) or values.null_count == len(values):
        return False
    ends = pc.min_max(values).as_py()
    return bool(max(abs(ends["min"]), abs(ends["max"])) > EXACT)


def _ignored(name: str, values: Any, warnings: list[str], why: str) -> tuple[Column, Any]:
    warnings.append(f"column {name!r} is ignored: it {why}")
    return Column(name=name, role="Ignored", type="Other"), values


def _target(spec: ColumnSpec, values: Any) -> tuple[Column, Any]:
    """Labels keep their type, so that a service answers with what the user knows: whole numbers, truth values or text."""
    name, kind = spec.name, values.type
    if values.null_count == len(values):
        raise TargetUnusable(f"target {name!r} has no values at all; fill it in the source")
    if spec.type == "Numerical":
        return Column(name=name, role="Target", type="Numerical"), as_numbers(name, values, [])
    if spec.type == "Categorical" or _is_text(kind):
        return Column(name=name, role="Target", type="Categorical"), as_text(values)
    if pa.types.is_boolean(kind):
        return Column(name=name, role="Target", type="Categorical"), values
    if pa.types.is_integer(kind):
        return Column(name=name, role="Target", type="Numerical"), values.cast(pa.int64())
    if _is_number(kind):
        numbers = as_numbers(name, values, [])
        if numbers.null_count == len(numbers):
            raise TargetUnusable(f"target {name!r} has no values at all; fill it in the source")
        whole = pc.all(pc.equal(pc.floor(numbers), numbers)).as_py() and pc.max(pc.abs(numbers)).as_py() < 2**53
        # Labels with gaps come as 0.0 and 1.0 from files that have no whole numbers with gaps.
        return Column(name=name, role="Target", type="Numerical"), numbers.cast(pa.int64()) if whole else numbers
    raise TargetUnusable(f"target {name!r} holds {kind}; make it numbers or text")


def as_numbers(name: str, values: Any, warnings: list[str]) -> Any:
    """A column as float64; infinities become missing values and are counted in `warnings`. Raises NotNumeric."""
    kind = values.type
    if _is_text(kind):
        values = _parsed(name, values)
    elif pa.types.is_temporal(kind) or not (_is_number(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
        raise NotNumeric(f"column {name!r} is declared Numerical but holds {kind}; correct spec.columns or the source")
    if pa.types.is_boolean(kind):
        values = values.cast(pa.uint8())
    numbers = values.cast(pa.float64(), safe=False)
    dense = numbers.to_numpy(zero_copy_only=False)
    infinite = int(np.isinf(dense).sum())
    if infinite:
        warnings.append(f"column {name!r} holds {infinite} infinite values, which count as missing")
        dense = np.where(np.isinf(dense), np.nan, dense)
    # NaN and null both mean missing; null is what Parquet and its readers know.
    return pa.array(dense, pa.float64(), from_pandas=True)


def _parsed(name: str, values: Any) -> Any:
    trimmed = pc.utf8_trim_whitespace(values.cast(pa.string()))
    missing = pc.is_in(trimmed, value_set=pa.array(MISSING_WORDS, pa.string()))
    trimmed = pc.if_else(missing, pa.scalar(None, pa.string()), trimmed)
    try:
        return trimmed.cast(pa.float64())
    except pa.ArrowInvalid:
        pass
    numbers: list[float | None] = []
    for row, text in enumerate(trimmed.to_pylist(), start=1):
        try:
            numbers.append(None if text is None else float(text))
        except ValueError:
            raise NotNumeric(
                f"column {name!r} is declared Numerical but holds {text[:60]!r} in row {row}; correct that value, leave it empty, or declare the column Categorical"
            ) from None
    return pa.array(numbers, pa.float64())


def _combined(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))
