"""A summary of the rows that a version was trained on: a few real rows, and the distribution of each feature.

Made at training and kept in the version's folder; explanations replace features by those of the real rows, and the outlier
score asks how far out a row's values lie. Numbers are kept as quantiles, categories as shares.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from tidemill.runtime.model.answer import Matrix
from tidemill.runtime.model.signature import Signature

ROWS: Final = 64
QUANTILES: Final = 513
SCORED_ROWS: Final = 5_000

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Background:
    """Rows and values as they were in training."""

    rows: Matrix
    """Some of the rows, [at most ROWS, features]."""
    count: int
    """Number of training rows."""
    quantiles: tuple[Numbers, ...]
    """For each feature its values at evenly spaced shares from 0 to 1; for a category the share of each, by index."""
    gaps: Numbers
    """For each feature the share of rows without a value."""
    scores: Numbers = field(default_factory=lambda: np.zeros(0))
    """Outlier scores of training rows at evenly spaced shares from 0 to 1."""

    def score(self, matrix: Matrix, signature: Signature) -> Numbers:
        """Return the outlier score of each row: the sum over features of -log of the share of training rows that lie as far out.

        Left tails, right tails, and the nearer of the two are summed apart, and the largest sum counts; a category's share
        is its tail. A missing value is as rare as it was in training. (ECOD: Li et al., 2022)
        """
        floor = 1 / (2 * self.count)
        left, right, nearer = (np.zeros(len(matrix)) for _ in range(3))
        for index, feature in enumerate(signature.features):
            values, known = matrix[:, index].astype(np.float64), self.quantiles[index]
            missing = np.isnan(values)
            if feature.type == "Categorical":
                inside = ~missing & (values >= 0) & (values < len(known))
                low = np.full(len(values), floor)
                low[inside] = known[values[inside].astype(np.int64)]
                high = low
            else:
                low, high = (
                    _share_up_to(known, values),
                    _share_up_to(-known[::-1], -values),
                )
            low, high = (
                np.where(missing, self.gaps[index], tail * (1 - self.gaps[index])).clip(floor) for tail in (low, high)
            )
            left -= np.log(low)
            right -= np.log(high)
            nearer -= np.log(np.minimum(low, high))
        return np.maximum(np.maximum(left, right), nearer)

    def rank(self, matrix: Matrix, signature: Signature) -> Numbers:
        """The share of training rows that lie less far out than each row, from 0 to 1."""
        return _share_up_to(self.scores, self.score(matrix, signature))

    def to_json(self) -> bytes:
        """As JSON; a missing value is null."""
        return orjson.dumps(
            {
                "rows": np.ascontiguousarray(self.rows),
                "count": self.count,
                "quantiles": list(self.quantiles),
                "gaps": self.gaps,
                "scores": self.scores,
            },
            option=orjson.OPT_SERIALIZE_NUMPY,
        )

    @classmethod
    def from_json(cls, text: bytes) -> Background:
        """Return what `to_json` wrote."""
        wire: dict[str, Any] = orjson.loads(text)
        return cls(
            np.array(wire["rows"], np.float64),
            wire["count"],
            tuple(np.array(values, np.float64) for values in wire["quantiles"]),
            np.array(wire["gaps"], np.float64),
            np.array(wire["scores"], np.float64),
        )


def of(matrix: Matrix, signature: Signature, seed: int) -> Background:
    """Return the summary of `matrix`, the rows that a model was trained on; at least one row."""
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(len(matrix), min(ROWS, len(matrix)), replace=False))
    scored = np.sort(rng.choice(len(matrix), min(SCORED_ROWS, len(matrix)), replace=False))
    quantiles = []
    for index, feature in enumerate(signature.features):
        values = matrix[:, index]
        values = values[~np.isnan(values)]
        if feature.type == "Categorical":
            counts = np.bincount(values[values >= 0].astype(np.int64), minlength=len(feature.categories))
            quantiles.append(counts / max(len(values), 1))
        elif len(values):
            kept = min(QUANTILES, len(values))
            # Real values at whole places: with few rows these are all of them, and the shares are exact.
            quantiles.append(np.sort(values)[np.arange(kept) * (len(values) - 1) // max(kept - 1, 1)])
        else:
            quantiles.append(np.zeros(1))
    background = Background(matrix[chosen], len(matrix), tuple(quantiles), np.isnan(matrix).mean(axis=0))
    scores = np.quantile(background.score(matrix[scored], signature), np.linspace(0, 1, QUANTILES))
    return Background(background.rows, background.count, background.quantiles, background.gaps, scores)


def _share_up_to(quantiles: Numbers, values: Numbers) -> Numbers:
    """The share of what `quantiles` describe that is at most each value."""
    if not len(quantiles):
        return np.ones(len(values))
    return np.searchsorted(quantiles, values, side="right") / len(quantiles)
