"""How sure a metric is: the interval that holds its true value 95 times of 100, or as often as is asked for."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np

from tidemill.runtime.monitor.performance.measured import Classified, NotMeasurable, Predicted, measure
from tidemill.runtime.monitor.statistics.classifier import delong
from tidemill.runtime.profile.grid import Floats
from tidemill.runtime.scoring.scorers import ERRORS

CONFIDENCE: Final = 0.95
_WORK: Final = 4_000_000
"""Values a bootstrap may look at in all."""


class ConfidenceInterval(NamedTuple):
    """From `low` to `high`."""

    low: float
    high: float


def z_of(confidence: float | None) -> float:
    """Standard errors to either side that hold the true value so often.

    >>> round(z_of(None), 2), round(z_of(0.99), 2)
    (1.96, 2.58)
    """
    return NormalDist().inv_cdf(0.5 + (confidence or CONFIDENCE) / 2)


def interval(
    metric: str, rows: Classified | Predicted, *, confidence: float | None = None, seed: int = 7
) -> ConfidenceInterval | None:
    """Of `metric` on these rows; None where too few resamples allow the metric.

    Shares by Wilson, roc_auc by DeLong, means by their standard error, everything else by the bootstrap with a fixed seed.
    """
    if metric in ERRORS:
        found = interval(ERRORS[metric], rows, confidence=confidence, seed=seed)
        return None if found is None else ConfidenceInterval(-found.high, -found.low)
    z = z_of(confidence)
    if isinstance(rows, Classified):
        if metric == "accuracy":
            return wilson(int((rows.labels == rows.answers).sum()), len(rows.labels), z)
        if metric == "roc_auc" and rows.binary:
            value, variance = delong(rows.probability, rows.labels == 1)
            room = z * math.sqrt(variance)
            return ConfidenceInterval(max(0.0, value - room), min(1.0, value + room))
        if metric in ("neg_log_loss", "neg_brier_score") and rows.binary:
            p = np.clip(rows.probability, 1e-15, 1 - 1e-15)
            hit = rows.labels == 1
            losses = -np.log(np.where(hit, p, 1 - p)) if metric == "neg_log_loss" else np.square(p - hit)
            return _of_mean(-losses, z)
    elif metric in ("neg_mean_absolute_error", "neg_mean_squared_error"):
        away = np.abs(rows.labels - rows.answers)
        return _of_mean(-(away if metric == "neg_mean_absolute_error" else np.square(away)), z)
    return _bootstrap(metric, rows, confidence or CONFIDENCE, seed)


def wilson(hits: int, rows: int, z: float = 1.959964) -> ConfidenceInterval:
    """Of a share. (Wilson, 1927)

    >>> tuple(round(end, 3) for end in wilson(9, 10))
    (0.596, 0.982)
    """
    share, square = hits / rows, z * z / rows
    centre = (share + square / 2) / (1 + square)
    room = z * math.sqrt(share * (1 - share) / rows + square / (4 * rows)) / (1 + square)
    return ConfidenceInterval(max(0.0, centre - room), min(1.0, centre + room))


def _of_mean(values: Floats, z: float) -> ConfidenceInterval | None:
    if len(values) < 2:
        return None
    room = z * float(values.std(ddof=1)) / math.sqrt(len(values))
    return ConfidenceInterval(float(values.mean()) - room, float(values.mean()) + room)


def _bootstrap(metric: str, rows: Classified | Predicted, confidence: float, seed: int) -> ConfidenceInterval | None:
    size = len(rows.labels)
    random = np.random.default_rng(seed)
    rounds = int(np.clip(_WORK // max(1, size), 40, 400))
    values = []
    for _ in range(rounds):
        chosen = random.integers(0, size, size)
        try:
            values.append(measure(metric, take(rows, chosen)))
        except NotMeasurable:
            continue
    if len(values) < rounds * 0.9:
        return None
    low, high = np.quantile(values, ((1 - confidence) / 2, (1 + confidence) / 2))
    return ConfidenceInterval(float(low), float(high))


def take(rows: Classified | Predicted, chosen: Any) -> Classified | Predicted:
    """Some of the rows, by index or by mask."""
    if isinstance(rows, Predicted):
        return Predicted(rows.labels[chosen], rows.answers[chosen])
    scores = None if rows.scores is None else rows.scores[chosen]
    every = None if rows.probabilities is None else rows.probabilities[chosen]
    return replace(rows, labels=rows.labels[chosen], answers=rows.answers[chosen], scores=scores, probabilities=every)
