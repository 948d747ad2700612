"""How checks went over time: their values, what these were held against, and where a new version took over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final, NamedTuple

from tidemill.api.checks import CheckVerdict
from tidemill.contract.reports import CheckOutcome
from tidemill.runtime.html.page import section, table

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 440, 150, 48, 8, 16, 26
_COLOUR: Final[Mapping[str, str]] = {"Passing": "good", "Warning": "warning", "Failing": "bad", "NoData": "soft"}


class Point(NamedTuple):
    """What a check said of a window."""

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
    """The outcome as a point of a timeline."""
    return Point(outcome.verdict, outcome.value, outcome.threshold)


def timeline_section(runs: Sequence[PastRun], names: Sequence[str]) -> str:
    """A picture for each check with its numbers beneath."""
    figures = [
        _figure(place, name, [(run, run.checks[name]) for run in runs if name in run.checks])
        for place, name in enumerate(names)
    ]
    return section(
        "How it came to this",
        '<p class="soft">Each point is a window: a dot passes, a triangle warns, a cross fails, a dash on the floor had too little data. The dashed line is the limit; a dotted upright one is where another version took over.</p>',
        '<div class="pictures">' + "\n".join(figures) + "</div>",
    )


def _figure(place: int, name: str, points: Sequence[tuple[PastRun, Point]]) -> str:
    told = [value for _, point in points for value in (point.value, point.threshold) if value is not None]
    low, high = (min(0.0, *told), max(told)) if told else (0.0, 1.0)
    high = high if high > low else low + 1.0
    inner = _HEIGHT - _TOP - _BOTTOM
    floor = _TOP + inner

    def x(index: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (index + 0.5) / len(points)

    def y(value: float) -> float:
        return floor - inner * (value - low) / (high - low)

    parts = [
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{floor}" y2="{floor}" stroke="var(--line)"/>',
        f'<text x="{_LEFT - 6}" y="{_TOP + 4}" text-anchor="end">{_short(high)}</text>',
        f'<text x="{_LEFT - 6}" y="{floor + 4}" text-anchor="end">{_short(low)}</text>',
    ]
    # A window without data was held against nothing; the limit is that of the newest one with some.
    limits = [point.threshold for _, point in points if point.threshold is not None]
    if limits:
        limit = limits[-1]
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(limit):.1f}" y2="{y(limit):.1f}" stroke="var(--soft)" stroke-dasharray="6 4"/>'
        )
    for index, (run, point) in enumerate(points):
        if index and run.version != points[index - 1][0].version:
            at = x(index) - (x(1) - x(0)) / 2
            parts.append(
                f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{floor}" stroke="var(--before-ink)" stroke-dasharray="2 3"/>'
            )
        parts.append(_mark(x(index), floor if point.value is None else y(point.value), point.verdict))
    if points:
        first, last = points[0][0].end, points[-1][0].end
        parts.append(f'<text x="{_LEFT}" y="{_HEIGHT - 8}">{first:%Y-%m-%d %H:%M}</text>')
        if len(points) > 1:
            parts.append(
                f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">{last:%Y-%m-%d %H:%M}</text>'
            )
    failing = sum(point.verdict == "Failing" for _, point in points)
    words = f"{len(points)} windows, {failing} of them failing."
    rows = (
        (
            f"{run.end:%Y-%m-%d %H:%M}",
            escape(run.version),
            "No data" if point.verdict == "NoData" else point.verdict,
            "–" if point.value is None else f"{point.value:.4g}",
            "–" if point.threshold is None else f"{point.threshold:.4g}",
        )
        for run, point in points
    )
    identity = f"timeline-{place}"
    return (
        f'<figure><figcaption><h3>{escape(name)}</h3></figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="{identity}-t {identity}-d">'
        f'<title id="{identity}-t">{escape(name)} over time</title><desc id="{identity}-d">{words}</desc>'
        + "".join(parts)
        + f'</svg><details><summary>Numbers of this picture<span class="soft"> ({escape(name)})</span></summary>'
        + table(
            f"{name}: every window",
            ("Window's end (UTC)", "Version", "Verdict", "Value", "Limit"),
            rows,
            numbers=(3, 4),
        )
        + "</details></figure>"
    )


def _short(value: float) -> str:
    """A number that has room beside the picture.

    >>> _short(3600.0), _short(0.12345), _short(86400000.0)
    ('3,600', '0.123', '8.6e+07')
    """
    if abs(value) >= 100_000:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _mark(x: float, y: float, verdict: CheckVerdict) -> str:
    """A verdict by shape as well as by colour."""
    colour = f"var(--{_COLOUR[verdict]})"
    match verdict:
        case "Passing":
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'
        case "Warning":
            return f'<path d="M{x:.1f} {y - 5:.1f}l5 9h-10z" fill="{colour}"/>'
        case "Failing":
            return f'<path d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8" stroke="{colour}" stroke-width="2.5"/>'
        case _:
            return f'<path d="M{x - 4:.1f} {y:.1f}h8" stroke="{colour}" stroke-width="2.5"/>'
