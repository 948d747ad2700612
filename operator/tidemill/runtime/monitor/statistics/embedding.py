"""Test whether two tables are drawn from one joint distribution: maximum mean discrepancy by random Fourier features.

A row becomes cosines and sines along random directions; the average of many rows is where their distribution lies, and the
distance of two such averages is zero only where the distributions agree. Averages are kept as whole-number sums: they add
up exactly across batches, shards and pods, in memory that no number of rows changes.
(Rahimi and Recht, 2007; Gretton et al., A kernel two-sample test, 2012)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from tidemill.runtime.profile.grid import Floats, Integers

DIRECTIONS: Final = 256
_WIDTHS: Final = (0.5, 1.0, 2.0)
"""Kernels so much wider than the median distance of two rows; their average is used."""
_UNIT: Final = float(1 << 30)
_STEP: Final = 1 / 1024
_TILE: Final = 2048
_MEDIAN_ROWS: Final = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """The average position of rows."""

    rows: int
    sums: Integers
    """Per cosine, then per sine, the sum over all rows in units of 2^-30."""

    def merge(self, other: Embedding) -> Embedding:
        """Return the embedding of both tables' rows together; exact, so the order does not matter."""
        return Embedding(self.rows + other.rows, self.sums + other.sums)

    @property
    def mean(self) -> Floats:
        return self.sums / (_UNIT * max(1, self.rows))


class Discrepancy(NamedTuple):
    """The distance of two distributions, and how often chance alone puts samples so far apart."""

    value: float
    """The root of the unbiased estimate of the squared discrepancy, at least 0; at most √2."""
    p_value: float


@dataclass(frozen=True, slots=True, eq=False)
class Directions:
    """Random directions in a space of points, multiples of 1/1024, so that projections of points are exact."""

    weights: Floats
    """[coordinates, directions]"""

    @classmethod
    def drawn(cls, reference: Floats, *, seed: int = 7, count: int = DIRECTIONS) -> Directions:
        """Directions for a Gaussian kernel whose width is the median distance of the reference's rows."""
        random = np.random.default_rng(seed)
        chosen = reference[random.permutation(len(reference))[:_MEDIAN_ROWS]]
        half = len(chosen) // 2
        apart = np.sqrt(np.square(chosen[:half] - chosen[half : 2 * half]).sum(axis=1)) if half else np.zeros(0)
        median = float(np.median(apart[apart > 0])) if (apart > 0).any() else 1.0
        widths = np.resize(np.array(_WIDTHS), count) * median
        drawn = random.normal(size=(reference.shape[1], count)) / widths
        return cls(np.rint(np.clip(drawn, -64, 64) / _STEP) * _STEP)

    def features(self, points: Floats) -> Floats:
        """[rows, 2 × directions]; every row has length 1."""
        angles = points @ self.weights
        scale = 1 / math.sqrt(self.weights.shape[1])
        return np.concatenate((np.cos(angles), np.sin(angles)), axis=1) * scale

    def embed(self, points: Floats) -> Embedding:
        """The sums of these rows."""
        count = self.weights.shape[1]
        sums = np.zeros(2 * count, np.int64)
        unit = _UNIT / math.sqrt(count)
        for start in range(0, len(points), _TILE):
            angles = points[start : start + _TILE] @ self.weights
            sums[:count] += np.rint(np.cos(angles) * unit).astype(np.int64).sum(axis=0)
            sums[count:] += np.rint(np.sin(angles) * unit).astype(np.int64).sum(axis=0)
        return Embedding(len(points), sums)


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedReference:
    """The reference's place, and how much samples of it scatter."""

    directions: Directions
    embedding: Embedding
    moments: tuple[float, float, float]
    """Sums of the first three powers of the eigenvalues of the features' covariance."""

    @classmethod
    def of(cls, points: Floats, *, seed: int = 7) -> EmbeddedReference:
        """From a reference's rows, at least two of them."""
        directions = Directions.drawn(points, seed=seed)
        features = directions.features(points)
        covariance = np.cov(features, rowvar=False)
        squared = covariance @ covariance
        moments = (
            float(np.trace(covariance)),
            float(np.square(covariance).sum()),
            float((squared * covariance).sum()),
        )
        return cls(directions, directions.embed(points), moments)

    def discrepancy(self, window: Embedding) -> Discrepancy:
        """Return how far the window's rows are from the reference's; raises ValueError with fewer than two rows."""
        n, m = self.embedding.rows, window.rows
        if min(n, m) < 2:
            raise ValueError("a discrepancy needs at least two rows on both sides")
        here, there = self.embedding.mean, window.mean
        apart = float(np.square(here - there).sum())
        # Rows have length 1, so what a row adds to its own average is known.
        own = (1 - float(np.square(here).sum())) / (n - 1) + (1 - float(np.square(there).sum())) / (m - 1)
        scaled = apart / (1 / n + 1 / m)
        return Discrepancy(math.sqrt(max(0.0, apart - own)), weighted_chi_square_tail(scaled, *self.moments))


def weighted_chi_square_tail(value: float, first: float, second: float, third: float) -> float:
    """The probability that Σ λ χ²₁ exceeds `value`, from the sums of λ, λ² and λ³, by a gamma variable with the same
    mean, variance and skew. (Hall, 1983; Buckley and Eagleson, 1988)

    >>> round(weighted_chi_square_tail(18.307, 10, 10, 10), 3)
    0.05
    """
    from scipy.special import chdtrc

    if second <= 0 or third <= 0:
        return 1.0 if value <= first else 0.0
    degrees = second**3 / third**2
    standard = (value - first) / math.sqrt(2 * second)
    return float(chdtrc(degrees, max(0.0, degrees + standard * math.sqrt(2 * degrees))))
