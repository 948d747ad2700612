"""What is remembered of a column of numbers: counts and sums per bin, and what lay outside."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from tidemill.runtime.profile.grid import MANTISSA_BITS, OCTAVES, POSITIONS, Floats, Grid, Integers, coarsened, fit

BINS = 1024
_FEW = 8192
"""Up to this many values a search per value is quicker than a count of all cells."""


class Bins(NamedTuple):
    """A column's distribution: `counts[i]` values between `edges[i]` (included) and `edges[i + 1]`, on average `means[i]`."""

    edges: Floats
    counts: Integers
    means: Floats
    sharp: np.ndarray[Any, np.dtype[np.bool_]]
    """Where all values of a bin are known to equal its left edge."""
    on_edges: float = 0.0
    """Where not all do: the share of the column's values that lie on left edges of cells, as far as is known."""
    blur: float = 0.0
    """By how much at most values that left a lattice lie right of where their cells begin, averaged over the column."""


@dataclass(frozen=True, slots=True, eq=False)
class NumericalProfile:
    """Counts of a column of numbers on bins that its reference fixed; profiles on the same bins add up exactly."""

    name: str
    grid: Grid
    starts: Integers
    """First cell of each bin within the grid; before them and after them lie `OCTAVES` bins each for what is outside."""
    counts: Integers
    """Values per bin, `OCTAVES + len(starts) + OCTAVES` of them."""
    sums: Integers
    """Per bin, the sum of the values' places counted from the bin's inner end in cells (in octaves: in 1/65536)."""
    rows: int
    missing: int
    negative_infinities: int
    positive_infinities: int
    invalid: int
    """Entries that are not numbers, as text in a column of numbers."""
    lattice: bool
    """Whether all values of the reference lie exactly on left edges of cells, as whole numbers do."""
    between: int
    """On a lattice: values that do not; elsewhere nobody counts."""
    minimum: float | None
    maximum: float | None

    type: ClassVar[Literal["Numerical"]] = "Numerical"

    @property
    def present(self) -> int:
        """Finite numbers."""
        return self.rows - self.missing - self.negative_infinities - self.positive_infinities - self.invalid

    @property
    def exact(self) -> bool:
        """Whether every value within the grid is known to lie on the left edge of its cell."""
        return self.lattice and self.between == 0

    @property
    def infinities(self) -> int:
        return self.negative_infinities + self.positive_infinities

    def same_bins(self, other: object) -> bool:
        return (
            isinstance(other, NumericalProfile)
            and self.name == other.name
            and self.grid == other.grid
            and np.array_equal(self.starts, other.starts)
        )

    def bins(self) -> Bins:
        """The distribution of the finite numbers, from the leftmost octave to the rightmost."""
        on_edges = 1.0 - self.between / max(self.present, 1) if self.lattice else 0.0
        inner = self.grid.edge(np.append(self.starts, self.grid.cells))
        outer = self.grid.octave_edges()
        edges = np.concatenate((self.grid.low - outer[:0:-1], inner, self.grid.high + outer[1:]))
        widths = np.diff(np.append(self.starts, self.grid.cells)).astype(np.float64)
        resolution = np.concatenate((np.full(OCTAVES, POSITIONS), widths, np.full(OCTAVES, POSITIONS)))
        with np.errstate(invalid="ignore", divide="ignore"):
            # On average a value lies in the middle of its cell, unless it is known to lie on its left edge.
            middle = np.full(len(resolution), 0.5)
            middle[OCTAVES:-OCTAVES] *= 1.0 - on_edges
            place = (self.sums / self.counts + middle) / resolution
        place = np.where(self.counts > 0, place, 0.5)
        place[:OCTAVES] = 1.0 - place[:OCTAVES]
        means = edges[:-1] + np.clip(place, 0.0, 1.0) * np.diff(edges)
        sharp = (self.sums == 0) & self.exact
        sharp[:OCTAVES] = sharp[-OCTAVES:] = False
        sharp |= self.counts == 0
        blur = (1.0 - on_edges) * self.grid.step if self.lattice else 0.0
        return Bins(edges, self.counts, means, sharp, on_edges, blur)


@lru_cache(maxsize=64)
def _numbering(cells: int) -> Integers:
    """The cells' numbers; columns with equally many share one array."""
    return frozen(np.arange(cells))


class NumericalCounter:
    """Adds batches of numbers to the bins of a profile."""

    def __init__(self, like: NumericalProfile) -> None:
        self._like = like
        self._low, self._high = like.grid.low, like.grid.high
        self._body = slice(OCTAVES, OCTAVES + len(like.starts))
        size = len(like.starts) + 2 * OCTAVES
        self._counts, self._sums = np.zeros(size, np.int64), np.zeros(size, np.int64)
        self._rows = self._missing = self._below = self._above = self._invalid = self._between = 0
        self._minimum, self._maximum = math.inf, -math.inf

    def add(
        self, values: Floats, *, missing: int = 0, invalid: int = 0, padding: int = 0, filler: float = math.nan
    ) -> None:
        """Count `values`, among which NaN is missing, beside entries that are missing or not numbers anyway.

        Of the values, `padding` entries that equal the finite number `filler` do not count: they only keep a place, since
        filling gaps is quicker than closing them.
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
        grid, starts = self._like.grid, self._like.starts
        low, high = float(np.min(values)), float(np.max(values))
        # NaN compares as false, so that any of it leads to the careful way.
        inside = self._low <= low and high < self._high
        cells = np.empty(len(values), np.int64)
        grid.locate(values, cells, inside=inside)
        if len(values) <= _FEW:
            held = cells if inside else cells[(cells > 0) & (cells <= grid.cells)]
            outside = len(held) < len(values)
            counts, sums = _in_bins(held - 1, starts)
            self._counts[self._body] += times * counts
            self._sums[self._body] += times * sums
        else:
            per_cell = np.bincount(cells, minlength=grid.cells + 2)
            counts = np.add.reduceat(per_cell[1:-1], starts)
            weighted = np.add.reduceat(per_cell[1:-1] * _numbering(grid.cells), starts)
            self._counts[self._body] += times * counts
            self._sums[self._body] += times * (weighted - counts * starts)
            outside = bool(per_cell[0] or per_cell[-1])
        if outside:
            strays = values[(cells == 0) | (cells > grid.cells)]
            finite = strays[np.isfinite(strays)]
            self._count_outside(strays, finite, times)
            if len(finite) < len(strays):
                values = values[np.isfinite(values)]
                low, high = (float(values.min()), float(values.max())) if len(values) else (math.inf, -math.inf)
        if self._like.lattice:
            self._between += times * grid.off_edges(values)
        # Adding zero makes -0.0 a 0.0: the two are equal, and which of them came first must not show.
        self._minimum, self._maximum = min(self._minimum, low) + 0.0, max(self._maximum, high) + 0.0

    def _count_outside(self, strays: Floats, finite: Floats, times: int) -> None:
        """Count what no cell holds: infinities, NaN, and numbers beyond the grid."""
        below, above = int(np.count_nonzero(strays == -math.inf)), int(np.count_nonzero(strays == math.inf))
        self._missing += times * (len(strays) - len(finite) - below - above)
        self._below += times * below
        self._above += times * above
        if len(finite):
            right, octave, place = self._like.grid.octaves(finite)
            bins = np.where(right == 1, len(self._like.starts) + OCTAVES + octave, OCTAVES - 1 - octave)
            self._counts += times * np.bincount(bins, minlength=len(self._counts))
            self._sums += times * np.bincount(bins, place, minlength=len(self._counts)).astype(np.int64)

    def profile(self) -> NumericalProfile:
        """What was counted so far."""
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
        )


def _in_bins(cells: Integers, starts: Integers) -> tuple[Integers, Integers]:
    """How many cells lie in each bin, and the sums of their places counted from its first cell; reorders `cells`."""
    if len(cells) <= len(starts) // 2:
        bins = np.searchsorted(starts, cells, side="right") - 1
        # Sums of whole numbers below 2^53: exact in floating point.
        sums = np.bincount(bins, cells - starts[bins], minlength=len(starts))
        return np.bincount(bins, minlength=len(starts)), sums.astype(np.int64)
    # Where each bin begins among sorted cells is sooner found than the bin of each cell.
    cells.sort()
    first = np.append(np.searchsorted(cells, starts), len(cells))
    counts = np.diff(first)
    before = np.append(0, np.cumsum(cells))
    return counts, np.diff(before[first]) - counts * starts


def frozen(array: Integers) -> Integers:
    """`array`, from now on read-only."""
    array.flags.writeable = False
    return array


def empty(name: str, values: Floats, bins: int = BINS) -> NumericalProfile:
    """A profile with nothing counted, whose bins hold about equally many of `values` each.

    A value that makes up more than one bin's share has a bin of its own. With fewer values than `bins`, every value has.
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        finite = np.zeros(1)
    grid = coarsened(fit(finite), finite)
    cells = np.empty(len(finite), np.int64)
    grid.locate(finite, cells)
    per_cell = np.bincount(cells, minlength=grid.cells + 2)[1:-1]
    occupied = np.flatnonzero(per_cell)
    held = per_cell[occupied]
    before = np.cumsum(held) - held
    total = int(held.sum())
    bin_of = before * min(bins, total) // max(total, 1)
    heavy = held * bins > total
    # The outermost bins are split in halves of rows, again and again: tails are wide, and distances count width.
    depth = total / bins
    halves = np.floor(np.log2(np.maximum(1.0, depth / np.minimum(before + held, total - before))))
    changes = (np.diff(bin_of) > 0) | (np.diff(halves) != 0) | heavy[1:]
    first = np.concatenate(([True], changes))[: len(occupied)]
    starts = np.union1d(np.zeros(1, np.int64), occupied[first])
    if len(occupied) and occupied[-1] + 1 < grid.cells:
        # Beyond the largest value begins a bin of its own, so that values out of range are told from it.
        starts = np.append(starts, occupied[-1] + 1)
    if grid.kind == "Floating":
        # Within a bin, places are averaged; that needs cells of one width.
        half = grid.cells // 2
        octave = 1 + (np.arange((half - 1) >> MANTISSA_BITS, dtype=np.int64) << MANTISSA_BITS)
        starts = np.union1d(starts, np.concatenate((half + octave, half - octave, [half])))
    lattice = grid.off_edges(finite) == 0
    size = len(starts) + 2 * OCTAVES
    nothing = frozen(np.zeros(size, np.int64))
    return NumericalProfile(
        name, grid, frozen(starts.astype(np.int64)), nothing, nothing, 0, 0, 0, 0, 0, lattice, 0, None, None
    )


def merge(first: NumericalProfile, second: NumericalProfile) -> NumericalProfile:
    """Both columns' counts together."""
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
    )
