"""The page about a revision: what is in it, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.runtime.html import page as frame
from tidemill.runtime.html.charts import bars, spell
from tidemill.runtime.profile import Profile
from tidemill.runtime.tables.schema import HOLDOUT, Column, Schema

_MAX_PICTURES: Final = 120
_BINS: Final = 20
_MAX_CATEGORIES: Final = 12


def page(
    name: str, digest: str, source: str, table: pa.Table, schema: Schema, profile: Profile, warnings: Sequence[str]
) -> str:
    """The whole page."""
    rows, held_out = table.num_rows, int(pc.sum(table.column(HOLDOUT)).as_py() or 0)
    missing = sum(table.column(column.name).null_count for column in schema.columns)
    share = missing / max(rows * len(schema.columns), 1)
    found = f"{rows:,} rows and {len(schema.columns)} columns can be learnt from" + (
        f"; {len(warnings)} things are worth a look." if warnings else "."
    )
    target = f"{schema.target} ({_type_of(schema, schema.target)})" if schema.target else "none named"
    parts = [
        frame.verdict("warning" if warnings else "good", found),
        frame.facts(
            [
                ("Revision", digest[:19]),
                ("Source", source),
                ("Features", str(len(schema.features))),
                ("Target", target),
                ("Missing values", f"{share:.2%}"),
                ("Held out", f"{held_out:,} rows ({held_out / max(rows, 1):.1%})"),
            ]
        ),
    ]
    if warnings:
        parts.append(
            frame.section(
                "Worth a look", "<ul>" + "".join(f"<li>{escape(warning)}</li>" for warning in warnings) + "</ul>"
            )
        )
    parts.append(frame.section("Columns", _columns(table, schema.columns)))
    profiled = {column.name for column in profile.columns}
    pictured = [column for column in schema.columns if column.name in profiled][:_MAX_PICTURES]
    pictures = "".join(
        _picture(column, table.column(column.name))
        for column in sorted(pictured, key=lambda column: column.role != "Target")
    )
    parts.append(frame.section("Distributions", f'<div class="pictures">{pictures}</div>'))
    return frame.page(f"Dataset {name}", parts, footer=f"Made by Tidemill. Revision {digest}.")


def _type_of(schema: Schema, name: str) -> str:
    return next(column.type for column in schema.columns if column.name == name)


def _columns(table: pa.Table, columns: Sequence[Column]) -> str:
    rows = []
    for column in columns:
        values = table.column(column.name)
        numbers = _numbers(values)
        ends = (
            (spell(float(numbers.min())), spell(float(numbers.mean())), spell(float(numbers.max())))
            if len(numbers)
            else ("", "", "")
        )
        rows.append(
            (
                escape(column.name),
                column.role,
                column.type,
                f"{values.null_count / max(len(values), 1):.1%}",
                f"{_distinct(values):,}",
                *ends,
            )
        )
    return frame.table(
        "What each column is, and where its values lie",
        ("Column", "Role", "Type", "Missing", "Distinct", "Least", "Mean", "Most"),
        rows,
        numbers=(3, 4, 5, 6, 7),
    )


def _distinct(values: Any) -> int:
    try:
        return int(pc.count_distinct(values, mode="only_valid").as_py())
    except pa.ArrowNotImplementedError:
        return len(set(map(str, values.to_pylist())))


def _numbers(values: Any) -> np.ndarray[Any, Any]:
    if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
        return np.empty(0)
    return np.asarray(values.drop_null().to_numpy())


def _picture(column: Column, values: Any) -> str:
    numbers = _numbers(values)
    title = f"{column.name} ({column.role})" if column.role != "Feature" else column.name
    gaps = f"; {values.null_count:,} are missing" if values.null_count else ""
    if len(numbers) and len(np.unique(numbers)) > _MAX_CATEGORIES:
        counts, edges = np.histogram(numbers, bins=_BINS)
        middle = f"Half of the values lie between {spell(float(np.quantile(numbers, 0.25)))} and {spell(float(np.quantile(numbers, 0.75)))}{gaps}."
        labels = [f"{spell(float(low))} to {spell(float(high))}" for low, high in pairwise(edges.tolist())]
        return bars(title, middle, labels, counts.tolist())
    counted = pc.value_counts(values.drop_null())
    pairs = sorted(
        zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True),
        key=lambda pair: (-pair[1], str(pair[0])),
    )
    if not pairs:
        return bars(title, "There are no values.", [], [])
    first, rest = pairs[:_MAX_CATEGORIES], pairs[_MAX_CATEGORIES:]
    shown = [(str(value), float(count)) for value, count in first] + (
        [("others", float(sum(count for _, count in rest)))] if rest else []
    )
    most = f"{shown[0][0]} is the most frequent, with {shown[0][1] / max(len(values), 1):.0%} of the rows{gaps}."
    return bars(title, most, [label for label, _ in shown], [count for _, count in shown])
