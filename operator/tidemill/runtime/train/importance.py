"""Measures which features a model's answers depend on, and warns of features that know too much."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tidemill.runtime.model.predictor import Answer, Matrix
from tidemill.runtime.model.signature import Feature

_MAX_ROWS: Final = 2_000
_REPEATS: Final = 3
_MANY_FEATURES: Final = 200
_TOO_GOOD: Final = 0.995
_ENOUGH_ROWS: Final = 50


def permutation_importance(
    ask: Callable[[Matrix], Answer], matrix: Matrix, truth: NDArray[Any], seed: int
) -> NDArray[np.float64]:
    """Return how much worse the answers get when one feature's values are permuted among the rows, scaled to a sum of 1.

    Worse means log loss where there are probabilities, else the share of wrong answers; squared error for regression. All
    zero where no feature matters. (Breiman, 2001)
    """
    rng = np.random.default_rng(seed)
    if len(matrix) > _MAX_ROWS:
        chosen = np.sort(rng.choice(len(matrix), _MAX_ROWS, replace=False))
        matrix, truth = matrix[chosen], truth[chosen]
    before = _loss(ask(matrix), truth)
    repeats = _REPEATS if matrix.shape[1] <= _MANY_FEATURES else 1
    increases = np.zeros(matrix.shape[1])
    shuffled = matrix.copy()
    for index in range(matrix.shape[1]):
        if (matrix[:, index] == matrix[0, index]).all():
            continue
        for _ in range(repeats):
            shuffled[:, index] = rng.permutation(matrix[:, index])
            increases[index] += _loss(ask(shuffled), truth) - before
        shuffled[:, index] = matrix[:, index]
    increases = np.maximum(increases, 0.0)
    total = float(increases.sum())
    return increases / total if total > 0 else increases


def _loss(answer: Answer, truth: NDArray[Any]) -> float:
    if not np.issubdtype(truth.dtype, np.integer):
        return float(np.mean(np.square(answer.values - truth)))
    if answer.probabilities is None:
        return float(np.mean(answer.values != truth))
    right = np.asarray(answer.probabilities, np.float64)[np.arange(len(truth)), truth]
    return float(-np.mean(np.log(np.clip(right, 1e-12, 1.0))))


def know_too_much(matrix: Matrix, truth: NDArray[Any], features: Sequence[Feature]) -> tuple[str, ...]:
    """A sentence for each feature that gives the answer away all by itself, as one does that is only known afterwards."""
    if len(truth) < _ENOUGH_ROWS:
        return ()
    classification = np.issubdtype(truth.dtype, np.integer)
    sentences = []
    for index, feature in enumerate(features):
        values = matrix[:, index]
        there = ~np.isnan(values)
        if there.sum() < _ENOUGH_ROWS:
            continue
        worth = (
            _separation(values[there], truth[there]) if classification else _correlation(values[there], truth[there])
        )
        if feature.type == "Numerical" and worth >= _TOO_GOOD:
            sentences.append(
                f"feature {feature.name!r} alone tells the answer ({worth:.3f} of 1): make sure that it is known before the answer is"
            )
    return tuple(sentences)


def _separation(values: NDArray[np.float64], truth: NDArray[Any]) -> float:
    """The mean over the classes of how well the values alone tell a class from the others, as area under the ROC curve."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[index]
    areas = []
    for label in np.unique(truth):
        positive = truth == label
        size, others = float(positive.sum()), float((~positive).sum())
        if others:
            area = (float(rank[positive].sum()) - size * (size + 1) / 2) / (size * others)
            areas.append(max(area, 1 - area))
    return float(np.mean(areas)) if areas else 0.0


def _correlation(values: NDArray[np.float64], truth: NDArray[Any]) -> float:
    if values.std() == 0 or truth.std() == 0:
        return 0.0
    return float(abs(np.corrcoef(values, truth)[0, 1]))
