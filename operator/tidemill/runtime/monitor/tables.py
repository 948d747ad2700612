"""Two tables compared outside a cluster: which columns moved, and what that amounts to."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from typing import Any

import orjson

from tidemill.api.checks import CheckVerdict, Method
from tidemill.runtime.html.page import Section, Verdict, page
from tidemill.runtime.monitor.report import report
from tidemill.runtime.monitor.statistics.comparison import Comparison, compare, distance, missing_share
from tidemill.runtime.profile.categorical import CategoricalProfile
from tidemill.runtime.profile.profile import Profile
from tidemill.runtime.scoring.verdicts import Threshold


@dataclass(frozen=True, slots=True)
class Limits:
    """What counts as drift."""

    method: Method = "Auto"
    warning: float = 0.1
    failing: float = 0.2
    share: float = 0.3
    """How large a share of the columns must have moved for the verdict Failing."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A column with its distance; None where there is nothing to compare."""

    comparison: Comparison
    distance: float | None
    verdict: CheckVerdict


@dataclass(frozen=True, slots=True)
class Drift:
    """What became of a table."""

    rows: tuple[int, int]
    """Before and now."""
    columns: tuple[Judged, ...]
    """The farthest first."""
    verdict: CheckVerdict
    share: float
    """Share of the columns that reached `failing`."""
    identifiers: tuple[str, ...]
    """Columns in which hardly a value comes twice; they were not compared."""
    limits: Limits

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        moved = [column for column in self.columns if column.verdict == "Failing"]
        if self.verdict == "NoData":
            return "No data: no column has values on both sides to compare."
        what = f"{len(moved)} of {len(self.columns)} columns moved by {self.limits.failing:g} or more"
        worst = ", ".join(f"{column.comparison.name} ({column.distance:.3g})" for column in moved[:5])
        return f"{self.verdict}: {what}{': ' + worst if worst else ''}{' …' if len(moved) > 5 else ''}."


def drift(reference: Profile, current: Profile, limits: Limits) -> Drift:
    """Every column that both have; Failing where the share of moved columns is reached, Warning where any has moved."""
    judged, identifiers = [], []
    threshold = Threshold(limits.warning, limits.failing)
    for comparison in compare(reference, current):
        before = comparison.reference
        if isinstance(before, CategoricalProfile) and before.others > before.present / 2:
            identifiers.append(comparison.name)
            continue
        moved = distance(comparison, limits.method)
        judged.append(Judged(comparison, moved, "NoData" if moved is None else threshold.judge(moved)))
    judged.sort(
        key=lambda column: (-(column.distance if column.distance is not None else -1.0), column.comparison.name)
    )
    told = [column for column in judged if column.distance is not None]
    share = sum(column.verdict == "Failing" for column in told) / len(told) if told else 0.0
    found: CheckVerdict = "Passing" if told else "NoData"
    if share > 0 and round(share, 9) >= limits.share:
        found = "Failing"
    elif any(column.verdict != "Passing" for column in told):
        found = "Warning"
    return Drift((reference.rows, current.rows), tuple(judged), found, share, tuple(identifiers), limits)


def to_csv(found: Drift) -> str:
    """Every statistic as `column,metric,value`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("column", "metric", "value"))
    for column in found.columns:
        writer.writerows(
            (column.comparison.name, name, repr(value)) for name, value in column.comparison.statistics.items()
        )
    return text.getvalue()


def to_json(found: Drift) -> bytes:
    """Everything that was found; an infinite value is null."""

    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    columns: list[dict[str, Any]] = [
        {
            "name": column.comparison.name,
            "type": column.comparison.reference.type,
            "verdict": column.verdict,
            "distance": column.distance,
            "statistics": {name: finite(value) for name, value in column.comparison.statistics.items()},
        }
        for column in found.columns
    ]
    return orjson.dumps(
        {
            "format": "tidemill.dev/drift/v1",
            "verdict": found.verdict,
            "rows": {"reference": found.rows[0], "current": found.rows[1]},
            "share": found.share,
            "limits": {
                "method": found.limits.method,
                "warning": found.limits.warning,
                "failing": found.limits.failing,
                "share": found.limits.share,
            },
            "columns": columns,
            "identifiers": found.identifiers,
        },
        option=orjson.OPT_INDENT_2,
    )


def to_html(found: Drift, before: str, now: str) -> str:
    """The report as one page; `before` and `now` name the tables."""
    comparisons = [column.comparison for column in found.columns]
    left_out = f"{', '.join(found.identifiers)}: hardly a value comes twice, as in an identifier."
    return page(
        f"From {before} to {now}",
        Verdict(report.TONES[found.verdict], found.sentence),
        (
            ("Before", before),
            ("Now", now),
            ("Rows before", f"{found.rows[0]:,}"),
            ("Rows now", f"{found.rows[1]:,}"),
            ("Columns compared", str(len(comparisons))),
        ),
        (
            Section("Left out", (left_out,)) if found.identifiers else None,
            report.moved_section(comparisons, "before"),
            report.columns_section(comparisons),
        ),
        footer="Made by tidemill drift.",
    )


def to_text(found: Drift, most: int | None = 25) -> str:
    """The verdict and the columns, the farthest first and no more than `most`, for a terminal."""
    lines = [found.sentence, ""]
    names = [column.comparison.name for column in found.columns[:most]]
    width = max([len("column"), *(min(len(name), 40) for name in names)])
    lines.append(
        f"{'column':{width}}  {'verdict':8} {'PSI':>8} {'JS':>7} {'KS':>7} {'W1/spread':>9} {'mean':>7} {'missing':>15}"
    )
    lines += [_line(column, width) for column in found.columns[:most]]
    if most is not None and len(found.columns) > most:
        lines.append(f"… and {len(found.columns) - most} more; --all prints them")
    if found.identifiers:
        lines.append(f"left out as identifiers: {', '.join(found.identifiers)}")
    return "\n".join(lines)


def every_statistic(found: Drift) -> str:
    """All that is known of each column, in the order of the table, for a terminal."""
    width = max((len(name) for column in found.columns for name in column.comparison.statistics), default=0)
    blocks = []
    for column in found.columns:
        before, now = column.comparison.reference, column.comparison.current
        moved = "nothing to compare" if column.distance is None else f"{found.limits.method} {column.distance:.4g}"
        lines = [f"{column.comparison.name} ({before.type}): {column.verdict}, {moved}"]
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

    name = column.comparison.name
    missing = f"{missing_share(column.comparison.reference):.1%} → {missing_share(column.comparison.current):.1%}"
    return (
        f"{name if len(name) <= 40 else name[:39] + '…':{width}}  {column.verdict:8} {cell('PSI', 8)} {cell('JensenShannon', 7)} "
        f"{cell('KolmogorovSmirnov', 7)} {cell('WassersteinNormalised', 9)} {cell('MeanShift', 7, '+.2f')} {missing:>15}"
    )
