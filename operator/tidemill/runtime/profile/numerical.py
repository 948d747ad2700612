"""The profile of a column of numbers: counts and sums per bin, exact counts of heavy values, and what lay outside.

A heavy value holds more than a bin's share of the reference. It is a bin of its own, "is v", between what lies left and right
of it, wherever it lies on the grid:

    … bin │ left part of a bin │ is v │ right part of the bin │ bin …
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np

from tidemill.runtime.profile import fitting
from tidemill.runtime.profile.fitting import BINS
from tidemill.runtime.profile.grid import (
    OUTSIDE,
    POSITIONS,
    Floats,
    Grid,
    Integers,
    Truths,
    exact_mean,
)
from tidemill.runtime.profile.numerical_layout import Layout, in_single_precision, layout_of

_HALF = 0.5 * (1 + 2.0**-30)
"""By how much of a cell a value may lie off its middle; rounding moves a value by at most 2^-36 cells across an edge."""
_MIN_REST_BINS = 64
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
    near_heavy: Floats | float = 0.0
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
        layout, grid = layout_of(self.grid, self.starts, self.heavy), self.grid
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
        blur += rounded * float(np.max(np.abs(self.heavy - in_single_precision(self.heavy)), initial=0.0))
        near_heavy = _near_heavy(edges, self.counts, layout, self.heavy)
        return Bins(edges, self.counts, means, sharp, room, blur, rounded, low, high, float(self.offset), near_heavy)


def _near_heavy(edges: Floats, counts: Integers, layout: Layout, heavy: Floats) -> Floats | float:
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
