"""Fitting bins to a reference: which values are counted one by one, and the grid for all others."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from tidemill.runtime.profile.grid import (
    CELLS,
    MAX_MAGNITUDE,
    MIN_MAGNITUDE,
    Floats,
    Grid,
    Integers,
    floating,
    linear,
    pieces,
)

BINS: Final = 1024
SAMPLE: Final = 1 << 17
"""The number of values, drawn at random, that decide for longer columns."""
_MIN_VALUES: Final = 64
"""The fewest values that tell how crowded cells are; of fewer, the distances between values decide."""
_MAX_CROWDED: Final = 0.002
_DOMINANT: Final = 0.2
"""A value with this share of the rows is where values that the reference lacks are expected: cells are finest next to it."""
_QUANTILES: Final = 256
_CELLS_PER_PART: Final = 16
_CELLS_PER_GAP: Final = 4
_MAX_PIECES: Final = 32


class Sample(NamedTuple):
    """The distinct values of a column in ascending order, and how often each occurs among the rows that were looked at."""

    values: Floats
    counts: Integers

    @property
    def total(self) -> int:
        """Return how many rows were looked at."""
        return int(self.counts.sum())


def draw(values: Floats) -> Sample:
    """Return the distinct values of finite `values`, or of `SAMPLE` of them drawn by a fixed seed where there are more."""
    if len(values) > SAMPLE:
        values = values[np.random.default_rng(0).integers(0, len(values), SAMPLE)]
    ordered = np.sort(values)
    first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    # Adding zero makes -0.0 a 0.0: the two are equal.
    return Sample(ordered[first] + 0.0, np.diff(np.append(first, len(ordered))))


def heavy_values(sample: Sample, bins: int = BINS) -> Floats:
    """Return the values that hold more than one bin's share of the rows, or all values where there are no more than `bins`.

    >>> heavy_values(Sample(np.array([0.0, 1.0, 2.0]), np.array([6, 1, 1])), 2).tolist()
    [0.0]
    """
    if len(sample.values) <= bins:
        return sample.values
    return sample.values[sample.counts * bins > sample.total]


def fit(sample: Sample, heavy: Floats, low: float, high: float) -> Grid:
    """Return the grid from `low` to `high` on which the values that are not `heavy` are best told apart.

    Tried are cells that are finest next to a dominant value, the whole range, its middle without the outermost thousandths, ever
    wider cells around the median or the smallest value, and pieces with a step each; the first one that is fine enough wins.
    """
    if low == high:
        # A constant: whatever comes later is told from it at any distance.
        return floating(low, abs(low) * 1024 or 1024.0) if abs(low) < MAX_MAGNITUDE / 1024 else linear(low, high)
    rest = np.ones(len(sample.values), bool)
    rest[np.searchsorted(sample.values, heavy)] = False
    values, counts = sample.values[rest], sample.counts[rest]
    mode = int(np.argmax(sample.counts))
    centre = float(sample.values[mode])
    around = floating(centre, _reach(centre, low, high))
    dominant = sample.counts[mode] >= _DOMINANT * sample.total
    if counts.sum() < _MIN_VALUES:
        if sample.counts[mode] > sample.total / 2:
            return around
        grid = linear(low, high)
        return grid if _resolves(grid, sample.values) else _in_pieces(sample.values, low, high)
    inner_low, median, inner_high = (float(value) for value in _quantiles(values, counts, (0.001, 0.5, 0.999)))
    margin = inner_high - inner_low
    left, right = max(low, inner_low - margin), min(high, inner_high + margin)
    candidates = [
        *([around] if dominant else []),
        linear(low, high),
        linear(left, right),
        floating(median, max(median - left, right - median)),
        floating(low, max(right - low, 0.0)),
    ]
    enough = max(sample.total / BINS, 3.0)
    best, least = candidates[0], math.inf
    for grid in candidates:
        crowded = _crowded(grid, values, counts, enough) / sample.total
        if crowded <= _MAX_CROWDED:
            return grid
        if crowded < least:
            best, least = grid, crowded
    grid = _in_pieces(np.repeat(values, counts), low, high)
    return grid if _crowded(grid, values, counts, enough) / sample.total < least else best


def _reach(centre: float, low: float, high: float) -> float:
    """Return how far values lie from `centre` at most, as far as a float can say."""
    return max(min(centre - low, MAX_MAGNITUDE), min(high - centre, MAX_MAGNITUDE))


def _resolves(grid: Grid, values: Floats) -> bool:
    """Return whether at least eight cells lie between any two of the values."""
    cells = np.empty(len(values), np.int64)
    grid.locate(values, cells)
    return bool((np.diff(cells) >= 8).all())


def _quantiles(values: Floats, counts: Integers, shares: tuple[float, ...]) -> Floats:
    cumulated = np.cumsum(counts)
    index = np.searchsorted(cumulated, np.array(shares) * cumulated[-1], side="right")
    return np.asarray(values[np.minimum(index, len(values) - 1)])


def _crowded(grid: Grid, values: Floats, counts: Integers, enough: float) -> float:
    """Return how many rows lie in cells that hold more than `enough` of them."""
    cells = np.empty(len(values), np.int64)
    grid.locate(values, cells)
    held = np.bincount(cells, counts, minlength=grid.cells + 2)
    return float(held[held > enough].sum())


def _in_pieces(values: Floats, low: float, high: float) -> Grid:
    """Return a grid whose steps follow the density of the sorted `values`; wide gaps between them have few cells."""
    low, high = max(low, -MAX_MAGNITUDE), min(high, MAX_MAGNITUDE)
    values = np.clip(values, low, high)
    at = np.unique(np.linspace(0, len(values) - 1, min(_QUANTILES, len(values) - 1) + 1).astype(np.int64))
    breaks, wanted = [low], []
    for start, end in zip(at[:-1].tolist(), at[1:].tolist(), strict=True):
        gaps = np.diff(values[start : end + 1])
        widest = int(np.argmax(gaps))
        stops = [float(values[end])]
        cells = [_CELLS_PER_PART]
        if gaps[widest] > 0.5 * (values[end] - values[start]):
            stops = [float(values[start + widest]), float(values[start + widest + 1]), float(values[end])]
            cells = [_CELLS_PER_PART, _CELLS_PER_GAP if len(gaps) > 1 else _CELLS_PER_PART, _CELLS_PER_PART]
        for stop, number in zip(stops, cells, strict=True):
            if stop > breaks[-1]:
                breaks.append(stop)
                wanted.append(number)
    if high > breaks[-1]:
        breaks.append(high)
        wanted.append(_CELLS_PER_GAP)
    return _merged(np.array(breaks), np.array(wanted, np.float64))


def _merged(breaks: Floats, wanted: Floats) -> Grid:
    """Merge neighbouring parts where that costs the fewest cells, until there are few pieces, and use the cells that are left."""
    # Parts that differ by more powers of two than quotients of floats can tell share a step.
    steps = np.maximum(np.diff(breaks) / wanted, max(MIN_MAGNITUDE, float(breaks[-1] - breaks[0]) * 2.0**-500))
    while len(steps) > 1:
        step = np.minimum(steps[1:], steps[:-1])
        cost = (breaks[2:] - breaks[:-2]) / step - np.diff(breaks)[1:] / steps[1:] - np.diff(breaks)[:-1] / steps[:-1]
        cheapest = int(np.argmin(cost))
        if len(steps) <= _MAX_PIECES and cost[cheapest] > CELLS / 1024:
            break
        steps = np.delete(steps, cheapest)
        steps[cheapest] = step[cheapest]
        breaks = np.delete(breaks, cheapest + 1)
    finest = np.spacing(np.maximum(np.abs(breaks[1:]), np.abs(breaks[:-1])))
    finest = np.maximum(finest, MIN_MAGNITUDE)
    widths = np.diff(breaks)
    while float(np.ceil(widths / steps).sum()) > CELLS:
        steps = np.where(widths / steps > _CELLS_PER_PART, steps * 2, steps)
    factor = max(1.0, CELLS / 2 / float(np.ceil(widths / steps).sum()))
    steps = np.maximum(2.0 ** np.floor(np.log2(steps / factor)), finest)
    # The last value belongs to the last cell, which ends right of it.
    breaks[-1] = np.nextafter(breaks[-1] + steps[-1], math.inf)
    return pieces(breaks, steps)
