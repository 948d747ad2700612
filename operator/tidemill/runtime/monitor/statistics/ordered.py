"""How far apart two distributions of numbers are, from counts and means per bin, with certain bounds on the error."""

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


def _cumulated(bins: Bins) -> Floats:
    """Share of values left of each edge."""
    total = int(bins.counts.sum())
    if total == 0:
        raise ValueError("nothing was counted: a distance needs at least one value on both sides")
    return np.concatenate(([0.0], np.cumsum(bins.counts) / total))


def kolmogorov_smirnov(reference: Bins, current: Bins) -> Bounded:
    """The largest difference of both distribution functions; 0 to 1.

    At the edges of bins the difference is exact, so the true one is never smaller. Within a bin it can be larger by no
    more than what the bin holds, unless all its values are known to lie on its left edge. On 1,024 equi-depth bins that is
    about 0.001. Where one side's values lie on the edge, as whole numbers do, and the other's do not, the difference just
    right of the edge counts too. (Smirnov, 1939)

    >>> from tidemill.runtime.profile.numerical import Bins
    >>> edges, means = np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0])
    >>> kolmogorov_smirnov(*(Bins(edges, np.array(counts), means, np.array([True, True])) for counts in ([8, 2], [5, 5])))
    Bounded(value=0.3, lower=0.3, upper=0.3)
    """
    f, g = _cumulated(reference), _cumulated(current)
    # Rounded, because 0.8 - 0.5 is not 0.3 in binary and a bound must not be missed by that.
    lower = round(float(np.abs(f - g).max()), 12)
    value = max(lower, _beside_edges(reference, f, current, g), _beside_edges(current, g, reference, f))
    # Within a bin F rises from f[i] to f[i+1] and G from g[i] to g[i+1], in any order.
    inside = np.maximum(f[1:] - g[:-1], g[1:] - f[:-1])
    loose = ~(reference.sharp & current.sharp)
    upper = max(value, round(float(inside[loose].max()), 12)) if loose.any() else value
    return Bounded(value, lower, min(1.0, upper))


def _beside_edges(edged: Bins, f: Floats, spread: Bins, g: Floats) -> float:
    """The largest difference just right of edges on which `edged` has whole bins of values, and `spread` only its share."""
    beside = edged.sharp & ~spread.sharp & (edged.counts > 0)
    if not beside.any():
        return 0.0
    risen = g[:-1] + spread.on_edges * np.diff(g)
    return round(float(np.abs(f[1:] - risen)[beside].max()), 12)


def kolmogorov_smirnov_tail(distance: float, reference: int, current: int) -> float:
    """The asymptotic probability of a distance at least this large between samples of one continuous distribution.

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
    """How far, on average, values had to move: the area between both distribution functions, in the column's units.

    Where one function stays above the other within a bin, the bin's counts and means give its area exactly; where they may
    cross, the value takes both as lines with a kink at the bin's mean and the bounds take the worst. (Vallender, 1974)

    >>> from tidemill.runtime.profile.numerical import Bins
    >>> edges, sharp = np.array([0.0, 1.0, 2.0]), np.array([False, False])
    >>> here, there = np.array([0.5, 1.5]), np.array([0.75, 1.75])
    >>> wasserstein(Bins(edges, np.array([5, 5]), here, sharp), Bins(edges, np.array([5, 5]), there, sharp)).lower
    0.25
    """
    f, g = _cumulated(reference), _cumulated(current)
    left, right = reference.edges[:-1], reference.edges[1:]
    width = right - left
    p, q = np.diff(f), np.diff(g)
    # ∫ F over a bin is what lies left of it over the whole width, and each value of the bin from its own place on.
    signed = (f[:-1] - g[:-1]) * width + p * (right - reference.means) - q * (right - current.means)
    lower = np.abs(signed)
    one_above = (f[:-1] >= g[1:]) | (g[:-1] >= f[1:])
    widest = np.maximum(np.abs(f[1:] - g[:-1]), np.abs(g[1:] - f[:-1])) * width
    upper = np.where(one_above, lower, np.maximum(lower, widest))
    sharp = reference.sharp & current.sharp
    upper = np.where(sharp, lower, upper)
    straight = _area_between(reference, current, f, g)
    value = np.where(one_above | sharp, lower, np.clip(straight, lower, upper))
    # Of values that left a lattice only the cell is known, and cells are wide there. They were taken to lie in the middle,
    # half the blur from the edge, and may all lie elsewhere.
    room = 1.5 * (reference.blur + current.blur)
    return Bounded(float(value.sum()), max(0.0, float(lower.sum()) - room), float(upper.sum()) + room)


def _area_between(reference: Bins, current: Bins, f: Floats, g: Floats) -> Floats:
    """Per bin, the area between both distribution functions, each taken as two straight lines that meet at the bin's mean.

    A share of (right - mean) / (right - left) of a bin's values left of their mean, evenly spread on either side, has that
    mean.
    """
    left, right = reference.edges[:-1], reference.edges[1:]
    width = np.maximum(right - left, np.finfo(np.float64).tiny)
    kinks = [np.clip(side.means, left, right) for side in (reference, current)]
    stops = np.stack((left, np.minimum(*kinks), np.maximum(*kinks), right))
    gaps = []
    for stop in stops:
        heights = []
        for cumulated, kink in ((f, kinks[0]), (g, kinks[1])):
            low, rise = cumulated[:-1], np.diff(cumulated)
            share = (right - kink) / width
            before = np.divide(stop - left, kink - left, out=np.ones_like(stop), where=kink > left)
            after = np.divide(stop - kink, right - kink, out=np.zeros_like(stop), where=right > kink)
            heights.append(low + rise * np.where(stop < kink, share * before, share + (1 - share) * after))
        gaps.append(heights[0] - heights[1])
    area = np.zeros_like(left)
    for place in range(3):
        a, b, length = gaps[place], gaps[place + 1], stops[place + 1] - stops[place]
        both = np.abs(a) + np.abs(b)
        crossing = np.divide(a * a + b * b, 2 * both, out=np.zeros_like(both), where=both > 0)
        area += np.where(a * b < 0, crossing, both / 2) * length
    return area


def mean(bins: Bins) -> float:
    """The average of the values, from the averages of the bins.

    >>> from tidemill.runtime.profile.numerical import Bins
    >>> mean(Bins(np.array([0.0, 1.0, 2.0]), np.array([3, 1]), np.array([0.5, 1.5]), np.array([False, False])))
    0.75
    """
    return float(bins.counts @ bins.means / bins.counts.sum())


def standard_deviation(bins: Bins) -> float:
    """The spread of the values; within a bin they are taken as evenly spread, unless known to be one.

    >>> from tidemill.runtime.profile.numerical import Bins
    >>> standard_deviation(Bins(np.array([0.0, 1.0, 2.0]), np.array([1, 1]), np.array([0.0, 1.0]), np.array([True, True])))
    0.5
    """
    held = bins.counts > 0
    shares = bins.counts[held] / bins.counts.sum()
    away = bins.means[held] - mean(bins)
    width = np.where(bins.sharp, 0.0, np.diff(bins.edges))[held]
    # In units of the largest, whose square might be beyond all numbers.
    unit = max(float(np.abs(away).max()), float(width.max())) or 1.0
    return unit * math.sqrt(max(0.0, float(shares @ (np.square(away / unit) + np.square(width / unit) / 12))))


def quantile(bins: Bins, share: float) -> float:
    """The value below which `share` of the values lie, by straight lines within bins.

    >>> from tidemill.runtime.profile.numerical import Bins
    >>> quantile(Bins(np.array([0.0, 1.0, 2.0]), np.array([1, 1]), np.array([0.5, 1.5]), np.array([False, False])), 0.25)
    0.5
    """
    cumulated = _cumulated(bins)
    place = int(np.clip(np.searchsorted(cumulated, share, side="right") - 1, 0, len(bins.counts) - 1))
    while bins.counts[place] == 0 and place > 0:
        place -= 1
    if bins.sharp[place]:
        return float(bins.edges[place])
    within = (share - cumulated[place]) / (cumulated[place + 1] - cumulated[place])
    return float(bins.edges[place] + min(1.0, max(0.0, within)) * (bins.edges[place + 1] - bins.edges[place]))


def scale(bins: Bins) -> float:
    """The unit in which shifts of a column are told: its standard deviation, or the quartiles' distance / 1.35 where that
    is more than ten times smaller (heavy tails), or 1 where all values are one."""
    spread = standard_deviation(bins)
    middle = (quantile(bins, 0.75) - quantile(bins, 0.25)) / 1.349
    if 0 < middle * 10 < spread:
        return middle
    return spread or 1.0
