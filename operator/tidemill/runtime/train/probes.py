"""Rows on which two forms of a model would differ, if they can: a compiled form is believed only where it agrees on these.

* real rows, and rows between them, which training never saw
* at each threshold of a tree: the numbers next to it, in single precision and between two of these
* gaps, feature by feature, where the model takes them
* numbers that single precision does not hold, and usual fill values
* rows at the edges of what was learned and far beyond, and categories that training never saw

Everything is drawn with a fixed seed, so the same model is judged by the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from tidemill.runtime.model.answer import Matrix
from tidemill.runtime.model.signature import Feature, Signature

MAX_REAL_ROWS: Final = 5_000
MAX_BETWEEN: Final = 500
MAX_THRESHOLDS: Final = 400
MAX_GAP_ROWS: Final = 10_000
MIN_GAP_ROWS_PER_FEATURE: Final = 100
MAX_UNSEEN_ROWS: Final = 200
ROWS_PER_VALUE: Final = 4
UNHELD: Final = (2.0**24 + 1, -(2.0**24) - 1, 1_700_000_001.0, 0.1 + 2.0**-30, 1e20, -1e20)
"""Whole numbers beyond what single precision counts, seconds since 1970, a fraction between two of its numbers, fill values."""
SEED: Final = 0

Threshold = tuple[int, float]
"""Index of a feature, and a number that a tree compares it with."""


def golden_rows(rows: Matrix, signature: Signature, count: int = 24) -> Matrix:
    """Return rows whose answers are kept: real ones spread over `rows`, and some at and beyond the edges of what was learned.

    Where the model takes gaps, some have them; the last two have nothing but gaps and nothing but unseen categories.
    """
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64))]
    low, high, categorical = _edges(signature)
    reach = np.where(categorical, 0.0, high - low)
    made = [low, high, low - reach, high + reach, low - 100 * reach, high + 100 * reach]
    if categorical.any():
        made.append(np.where(categorical, -1.0, chosen[0]))
    if signature.takes_missing:
        gaps = chosen[: min(4, len(chosen))].copy()
        for index, row in enumerate(gaps):
            row[index::4] = np.nan
        made += [*gaps, np.full(len(low), np.nan)]
    fillers = [low + share * (high - low) for share in np.linspace(0.1, 0.9, max(0, 20 - len(chosen) - len(made)))]
    made += [np.where(categorical, np.round(row), row) for row in fillers]
    return np.vstack([chosen, *made])


def probe_rows(rows: Matrix, signature: Signature, thresholds: Sequence[Threshold]) -> Matrix:
    """Return rows made of the real `rows` that tell two forms of a model apart where they differ; without missing values unless the model takes them."""
    rng = np.random.default_rng(SEED)
    parts = [
        golden_rows(rows, signature),
        _between(rows, signature, rng),
        _at_thresholds(rows, thresholds),
        _unheld(rows, signature, rng),
        _unseen(rows, signature, rng),
    ]
    if signature.takes_missing:
        parts.append(_gaps(rows, rng))
    return np.vstack(parts)


def _edges(signature: Signature) -> tuple[Matrix, Matrix, np.typing.NDArray[np.bool_]]:
    """The smallest and largest value of each feature, and which features are categories."""

    def largest(feature: Feature) -> float:
        return feature.maximum if feature.maximum is not None else max(len(feature.categories) - 1, 0)

    low = np.array([feature.minimum if feature.minimum is not None else 0.0 for feature in signature.features])
    high = np.array([largest(feature) for feature in signature.features], np.float64)
    return low, high, np.array([feature.type == "Categorical" for feature in signature.features])


def _between(rows: Matrix, signature: Signature, rng: np.random.Generator) -> Matrix:
    """Rows on the way from one real row to another, and rows anywhere between the edges."""
    low, high, categorical = _edges(signature)
    count = min(MAX_BETWEEN, 2 * len(rows))
    start, end = (rows[rng.integers(0, len(rows), count)] for _ in range(2))
    way = start + rng.random((count, 1)) * (end - start)
    anywhere = low + rng.random((count, len(low))) * (high - low)
    return np.where(categorical, np.vstack([start, end]), np.vstack([way, anywhere]))


def _at_thresholds(rows: Matrix, thresholds: Sequence[Threshold]) -> Matrix:
    """Real rows with one value right at a threshold, or next to it.

    Between two numbers of single precision lie numbers that are rounded to one of them. A quarter and half of a step to either side,
    at least one is rounded across the threshold, wherever between the two the threshold itself is.
    """
    probes: list[Matrix] = []
    for number, (feature, threshold) in enumerate(thresholds[:MAX_THRESHOLDS]):
        single = np.float32(threshold)
        above, below = (
            float(np.nextafter(single, np.float32(end), dtype=np.float32)) - float(single) for end in (np.inf, -np.inf)
        )
        for value in (
            threshold,
            np.nextafter(threshold, np.inf),
            np.nextafter(threshold, -np.inf),
            *(float(single) + share * step for step in (above, below) for share in (0, 0.25, 0.5, 0.75, 1)),
        ):
            row = rows[(number * 7 + len(probes)) % len(rows)].copy()
            row[feature] = value
            probes.append(row)
    made = np.array(probes, np.float64).reshape(-1, rows.shape[1])
    return made[~np.isinf(made).any(axis=1)]


def _unheld(rows: Matrix, signature: Signature, rng: np.random.Generator) -> Matrix:
    """Real rows in which one number is one that single precision does not hold, or a fill value."""
    probes = []
    for index, feature in enumerate(signature.features):
        if feature.type != "Numerical":
            continue
        for value in UNHELD:
            some = rows[rng.integers(0, len(rows), ROWS_PER_VALUE)].copy()
            some[:, index] = value
            probes.append(some)
    return np.vstack(probes) if probes else rows[:0]


def _unseen(rows: Matrix, signature: Signature, rng: np.random.Generator) -> Matrix:
    """Real rows with one category that training never saw, for each feature."""
    categorical = [index for index, feature in enumerate(signature.features) if feature.type == "Categorical"]
    probes = []
    for index in categorical:
        some = rows[rng.integers(0, len(rows), max(MAX_UNSEEN_ROWS // len(categorical), 1))].copy()
        some[:, index] = -1.0
        probes.append(some)
    return np.vstack(probes) if probes else rows[:0]


def _gaps(rows: Matrix, rng: np.random.Generator) -> Matrix:
    """Real rows without one of the values, for each feature, and without any of several."""
    features = rows.shape[1]
    count = min(len(rows), max(MAX_GAP_ROWS // features, MIN_GAP_ROWS_PER_FEATURE))
    probes = []
    for index in range(features):
        some = rows[rng.choice(len(rows), count, replace=False)].copy()
        some[:, index] = np.nan
        probes.append(some)
    several = rows[rng.choice(len(rows), count, replace=False)].copy()
    several[rng.random(several.shape) < 0.4] = np.nan
    return np.vstack([*probes, several])
