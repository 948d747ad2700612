"""The checks over time: their values, what these were held against, and where a new version took over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from tidemill.api.methods import CheckVerdict
from tidemill.contract.numbers import number
from tidemill.contract.reports import CheckOutcome
from tidemill.runtime.html import charts
from tidemill.runtime.html.page import Figure, Section, table

_COLOURS: Final[Mapping[CheckVerdict, str]] = {
    "Passing": "good",
    "Warning": "warning",
    "Failing": "bad",
    "NoData": "soft",
}
_SHAPES: Final[Mapping[CheckVerdict, charts.Shape]] = {
    "Passing": "dot",
    "Warning": "triangle",
    "Failing": "cross",
    "NoData": "dash",
}


class Point(NamedTuple):
    """The outcome of a check of one window."""

    verdict: CheckVerdict
    value: float | None
    threshold: float | None


@dataclass(frozen=True, slots=True)
class PastRun:
    """A window that was checked."""

    end: datetime
    version: str
    checks: Mapping[str, Point]


def point_of(outcome: CheckOutcome) -> Point:
    """Return the outcome as a point of a timeline."""
    return Point(outcome.verdict, outcome.value, outcome.threshold)


def timeline_section(runs: Sequence[PastRun], names: Sequence[str]) -> Section:
    """Return a picture for each check with its numbers beneath."""
    explained = "Each point is a window: a dot passes, a triangle warns, a cross fails, a dash on the floor had too little data. The dashed line is the limit; a dotted upright one is where another version took over."
    figures = tuple(_figure(name, [(run, run.checks[name]) for run in runs if name in run.checks]) for name in names)
    return Section("History", (explained,), figures=figures)


def _figure(name: str, points: Sequence[tuple[PastRun, Point]]) -> Figure:
    # A window without data was held against nothing; the limit is that of the newest one with some.
    limits = [point.threshold for _, point in points if point.threshold is not None]
    failing = sum(point.verdict == "Failing" for _, point in points)
    shown = [
        charts.PlottedPoint(
            point.value,
            _SHAPES[point.verdict],
            _COLOURS[point.verdict],
            handover=index > 0 and run.version != points[index - 1][0].version,
        )
        for index, (run, point) in enumerate(points)
    ]
    ends = [f"{points[index][0].end:%Y-%m-%d %H:%M}" for index in ((0, -1) if len(points) > 1 else (0,)) if points]
    rows = (
        (
            f"{run.end:%Y-%m-%d %H:%M}",
            run.version,
            "No data" if point.verdict == "NoData" else point.verdict,
            number(point.value),
            number(point.threshold),
        )
        for run, point in points
    )
    return Figure(
        name,
        "",
        charts.timeline(
            f"{name} over time",
            f"{len(points)} windows, {failing} of them failing.",
            shown,
            limit=limits[-1] if limits else None,
            ends=ends,
        ),
        table(
            f"{name}: every window",
            ("Window's end (UTC)", "Version", "Verdict", "Value", "Limit"),
            rows,
            numbers=(3, 4),
        ),
    )
