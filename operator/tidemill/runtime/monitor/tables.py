"""Two tables compared outside a cluster: which columns moved, and what that amounts to."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pyarrow as pa

from tidemill.api.methods import ADVERSE_VERDICTS, CheckVerdict, Method
from tidemill.runtime.monitor.statistics.comparison import Comparison, compare, distance, missing_share
from tidemill.runtime.monitor.statistics.completeness import completeness
from tidemill.runtime.profile.profile import ColumnProfile, Counter, LeftOut, Profile
from tidemill.runtime.scoring.verdicts import Threshold, worst


@dataclass(frozen=True, slots=True)
class Limits:
    """The thresholds above which a change counts as drift."""

    method: Method = "Auto"
    warning: float = 0.1
    failing: float = 0.2
    share: float = 0.3
    """The share of the columns that must have moved for the verdict Failing."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A column with its distance; None where there is nothing to compare."""

    comparison: Comparison
    distance: float | None
    verdict: CheckVerdict
    reason: str = ""
    """The column's loss: values, its type or itself."""

    @property
    def moved(self) -> bool:
        """Return whether the verdict is Failing because of the distance."""
        return self.verdict == "Failing" and self.distance is not None and not self.reason


@dataclass(frozen=True, slots=True)
class Drift:
    """The changes of a table and the verdict on them."""

    rows: tuple[int, int]
    """Before and now."""
    columns: tuple[Judged, ...]
    """The farthest first."""
    verdict: CheckVerdict
    share: float
    """Share of the columns whose verdict is Failing among those that have one."""
    left_out: tuple[LeftOut, ...]
    """Columns of the reference that were not compared, and why."""
    unknown: tuple[str, ...]
    """Columns that the reference does not have."""
    limits: Limits

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Columns whose values tell rows apart."""
        return tuple(column.name for column in self.left_out if column.identifier)

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        judged = [column for column in self.columns if column.verdict != "NoData"]
        if not judged:
            return "No data: no column has values on both sides to compare."
        moved = [f"{printable(column.comparison.name)} ({column.distance:.3g})" for column in judged if column.moved]
        lost = [f"{printable(column.comparison.name)} {column.reason}" for column in judged if column.reason]
        empty = [printable(column.comparison.name) for column in self.columns if column.verdict == "NoData"]
        parts = [
            f"{len(moved)} of {len(judged)} columns moved by {self.limits.failing:g} or more{_list(moved, ', ', ': ')}"
        ]
        if lost:
            parts.append(f"{len(lost)} lost values or changed: {_list(lost, ', ')}")
        if empty:
            parts.append(f"{len(empty)} not compared for lack of values: {_list(empty, ', ')}")
        return f"{self.verdict}: {'; '.join(parts)}."


def _list(texts: Sequence[str], separator: str, lead: str = "") -> str:
    return lead + separator.join(texts[:5]) + (" …" if len(texts) > 5 else "") if texts else ""


def printable(name: str) -> str:
    """Return a name in one line that a terminal cannot take for a command.

    >>> printable("a\\nb"), printable("\\x1b[31m"), printable("")
    ('a\\\\nb', '\\\\x1b[31m', "''")
    """
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape", "surrogatepass").decode() for each in name
    ) or repr(name)


def drift(reference: Profile, current: Profile, limits: Limits, unknown: Sequence[str] = ()) -> Drift:
    """Compare every column of the reference, but for those that it leaves out.

    Failing where the share of columns that moved, or lost their values, type or themselves, is reached; Warning where any
    column is not as before; NoData where none can be judged. `unknown` are columns that the reference does not have.
    """
    identifiers = {column.name for column in reference.left_out}
    gone = {column.name for column in current.left_out if not column.identifier}
    compared = Profile(reference.rows, tuple(column for column in reference.columns if column.name not in identifiers))
    by_name = {column.name: column for column in current.columns}
    gone |= {column.name for column in compared.columns if column.name not in by_name}
    present = [by_name.get(column.name) or _absent(column, current.rows) for column in compared.columns]
    threshold = Threshold(limits.warning, limits.failing)
    judged = [
        _judged(comparison, comparison.name in gone and current.rows > 0, limits.method, threshold)
        for comparison in compare(compared, Profile(current.rows, tuple(present)))
    ]
    judged.sort(
        key=lambda column: (
            not column.reason,
            -(column.distance if column.distance is not None else -1.0),
            column.comparison.name,
        )
    )
    with_verdict = [column for column in judged if column.verdict != "NoData"]
    share = sum(column.verdict == "Failing" for column in with_verdict) / len(with_verdict) if with_verdict else 0.0
    verdict: CheckVerdict = "Passing" if with_verdict else "NoData"
    if share > 0 and round(share, 9) >= limits.share:
        verdict = "Failing"
    elif any(column.verdict != "Passing" for column in with_verdict):
        verdict = "Warning"
    rows = (reference.rows, current.rows)
    return Drift(rows, tuple(judged), verdict, share, reference.left_out, tuple(unknown), limits)


def _judged(comparison: Comparison, gone: bool, method: Method, threshold: Threshold) -> Judged:
    moved = distance(comparison, method)
    kept = completeness(comparison.reference, None if gone else comparison.current)
    by_distance: CheckVerdict = "NoData" if moved is None else threshold.judge(moved)
    reason = kept.reason if kept.verdict in ADVERSE_VERDICTS else ""
    return Judged(
        comparison, moved, worst((by_distance, kept.verdict if moved is not None or reason else "NoData")), reason
    )


def _absent(column: ColumnProfile, rows: int) -> ColumnProfile:
    """The column with no value in any of the rows."""
    counter = Counter(Profile(0, (column,)))
    counter.add(pa.table({f"not {column.name}": pa.nulls(rows)}))
    return counter.profile().columns[0]


def to_csv(result: Drift) -> str:
    """Every statistic as `column,metric,value`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("column", "metric", "value"))
    for column in result.columns:
        writer.writerows(
            (column.comparison.name, name, repr(value)) for name, value in column.comparison.statistics.items()
        )
    return text.getvalue()


def to_json(result: Drift) -> bytes:
    """Return the whole result; an infinite value is null."""

    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    columns: list[dict[str, Any]] = [
        {
            "name": column.comparison.name,
            "type": column.comparison.reference.type,
            "verdict": column.verdict,
            "distance": column.distance,
            "reason": column.reason,
            "statistics": {name: finite(value) for name, value in column.comparison.statistics.items()},
        }
        for column in result.columns
    ]
    return orjson.dumps(
        {
            "format": "tidemill.dev/drift/v1",
            "verdict": result.verdict,
            "rows": {"reference": result.rows[0], "current": result.rows[1]},
            "share": result.share,
            "limits": {
                "method": result.limits.method,
                "warning": result.limits.warning,
                "failing": result.limits.failing,
                "share": result.limits.share,
            },
            "columns": columns,
            "identifiers": result.identifiers,
            "leftOut": [{"name": column.name, "reason": column.reason} for column in result.left_out],
            "notInReference": result.unknown,
        },
        option=orjson.OPT_INDENT_2,
    )


def to_html(result: Drift, before: str, now: str) -> str:
    """The report as one page; `before` and `now` name the tables."""
    from tidemill.runtime.html.page import Section, Verdict, page
    from tidemill.runtime.monitor.report import report

    comparisons = [_renamed(column.comparison) for column in result.columns]
    left_out = [f"{printable(column.name)} {column.reason}." for column in result.left_out]
    left_out += [f"{printable(name)} is not in the reference." for name in result.unknown]
    return page(
        f"From {before} to {now}",
        Verdict(report.TONES[result.verdict], result.sentence),
        (
            ("Before", before),
            ("Now", now),
            ("Rows before", f"{result.rows[0]:,}"),
            ("Rows now", f"{result.rows[1]:,}"),
            ("Columns compared", str(len(comparisons))),
        ),
        (
            Section("Left out", tuple(left_out)) if left_out else None,
            report.moved_section(comparisons, "before"),
            report.columns_section(comparisons),
        ),
        footer="Made by tidemill drift.",
    )


def _renamed(comparison: Comparison) -> Comparison:
    """The comparison under a name that can be printed."""
    name = printable(comparison.name)
    if name == comparison.name:
        return comparison
    return replace(comparison, reference=replace(comparison.reference, name=name))


def to_text(result: Drift, most: int | None = 25) -> str:
    """The verdict and the columns, the farthest first and no more than `most`, for a terminal."""
    lines = [result.sentence, ""]
    names = [printable(column.comparison.name) for column in result.columns[:most]]
    width = max([len("column"), *(min(len(name), 40) for name in names)])
    lines.append(
        f"{'column':{width}}  {'verdict':8} {'PSI':>8} {'JS':>7} {'KS':>7} {'W1/spread':>9} {'mean':>7} {'missing':>15}"
    )
    lines += [_line(column, width) for column in result.columns[:most]]
    if most is not None and len(result.columns) > most:
        lines.append(f"… and {len(result.columns) - most} more; --all prints them")
    lost = [column for column in result.columns if column.reason]
    if lost:
        lines += ["", *(f"{printable(column.comparison.name)} {column.reason}" for column in lost)]
    if result.identifiers:
        lines.append(f"left out as identifiers: {', '.join(map(printable, result.identifiers))}")
    lines += [
        f"left out: {printable(column.name)} {column.reason}" for column in result.left_out if not column.identifier
    ]
    if result.unknown:
        lines.append(f"not in the reference: {', '.join(map(printable, result.unknown))}")
    return "\n".join(lines)


def every_statistic(result: Drift) -> str:
    """All that is known of each column, in the order of the table, for a terminal."""
    width = max((len(name) for column in result.columns for name in column.comparison.statistics), default=0)
    blocks = []
    for column in result.columns:
        before, now = column.comparison.reference, column.comparison.current
        moved = "nothing to compare" if column.distance is None else f"{result.limits.method} {column.distance:.4g}"
        lines = [
            f"{printable(column.comparison.name)} ({before.type}): {column.verdict}, {moved}"
            + (f"; {column.reason}" if column.reason else "")
        ]
        lines.append(
            f"  {'Rows':{width}}  {before.rows:,} → {now.rows:,}, with a value {before.present:,} → {now.present:,}"
        )
        lines += [f"  {name:{width}}  {value:.6g}" for name, value in column.comparison.statistics.items()]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _line(column: Judged, width: int) -> str:
    statistics = column.comparison.statistics

    def cell(name: str, room: int, spell: str = ".3f") -> str:
        return f"{format(statistics[name], spell) if name in statistics else '–':>{room}}"

    name = printable(column.comparison.name)
    missing = f"{missing_share(column.comparison.reference):.1%} → {missing_share(column.comparison.current):.1%}"
    return (
        f"{name if len(name) <= 40 else name[:39] + '…':{width}}  {column.verdict:8} {cell('PSI', 8)} {cell('JensenShannon', 7)} "
        f"{cell('KolmogorovSmirnov', 7)} {cell('WassersteinNormalised', 9)} {cell('MeanShift', 7, '+.2f')} {missing:>15}"
    )
