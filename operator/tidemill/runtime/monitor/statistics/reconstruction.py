"""Test whether rows still lie where the reference's main directions can follow them: error of a reconstruction by principal components.

Finds broken relations among columns whose own distributions stay as they were. Errors are summed as whole numbers, so that
windows add up exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from tidemill.runtime.profile.grid import Floats

EXPLAINED: Final = 0.65
"""Components are taken until they explain so much of the variance."""
_UNIT: Final = float(1 << 20)


class Errors(NamedTuple):
    """Reconstruction errors of rows, in units of 2^-20."""

    rows: int
    total: int

    def merge(self, other: Errors) -> Errors:
        return Errors(self.rows + other.rows, self.total + other.total)


class Shift(NamedTuple):
    """The distance that errors have moved."""

    value: float
    """Difference of the mean errors in standard deviations of the reference's."""
    z: float
    """The same in standard errors."""


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """The reference's main directions, and how well they describe rows that they were not fitted to."""

    centre: Floats
    scale: Floats
    directions: Floats
    rows: int
    mean: float
    deviation: float

    @classmethod
    def of(cls, points: Floats) -> Components:
        """Fitted to every other row, measured on those between; raises ValueError with fewer than eight rows."""
        fitted, measured = points[::2], points[1::2]
        if len(measured) < 4:
            raise ValueError("principal components need at least eight rows")
        centre, scale = fitted.mean(axis=0), fitted.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        _, lengths, directions = np.linalg.svd((fitted - centre) / scale, full_matrices=False)
        share = np.cumsum(np.square(lengths)) / max(float(np.square(lengths).sum()), np.finfo(float).tiny)
        count = min(len(lengths), int(np.searchsorted(share, EXPLAINED)) + 1)
        components = cls(centre, scale, directions[:count], 0, 0.0, 0.0)
        errors = components.errors(measured)
        return cls(centre, scale, directions[:count], len(errors), float(errors.mean()), float(errors.std(ddof=1)))

    def errors(self, points: Floats) -> Floats:
        """The distance of each row from its reconstruction."""
        standard = (points - self.centre) / self.scale
        left = standard - (standard @ self.directions.T) @ self.directions
        return np.asarray(np.sqrt(np.square(left).sum(axis=1)))

    def add(self, points: Floats) -> Errors:
        """The errors of these rows, summed."""
        return Errors(len(points), int(np.rint(self.errors(points) * _UNIT).astype(np.int64).sum()))

    def shift(self, window: Errors) -> Shift:
        """Return how far the window's errors have moved from the reference's."""
        if not window.rows:
            raise ValueError("nothing was counted: a shift needs at least one row")
        moved = window.total / _UNIT / window.rows - self.mean
        if self.deviation == 0:
            return Shift(0.0, 0.0) if abs(moved) < 1e-6 else Shift(math.inf, math.inf)
        value = moved / self.deviation
        return Shift(value, value / math.sqrt(1 / self.rows + 1 / window.rows))
