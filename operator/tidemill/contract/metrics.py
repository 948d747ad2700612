"""The metrics that both sides of the pod boundary compute with: which of them count downwards, and the stability index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

ERROR_SCORERS: Final = {
    "log_loss": "neg_log_loss",
    "brier_score": "neg_brier_score",
    "mean_absolute_error": "neg_mean_absolute_error",
    "mean_squared_error": "neg_mean_squared_error",
    "mean_squared_log_error": "neg_mean_squared_log_error",
    "rmse": "neg_root_mean_squared_error",
    "root_mean_squared_error": "neg_root_mean_squared_error",
    "root_mean_squared_log_error": "neg_root_mean_squared_log_error",
    "median_absolute_error": "neg_median_absolute_error",
    "max_error": "neg_max_error",
    "mean_absolute_percentage_error": "neg_mean_absolute_percentage_error",
    "mean_poisson_deviance": "neg_mean_poisson_deviance",
    "mean_gamma_deviance": "neg_mean_gamma_deviance",
    "negative_likelihood_ratio": "neg_negative_likelihood_ratio",
}
"""The metrics for which less is better, with the scorer of scikit-learn that returns their negative."""


USUAL_METRICS: Final[dict[Literal["Classification", "Regression"], tuple[str, ...]]] = {
    "Classification": ("accuracy", "balanced_accuracy", "f1", "roc_auc", "log_loss"),
    "Regression": ("r2", "mean_absolute_error", "rmse"),
}
"""The metrics that are always measured, after those that were asked for."""


def regression(metric: str, value: float, reference: float) -> float:
    """Return how much worse `value` is than `reference`, in units of the metric; negative if it is better.

    >>> round(regression("accuracy", 0.90, 0.95), 3), round(regression("log_loss", 0.2, 0.3), 3)
    (0.05, -0.1)
    """
    return value - reference if metric in ERROR_SCORERS else reference - value


def population_stability(reference: Sequence[float], current: Sequence[float]) -> float:
    """Return the population stability index Σ (q - p) ln(q / p) of two distributions, given as positive shares of each bin.

    Zero when the shapes agree; by convention 0.1 is worth a look and 0.25 is a shift. (Siddiqi, Credit Risk Scorecards, 2006)

    >>> population_stability([0.1, 0.9], [0.1, 0.9])
    0.0
    >>> round(population_stability([0.1, 0.2, 0.7], [0.3, 0.3, 0.4]), 3)
    0.428
    """
    return math.fsum((q - p) * math.log(q / p) for p, q in zip(reference, current, strict=True))
