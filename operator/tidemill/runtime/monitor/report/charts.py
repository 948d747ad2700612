"""Before and after as pictures: SVG that says in words what it shows, with its numbers beneath."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import pairwise

import numpy as np

from tidemill.runtime.html.page import table
from tidemill.runtime.monitor.statistics import ordered
from tidemill.runtime.monitor.statistics.comparison import Comparison
from tidemill.runtime.profile.categorical import CategoricalProfile
from tidemill.runtime.profile.grid import Integers
from tidemill.runtime.profile.numerical import Bins, NumericalProfile

_BARS = 20
_CATEGORIES = 12
_WIDTH, _HEIGHT = 480, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 6, 24, 30


@dataclass(frozen=True, slots=True)
class Bars:
    """Shares of rows before and after, per stretch of values or per category."""

    names: tuple[str, ...]
    before: tuple[float, ...]
    after: tuple[float, ...]
    ticks: tuple[tuple[float, str], ...]
    """Texts on the axis, by their place from 0 to 1."""
    beyond: str = ""
    """What the picture leaves out."""


def bars(comparison: Comparison) -> Bars:
    """A column's distribution before and after, on at most some twenty bars."""
    reference, current = comparison.reference, comparison.current
    if isinstance(reference, NumericalProfile):
        assert isinstance(current, NumericalProfile)
        if (few := _single_values(reference.bins(), current.bins())) is not None:
            return few
        return _of_numbers(_clipped(reference), _clipped(current))
    assert isinstance(current, CategoricalProfile)
    return _of_categories(reference, current)


def _clipped(profile: NumericalProfile) -> Bins:
    """The bins without the room beyond the smallest and largest value, over which values would be smeared."""
    bins = profile.bins()
    return bins._replace(edges=np.clip(bins.edges, profile.minimum, profile.maximum))


def _single_values(before: Bins, after: Bins) -> Bars | None:
    """A bar per value, where there are few and all are known exactly."""
    few = np.flatnonzero((before.counts > 0) | (after.counts > 0))
    if len(few) > _BARS or not (before.sharp[few].all() and after.sharp[few].all()):
        return None
    names = tuple(_short(edge) for edge in before.edges[few])
    places = tuple(((place + 0.5) / len(few), name) for place, name in enumerate(names))
    thinned = places[:: max(1, -(-len(places) // 10))]
    return Bars(names, _shares(before.counts[few], before), _shares(after.counts[few], after), thinned)


def _of_numbers(before: Bins, after: Bins) -> Bars:
    low = min(ordered.quantile(before, 0.005), ordered.quantile(after, 0.005))
    high = max(ordered.quantile(before, 0.995), ordered.quantile(after, 0.995))
    if not high > low:
        high = low + (abs(low) or 1.0)
    edges = np.linspace(low, high, _BARS + 1)
    sides = []
    for side in (before, after):
        cumulated = np.concatenate(([0.0], np.cumsum(side.counts) / side.counts.sum()))
        sides.append(tuple(float(share) for share in np.diff(np.interp(edges, side.edges, cumulated))))
    names = tuple(f"{_short(left)} to {_short(right)}" for left, right in pairwise(edges))
    ticks = tuple((place / 4, _short(low + (high - low) * place / 4)) for place in range(5))
    left_out = [1 - sum(side) for side in sides]
    beyond = f"Outside the picture: {left_out[0]:.1%} before, {left_out[1]:.1%} now." if max(left_out) > 0.02 else ""
    return Bars(names, sides[0], sides[1], ticks, beyond)


def _of_categories(before: CategoricalProfile, after: CategoricalProfile) -> Bars:
    first, second = before.bins(), after.bins()
    order = np.argsort(-(first[:-1] / max(1, first.sum()) + second[:-1] / max(1, second.sum())), kind="stable")
    shown, rest = order[:_CATEGORIES], order[_CATEGORIES:]
    names = [before.categories[place][:40] for place in shown]
    counts = [[side[place] for place in shown] for side in (first, second)]
    if len(rest):
        names.append(f"{len(rest)} rarer ones")
        counts = [[*side, all_[rest].sum()] for side, all_ in zip(counts, (first, second), strict=True)]
    if first[-1] or second[-1]:
        names.append("others")
        counts = [[*side, all_[-1]] for side, all_ in zip(counts, (first, second), strict=True)]
    ticks = tuple(
        ((place + 0.5) / len(names), name if len(name) <= 9 else name[:8] + "…") for place, name in enumerate(names)
    )
    return Bars(
        tuple(names),
        tuple(float(count / max(1, first.sum())) for count in counts[0]),
        tuple(float(count / max(1, second.sum())) for count in counts[1]),
        ticks if len(names) <= 8 else (),
    )


def _shares(counts: Integers, bins: Bins) -> tuple[float, ...]:
    total = bins.counts.sum()
    return tuple(float(count / total) for count in counts)


def _short(value: float) -> str:
    """A number for an axis.

    >>> _short(1234567.0), _short(0.00012345), _short(14.127)
    ('1.23e+06', '0.000123', '14.1')
    """
    return f"{value:.3g}" if abs(value) < 1000 or abs(value) >= 1e6 else f"{value:.0f}"


def picture(name: str, shown: Bars, identity: str) -> str:
    """The bars as SVG: before filled, after as an outline; `identity` makes its ids unique within the page."""
    tallest = max((*shown.before, *shown.after, 1e-9))
    step = next((s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if tallest / s <= 4), 0.5)
    ceiling = step * -(-tallest // step)
    inner_width, inner_height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    slot = inner_width / len(shown.names)

    def height(share: float) -> float:
        return inner_height * share / ceiling

    floor = _TOP + inner_height
    parts = []
    level = 0.0
    while level <= ceiling + 1e-9:
        y = floor - height(level)
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--line)"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{level:.0%}</text>')
        level += step
    for place, share in enumerate(shown.before):
        parts.append(
            f'<rect x="{_LEFT + slot * place + 1:.1f}" y="{floor - height(share):.1f}" width="{slot - 2:.1f}" '
            f'height="{height(share):.1f}" fill="var(--before)"/>'
        )
    path = f"M{_LEFT:.1f} {floor:.1f}" + "".join(
        f"V{floor - height(share):.1f}H{_LEFT + slot * (place + 1):.1f}" for place, share in enumerate(shown.after)
    )
    parts.append(
        f'<path d="{path}V{floor:.1f}" fill="none" stroke="var(--after)" stroke-width="2.5" stroke-linejoin="round"/>'
    )
    for at, text in shown.ticks:
        anchor = "start" if at == 0 else "end" if at == 1 else "middle"
        parts.append(
            f'<text x="{_LEFT + inner_width * at:.1f}" y="{floor + 18:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
        )
    parts.append(
        f'<rect x="{_LEFT}" y="3" width="14" height="11" fill="var(--before)"/><text x="{_LEFT + 20}" y="13">before</text>'
    )
    parts.append(
        f'<path d="M{_LEFT + 78} 14V4H{_LEFT + 92}V14" fill="none" stroke="var(--after)" stroke-width="2.5"/><text x="{_LEFT + 98}" y="13">now</text>'
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="{identity}-t {identity}-d">'
        f'<title id="{identity}-t">{escape(name)} before and now</title><desc id="{identity}-d">{escape(describe(shown))}</desc>'
        + "".join(parts)
        + "</svg>"
    )


def describe(shown: Bars) -> str:
    """What the picture shows, for who does not see it."""
    change = [after - before for before, after in zip(shown.before, shown.after, strict=True)]
    more, less = int(np.argmax(change)), int(np.argmin(change))
    if change[more] < 0.005 and change[less] > -0.005:
        return "Share of rows per value; both sides are nearly the same."
    return (
        f"Share of rows per value. The largest gain is at {shown.names[more]}, from {shown.before[more]:.1%} to {shown.after[more]:.1%}; "
        f"the largest loss at {shown.names[less]}, from {shown.before[less]:.1%} to {shown.after[less]:.1%}."
    )


def numbers(name: str, shown: Bars) -> str:
    """The picture's numbers as a table that one opens."""
    rows = (
        (escape(label), f"{before:.1%}", f"{after:.1%}", f"{after - before:+.1%}")
        for label, before, after in zip(shown.names, shown.before, shown.after, strict=True)
    )
    return (
        f'<details><summary>Numbers of this picture<span class="soft"> ({escape(name)})</span></summary>'
        + table(f"{name}: share of rows", ("Value", "Before", "Now", "Change"), rows, numbers=(1, 2, 3))
        + "</details>"
    )
