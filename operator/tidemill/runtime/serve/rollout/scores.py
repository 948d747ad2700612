"""Bins for the scores of two versions on the same rows, coarse enough that a few hundred rows fill them."""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np

from tidemill.runtime.model.labels import ClassLabels
from tidemill.runtime.model.predictor import Answer

TENTHS: Final = 10
FARTHEST: Final = 1_000
"""Bins of numbers on either side of zero; what lies beyond is counted in the last one."""
MAX_CLASSES: Final = 200
OTHER: Final = "(other)"

Counts = dict[str, int]


def binned(
    stable: Answer, candidate: Answer, labels: ClassLabels | None, candidate_labels: ClassLabels | None, spread: float
) -> tuple[Counts, Counts]:
    """Rows of both answers per bin: for two classes tenths of the second one's probability, for more the class, for regression
    halves of `spread`, the spread of the target.

    >>> one, other = Answer(np.array([0, 1]), np.array([[0.9, 0.1], [0.25, 0.75]])), Answer(np.array([0, 0]), None)
    >>> binned(one, one, Labels((0, 1)), Labels((0, 1)), 0.0)
    ({'1': 1, '7': 1}, {'1': 1, '7': 1})
    >>> binned(one, other, Labels((0, 1)), Labels((0, 1)), 0.0)
    ({'0': 1, '1': 1}, {'0': 2})
    """
    if labels is None or candidate_labels is None:
        return _numbers(stable, spread), _numbers(candidate, spread)
    if _binary(stable, labels) and _binary(candidate, candidate_labels):
        return _tenths(stable), _tenths(candidate)
    return _classes(stable, labels), _classes(candidate, candidate_labels)


def _binary(answer: Answer, labels: ClassLabels) -> bool:
    return len(labels.texts) == 2 and answer.probabilities is not None and answer.probabilities.shape[1] == 2


def _tenths(answer: Answer) -> Counts:
    assert answer.probabilities is not None, "asked before"
    places = np.clip(np.floor(answer.probabilities[:, 1] * TENTHS + 1e-9), 0, TENTHS - 1)
    return {str(int(place)): count for place, count in sorted(Counter(places.tolist()).items())}


def _classes(answer: Answer, labels: ClassLabels) -> Counts:
    counts = Counter(
        labels.texts[index] if index < MAX_CLASSES else OTHER for index in answer.values.astype(np.int64).tolist()
    )
    return dict(sorted(counts.items()))


def _numbers(answer: Answer, spread: float) -> Counts:
    width = spread / 2 if spread > 0 else 1.0
    places = np.clip(np.floor(answer.values.astype(np.float64) / width), -FARTHEST, FARTHEST)
    return {str(int(place)): count for place, count in sorted(Counter(places.tolist()).items())}
