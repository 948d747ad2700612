"""The lattice of cells that numbers are counted on: quick to compute, the same on every machine.

A value's cell is found with one subtraction and one multiplication (`Linear`), or with one subtraction and a shift of
its binary form (`Floating`, for values that spread over many powers of ten). Steps are powers of two, so whole numbers
lie exactly on a cell's left edge and no rounding depends on the machine. What lies outside the cells falls into octaves:
the first is as wide as the grid, each further one is twice as wide.

    … octave 1 | octave 0 | cell 0 | cell 1 | … | cell n-1 | octave 0 | octave 1 …
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CELLS = 1 << 16
OCTAVES = 24
POSITIONS = 1 << 16
"""How finely a value's place within an octave is noted."""

_MAX_MAGNITUDE = 2.0**900
_MIN_MAGNITUDE = 2.0**-900
MANTISSA_BITS = 9
_FLOATING_OCTAVES = 62
_SHIFT = 52 - MANTISSA_BITS
_TILE = 1 << 14
"""Values worked on at a time, so that intermediate results stay in the processor's nearest memory."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the cells lie: `Linear` from `origin` in equal steps, `Floating` around `origin` ever wider with distance."""

    kind: Literal["Linear", "Floating"]
    origin: float
    step: float
    """Linear: width of a cell. Floating: distance from `origin` below which nothing is told apart. A power of two."""
    cells: int

    def edge(self, cell: Integers) -> Floats:
        """The left edge of each cell; cell number `cells` is the grid's right end."""
        if self.kind == "Linear":
            return self.origin + self.step * cell.astype(np.float64)
        half = self.cells // 2
        away = np.where(cell >= half, cell - half, half - cell)
        exponent = math.frexp(self.step)[1] - 1
        # Cell 0 reaches from the origin to the first step; from there on a cell's number is the head of the binary form.
        bits = (away - 1 + ((exponent + 1023) << MANTISSA_BITS)) << _SHIFT
        distance = np.where(away == 0, 0.0, bits.astype(np.int64).view(np.float64))
        return np.asarray(self.origin + np.where(cell >= half, distance, -distance))

    @property
    def low(self) -> float:
        return float(self.edge(np.zeros(1, np.int64))[0])

    @property
    def high(self) -> float:
        return float(self.edge(np.array([self.cells], np.int64))[0])

    def locate(self, values: Floats, into: Integers, *, inside: bool = False) -> None:
        """Write each value's cell plus one `into` an array; 0 and `cells + 1` mean outside, and one of them NaN.

        Quicker where all values are known to lie `inside`, from `low` up to, and without, `high`.
        """
        scratch = np.empty(min(_TILE, len(values)), np.float64)
        # What overflows lies outside all the same.
        with np.errstate(over="ignore"):
            for start in range(0, len(values), _TILE):
                tile, cells = values[start : start + _TILE], into[start : start + _TILE]
                if self.kind == "Linear":
                    self._locate_linear(tile, cells, scratch[: len(tile)], inside)
                else:
                    self._locate_floating(tile, cells, scratch[: len(tile)])

    def _locate_linear(self, values: Floats, cells: Integers, place: Floats, inside: bool) -> None:
        # Both factors are powers of two or whole numbers of steps: nothing is rounded that a cell could hold.
        np.multiply(values, 1.0 / self.step, out=place)
        place += 1.0 - self.origin / self.step
        if not inside:
            # fmax and fmin take the number where the other operand is NaN.
            np.fmax(place, 0.0, out=place)
            np.fmin(place, float(self.cells + 1), out=place)
        cells[...] = place

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

    def off_edges(self, values: Floats) -> int:
        """How many finite values do not lie exactly on the left edge of a cell."""
        if self.kind == "Floating":
            return len(values)
        with np.errstate(over="ignore"):
            place = values / self.step
        return int(np.count_nonzero(place != np.floor(place)))

    def octaves(self, values: Floats) -> tuple[Integers, Integers, Integers]:
        """Of finite values outside the cells: whether left (0) or right (1), the octave, and the place within it."""
        span = self.high - self.low
        right = values >= self.high
        with np.errstate(over="ignore"):
            excess = np.where(right, values / span - self.high / span, self.low / span - values / span)
        mantissa, exponent = np.frexp(np.clip(excess, 0.0, 2.0**OCTAVES) + 1.0)
        octave = np.minimum(exponent.astype(np.int64) - 1, OCTAVES - 1)
        place = ((2.0 * mantissa - 1.0) * POSITIONS).astype(np.int64)
        place = np.where(exponent - 1 >= OCTAVES, POSITIONS - 1, place)
        return right.astype(np.int64), octave, place

    def octave_edges(self) -> Floats:
        """Distances from the grid's end at which octaves begin, one more than there are octaves."""
        return np.asarray((self.high - self.low) * (2.0 ** np.arange(OCTAVES + 1) - 1.0))


def linear(low: float, high: float) -> Grid:
    """A grid of equal cells from `low` to `high`, both included.

    >>> grid = linear(0, 9)
    >>> grid.step, grid.low, grid.cells
    (0.000244140625, 0.0, 36865)
    """
    low, high = (min(max(end, -_MAX_MAGNITUDE), _MAX_MAGNITUDE) for end in (low, high))
    if low >= high:
        high = low + (abs(low) or 1.0)
    width = max((high - low) / (CELLS - 2), _MIN_MAGNITUDE)
    # Cells finer than the numbers themselves would put neighbours into one cell and leave others empty for ever.
    width = max(width, math.ulp(max(abs(low), abs(high))))
    step = 2.0 ** math.ceil(math.log2(width))
    origin = math.floor(low / step) * step
    return Grid("Linear", origin, step, int((high - origin) / step) + 1)


def floating(centre: float, reach: float) -> Grid:
    """A grid around `centre` up to at least the distance `reach` on both sides, finest at the centre."""
    exponent = math.frexp(min(max(reach, _MIN_MAGNITUDE * 2.0**64), _MAX_MAGNITUDE))[1]
    half = (_FLOATING_OCTAVES << MANTISSA_BITS) + 1
    return Grid("Floating", centre, 2.0 ** (exponent - _FLOATING_OCTAVES), 2 * half)


def coarsened(grid: Grid, values: Floats) -> Grid:
    """A linear grid whose steps are as large as they may be for `values` to stay on edges; `grid` where they are not."""
    if grid.kind != "Linear" or grid.off_edges(values[:1000]) or grid.off_edges(values):
        return grid
    low, high = float(values.min()), float(values.max())
    if max(abs(low), abs(high)) / grid.step >= 2.0**53:
        return grid
    # The lowest bit that any place has is the largest power of two that divides them all.
    places = (values / grid.step).astype(np.int64)
    bits = int(np.bitwise_or.reduce(places - places[0]))
    step = grid.step * (bits & -bits) if bits else grid.step
    cells = int((high - low) / step) + 1
    return Grid("Linear", low, step, cells) if cells <= CELLS and (low / step).is_integer() else grid


def fit(values: Floats) -> Grid:
    """The grid on which `values` (finite, at least one) are best told apart.

    Tried are the whole range, its middle without the outermost thousandths, and ever wider cells around the median or
    the smallest value; the first one that is nearly as good as the best wins.
    """
    low, high = float(values.min()), float(values.max())
    sample = values if len(values) <= 1 << 17 else values[:: -(-len(values) // (1 << 17))]
    if len(values) < 2000 or low == high:
        candidates = [linear(low, high)]
    else:
        inner_low, median, inner_high = (float(edge) for edge in np.quantile(sample, (0.001, 0.5, 0.999)))
        margin = inner_high - inner_low
        candidates = [
            linear(low, high),
            linear(max(low, inner_low - margin), min(high, inner_high + margin)),
            floating(median, max(median - max(low, inner_low - margin), min(high, inner_high + margin) - median)),
            floating(low, max(min(high, inner_high + margin) - low, 0.0)),
        ]
    if len(candidates) == 1:
        return candidates[0]
    cells = np.empty(len(sample), np.int64)
    crowding = []
    for grid in candidates:
        grid.locate(sample, cells)
        shares = np.bincount(cells, minlength=grid.cells + 2) / len(sample)
        crowding.append(float(shares @ shares))
    enough = 1.1 * min(crowding) + 1e-5
    return next(grid for grid, crowd in zip(candidates, crowding, strict=True) if crowd <= enough)
