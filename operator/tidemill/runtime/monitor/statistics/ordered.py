"""Measure how far apart two distributions of numbers are, from counts and means per bin, with certain bounds on the error."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tidemill.runtime.profile.grid import Floats
from tidemill.runtime.profile.numerical import Bins


class Bounded(NamedTuple):
    """A value computed from bins, and the bounds that the value on the raw numbers certainly keeps."""

    value: float
    lower: float
    upper: float


_EPSILON = 2.0**-53
_HUGE, _HUGE_UNIT = 2.0**1000, 2.0**60


def _cumulated(bins: Bins) -> Floats:
    """Share of values left of each edge."""
    total = int(bins.counts.sum())
    if total == 0:
        raise ValueError("nothing was counted: a distance needs at least one value on both sides")
    return np.concatenate(([0.0], np.cumsum(bins.counts) / total))


def kolmogorov_smirnov(reference: Bins, current: Bins) -> Bounded:
    """Return the largest difference of both distribution functions, 0 to 1, with `value` equal to `lower`.

    At the edges of bins the difference is exact, so the true one is never smaller. Within a bin it can be larger by no
    more than what the bin holds, unless all its values are known to lie on its left edge. On 1,024 equi-depth bins that is
    about 0.001, and nothing next to heavy values, which are bins of their own. Values that equal a heavy one only in single
    precision count as it: `upper` grows by their share, and differences next to it are less by what may lie between both
    forms. (Smirnov, 1939)

    >>> from tidemill.runtime.profile.numerical import Bins
    >>> edges, means = np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0])
    >>> kolmogorov_smirnov(*(Bins(edges, np.array(counts), means, np.array([True, True])) for counts in ([8, 2], [5, 5])))
    Bounded(value=0.3, lower=0.3, upper=0.3)
    """
    f, g = _cumulated(reference), _cumulated(current)
    # Rounded, because 0.8 - 0.5 is not 0.3 in binary and a bound must not be missed by that.
    differences = np.abs(f - g)
    if reference.rounded or current.rounded:
        differences = np.maximum(differences - np.maximum(reference.near_heavy, current.near_heavy), 0.0)
    lower = round(float(differences.max()), 12)
    # Within a bin F rises from f[i] to f[i+1] and G from g[i] to g[i+1], in any order.
    inside = np.maximum(f[1:] - g[:-1], g[1:] - f[:-1])
    loose = ~(reference.sharp & current.sharp)
    upper = max(lower, round(float(inside[loose].max()), 12)) if loose.any() else lower
    return Bounded(lower, lower, min(1.0, upper + reference.rounded + current.rounded))


def kolmogorov_smirnov_tail(distance: float, reference: int, current: int) -> float:
    """Return the asymptotic probability of a distance at least this large between samples of one continuous distribution.

    (Stephens' correction for small samples, 1970)

    >>> round(kolmogorov_smirnov_tail(0.0859, 500, 500), 2), kolmogorov_smirnov_tail(0.0, 10, 10)
    (0.05, 1.0)
    """
    size = math.sqrt(reference * current / (reference + current))
    x = (size + 0.12 + 0.11 / size) * distance
    if x < 0.2:
        return 1.0
    tail = 2 * math.fsum((-1) ** (k - 1) * math.exp(-2 * (k * x) ** 2) for k in range(1, 101))
    return min(1.0, max(0.0, tail))


def wasserstein(reference: Bins, current: Bins) -> Bounded:
    """Return how far, on average, values had to move: the area between both distribution functions, in the column's units.

    Where one function stays above the other within a bin, the bin's counts and means give its area exactly; where they may
    cross, the value takes both as lines with a kink at the bin's mean and the bounds take the worst. (Vallender, 1974)

    >>> from tidemill.runtime.profile.numerical import Bins
    >>> edges, sharp = np.array([0.0, 1.0, 2.0]), np.array([False, False])
    >>> here, there = np.array([0.5, 1.5]), np.array([0.75, 1.75])
    >>> before, now = (Bins(edges, np.array([5, 5]), means, sharp) for means in (here, there))
    >>> round(wasserstein(before, now).lower, 9)
    0.25
    """
    f, g = _cumulated(reference), _cumulated(current)
    edges = _common_edges(reference, current)
    unit = _unit(edges[[0, -1]])
    edges, reference, current = edges / unit, _divided(reference, unit), _divided(current, unit)
    left, right = edges[:-1], edges[1:]
    width = right - left
    p, q = np.diff(f), np.diff(g)
    # ∫ F over a bin is what lies left of it over the whole width, and each value of the bin from its own position on.
    from_mean = [right - np.clip(side.means, left, right) for side in (reference, current)]
    signed = (f[:-1] - g[:-1]) * width + p * from_mean[0] - q * from_mean[1]
    area = np.abs(signed)
    # The means are known to within half a cell.
    room = p * reference.room + q * current.room
    one_above = (f[:-1] >= g[1:]) | (g[:-1] >= f[1:]) | (reference.sharp & current.sharp)
    widest = np.maximum(np.abs(f[1:] - g[:-1]), np.abs(g[1:] - f[:-1])) * width
    upper = np.where(one_above, area + room, np.maximum(area, widest))
    value = np.where(one_above, area, np.clip(_area_between(reference, current, edges, f, g), area, upper))
    # Beyond that, means of values that left a lattice are known for the whole column only; and what is computed from numbers
    # is rounded by some units in the last place of the largest of them.
    slack = reference.blur + current.blur + 32 * _EPSILON * float(np.abs(edges[[0, -1]]).max())
    lower_sum, upper_sum = float(np.maximum(area - room, 0.0).sum()), float(upper.sum())
    return Bounded(
        unit * float(value.sum()),
        unit * max(0.0, lower_sum * (1 - 32 * _EPSILON) - slack),
        unit * (upper_sum * (1 + 32 * _EPSILON) + slack),
    )


def _unit(ends: Floats) -> float:
    """1, or what the largest numbers there are have to be divided by so that their differences are finite."""
    return _HUGE_UNIT if float(np.abs(ends).max()) >= _HUGE else 1.0


def _divided(bins: Bins, unit: float) -> Bins:
    return bins if unit == 1.0 else bins._replace(means=bins.means / unit, room=bins.room / unit, blur=bins.blur / unit)


def _common_edges(reference: Bins, current: Bins) -> Floats:
    """The edges of both sides' bins, none beyond the smallest and the largest value of both."""
    low, high = min(reference.minimum, current.minimum), max(reference.maximum, current.maximum)
    edges = reference.edges.copy()
    edges[0], edges[-1] = min(edges[0], current.edges[0]), max(edges[-1], current.edges[-1])
    return np.clip(edges, low, high)


def _area_between(reference: Bins, current: Bins, edges: Floats, f: Floats, g: Floats) -> Floats:
    """Per bin, the area between both distribution functions, each taken as two straight lines that meet at the bin's mean.

    A share of (right - mean) / (right - left) of a bin's values left of their mean, evenly spread on either side, has that
    mean.
    """
    left, right = edges[:-1], edges[1:]
    width = np.maximum(right - left, np.finfo(np.float64).tiny)
    kinks = [np.clip(side.means, left, right) for side in (reference, current)]
    stops = np.stack((left, np.minimum(*kinks), np.maximum(*kinks), right))
    gaps = []
    for stop in stops:
        heights = []
        for cumulated, kink in ((f, kinks[0]), (g, kinks[1])):
            low, rise = cumulated[:-1], np.diff(cumulated)
            share = (right - kink) / width
            before = _fraction(stop - left, kink - left, otherwise=1.0)
            after = _fraction(stop - kink, right - kink, otherwise=0.0)
            heights.append(low + rise * np.where(stop < kink, share * before, share + (1 - share) * after))
        gaps.append(heights[0] - heights[1])
    area = np.zeros_like(left)
    for index in range(3):
        a, b, length = gaps[index], gaps[index + 1], stops[index + 1] - stops[index]
        both = np.abs(a) + np.abs(b)
        crossing = np.divide(a * a + b * b, 2 * both, out=np.zeros_like(both), where=both > 0)
        area += np.where(a * b < 0, crossing, both / 2) * length
    return area


def _fraction(part: Floats, whole: Floats, *, otherwise: float) -> Floats:
    """The fraction of each whole, from 0 to 1, or `otherwise` where the whole is nothing."""
    with np.errstate(over="ignore"):
        fraction = np.divide(part, whole, out=np.full_like(whole, otherwise), where=whole > 0)
    return np.clip(fraction, 0.0, 1.0)


def mean(bins: Bins) -> float:
    """Return the average of the values less their offset, from the averages of the bins.

    >>> from tidemill.runtime.profile.numerical import Bins
    >>> mean(Bins(np.array([0.0, 1.0, 2.0]), np.array([3, 1]), np.array([0.5, 1.5]), np.array([False, False])))
    0.75
    """
    held = bins.counts > 0
    # Shares first: sums of the largest numbers there are would be infinite.
    return float(bins.counts[held] / bins.counts.sum() @ bins.means[held])


def standard_deviation(bins: Bins) -> float:
    """Return the standard deviation of the values, exactly 0 for a constant; within a bin they are taken as evenly spread.

    >>> from tidemill.runtime.profile.numerical import Bins
    >>> standard_deviation(Bins(np.array([0.0, 1.0, 2.0]), np.array([1, 1]), np.array([0.0, 1.0]), np.array([True, True])))
    0.5
    """
    held = bins.counts > 0
    counts, means = bins.counts[held], bins.means[held]
    left, right = (np.clip(edges, bins.minimum, bins.maximum)[held] for edges in (bins.edges[:-1], bins.edges[1:]))
    if len(means) == 1 and (bins.sharp[held][0] or bins.minimum == bins.maximum):
        return 0.0
    shares = counts / counts.sum()
    huge = _unit(np.append(left, right))
    means, left, right = means / huge, left / huge, right / huge
    away = means - mean(bins) / huge
    width = np.where(bins.sharp[held], 0.0, right - left)
    # In units of the largest, whose square might be beyond all numbers.
    unit = max(float(np.abs(away).max()), float(width.max())) or 1.0
    # Evenly spread values have a twelfth of the width's square, but none with this mean have more than the second.
    within = np.minimum(np.square(width / unit) / 12, np.maximum((means - left) / unit * ((right - means) / unit), 0.0))
    within = np.where(bins.sharp[held], 0.0, within * (counts - 1) / counts)
    return huge * unit * math.sqrt(max(0.0, float(shares @ (np.square(away / unit) + within))))


def quantile(bins: Bins, share: float) -> float:
    """Return the value, less its offset, below which `share` of the values lie, by straight lines within bins.

    >>> from tidemill.runtime.profile.numerical import Bins
    >>> quantile(Bins(np.array([0.0, 1.0, 2.0]), np.array([1, 1]), np.array([0.5, 1.5]), np.array([False, False])), 0.25)
    0.5
    """
    cumulated = _cumulated(bins)
    index = int(np.clip(np.searchsorted(cumulated, share, side="right") - 1, 0, len(bins.counts) - 1))
    while bins.counts[index] == 0 and index > 0:
        index -= 1
    left, right = (float(np.clip(edge, bins.minimum, bins.maximum)) for edge in bins.edges[index : index + 2])
    if bins.sharp[index]:
        return left
    within = (share - cumulated[index]) / (cumulated[index + 1] - cumulated[index])
    return left + min(1.0, max(0.0, float(within))) * (right - left)


def scale(bins: Bins) -> float:
    """Return the unit in which shifts of a column are told: its standard deviation, or the quartiles' distance / 1.35 where
    that is more than ten times smaller (heavy tails), or 1 where all values are equal."""
    std = standard_deviation(bins)
    middle = (quantile(bins, 0.75) - quantile(bins, 0.25)) / 1.349
    if 0 < middle * 10 < std:
        return middle
    return std or 1.0
