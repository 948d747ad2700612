"""Confidence intervals of metrics: they hold the true value 95 times of 100, or as often as is asked for."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final

import numpy as np

from tidemill.runtime.monitor.performance.measured import OF_SCORES, Classified, NotMeasurable, Predicted, measure
from tidemill.runtime.monitor.statistics.classifier import delong
from tidemill.runtime.profile.grid import Floats
from tidemill.runtime.scoring.intervals import ConfidenceInterval, wilson
from tidemill.runtime.scoring.scorers import ERRORS

CONFIDENCE: Final = 0.95
_WORK: Final = 4_000_000
"""Values a bootstrap may look at in all."""


def z_of(confidence: float | None) -> float:
    """Standard errors to either side that hold the true value so often.

    >>> round(z_of(None), 2), round(z_of(0.99), 2)
    (1.96, 2.58)
    """
    return NormalDist().inv_cdf(0.5 + (confidence or CONFIDENCE) / 2)


def interval(
    metric: str, rows: Classified | Predicted, *, confidence: float | None = None, seed: int = 7
) -> ConfidenceInterval | None:
    """Return the interval around `metric` on these rows; None where too few resamples allow the metric.

    Shares by Wilson, roc_auc by DeLong, means by their standard error, everything else by the bootstrap with a fixed seed.
    """
    if metric in ERRORS:
        scorer = interval(ERRORS[metric], rows, confidence=confidence, seed=seed)
        return None if scorer is None else ConfidenceInterval(-scorer.high, -scorer.low)
    z = z_of(confidence)
    if isinstance(rows, Classified):
        if metric == "accuracy":
            return wilson(int((rows.labels == rows.answers).sum()), len(rows.labels), z)
        if rows.binary and metric in _OF_POSITIVE:
            return _of_positive(metric, rows, z)
        if rows.binary and metric in OF_SCORES:
            rows = rows.of_known_labels()
        if metric == "roc_auc" and rows.binary:
            value, variance = delong(rows.probability, rows.labels == 1)
            margin = z * math.sqrt(variance)
            return ConfidenceInterval(max(0.0, value - margin), min(1.0, value + margin))
        if metric in ("neg_log_loss", "neg_brier_score") and rows.binary:
            p = np.clip(rows.probability, 1e-15, 1 - 1e-15)
            positive = rows.labels == 1
            losses = -np.log(np.where(positive, p, 1 - p)) if metric == "neg_log_loss" else np.square(p - positive)
            return _of_mean(-losses, z)
    elif metric in ("neg_mean_absolute_error", "neg_mean_squared_error"):
        errors = np.abs(rows.labels - rows.answers)
        return _of_mean(-(errors if metric == "neg_mean_absolute_error" else np.square(errors)), z)
    return _bootstrap(metric, rows, confidence or CONFIDENCE, seed)


_OF_POSITIVE: Final = frozenset({"precision", "recall", "f1", "jaccard"})


def _of_positive(metric: str, rows: Classified, z: float) -> ConfidenceInterval | None:
    """Return the interval of a metric of the positive class, which is a share of the rows that it is about, or grows with one.

    Given how many rows are true positives, false positives or false negatives, the true positives among them are binomial
    with the Jaccard index J as their probability, and F1 is 2 J / (1 + J). A bootstrap of few rows without a single true
    positive would be sure of 0.
    """
    labelled, answered = rows.labels == 1, rows.answers == 1
    hits = int((labelled & answered).sum())
    total = {"precision": answered, "recall": labelled}.get(metric, labelled | answered).sum()
    if not total:
        return None
    low, high = wilson(hits, int(total), z)
    if metric == "f1":
        low, high = 2 * low / (1 + low), 2 * high / (1 + high)
    return ConfidenceInterval(low, high)


def _of_mean(values: Floats, z: float) -> ConfidenceInterval | None:
    if len(values) < 2:
        return None
    margin = z * float(values.std(ddof=1)) / math.sqrt(len(values))
    return ConfidenceInterval(float(values.mean()) - margin, float(values.mean()) + margin)


def _bootstrap(metric: str, rows: Classified | Predicted, confidence: float, seed: int) -> ConfidenceInterval | None:
    size = len(rows.labels)
    rng = np.random.default_rng(seed)
    rounds = int(np.clip(_WORK // max(1, size), 40, 400))
    values = []
    for _ in range(rounds):
        chosen = rng.integers(0, size, size)
        try:
            values.append(measure(metric, rows.take(chosen)))
        except NotMeasurable:
            continue
    if len(values) < rounds * 0.9:
        return None
    low, high = np.quantile(values, ((1 - confidence) / 2, (1 + confidence) / 2))
    return ConfidenceInterval(float(low), float(high))
