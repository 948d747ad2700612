"""Count numbers into the bins of a profile: small batches value by value, large ones by the cells of the grid."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from tidemill.runtime.profile.grid import OUTSIDE, Floats, Integers, exact_sum
from tidemill.runtime.profile.numerical import NumericalProfile, frozen
from tidemill.runtime.profile.numerical_layout import base_bins, layout_of

_FEW = 8192
"""Up to this many values a search per value is quicker than a count of all cells."""


@lru_cache(maxsize=64)
def _numbering(cells: int) -> Integers:
    """The cells' numbers; columns with equally many share one array."""
    return frozen(np.arange(cells))


class NumericalCounter:
    """Adds batches of numbers to the bins of a profile."""

    def __init__(self, like: NumericalProfile) -> None:
        self._like = like
        self._layout = layout_of(like.grid, like.starts, like.heavy)
        self._runs: tuple[Integers, Integers, Integers] | None = None
        self._low, self._high = like.grid.low, like.grid.high
        size = len(self._layout.base)
        self._counts, self._sums = np.zeros(size, np.int64), np.zeros(size, np.int64)
        self._rows = self._missing = self._below = self._above = self._invalid = self._between = self._rounded = 0
        self._far: dict[int, int] = {}
        self._minimum, self._maximum = math.inf, -math.inf

    @property
    def offset(self) -> int:
        """Return the number that is taken off all values before they are counted."""
        return self._like.offset

    def add(
        self, values: Floats, *, missing: int = 0, invalid: int = 0, padding: int = 0, filler: float = math.nan
    ) -> None:
        """Count `values`, among which NaN is missing, and entries that are missing or not numbers anyway.

        Of the values, `padding` entries that equal the finite number `filler` do not count: they only fill gaps, which is
        quicker than closing them.
        """
        self._rows += len(values) - padding + missing + invalid
        self._missing += missing
        self._invalid += invalid
        if len(values):
            self._count(values, 1)
        if padding:
            self._count(np.array([filler]), -padding)

    def _count(self, values: Floats, times: int) -> None:
        """Add the values to the bins `times` times."""
        grid = self._like.grid
        low, high = float(np.min(values)), float(np.max(values))
        # NaN compares as false, so that any of it leads to the careful way.
        inside = self._low <= low and high < self._high
        if not (math.isfinite(low) and math.isfinite(high)):
            finite = np.isfinite(values)
            strays = values[~finite]
            below, above = int(np.count_nonzero(strays == -math.inf)), int(np.count_nonzero(strays == math.inf))
            self._below += times * below
            self._above += times * above
            self._missing += times * (len(strays) - below - above)
            values = values[finite]
            if not len(values):
                return
            low, high = float(values.min()), float(values.max())
        if len(values) <= _FEW:
            self._count_each(values, times)
        else:
            cells = np.empty(len(values), np.int64)
            grid.locate(values, cells, inside=inside)
            self._count_cells(values, cells, times)
        # Adding zero makes -0.0 a 0.0: the two are equal, and which of them came first must not show.
        self._minimum, self._maximum = min(self._minimum, low) + 0.0, max(self._maximum, high) + 0.0

    def _count_each(self, values: Floats, times: int) -> None:
        """Count finite values, each looked for among the bins and the heavy values."""
        layout, size = self._layout, len(self._counts)
        bins, positions = base_bins(self._like.grid, self._like.starts, values)
        if len(layout.marks):
            mark = np.searchsorted(layout.marks, values)
            bins += 2 * layout.below[mark]
            nearest = np.minimum(mark, len(layout.marks) - 1)
            marked = layout.marks[nearest] == values
            heavy = layout.heavy_of_mark[nearest[marked]]
            bins[marked] = layout.heavy[heavy]
            positions[marked] = 0
            self._rounded += times * int(np.count_nonzero(self._like.heavy[heavy] != values[marked]))
            loose = values[~marked]
        else:
            loose = values
        self._counts += times * np.bincount(bins, minlength=size)
        # Sums of whole numbers below 2^53: exact in floating point.
        self._sums += times * np.bincount(bins, positions, minlength=size).astype(np.int64)
        self._count_far(values, bins, times)
        if self._like.lattice:
            self._between += times * self._like.grid.off_edges(loose)

    def _count_cells(self, values: Floats, cells: Integers, times: int) -> None:
        """Count finite values by their cells, and one by one those that share a cell with a heavy value or lie outside."""
        layout, grid = self._layout, self._like.grid
        per_cell = np.bincount(cells, minlength=grid.cells + 2)
        apart = None
        if len(layout.marks):
            # Most values of such a cell are the heavy value itself: each is compared with one of its cell.
            heavy_cells = layout.cells[np.searchsorted(layout.marks, self._like.heavy)]
            primary = np.full(grid.cells + 2, math.nan)
            primary[heavy_cells] = self._like.heavy
            bin_of = np.zeros(grid.cells + 2, np.int64)
            bin_of[heavy_cells] = layout.heavy
            marked = np.unique(np.append(layout.cells, (0, grid.cells + 1)))
            equal = primary[cells] == values
            number = int(np.count_nonzero(equal))
            if number == int(per_cell[marked].sum()):
                with_heavy = marked[per_cell[marked] > 0]
                np.add.at(self._counts, bin_of[with_heavy], times * per_cell[with_heavy])
            else:
                is_marked = np.zeros(grid.cells + 2, bool)
                is_marked[marked] = True
                apart = values[is_marked[cells] & ~equal]
                held = np.bincount(cells[equal], minlength=grid.cells + 2)[marked]
                np.add.at(self._counts, bin_of[marked[held > 0]], times * held[held > 0])
            per_cell[marked] = 0
            all_heavy = number == len(values)
        else:
            all_heavy = False
            if per_cell[0] or per_cell[-1]:
                apart = values[(cells == 0) | (cells > grid.cells)]
        if self._like.lattice and not all_heavy:
            # Those that are counted one by one are looked at there.
            self._between += times * (grid.off_edges(values) - (0 if apart is None else grid.off_edges(apart)))
        segments, bins, firsts = self._runs = self._runs or self._segments()
        inner = per_cell[1:-1]
        counts = np.add.reduceat(inner, segments)
        sums = np.add.reduceat(inner * _numbering(grid.cells), segments) - counts * firsts
        np.add.at(self._counts, bins, times * counts)
        np.add.at(self._sums, bins, times * sums)
        if apart is not None:
            for start in range(0, len(apart), _FEW):
                self._count_each(apart[start : start + _FEW], times)

    def _segments(self) -> tuple[Integers, Integers, Integers]:
        """Runs of cells without heavy values: their first cell, the bin they belong to, and that bin's first whole cell."""
        layout, starts = self._layout, self._like.starts
        held = layout.cells[(layout.cells > 0) & (layout.cells <= self._like.grid.cells)] - 1
        segments = np.unique(np.concatenate((starts, held, held + 1)))
        segments = segments[segments < self._like.grid.cells]
        base = np.searchsorted(starts, segments, side="right") - 1
        # As many heavy values lie left of a run as lie in lower cells, or outside on the left.
        heavy_cells = layout.cells[np.searchsorted(layout.marks, self._like.heavy)] - 1
        below = np.searchsorted(heavy_cells, segments)
        return segments, OUTSIDE + base + 2 * below, starts[base]

    def _count_far(self, values: Floats, bins: Integers, times: int) -> None:
        """Add up exactly what lies beyond all octaves and is not a heavy value."""
        base = self._layout.base[bins]
        far = np.flatnonzero((base == 0) | (base == self._layout.base[-1]))
        if not len(far):
            return
        heavy = set(self._layout.heavy.tolist())
        for index in np.unique(bins[far]).tolist():
            if index not in heavy:
                self._far[index] = self._far.get(index, 0) + times * exact_sum(values[far][bins[far] == index])

    def profile(self) -> NumericalProfile:
        """Return what was counted so far."""
        return replace(
            self._like,
            counts=frozen(self._counts.copy()),
            sums=frozen(self._sums.copy()),
            rows=self._rows,
            missing=self._missing,
            negative_infinities=self._below,
            positive_infinities=self._above,
            invalid=self._invalid,
            between=self._between,
            minimum=self._minimum if self._minimum <= self._maximum else None,
            maximum=self._maximum if self._minimum <= self._maximum else None,
            rounded=self._rounded,
            far=MappingProxyType({index: self._far[index] for index in sorted(self._far) if self._counts[index]}),
        )
