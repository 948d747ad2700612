"""Estimates of metrics of more than two classes while no labels have come back (CBPE, see `estimated`).

How often the answered class is right is calibrated as for accuracy. What is left is shared among the other classes as
the model's probabilities say, once these are scaled: raised to one power and weighed by class, so that the version's own
answers become most likely (Platt's curve for many classes). Curves of each class against the others alone, as NannyML
has them, spread too much over classes that are hardly possible, and rank and log loss suffer.

Sums of these probabilities over the window are the expected right answers and labels of each class, from which averages
over classes follow; of one class against the others they tell the expected ROC-AUC. Metrics that compare pairs of classes
(`roc_auc_ovo`) or look at the order of classes in a row (`top_k_accuracy`) are not estimated.

(Guo et al., On calibration of modern neural networks, 2017; NannyML's documentation of CBPE)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits

from tidemill.runtime.monitor.performance.confidence import CONFIDENCE
from tidemill.runtime.monitor.performance.estimated import (
    LARGEST,
    MIN_HOLDOUT_ROWS,
    ROUNDS,
    calibrate,
    ordered_pairs,
    resampled,
    with_interval,
)
from tidemill.runtime.monitor.performance.measured import AVERAGES, Classified, NotMeasurable, averaged, mean_recall
from tidemill.runtime.profile.grid import Floats, Integers
from tidemill.runtime.scoring.intervals import Estimate
from tidemill.runtime.scoring.scorers import ERRORS, OF_MANY

KNOWN: Final = (
    *AVERAGES,
    "balanced_accuracy",
    "roc_auc_ovr",
    "roc_auc_ovr_weighted",
    "neg_log_loss",
    "neg_brier_score",
)
_WORK: Final = 1_500_000
"""Probabilities that may be looked at to make an interval; of many rows and classes fewer rounds are drawn."""
_MIN_ROUNDS: Final = 20
_EPSILON: Final = float(np.finfo(np.float64).eps)
"""The probability that stands for none in a logarithm, as for scikit-learn."""


def estimate(
    metric: str,
    held_out: Classified,
    answers: Integers,
    probabilities: Floats | None,
    *,
    confidence: float | None = None,
) -> Estimate:
    """Return the estimate of `metric` for answers with such probabilities, [rows, classes]; raises NotMeasurable.

    The interval is made as that of two classes is.
    """
    if metric in ERRORS:
        scorer = estimate(ERRORS[metric], held_out, answers, probabilities, confidence=confidence)
        return Estimate(-scorer.value, -scorer.high, -scorer.low)
    metric = OF_MANY.get(metric, metric)
    if metric not in KNOWN:
        raise NotMeasurable(f"{metric} cannot be estimated; take accuracy, {', '.join(KNOWN)}")
    if not len(answers):
        raise NotMeasurable("the version answered nothing")
    if len(held_out.labels) < MIN_HOLDOUT_ROWS:
        raise NotMeasurable(f"the version was measured on {len(held_out.labels)} rows, {MIN_HOLDOUT_ROWS} are needed")
    if held_out.probabilities is None:
        raise NotMeasurable(
            "the version carries the probability of the answered class only; take accuracy, or train it again"
        )
    if probabilities is None:
        raise NotMeasurable("the log holds the probability of the answered class only; take accuracy")
    without = int(np.isnan(probabilities).any(axis=1).sum())
    if without:
        raise NotMeasurable(
            f"{without} of {len(probabilities)} rows were logged without the probabilities of all classes"
        )
    # Several threads would wait for each other over so little work.
    with threadpool_limits(limits=1, user_api="blas"):
        return _estimated(metric, held_out, answers, probabilities, confidence or CONFIDENCE)


def _estimated(
    metric: str, held_out: Classified, answers: Integers, probabilities: Floats, confidence: float
) -> Estimate:
    assert held_out.probabilities is not None
    scaled = scaling(held_out)
    value = expected(metric, answers, probabilities, likely(held_out, answers, probabilities, scaled))
    if not np.isfinite(value):
        raise NotMeasurable(f"{metric} is not defined for these rows")
    rng = np.random.default_rng(7)
    classes = probabilities.shape[1]
    drawn = []
    for _ in range(max(_MIN_ROUNDS, min(ROUNDS, _WORK // held_out.probabilities.size))):
        chosen = resampled(held_out, rng)
        drawn_from = len(held_out.labels)
        sums = np.cumsum(likely(chosen, answers, probabilities, scaling(chosen, scaled), drawn_from), axis=1)
        labels = np.minimum((sums < rng.random((len(probabilities), 1))).sum(axis=1), classes - 1)
        drawn.append(
            expected(metric, answers, probabilities, (labels[:, None] == np.arange(classes)).astype(np.float64))
        )
    return with_interval(value, drawn, confidence, LARGEST.get(metric, 1.0))


@dataclass(frozen=True, slots=True, eq=False)
class Scaled:
    """Probabilities raised to a power and weighed by class."""

    power: float
    weights: Floats
    """In logarithms."""

    @classmethod
    def of(cls, probabilities: Floats, labels: Integers, near: Scaled | None = None) -> Scaled:
        """Return the scaling that makes `labels` most likely, held a little to the probabilities as they are; `near` is where not to look far from."""
        from scipy.optimize import minimize

        logs, one_hot = _logs(probabilities), labels[:, None] == np.arange(probabilities.shape[1])
        usual = np.concatenate(([1.0], np.zeros(probabilities.shape[1])))

        def loss(at: Floats) -> tuple[float, Floats]:
            scaled = _softmax(at[0] * logs + at[1:])
            residual, deviation = scaled - one_hot, at - usual
            slope = np.concatenate(([float((residual * logs).sum())], residual.sum(axis=0)))
            return -float(np.log(np.maximum(scaled[one_hot], _EPSILON)).sum()) + 0.05 * float(
                deviation @ deviation
            ), slope + 0.1 * deviation

        bounds = [(0.0, None), *[(None, None)] * probabilities.shape[1]]
        start = usual if near is None else np.concatenate(([near.power], near.weights))
        steps = {"maxiter": 100 if near is None else 8}
        at = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=steps).x
        return cls(float(at[0]), at[1:])

    def __call__(self, probabilities: Floats) -> Floats:
        return _softmax(self.power * _logs(probabilities) + self.weights)


def _logs(probabilities: Floats) -> Floats:
    return np.log(np.clip(probabilities, 1e-12, None))


def _softmax(values: Floats) -> Floats:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def scaling(held_out: Classified, near: Scaled | None = None) -> Scaled:
    """Return the calibration of probabilities, from the version's answers on rows it was not trained on."""
    assert held_out.probabilities is not None
    return Scaled.of(held_out.probabilities, held_out.labels, near)


def likely(
    held_out: Classified, answers: Integers, probabilities: Floats, scaled: Scaled, drawn_from: int | None = None
) -> Floats:
    """Return how probable each class is of rows that were answered so, [rows, classes]; each row adds up to one."""
    assert held_out.probabilities is not None
    own = np.take_along_axis(held_out.probabilities, held_out.answers[:, None], axis=1)[:, 0]
    calibration = calibrate(own, (held_out.labels == held_out.answers).astype(np.float64), drawn_from)
    rows = np.arange(len(answers))
    right = calibration(probabilities[rows, answers])
    likelihood = scaled(probabilities)
    likelihood[rows, answers] = 0.0
    likelihood *= ((1 - right) / np.maximum(likelihood.sum(axis=1), _EPSILON))[:, None]
    likelihood[rows, answers] = right
    return likelihood


def expected(metric: str, answers: Integers, probabilities: Floats, likely: Floats) -> float:
    """`metric` as it is on average where rows are of each class as often as is `likely`; labels are the case of zeros and ones."""
    rows, labelled = len(answers), likely.sum(axis=0)
    if metric == "neg_log_loss":
        return float((likely * np.log(np.clip(probabilities, _EPSILON, 1 - _EPSILON))).sum() / rows)
    if metric == "neg_brier_score":
        return -float((np.square(probabilities) - 2 * likely * probabilities).sum() / rows) - 1.0
    if metric in ("roc_auc_ovr", "roc_auc_ovr_weighted"):
        values = [ordered_pairs(probabilities[:, index], likely[:, index]) for index in range(probabilities.shape[1])]
        return float(np.average(values, weights=labelled if metric == "roc_auc_ovr_weighted" else None))
    right = np.bincount(answers, likely[np.arange(rows), answers], minlength=probabilities.shape[1]).astype(np.float64)
    answered = np.bincount(answers, minlength=probabilities.shape[1]).astype(np.float64)
    if metric == "balanced_accuracy":
        return mean_recall(right, labelled, answered)
    per_class, average = AVERAGES[metric]
    return averaged(per_class, average, right, labelled, answered)
