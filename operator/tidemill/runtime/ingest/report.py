"""The page about a revision: what is in it, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.contract.numbers import distinct, number, quantity
from tidemill.runtime.html import charts
from tidemill.runtime.html import page as html
from tidemill.runtime.html.charts import Distribution, axis, named
from tidemill.runtime.html.page import Figure, Section, Table, Verdict
from tidemill.runtime.profile import Profile
from tidemill.runtime.tables.schema import HOLDOUT, Column, Schema

_MAX_PICTURES: Final = 120
_BINS: Final = 20
_MAX_CATEGORIES: Final = 12
_MAX_NAME: Final = 40


def page(
    name: str, digest: str, source: str, table: pa.Table, schema: Schema, profile: Profile, warnings: Sequence[str]
) -> str:
    """Return the whole page."""
    rows, held_out = table.num_rows, int(pc.sum(table.column(HOLDOUT)).as_py() or 0)
    missing = sum(table.column(column.name).null_count for column in schema.columns)
    share = missing / max(rows * len(schema.columns), 1)
    sentence = f"{quantity(rows, 'row')} and {quantity(len(schema.columns), 'column')} are ready for training" + (
        f"; there {'is' if len(warnings) == 1 else 'are'} {quantity(len(warnings), 'warning')}." if warnings else "."
    )
    target = f"{schema.target} ({_type_of(schema, schema.target)})" if schema.target else "none named"
    profiled = {column.name for column in profile.columns}
    pictured = [column for column in schema.columns if column.name in profiled][:_MAX_PICTURES]
    pictured.sort(key=lambda column: column.role != "Target")
    return html.page(
        f"Dataset {name}",
        Verdict("warning" if warnings else "good", sentence),
        (
            ("Revision", digest[:19]),
            ("Source", source),
            ("Features", str(len(schema.features))),
            ("Target", target),
            ("Missing values", f"{share:.2%}"),
            ("Held out", f"{quantity(held_out, 'row')} ({held_out / max(rows, 1):.1%})"),
        ),
        (
            Section("Warnings", items=tuple(warnings)) if warnings else None,
            Section("Columns", tables=(_columns(table, schema.columns),)),
            Section("Distributions", figures=tuple(_figure(column, table.column(column.name)) for column in pictured)),
        ),
        footer=f"Made by Tidemill. Revision {digest}.",
    )


def _type_of(schema: Schema, name: str) -> str:
    return next(column.type for column in schema.columns if column.name == name)


def _columns(table: pa.Table, columns: Sequence[Column]) -> Table:
    rows = []
    for column in columns:
        values = table.column(column.name)
        numbers = _numbers(values)
        ends = (
            (number(float(numbers.min())), number(float(numbers.mean())), number(float(numbers.max())))
            if len(numbers)
            else ("", "", "")
        )
        rows.append(
            (
                column.name,
                column.role,
                column.type,
                f"{values.null_count / max(len(values), 1):.1%}",
                f"{_distinct(values):,}",
                *ends,
            )
        )
    return html.table(
        "Each column with the range of its values",
        ("Column", "Role", "Type", "Missing", "Distinct", "Min", "Mean", "Max"),
        rows,
        numbers=(3, 4, 5, 6, 7),
    )


def _distinct(values: Any) -> int:
    try:
        return int(pc.count_distinct(values, mode="only_valid").as_py())
    except pa.ArrowNotImplementedError:
        return len(set(map(str, values.to_pylist())))


def _numbers(values: Any) -> np.ndarray[Any, Any]:
    """The finite numbers of a column; none where it holds something else."""
    if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
        return np.empty(0)
    numbers = np.asarray(values.drop_null().to_numpy())
    return np.asarray(numbers[np.isfinite(numbers)])


def _figure(column: Column, values: Any) -> Figure:
    title = f"{column.name} ({column.role})" if column.role != "Feature" else column.name
    caption, shown = _distribution(values)
    if values.null_count:
        caption = f"{caption[:-1]}; {values.null_count:,} are missing."
    rows = ((label, number(count)) for label, count in zip(shown.names, shown.before, strict=True))
    numbers = html.table(f"{title}: rows of each bar", ("Value", "Rows"), rows, numbers=(1,))
    return Figure(title, caption, charts.bars(title, caption, shown), numbers)


def _distribution(values: Any) -> tuple[str, Distribution]:
    """A sentence about the values, and how many rows have them."""
    numbers = _numbers(values)
    if len(np.unique(numbers)) > _MAX_CATEGORIES:
        low, high = (number(float(np.quantile(numbers, share))) for share in (0.25, 0.75))
        return f"Half of the values lie between {low} and {high}.", histogram(numbers)
    counted = pc.value_counts(values.drop_null())
    pairs = sorted(
        zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True),
        key=lambda pair: (-pair[1], str(pair[0])),
    )
    if not pairs:
        return "There are no values.", Distribution((), ())
    first, rest = pairs[:_MAX_CATEGORIES], pairs[_MAX_CATEGORIES:]
    names = [_spelled(value) for value, _ in first]
    counts = [float(count) for _, count in first]
    most = f"{names[0]} is the most frequent, with {counts[0] / max(len(values), 1):.0%} of the rows."
    if rest:
        names.append(f"{len(rest):,} rarer ones")
        counts.append(float(sum(count for _, count in rest)))
    return most, Distribution(tuple(names), tuple(counts), axis=named(names))


def _spelled(value: object) -> str:
    text = number(value) if isinstance(value, float) else str(value)
    return text if len(text) <= _MAX_NAME else text[: _MAX_NAME - 1] + "…"


def histogram(numbers: np.ndarray[Any, Any]) -> Distribution:
    """Return how many of the numbers lie on each of twenty stretches of the same width."""
    try:
        counts, edges = np.histogram(numbers, bins=_BINS)
    except ValueError:
        # Numbers that doubles hardly tell apart cannot be cut into twenty stretches.
        counts, edges = np.histogram(numbers, bins=1)
    labels = distinct(edges.tolist())
    return Distribution(
        tuple(f"{low} to {high}" for low, high in pairwise(labels)),
        tuple(counts.astype(float).tolist()),
        axis=axis(edges[:: max(1, len(counts) // 4)].tolist()),
    )
