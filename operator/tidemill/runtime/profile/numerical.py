"""The profile of a column of numbers: counts and sums per bin, exact counts of heavy values, and what lay outside.

A heavy value holds more than a bin's share of the reference. It is a bin of its own, "is v", between what lies left and right
of it, wherever it lies on the grid:

    … bin │ left part of a bin │ is v │ right part of the bin │ bin …
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np

from tidemill.runtime.profile import fitting
from tidemill.runtime.profile.fitting import BINS
from tidemill.runtime.profile.grid import (
    OCTAVES,
    OUTSIDE,
    POSITIONS,
    Floats,
    Grid,
    Integers,
    Truths,
    exact_mean,
    exact_sum,
)

_FEW = 8192
"""Up to this many values a search per value is quicker than a count of all cells."""
_HALF = 0.5 * (1 + 2.0**-30)
"""By how much of a cell a value may lie off its middle; rounding moves a value by at most 2^-36 cells across an edge."""
_MIN_REST_BINS = 64
_MAX_SINGLE = 2.0**24
_Array = TypeVar("_Array", bound=np.ndarray[Any, Any])
_NOTHING: Mapping[int, int] = MappingProxyType({})


class Bins(NamedTuple):
    """A column's distribution: `counts[i]` values between `edges[i]` (included) and `edges[i + 1]`, on average `means[i]`.

    A heavy value is a bin without width; the bin right of it does not include it.
    """

    edges: Floats
    counts: Integers
    means: Floats
    sharp: Truths
    """Where all values of a bin are known to equal its left edge."""
    room: Floats | float = 0.0
    """By how much at most the mean of each bin's values differs from `means`."""
    blur: float = 0.0
    """By how much at most the mean of the column's values differs beyond that, since some left a lattice or were rounded."""
    rounded: float = 0.0
    """The share of values that were counted as a heavy value because they equal it in single precision."""
    minimum: float = -math.inf
    maximum: float = math.inf
    offset: float = 0.0
    """The value that edges, means, minimum and maximum are counted from."""
    beside_heavy: Floats | float = 0.0
    """Per edge: the largest share of values that may lie between a heavy value near it and that value in single precision."""


@dataclass(frozen=True, slots=True, eq=False)
class NumericalProfile:
    """Counts of a column of numbers on bins that its reference fixed; profiles on the same bins add up exactly."""

    name: str
    grid: Grid
    starts: Integers
    """First cell of each bin within the grid; before them and after them lie `OUTSIDE` bins each for what is outside."""
    heavy: Floats
    """Values that are counted one by one, in ascending order; each cuts the bin in which it lies in two."""
    counts: Integers
    """Values per bin: `OUTSIDE + len(starts) + OUTSIDE` of them, and two more for each heavy value."""
    sums: Integers
    """Per bin, the sum of the values' positions counted from the bin's inner end in cells (in octaves: in 1/65536)."""
    rows: int
    missing: int
    negative_infinities: int
    positive_infinities: int
    invalid: int
    """Entries that are not numbers, as text in a column of numbers."""
    lattice: bool
    """Whether all values of the reference lie exactly on left edges of cells, as whole numbers do."""
    between: int
    """On a lattice: values that do not, heavy ones aside; elsewhere these are not counted."""
    minimum: float | None
    maximum: float | None
    rounded: int = 0
    """Values that were counted as a heavy value since they equal it in single precision."""
    far: Mapping[int, int] = field(default_factory=lambda: _NOTHING)
    """By bin beyond all octaves: the exact sum of its values (see `exact_sum`)."""
    offset: int = 0
    """Return the number that is taken off all values before they become floats, so that whole numbers beyond 2^53 keep their differences."""

    type: ClassVar[Literal["Numerical"]] = "Numerical"

    @property
    def present(self) -> int:
        """Finite numbers."""
        return self.rows - self.missing - self.negative_infinities - self.positive_infinities - self.invalid

    @property
    def exact(self) -> bool:
        """Return whether every value within the grid is known to lie on the left edge of its cell."""
        return self.lattice and self.between == 0

    @property
    def infinities(self) -> int:
        """Infinite numbers of either sign."""
        return self.negative_infinities + self.positive_infinities

    def same_bins(self, other: object) -> bool:
        """Return whether `other` is a column of the same name that was counted on the same bins."""
        return (
            isinstance(other, NumericalProfile)
            and self.name == other.name
            and self.grid == other.grid
            and self.offset == other.offset
            and np.array_equal(self.starts, other.starts)
            and np.array_equal(self.heavy, other.heavy)
        )

    def bins(self) -> Bins:
        """Return the distribution of the finite numbers, from the leftmost to the rightmost."""
        layout, grid = _layout(self), self.grid
        on_edges = 1.0 - self.between / max(self.present, 1) if self.lattice else 0.0
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        outer = grid.octave_edges()
        octaves_left, octaves_right = grid.low - outer[::-1], grid.high + outer
        base = np.concatenate(
            (
                [min(octaves_left[0], low) if low > -math.inf else octaves_left[0]],
                octaves_left,
                grid.edge(self.starts[1:]),
                octaves_right,
                [max(octaves_right[-1], high) if high < math.inf else octaves_right[-1]],
            )
        )
        edges = np.maximum.accumulate(np.insert(base, np.repeat(layout.base_of_heavy + 1, 2), np.repeat(self.heavy, 2)))
        left, right = edges[:-1], edges[1:]
        # Positions count from the inner end of the whole bin, of which a heavy value may have left only a part.
        whole_left, whole_width = base[layout.base], np.diff(base)[layout.base]
        resolution = np.concatenate(
            (
                np.full(OUTSIDE, POSITIONS),
                np.diff(np.append(self.starts, grid.cells)),
                np.full(OUTSIDE, POSITIONS),
            )
        )[layout.base].astype(np.float64)
        inside = (layout.base >= OUTSIDE) & (layout.base < OUTSIDE + len(self.starts))
        # On average a value lies in the middle of its cell, unless it is known to lie on its left edge.
        middle = np.where(inside, 0.5 * (1.0 - on_edges), 0.5)
        held = np.maximum(self.counts, 1)
        position = np.where(self.counts > 0, (self.sums / held + middle) / resolution, 0.5)
        position = np.where(layout.base < OUTSIDE, 1.0 - position, position)
        means = whole_left + position * whole_width
        for index, total in self.far.items():
            means[index] = exact_mean(total, int(held[index])) if self.counts[index] else means[index]
        means = np.clip(means, np.clip(left, low, high), np.clip(right, low, high))
        room = np.where(inside & self.lattice, 0.0, _HALF * whole_width / resolution)
        room[[*self.far]] = 0.0
        sharp = (self.sums == 0) & self.exact & inside
        if low == high:
            sharp |= left == low
            means, room = np.where(self.counts > 0, low, means), np.zeros_like(room)
        means[layout.heavy], room[layout.heavy] = self.heavy, 0.0
        sharp[layout.heavy] = True
        sharp |= self.counts == 0
        rounded = self.rounded / max(self.present, 1)
        blur = 1.5 * (1.0 - on_edges) * grid.step if self.lattice else 0.0
        blur += rounded * float(np.max(np.abs(self.heavy - _single(self.heavy)), initial=0.0))
        beside = _beside_heavy(edges, self.counts, layout, self.heavy)
        return Bins(edges, self.counts, means, sharp, room, blur, rounded, low, high, float(self.offset), beside)


def _beside_heavy(edges: Floats, counts: Integers, layout: _Layout, heavy: Floats) -> Floats | float:
    """Return per edge the share of values that may lie strictly between a heavy value and its form in single precision.

    Between the two, values that were counted as the heavy one are out of order by no more than what lies there.
    """
    own = heavy[layout.heavy_of_mark] if len(heavy) else heavy
    single = np.flatnonzero(layout.marks != own)
    if len(single) == 0:
        return 0.0
    low, high = (side(layout.marks[single], own[single]) for side in (np.minimum, np.maximum))
    below = np.concatenate(([0], np.cumsum(counts)))
    within = below[np.searchsorted(edges, high)] - below[np.searchsorted(edges, low, "right") - 1]
    shares = np.zeros(len(edges))
    first, last = np.searchsorted(edges, low), np.searchsorted(edges, high, "right")
    for index in np.flatnonzero(within > 0):
        near = shares[first[index] : last[index]]
        np.maximum(near, within[index] / max(int(below[-1]), 1), out=near)
    return shares


class _Layout(NamedTuple):
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


def _layout(profile: NumericalProfile) -> _Layout:
    return _laid_out(profile.grid, profile.starts.tobytes(), profile.heavy.tobytes())


@lru_cache(maxsize=1024)
def _laid_out(grid: Grid, starts_bytes: bytes, heavy_bytes: bytes) -> _Layout:
    starts, heavy = np.frombuffer(starts_bytes, np.int64), np.frombuffer(heavy_bytes, np.float64)
    base_of_heavy = _base_bins(grid, starts, heavy)[0]
    number = np.arange(len(heavy))
    single = _single(heavy)
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
    return _Layout(base, base_of_heavy + 2 * number + 1, base_of_heavy, marks, heavy_of_mark, below, cells)


def _single(values: Floats) -> Floats:
    """Values as single precision holds them, and large ones themselves."""
    small = np.abs(values) < _MAX_SINGLE
    return np.where(small, np.where(small, values, 0.0).astype(np.float32).astype(np.float64), values)


def _base_bins(grid: Grid, starts: Integers, values: Floats) -> tuple[Integers, Integers]:
    """The bin of each finite value where heavy values are not told apart, and its position within."""
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


@lru_cache(maxsize=64)
def _numbering(cells: int) -> Integers:
    """The cells' numbers; columns with equally many share one array."""
    return frozen(np.arange(cells))


class NumericalCounter:
    """Adds batches of numbers to the bins of a profile."""

    def __init__(self, like: NumericalProfile) -> None:
        self._like = like
        self._layout = _layout(like)
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
        bins, positions = _base_bins(self._like.grid, self._like.starts, values)
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


def frozen(array: _Array) -> _Array:
    """Return `array`, from now on read-only."""
    array.flags.writeable = False
    return array


def empty(name: str, values: Floats, bins: int = BINS, offset: int = 0) -> NumericalProfile:
    """Return a profile with nothing counted, whose bins hold about equally many of `values` each.

    A value that makes up more than one bin's share has a bin of its own. With no more distinct values than `bins`, every
    value has.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        finite = np.zeros(1)
    sample = fitting.draw(finite)
    heavy = fitting.heavy_values(sample, bins)
    grid = fitting.fit(sample, heavy, float(finite.min()) + 0.0, float(finite.max()) + 0.0)
    starts = _starts(grid, finite, heavy, bins)
    lattice = grid.off_edges(finite) == 0
    nothing = frozen(np.zeros(len(starts) + 2 * OUTSIDE + 2 * len(heavy), np.int64))
    return NumericalProfile(
        name,
        grid,
        frozen(starts),
        frozen(heavy),
        nothing,
        nothing,
        0,
        0,
        0,
        0,
        0,
        lattice,
        0,
        None,
        None,
        offset=offset,
    )


def _starts(grid: Grid, values: Floats, heavy: Floats, bins: int) -> Integers:
    """The first cells of bins that hold about equally many of the values that are not heavy."""
    cells = np.empty(len(values), np.int64)
    grid.locate(values, cells)
    per_cell = np.bincount(cells, minlength=grid.cells + 2)
    rest = per_cell
    if len(heavy):
        own = np.empty(len(heavy), np.int64)
        grid.locate(heavy, own)
        primary = np.full(grid.cells + 2, math.nan)
        primary[own] = heavy
        rest = per_cell - np.bincount(cells[primary[cells] == values], minlength=grid.cells + 2)
    rest = rest[1:-1]
    occupied = np.flatnonzero(rest)
    held = rest[occupied]
    total = int(held.sum())
    number = min(total, max(_MIN_REST_BINS, bins * total // len(values)))
    before = np.cumsum(held) - held
    bin_of = before * number // max(total, 1)
    # The outermost bins are split in halves of rows, again and again: tails are wide, and distances count width.
    depth = total / max(number, 1)
    halves = np.floor(np.log2(np.maximum(1.0, depth / np.minimum(before + held, total - before))))
    crowded = held * max(number, 1) > total
    changes = (np.diff(bin_of) > 0) | (np.diff(halves) != 0) | crowded[1:] | crowded[:-1]
    first = np.concatenate(([True], changes))[: len(occupied)]
    starts = np.concatenate((np.zeros(1, np.int64), occupied[first], grid.seams))
    if len(occupied) and occupied[-1] + 1 < grid.cells:
        # Beyond the largest value begins a bin of its own, so that values out of range are told from it.
        starts = np.append(starts, occupied[-1] + 1)
    return np.unique(starts).astype(np.int64)


def merge(first: NumericalProfile, second: NumericalProfile) -> NumericalProfile:
    """Return both columns' counts together."""
    far = dict(first.far)
    for index, total in second.far.items():
        far[index] = far.get(index, 0) + total
    return replace(
        first,
        counts=frozen(first.counts + second.counts),
        sums=frozen(first.sums + second.sums),
        rows=first.rows + second.rows,
        missing=first.missing + second.missing,
        negative_infinities=first.negative_infinities + second.negative_infinities,
        positive_infinities=first.positive_infinities + second.positive_infinities,
        invalid=first.invalid + second.invalid,
        between=first.between + second.between,
        minimum=min((v for v in (first.minimum, second.minimum) if v is not None), default=None),
        maximum=max((v for v in (first.maximum, second.maximum) if v is not None), default=None),
        rounded=first.rounded + second.rounded,
        far=MappingProxyType(dict(sorted(far.items()))),
    )
