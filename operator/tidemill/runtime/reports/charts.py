"""Small pictures: bars in SVG, each with the figures in a table underneath."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from tidemill.runtime.reports.page import Part, details, table

WIDTH: Final = 320
HEIGHT: Final = 96
_FOOT: Final = 14


def bars(title: str, finding: str, labels: Sequence[str], counts: Sequence[float], *, unit: str = "rows") -> Part:
    """One series as bars; `finding` says in a sentence what the picture shows."""
    return _figure(title, finding, labels, {unit: counts})


def pairs(
    title: str,
    finding: str,
    labels: Sequence[str],
    first: tuple[str, Sequence[float]],
    second: tuple[str, Sequence[float]],
) -> Part:
    """Two series, each label's bars beside each other, such as the shares of a reference (left) and of a window (right)."""
    return _figure(title, finding, labels, dict((first, second)))


def _figure(title: str, finding: str, labels: Sequence[str], series: dict[str, Sequence[float]]) -> Part:
    figures = table(
        f"{title}: the figures",
        ["", *series],
        [[label, *values] for label, *values in zip(labels, *series.values(), strict=True)],
    )
    caption = " beside ".join(
        f'<svg width="10" height="10" aria-hidden="true"><rect class="{_classes(number)}" width="10" height="10"/></svg> {escape(name)}'
        for number, name in enumerate(series)
    )
    legend = f"<figcaption class='soft'>{caption}</figcaption>" if len(series) > 1 else ""
    return Part(
        f"<figure>{_svg(title, finding, labels, list(series.values()))}{legend}</figure>{details('Figures', figures)}"
    )


def _classes(number: int) -> str:
    return "first" if number == 0 else "second"


def _svg(title: str, finding: str, labels: Sequence[str], series: list[Sequence[float]]) -> str:
    most = max((value for values in series for value in values), default=0) or 1
    slot = WIDTH / max(len(labels), 1)
    width = max(slot / len(series) - (1 if slot > 4 else 0), 0.5)
    drawn = []
    for number, values in enumerate(series):
        for place, value in enumerate(values):
            height = (HEIGHT - _FOOT) * value / most
            left, top = place * slot + number * slot / len(series), HEIGHT - _FOOT - height
            drawn.append(
                f'<rect class="{_classes(number)}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
            )
    ends = ""
    if labels:
        ends = f'<text x="0" y="{HEIGHT - 2}">{escape(labels[0])}</text>'
    if len(labels) > 1:
        ends += f'<text x="{WIDTH}" y="{HEIGHT - 2}" text-anchor="end">{escape(labels[-1])}</text>'
    base = HEIGHT - _FOOT
    return (
        f'<svg role="img" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"><title>{escape(title)}</title><desc>{escape(finding)}</desc>'
        f'{"".join(drawn)}<line class="axis" x1="0" y1="{base}" x2="{WIDTH}" y2="{base}"/>{ends}</svg>'
    )
