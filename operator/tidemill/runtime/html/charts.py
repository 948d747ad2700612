"""Small pictures: bars in SVG with the figures in a table underneath."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from tidemill.runtime.html.page import table

WIDTH: Final = 400
HEIGHT: Final = 110
_FOOT: Final = 16


def bars(heading: str, finding: str, labels: Sequence[str], values: Sequence[float], *, unit: str = "rows") -> str:
    """A figure of one bar per label, its `finding` as caption, its figures folded away under it; heading and finding are text."""
    most = max(values, default=0) or 1
    slot = WIDTH / max(len(labels), 1)
    drawn = "".join(
        f'<rect fill="var(--before-ink)" x="{place * slot:.1f}" y="{HEIGHT - _FOOT - (HEIGHT - _FOOT) * value / most:.1f}"'
        f' width="{max(slot - 1, 0.5):.1f}" height="{(HEIGHT - _FOOT) * value / most:.1f}"/>'
        for place, value in enumerate(values)
    )
    base = HEIGHT - _FOOT
    ends = f'<text x="0" y="{HEIGHT - 3}">{escape(_short(labels[0]))}</text>' if labels else ""
    if len(labels) > 1:
        ends += f'<text x="{WIDTH}" y="{HEIGHT - 3}" text-anchor="end">{escape(_short(labels[-1]))}</text>'
    figures = table(
        f"{heading}: {unit} of each bar",
        ("", unit),
        [(escape(label), spell(value)) for label, value in zip(labels, values, strict=True)],
        numbers=(1,),
    )
    return (
        f"<figure><h3>{escape(heading)}</h3><figcaption class='soft'>{escape(finding)}</figcaption>"
        f'<svg role="img" viewBox="0 0 {WIDTH} {HEIGHT}"><title>{escape(heading)}</title><desc>{escape(finding)}</desc>{drawn}'
        f'<line stroke="var(--line)" x1="0" y1="{base}" x2="{WIDTH}" y2="{base}"/>{ends}</svg>'
        f"<details><summary>Figures of {escape(heading)}</summary>{figures}</details></figure>"
    )


def spell(number: float | None) -> str:
    """A number for a person.

    >>> spell(0.96491), spell(569), spell(1234567.0), spell(0.00001234), spell(None)
    ('0.965', '569', '1,234,567', '1.23e-05', 'none')
    """
    if number is None or number != number:
        return "none"
    if abs(number) < 1e15 and float(number).is_integer():
        return f"{int(number):,}"
    return f"{number:,.1f}" if 1000 <= abs(number) < 1e15 else f"{number:.3g}"


def _short(label: str) -> str:
    return label if len(label) <= 24 else label[:23] + "…"
