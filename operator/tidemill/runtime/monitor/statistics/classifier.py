"""Test whether rows can be told from the reference's: the ROC-AUC of a classifier that tries, on rows it was not fitted to.

0.5 is a coin. The classifier is scikit-learn's histogram gradient boosting, cross-validated; the interval is DeLong's, widened for what folds share.
(Lopez-Paz and Oquab, Revisiting classifier two-sample tests, 2017; DeLong et al., 1988)
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.runtime.profile.grid import Floats

Mask = NDArray[np.bool_]
MAX_ROWS: Final = 5_000
"""Rows of each side; more would change the area by thousandths."""
MIN_ROWS: Final = 50
_FOLDS: Final = 5
_SHARED: Final = 1 + _FOLDS / (_FOLDS - 1)
"""Folds are fitted to mostly the same rows, so that their areas vary together: DeLong's variance alone covered the truth only
four times of five. (Nadeau and Bengio, Inference for the generalization error, 2003)"""


class TwoSampleResult(NamedTuple):
    """The quality with which two tables are told apart."""

    auc: float
    low: float
    high: float
    """The interval around it."""
    importances: tuple[tuple[int, float], ...] = ()
    """Columns by how much the classifier loses without them, the most telling first."""


def two_sample_test(reference: Floats, window: Floats, *, z: float = 1.959964, seed: int = 7) -> TwoSampleResult:
    """Points of both, [rows, columns], as many columns on both sides, with an interval of `z` standard errors; raises ValueError with too few rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold
    from threadpoolctl import threadpool_limits

    # The same row twice would be fitted to and then tested on: a client that repeats requests would be recognised by that alone.
    reference, window = np.unique(reference, axis=0), np.unique(window, axis=0)
    if min(len(reference), len(window)) < MIN_ROWS:
        raise ValueError(f"telling apart needs {MIN_ROWS} different rows on both sides")
    random = np.random.default_rng(seed)
    sides = [side[random.permutation(len(side))[:MAX_ROWS]] for side in (reference, window)]
    rows = np.concatenate(sides)
    truth = np.repeat([0, 1], [len(side) for side in sides])
    values, variances = [], []
    losses = np.zeros(rows.shape[1])
    for number, (fit, test) in enumerate(StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(rows, truth)):
        model = HistGradientBoostingClassifier(
            max_iter=40, max_leaf_nodes=15, learning_rate=0.15, l2_regularization=1.0, early_stopping=False,
            random_state=seed,
        )  # fmt: skip
        # Little work for one thread: several would wait for each other most of the time.
        with threadpool_limits(limits=1):
            model.fit(rows[fit], truth[fit])
        scores = model.predict_proba(rows[test])[:, 1]
        value, variance = delong(scores, truth[test] == 1)
        values.append(value)
        variances.append(variance)
        if number == 0:
            losses = _losses(model, rows[test], truth[test] == 1, value, random)
    auc = float(np.mean(values))
    room = z * math.sqrt(sum(variances) * _SHARED) / _FOLDS
    order = np.argsort(-losses, kind="stable")[:5]
    return TwoSampleResult(
        auc, max(0.0, auc - room), min(1.0, auc + room), tuple((int(at), float(losses[at])) for at in order if losses[at] > 0)
    )  # fmt: skip


def _losses(model: Any, rows: Floats, positive: Mask, value: float, random: np.random.Generator) -> Floats:
    """Return the loss from shuffling each column (permutation importance)."""
    losses = np.zeros(rows.shape[1])
    if rows.shape[1] > 200:
        return losses
    for column in range(rows.shape[1]):
        shuffled = rows.copy()
        shuffled[:, column] = random.permutation(shuffled[:, column])
        losses[column] = value - delong(model.predict_proba(shuffled)[:, 1], positive)[0]
    return losses


def delong(scores: Floats, positive: Mask) -> tuple[float, float]:
    """The area under the ROC curve and its variance, both classes present.

    >>> delong(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))[0]
    0.75
    """
    high, low = scores[positive], scores[~positive]
    if not (len(high) and len(low)):
        raise ValueError("an area under the ROC curve needs both classes")
    together = np.concatenate((high, low))
    ranks = midranks(together)
    of_high, of_low = ranks[: len(high)] - midranks(high), ranks[len(high) :] - midranks(low)
    above, below = of_high / len(low), 1 - of_low / len(high)
    auc = float(above.mean())
    variance = (float(above.var(ddof=1)) / len(high) if len(high) > 1 else 0.25) + (
        float(below.var(ddof=1)) / len(low) if len(low) > 1 else 0.25
    )
    return auc, variance


def midranks(values: Floats) -> Floats:
    """Ranks from 1 on, equal values sharing their average."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[index], np.float64)
