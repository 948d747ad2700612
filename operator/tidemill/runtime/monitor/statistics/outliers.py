"""Find rows unlike any that the version was trained on: farther from the middle, along what columns usually do together, than all but
a hundredth of the reference's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tidemill.runtime.profile.grid import Floats

EXPECTED: Final = 0.01
"""Share of the reference's own rows that count as outliers."""


@dataclass(frozen=True, slots=True, eq=False)
class OutlierModel:
    """The distances of ordinary rows from the middle (Mahalanobis, with a shrunken covariance)."""

    centre: Floats
    whitening: Floats
    limit: float

    @classmethod
    def of(cls, points: Floats) -> OutlierModel:
        """Fitted to every other row, with the limit from those between; raises ValueError with fewer than 50 rows."""
        fitted, measured = points[::2], points[1::2]
        if len(measured) < 25:
            raise ValueError("outliers need a reference of at least 50 rows")
        centre = fitted.mean(axis=0)
        covariance = np.atleast_2d(np.cov(fitted, rowvar=False))
        width = len(covariance)
        # With few rows the covariance is mostly chance; the share of a ball that is mixed in falls with the rows.
        mixed = min(1.0, width / len(fitted) + 0.01)
        covariance = (1 - mixed) * covariance + mixed * np.eye(width) * max(float(np.trace(covariance)) / width, 1e-9)
        values, vectors = np.linalg.eigh(covariance)
        model = cls(centre, vectors / np.sqrt(np.maximum(values, 1e-12)), 0.0)
        return cls(centre, model.whitening, float(np.quantile(model.distances(measured), 1 - EXPECTED)))

    def distances(self, points: Floats) -> Floats:
        """Return the distance of each row from the middle."""
        return np.asarray(np.sqrt(np.square((points - self.centre) @ self.whitening).sum(axis=1)))

    def outliers(self, points: Floats) -> int:
        """Return how many of the rows lie beyond the limit."""
        return int((self.distances(points) > self.limit).sum())
