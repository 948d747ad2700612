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
    stable: Answer,
    candidate: Answer,
    labels: ClassLabels | None,
    candidate_labels: ClassLabels | None,
    target_std: float,
) -> tuple[Counts, Counts]:
    """Rows of both answers per bin: for two classes tenths of the second one's probability, for more the class, for regression
    halves of `target_std`, the standard deviation of the target.

    >>> first, second = Answer(np.array([0, 1]), np.array([[0.9, 0.1], [0.25, 0.75]])), Answer(np.array([0, 0]), None)
    >>> binned(first, first, ClassLabels((0, 1)), ClassLabels((0, 1)), 0.0)
    ({'1': 1, '7': 1}, {'1': 1, '7': 1})
    >>> binned(first, second, ClassLabels((0, 1)), ClassLabels((0, 1)), 0.0)
    ({'0': 1, '1': 1}, {'0': 2})
    """
    if labels is None or candidate_labels is None:
        return _numbers(stable, target_std), _numbers(candidate, target_std)
    if _binary(stable, labels) and _binary(candidate, candidate_labels):
        return _tenths(stable), _tenths(candidate)
    return _classes(stable, labels), _classes(candidate, candidate_labels)


def _binary(answer: Answer, labels: ClassLabels) -> bool:
    return len(labels.texts) == 2 and answer.probabilities is not None and answer.probabilities.shape[1] == 2


def _tenths(answer: Answer) -> Counts:
    assert answer.probabilities is not None, "asked before"
    bins = np.clip(np.floor(answer.probabilities[:, 1] * TENTHS + 1e-9), 0, TENTHS - 1)
    return {str(int(index)): count for index, count in sorted(Counter(bins.tolist()).items())}


def _classes(answer: Answer, labels: ClassLabels) -> Counts:
    counts = Counter(
        labels.texts[index] if index < MAX_CLASSES else OTHER for index in answer.values.astype(np.int64).tolist()
    )
    return dict(sorted(counts.items()))


def _numbers(answer: Answer, target_std: float) -> Counts:
    width = target_std / 2 if target_std > 0 else 1.0
    # Divided by a small width a large number is infinite, which is far enough out; what is not a number counts as far out too.
    with np.errstate(over="ignore"):
        scaled = np.nan_to_num(np.floor(answer.values.astype(np.float64) / width), nan=FARTHEST)
    bins = np.clip(scaled, -FARTHEST, FARTHEST)
    return {str(int(index)): count for index, count in sorted(Counter(bins.tolist()).items())}
