"""The grid of cells that numbers are counted on: quick to compute, the same on every machine.

A value's cell is found with one subtraction and one multiplication (`Linear`), with one subtraction and a shift of its
binary form (`Floating`, for values that spread over many powers of ten), or with a search for its piece and then as on a
linear grid (`Pieces`, for modes far apart). Each way never puts the larger of two values into the lower cell, so the order of
cells is the order of values, whatever is rounded. What lies outside the cells falls into octaves: the first is as wide as
the grid, each further one is twice as wide, and all that lies beyond the last is "far".

    far | … octave 1 | octave 0 | cell 0 | cell 1 | … | cell n-1 | octave 0 | octave 1 … | far
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Truths = NDArray[np.bool_]

CELLS = 1 << 16
OCTAVES = 24
OUTSIDE = OCTAVES + 1
"""Bins on either side of the grid: the octaves, and what is far."""
POSITIONS = 1 << 16
"""The resolution with which a value's position within an octave is noted."""

MAX_MAGNITUDE = 2.0**900
MIN_MAGNITUDE = 2.0**-900
MANTISSA_BITS = 9
_FLOATING_OCTAVES = 62
_SHIFT = 52 - MANTISSA_BITS
_TILE = 1 << 14
"""Values worked on at a time, so that intermediate results stay in the processor's nearest memory."""
_EXACT_BITS = 1126
"""Sums of `exact_sum` count units of 2^-1126, of which every float64 is a whole number."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells: `Linear` from `origin` in equal steps, `Floating` around `origin` ever wider with distance, `Pieces` with a step each."""

    kind: Literal["Linear", "Floating", "Pieces"]
    origin: float
    step: float
    """Width of a cell, a power of two; of pieces the least. Floating: the distance from `origin` below which nothing is told apart."""
    cells: int
    breaks: tuple[float, ...] = ()
    """Pieces: where each begins, and where the last one ends."""
    steps: tuple[float, ...] = ()
    """Pieces: the width of a cell of each."""

    def edge(self, cell: Integers) -> Floats:
        """Return the left edge of each cell; cell number `cells` is the grid's right end."""
        if self.kind == "Linear":
            return self.origin + self.step * cell.astype(np.float64)
        if self.kind == "Pieces":
            pieces = _pieces(self)
            piece = np.searchsorted(pieces.first[1:-1], cell, side="right")
            edges = pieces.breaks[piece] + pieces.steps[piece] * (cell - pieces.first[piece])
            return np.asarray(np.minimum(edges, pieces.breaks[piece + 1]))
        half = self.cells // 2
        away = np.where(cell >= half, cell - half, half - cell)
        exponent = math.frexp(self.step)[1] - 1
        # Cell 0 reaches from the origin to the first step; from there on a cell's number is the head of the binary form.
        bits = (away - 1 + ((exponent + 1023) << MANTISSA_BITS)) << _SHIFT
        distance = np.where(away == 0, 0.0, bits.astype(np.int64).view(np.float64))
        return np.asarray(self.origin + np.where(cell >= half, distance, -distance))

    @property
    def low(self) -> float:
        """The left end of the first cell."""
        return float(self.edge(np.zeros(1, np.int64))[0])

    @property
    def high(self) -> float:
        """The right end of the last cell."""
        return float(self.edge(np.array([self.cells], np.int64))[0])

    @property
    def seams(self) -> Integers:
        """Cells at which the width of cells changes: a bin must begin there, since positions within a bin are averaged."""
        if self.kind == "Pieces":
            return _pieces(self).first[:-1]
        if self.kind == "Floating":
            half = self.cells // 2
            octave = 1 + (np.arange((half - 1) >> MANTISSA_BITS, dtype=np.int64) << MANTISSA_BITS)
            return np.unique(np.concatenate((half + octave, half - octave, [half])))
        return np.empty(0, np.int64)

    def locate(self, values: Floats, into: Integers, *, inside: bool = False) -> None:
        """Write each value's cell plus one `into` an array; 0 and `cells + 1` mean outside, and one of them NaN.

        Quicker where all values are known to lie `inside`, from `low` up to, and without, `high`; even then a value just below
        `high` may be rounded to `cells + 1`.
        """
        scratch = np.empty(min(_TILE, len(values)), np.float64)
        # What overflows lies outside all the same.
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, len(values), _TILE):
                tile, cells = values[start : start + _TILE], into[start : start + _TILE]
                if self.kind == "Linear":
                    self._locate_linear(tile, cells, scratch[: len(tile)], inside)
                elif self.kind == "Floating":
                    self._locate_floating(tile, cells, scratch[: len(tile)])
                else:
                    self._locate_in_pieces(tile, cells)

    def _locate_linear(self, values: Floats, cells: Integers, position: Floats, inside: bool) -> None:
        # Both factors are powers of two or whole numbers of steps: nothing is rounded that a cell could hold.
        np.multiply(values, 1.0 / self.step, out=position)
        position += 1.0 - self.origin / self.step
        if not inside:
            # fmax and fmin take the number where the other operand is NaN.
            np.fmax(position, 0.0, out=position)
            np.fmin(position, float(self.cells + 1), out=position)
        cells[...] = position

    def _locate_floating(self, values: Floats, cells: Integers, distance: Floats) -> None:
        half = self.cells // 2
        base = ((math.frexp(self.step)[1] - 1 + 1023) << MANTISSA_BITS) - 1
        np.subtract(values, self.origin, out=distance)
        bits = distance.view(np.int64)
        negative = bits >> 63
        np.bitwise_and(bits, 0x7FFF_FFFF_FFFF_FFFF, out=cells)
        cells >>= _SHIFT
        cells -= base
        np.clip(cells, 0, half, out=cells)
        cells ^= negative  # -1 - cell on the left of the origin
        cells += half + 1

    def _locate_in_pieces(self, values: Floats, cells: Integers) -> None:
        pieces = _pieces(self)
        piece = np.searchsorted(pieces.breaks[1:-1], values, side="right")
        position = (values - pieces.breaks[piece]) / pieces.steps[piece]
        np.fmax(position, 0.0, out=position)
        first = pieces.first[piece]
        cells[...] = np.minimum(position, (pieces.first[piece + 1] - first - 1).astype(np.float64))
        cells += first + 1
        cells[~(values >= pieces.breaks[0])] = 0
        cells[values >= pieces.breaks[-1]] = self.cells + 1

    def off_edges(self, values: Floats) -> int:
        """Return how many finite values do not lie exactly on the left edge of a cell."""
        if self.kind != "Linear":
            return len(values)
        with np.errstate(over="ignore"):
            position = values * (1.0 / self.step)
        return int(np.count_nonzero(position != np.floor(position)))

    def octaves(self, values: Floats, right: Truths) -> tuple[Integers, Integers]:
        """Return the octave (`OCTAVES` means far) and the position within it of finite values left or `right` of the cells."""
        low, high = self.low, self.high
        with np.errstate(over="ignore"):
            excess = np.where(right, values - high, low - values) / (high - low)
        # A value that was rounded across the grid's end lies at the beginning of the first octave.
        mantissa, exponent = np.frexp(np.clip(excess, 0.0, 2.0**OCTAVES) + 1.0)
        octave = np.minimum(exponent.astype(np.int64) - 1, OCTAVES)
        position = ((2.0 * mantissa - 1.0) * POSITIONS).astype(np.int64)
        return octave, np.where(octave == OCTAVES, 0, position)

    def octave_edges(self) -> Floats:
        """Return the distances from the grid's end at which octaves begin, one more than there are octaves."""
        return np.asarray((self.high - self.low) * (2.0 ** np.arange(OCTAVES + 1) - 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class _Pieces:
    """The pieces of a grid as arrays."""

    breaks: Floats
    steps: Floats
    first: Integers
    """The first cell of each piece, and the number of all cells."""


@lru_cache(maxsize=256)
def _pieces(grid: Grid) -> _Pieces:
    breaks, steps = np.array(grid.breaks), np.array(grid.steps)
    return _Pieces(breaks, steps, np.append(0, np.cumsum(cells_of_pieces(breaks, steps))))


def cells_of_pieces(breaks: Floats, steps: Floats) -> Integers:
    """Return how many cells each piece has."""
    return np.maximum(1, np.rint(np.diff(breaks) / steps)).astype(np.int64)


def pieces(breaks: Floats, steps: Floats) -> Grid:
    """Return a grid of pieces that begin at `breaks`, the last of which is the end, with whole cells of about these widths."""
    cells = int(cells_of_pieces(breaks, steps).sum())
    steps = np.diff(breaks) / cells_of_pieces(breaks, steps)
    return Grid("Pieces", float(breaks[0]), float(steps.min()), cells, tuple(breaks.tolist()), tuple(steps.tolist()))


def linear(low: float, high: float) -> Grid:
    """Return a grid of equal cells from `low` to `high`, both included.

    >>> grid = linear(0, 9)
    >>> grid.step, grid.low, grid.cells
    (0.000244140625, 0.0, 36865)
    """
    low, high = (min(max(end, -MAX_MAGNITUDE), MAX_MAGNITUDE) for end in (low, high))
    if low >= high:
        high = low + (abs(low) or 1.0)
    width = max((high - low) / (CELLS - 2), MIN_MAGNITUDE)
    # Cells finer than the numbers themselves would put neighbours into one cell and leave others always empty.
    width = max(width, math.ulp(max(abs(low), abs(high))))
    step = 2.0 ** math.ceil(math.log2(width))
    origin = math.floor(low / step) * step
    return Grid("Linear", origin, step, int((high - origin) / step) + 1)


def floating(centre: float, reach: float) -> Grid:
    """Return a grid around `centre` up to at least the distance `reach` on both sides, finest at the centre."""
    centre = min(max(centre, -MAX_MAGNITUDE / 1024), MAX_MAGNITUDE / 1024)
    reach = max(reach, MIN_MAGNITUDE * 2.0**64, 4 * math.ulp(centre))
    exponent = math.frexp(min(reach, MAX_MAGNITUDE))[1]
    half = (_FLOATING_OCTAVES << MANTISSA_BITS) + 1
    return Grid("Floating", centre, 2.0 ** (exponent - _FLOATING_OCTAVES), 2 * half)


def exact_sum(values: Floats) -> int:
    """Return the sum of finite values in units of 2^-1126 without any rounding, so that sums add up in any order.

    >>> exact_sum(np.array([1e300, 1.0, -1e300])) == exact_sum(np.array([1.0]))
    True
    """
    mantissas, exponents = np.frexp(values)
    whole = np.ldexp(mantissas, 53).astype(np.int64)
    total = 0
    for exponent in np.unique(exponents).tolist():
        held = whole[exponents == exponent]
        # Halves of 27 bits, whose sums of billions fit into 64.
        upper, lower = int((held >> 26).sum()), int((held & ((1 << 26) - 1)).sum())
        total += ((upper << 26) + lower) << (exponent - 53 + _EXACT_BITS)
    return total


def exact_mean(total: int, count: int) -> float:
    """Return the float64 nearest to the mean of `count` values whose `exact_sum` is `total`.

    >>> exact_mean(exact_sum(np.array([0.25, 0.75])), 2)
    0.5
    """
    return total / (count << _EXACT_BITS)
