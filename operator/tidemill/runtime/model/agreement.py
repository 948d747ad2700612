"""Compares the answers of two forms of a model: labels equal, probabilities within 1e-5, numbers within 1e-5 of their robust standard deviation.

Where two classes are as probable to within 1e-6, rounding alone decides which of them scikit-learn names, and either may be named.

The error that a number may have is relative to what distinguishes answers: the robust standard deviation of ordinary answers, or for an
answer far away from these its own distance. Neither an offset that all answers share nor one huge answer makes it larger.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tidemill.runtime.model.answer import Answer, finite_rows

PROBABILITY_TOLERANCE: Final = 1e-5
"""Largest difference between a compiled model's probabilities and the estimator's."""
TIE: Final = 1e-6
"""Classes whose probabilities differ by at most this are as probable."""
VALUE_TOLERANCE: Final = 1e-5
"""Largest difference between a compiled regression's answers and the estimator's, as a share of their robust standard deviation."""
ROUNDING: Final = 4 * np.finfo(np.float64).eps
"""Error of an answer in double precision, as a share of its size, that any other order of additions makes."""
MIN_APART: Final = 3
"""Where most answers are the same, their standard deviation is that of the others if there are at least so many."""
_MAD_TO_STD: Final = 1.4826


def robust_std(values: NDArray[Any]) -> float:
    """Return how far apart ordinary answers lie: 1.4826 times the median distance from their median, which is the standard deviation of a normal distribution.

    Where at least half of them are the same, it is the median distance of the others; 0 where these are too few to tell.
    """
    finite = values[np.isfinite(values)].astype(np.float64)
    if not len(finite):
        return 0.0
    with np.errstate(over="ignore"):
        distances = np.abs(finite - np.median(finite))
    typical = float(np.median(distances))
    if typical == 0:
        others = distances[distances > 0]
        typical = float(np.median(others)) if len(others) >= MIN_APART else 0.0
    return _MAD_TO_STD * typical if np.isfinite(typical) else 0.0


def difference(expected: Answer, given: Answer, std: float | None = None) -> str:
    """Return the first difference between two answers to the same rows in a sentence; empty where they agree within the tolerances.

    `std` is the robust standard deviation of a regression's answers to ordinary rows; it is taken from the expected ones where it is not
    given. An answer that is not finite stands for a row that is refused: both must refuse it.
    """
    if expected.values.shape != given.values.shape:
        return f"{len(given.values)} answers instead of {len(expected.values)}"
    if (expected.probabilities is None) != (given.probabilities is None):
        return "one answers with probabilities, the other does not"
    answered, given_finite = finite_rows(expected), finite_rows(given)
    if (answered != given_finite).any():
        row = int((answered != given_finite).argmax())
        return f"row {row} is {'refused' if answered[row] else 'answered'}, and should be {'answered' if answered[row] else 'refused'}"
    if np.issubdtype(expected.values.dtype, np.integer):
        differs = answered & (expected.values != given.values)
        if expected.probabilities is not None and differs.any():
            rows = np.flatnonzero(differs)
            pair = [expected.probabilities[rows, answer.values[rows]] for answer in (expected, given)]
            differs[rows] = np.abs(pair[0] - pair[1]) > TIE
    else:
        differs = answered & ~_close(expected.values, given.values, answered, std)
    if differs.any():
        row = int(differs.argmax())
        return f"row {row} is answered with {given.values[row]} instead of {expected.values[row]}"
    if expected.probabilities is not None and given.probabilities is not None:
        with np.errstate(invalid="ignore"):
            gap = np.abs(expected.probabilities - given.probabilities).max(axis=1, initial=0.0)
        wide = answered & ~(gap <= PROBABILITY_TOLERANCE)
        if wide.any():
            row = int(wide.argmax())
            return f"the probabilities of row {row} differ by {gap[row]:.2g}"
    return ""


def _close(
    expected: NDArray[Any], given: NDArray[Any], answered: NDArray[np.bool_], std: float | None
) -> NDArray[np.bool_]:
    center = float(np.median(expected[answered])) if answered.any() else 0.0
    std = robust_std(expected[answered]) if std is None else std
    with np.errstate(all="ignore"):
        distance = np.maximum(np.abs(expected - center), std)
        allowed = np.maximum(VALUE_TOLERANCE * distance, ROUNDING * np.abs(expected))
        close: NDArray[np.bool_] = np.abs(expected - given) <= allowed
    return close
