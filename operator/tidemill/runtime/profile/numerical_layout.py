"""Where the bins and the heavy values of a column of numbers lie, and the bin of each value."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tidemill.runtime.profile.grid import (
    OCTAVES,
    OUTSIDE,
    Floats,
    Grid,
    Integers,
)

_MAX_SINGLE = 2.0**24


class Layout(NamedTuple):
    """Where heavy values lie among the bins."""

    base: Integers
    """Per bin, which one it is, or is part of, where heavy values are not told apart."""
    heavy: Integers
    """The bin of each heavy value."""
    base_of_heavy: Integers
    marks: Floats
    """Heavy values, and what single precision makes of them where that is nothing else, in ascending order."""
    heavy_of_mark: Integers
    below: Integers
    """How many heavy values there are among the first marks."""
    cells: Integers
    """Cells plus one in which marks lie, some of them maybe outside the grid."""


def layout_of(grid: Grid, starts: Integers, heavy: Floats) -> Layout:
    """Return where `heavy` lies among the bins of `grid` that begin at the cells `starts`."""
    return _laid_out(grid, starts.tobytes(), heavy.tobytes())


@lru_cache(maxsize=1024)
def _laid_out(grid: Grid, starts_bytes: bytes, heavy_bytes: bytes) -> Layout:
    starts, heavy = np.frombuffer(starts_bytes, np.int64), np.frombuffer(heavy_bytes, np.float64)
    base_of_heavy = base_bins(grid, starts, heavy)[0]
    number = np.arange(len(heavy))
    single = in_single_precision(heavy)
    # What a value becomes in single precision stands for it unless another heavy value is as near: features are trained in
    # double and served in single precision. Of large values this would merge whole numbers, which single precision holds
    # exactly up to 2^24.
    between = np.searchsorted(heavy, np.maximum(heavy, single), "right") - np.searchsorted(
        heavy, np.minimum(heavy, single)
    )
    alias = (single != heavy) & (between == 1)
    marks = np.concatenate((heavy, single[alias]))
    heavy_of_mark = np.concatenate((number, number[alias]))
    marks, first = np.unique(marks, return_index=True)
    heavy_of_mark = heavy_of_mark[first]
    cells = np.empty(len(marks), np.int64)
    grid.locate(marks, cells)
    base = np.repeat(
        np.arange(len(starts) + 2 * OUTSIDE), 1 + 2 * np.bincount(base_of_heavy, minlength=len(starts) + 2 * OUTSIDE)
    )
    below = np.append(0, np.cumsum(marks == heavy[heavy_of_mark])) if len(heavy) else np.zeros(1, np.int64)
    return Layout(base, base_of_heavy + 2 * number + 1, base_of_heavy, marks, heavy_of_mark, below, cells)


def in_single_precision(values: Floats) -> Floats:
    """Return values as single precision holds them, and large ones themselves."""
    small = np.abs(values) < _MAX_SINGLE
    return np.where(small, np.where(small, values, 0.0).astype(np.float32).astype(np.float64), values)


def base_bins(grid: Grid, starts: Integers, values: Floats) -> tuple[Integers, Integers]:
    """Return the bin of each finite value where heavy values are not told apart, and its position within."""
    cells = np.empty(len(values), np.int64)
    grid.locate(values, cells)
    bins = np.searchsorted(starts, cells - 1, side="right") - 1
    positions = cells - 1 - starts[bins]
    bins += OUTSIDE
    outside = np.flatnonzero((cells == 0) | (cells > grid.cells))
    if len(outside):
        right = cells[outside] > 0
        octave, position = grid.octaves(values[outside], right)
        bins[outside] = np.where(right, OUTSIDE + len(starts) + octave, OCTAVES - octave)
        positions[outside] = position
    return bins, positions
