"""A column's distribution before and now, as shares of rows on some twenty bars."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

from tidemill.contract.numbers import distinct
from tidemill.runtime.html.charts import AxisTexts, Distribution, Position, axis, marked, named
from tidemill.runtime.monitor.statistics import ordered
from tidemill.runtime.monitor.statistics.comparison import Comparison
from tidemill.runtime.profile.categorical import CategoricalProfile
from tidemill.runtime.profile.grid import Floats, Integers
from tidemill.runtime.profile.numerical import Bins, NumericalProfile

_BARS: Final = 20
_CATEGORIES: Final = 12
_MAX_BEYOND: Final = 0.02
"""The largest share of a side outside of the picture that no sentence mentions."""


def distribution(comparison: Comparison) -> Distribution:
    """Return the column on both sides."""
    reference, current = comparison.reference, comparison.current
    if isinstance(reference, NumericalProfile):
        assert isinstance(current, NumericalProfile)
        before, now = _clipped(reference), _clipped(current)
        offset = reference.offset
        return _single_values(reference.bins(), current.bins(), offset) or _of_numbers(before, now, offset)
    assert isinstance(current, CategoricalProfile)
    return _of_categories(reference, current)


def _clipped(profile: NumericalProfile) -> Bins:
    """The bins without the room beyond the smallest and largest value, over which values would be smeared."""
    bins = profile.bins()
    return bins._replace(edges=np.clip(bins.edges, profile.minimum, profile.maximum))


def _single_values(before: Bins, now: Bins, offset: int) -> Distribution | None:
    """A bar per value, where there are few and all are known exactly."""
    few = np.flatnonzero((before.counts > 0) | (now.counts > 0))
    if len(few) > _BARS or not (before.sharp[few].all() and now.sharp[few].all()):
        return None
    values = _shifted(before.edges[few], offset)
    return Distribution(
        distinct(values), _shares(before.counts[few], before), _shares(now.counts[few], now), marked(values)
    )


def _shifted(values: Floats, offset: int) -> list[float]:
    """Values with what was taken off them; whole numbers that floats would not tell apart stay whole numbers."""
    return [round(value) + offset for value in values.tolist()] if offset else values.tolist()


def _of_numbers(before: Bins, now: Bins, offset: int) -> Distribution:
    low = min(ordered.quantile(before, 0.005), ordered.quantile(now, 0.005))
    high = max(ordered.quantile(before, 0.995), ordered.quantile(now, 0.995))
    if not high > low or len(np.unique(np.linspace(low, high, _BARS + 1))) <= _BARS:
        return _of_constant(before, now, low, high, offset)
    edges = np.linspace(low, high, _BARS + 1)
    sides = [_on(edges, side) for side in (before, now)]
    shown = _shifted(edges, offset)
    names = tuple(f"{left} to {right}" for left, right in pairwise(distinct(shown)))
    return Distribution(names, sides[0], sides[1], axis(shown[::5]), _beyond(*(1 - sum(side) for side in sides)))


def _of_constant(before: Bins, now: Bins, low: float, high: float, offset: int) -> Distribution:
    """One bar, for values that are all the same or as near as doubles tell apart."""
    ends = np.array([low, np.nextafter(high, np.inf)])
    labels = distinct(_shifted(np.array([low, high]), offset))
    name = labels[0] if low == high else " to ".join(labels)
    sides = [_on(ends, side) for side in (before, now)]
    return Distribution(
        (name,), sides[0], sides[1], AxisTexts((Position(0.5, name),)), _beyond(*(1 - sum(side) for side in sides))
    )


def _on(edges: Floats, side: Bins) -> tuple[float, ...]:
    """The shares of a side's values between `edges`; what is known to be one value is not spread over its bin."""
    left, width, total = side.edges[:-1], np.diff(side.edges), side.counts.sum()
    at_left = side.sharp | (width <= 0)
    points = np.histogram(left[at_left], edges, weights=side.counts[at_left].astype(np.float64))[0]
    smeared = np.where(at_left, 0, side.counts)
    cumulated = np.concatenate(([0.0], np.cumsum(smeared)))
    # Between numbers that are hardly above 0 the slope has no float; such bars stay empty.
    with np.errstate(all="ignore"):
        rows = points + np.nan_to_num(np.diff(np.interp(edges, side.edges, cumulated)), posinf=0.0, neginf=0.0)
    return tuple(float(share) for share in rows / max(1, total))


def _beyond(before: float, now: float) -> str:
    if max(before, now) <= _MAX_BEYOND:
        return ""
    return f"Outside the picture: {max(0.0, before):.1%} before, {max(0.0, now):.1%} now."


def _of_categories(before: CategoricalProfile, now: CategoricalProfile) -> Distribution:
    first, second = before.bins(), now.bins()
    order = np.argsort(-(first[:-1] / max(1, first.sum()) + second[:-1] / max(1, second.sum())), kind="stable")
    shown, rest = order[:_CATEGORIES], order[_CATEGORIES:]
    names = [before.categories[index][:40] for index in shown]
    counts = [[side[index] for index in shown] for side in (first, second)]
    if len(rest):
        names.append(f"{len(rest)} rarer ones")
        counts = [[*side, all_[rest].sum()] for side, all_ in zip(counts, (first, second), strict=True)]
    if first[-1] or second[-1]:
        names.append("others")
        counts = [[*side, all_[-1]] for side, all_ in zip(counts, (first, second), strict=True)]
    return Distribution(
        tuple(names),
        tuple(float(count / max(1, first.sum())) for count in counts[0]),
        tuple(float(count / max(1, second.sum())) for count in counts[1]),
        named(names),
    )


def _shares(counts: Integers, bins: Bins) -> tuple[float, ...]:
    total = max(1, bins.counts.sum())
    return tuple(float(count / total) for count in counts)


def describe(shown: Distribution) -> str:
    """Say what the picture shows, for a reader who does not see it."""
    change = [after - before for before, after in zip(shown.before, shown.after, strict=True)]
    more, less = int(np.argmax(change)), int(np.argmin(change))
    if change[more] < 0.005 and change[less] > -0.005:
        return "Share of rows per value; both sides are nearly the same."
    parts = []
    if change[more] >= 0.005:
        parts.append(f"The largest gain is at {_change(shown, more)}")
    if change[less] <= -0.005:
        parts.append(f"{'the' if parts else 'The'} largest loss at {_change(shown, less)}")
    return f"Share of rows per value. {'; '.join(parts)}."


def _change(shown: Distribution, index: int) -> str:
    return f"{shown.names[index]}, from {shown.before[index]:.1%} to {shown.after[index]:.1%}"
