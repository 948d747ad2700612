"""Estimates of metrics while no labels have come back.

Classification (CBPE): a calibrated probability says how often such an answer is right; sums of these over the window are
the confusion matrix that labels would give on average. Holds while the meaning of inputs stays: of concept drift it knows
nothing, nor of inputs so odd that the model is wrong and sure of it. Probabilities are calibrated by the version's own
answers on rows it was not trained on: by Platt's two parameters up to 1,000 rows, by isotonic regression beyond, with one more
row of the other class beyond either end (Venn-Abers), since isotonic regression is too sure of the largest and the smallest scores.

The interval is a prediction interval for what labels will say: the standard deviation of the metric over labels drawn from
probabilities that were calibrated again on resampled rows, times Student's t of the number of draws; its centre reaches from
the estimate to the estimate less the bias that resampling shows. It knows chance in the labels and in the calibration, not concept drift.

Regression (direct loss estimation): a second model learns, on the same rows, how large errors are for such inputs and
answers, and says so for the window's.

More than two classes: see `multiclass`; accuracy needs no more than is here.

(NannyML's documentation of CBPE and DLE; Guillory et al., Predicting with confidence on unseen distributions, 2021; Vovk and
Petej, Venn-Abers predictors, 2014; Efron and Tibshirani, An introduction to the bootstrap, 1993, chapter 10)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from tidemill.runtime.monitor.performance.confidence import CONFIDENCE, z_of
from tidemill.runtime.monitor.performance.measured import Classified, NotMeasurable
from tidemill.runtime.profile.grid import Floats, Integers
from tidemill.runtime.scoring.intervals import Estimate
from tidemill.runtime.scoring.scorers import ERRORS

LARGEST: Final[Mapping[str, float]] = MappingProxyType({"neg_log_loss": 0.0, "neg_brier_score": 0.0})
"""The best value of scorers that are not shares; shares are at most 1 and at least 0."""
MIN_HOLDOUT_ROWS: Final = 50
FEW: Final = 1000
ROUNDS: Final = 60


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """The rate at which answers of a score were right: constant on steps that ascend."""

    edges: Floats
    shares: Floats

    @classmethod
    def of(cls, scores: Floats, right: Floats, beyond: float = 0.0) -> Calibration:
        """Isotonic regression by pooling adjacent violators (Ayer et al., 1955), with so many rows more that are right at the lowest score and wrong at the highest.

        >>> Calibration.of(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 1.0, 0.0, 1.0])).shares.tolist()
        [0.0, 0.5, 1.0]
        """
        from scipy.optimize import isotonic_regression

        distinct, index, repeats = np.unique(scores, return_inverse=True, return_counts=True)
        hits, rows = np.bincount(index, right), repeats.astype(np.float64)
        hits[0] += beyond
        rows[0] += beyond
        rows[-1] += beyond
        fitted = isotonic_regression(hits / rows, weights=rows)
        first = np.asarray(fitted.blocks[:-1])
        return cls(distinct[first], np.asarray(fitted.x[first]))

    def __call__(self, scores: Floats) -> Floats:
        """The share that was right of answers with such scores."""
        index = np.clip(np.searchsorted(self.edges, scores, side="right") - 1, 0, len(self.edges) - 1)
        return np.asarray(self.shares[index])


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """The rate at which answers of a score were right: a logistic curve over the score's logit."""

    slope: float
    offset: float

    @classmethod
    def of(cls, scores: Floats, right: Floats) -> Sigmoid:
        """By Newton's method, with targets a little inside of 0 and 1. (Platt, 1999; Lin, Lin and Weng, 2007)"""
        x, hits = _logit(scores), float(right.sum())
        target = np.where(right > 0, (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2))
        # A little of a ridge towards the scores as they are: where hardly one is wrong nothing else holds the slope.
        at = np.array([1.0, 0.0])

        def loss(parameters: Floats) -> float:
            z = parameters[0] * x + parameters[1]
            return float((np.logaddexp(0, z) - target * z).sum()) + 0.05 * float(np.square(parameters[0] - 1))

        for _ in range(50):
            p = 1 / (1 + np.exp(-np.clip(at[0] * x + at[1], -40, 40)))
            weight, left = p * (1 - p) + 1e-9, p - target
            gradient = np.array([float(left @ x) + 0.1 * float(at[0] - 1), float(left.sum())])
            corner = float(weight @ x)
            hessian = np.array([[float(weight @ (x * x)) + 0.1, corner], [corner, float(weight.sum()) + 1e-9]])
            step = np.linalg.solve(hessian, gradient)
            length, now = 1.0, loss(at)
            while length > 1e-6 and loss(at - length * step) > now:
                length /= 2
            at = at - length * step
            if np.abs(length * step).max() < 1e-8:
                break
        return cls(max(0.0, float(at[0])), float(at[1]))

    def __call__(self, scores: Floats) -> Floats:
        return np.asarray(1 / (1 + np.exp(-np.clip(self.slope * _logit(scores) + self.offset, -40, 40))))


def _logit(scores: Floats) -> Floats:
    p = np.clip(scores, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(p / (1 - p)))


def calibrate(scores: Floats, right: Floats, rows: int | None = None) -> Calibration | Sigmoid:
    """Return the calibration curve that so many rows support, all of these unless told."""
    return Calibration.of(scores, right, beyond=1.0) if (rows or len(scores)) > FEW else Sigmoid.of(scores, right)


def resampled(held_out: Classified, rng: np.random.Generator) -> Classified:
    """Return rows drawn with replacement: as many as there are, and half as many for isotonic regression.

    The bootstrap of all rows finds too little variance in a curve of steps; with fewer rows it does not. (Sen, Banerjee and
    Woodroofe, Inconsistency of bootstrap: the Grenander estimator, 2010)
    """
    rows = len(held_out.labels)
    return held_out.take(rng.integers(0, rows, rows // 2 if rows > FEW else rows))


@dataclass(frozen=True, slots=True, eq=False)
class Probable:
    """Answers of a window with how probable each class is: [rows, 2] of two classes, else of the answered one alone."""

    answers: Integers
    scores: Floats
    right: Floats
    """Calibrated probability that the answer is right."""
    binary: bool

    @property
    def positive(self) -> Floats:
        """Calibrated probability of the second of two classes."""
        if not self.binary:
            raise NotMeasurable("there is a probability of the positive class only where there are two classes")
        return np.asarray(np.where(self.answers == 1, self.right, 1 - self.right))


def probable(held_out: Classified, answers: Integers, scores: Floats, rows: int | None = None) -> Probable:
    """The window's answers with calibrated probabilities, from the version's answers on rows it was not trained on; `rows` were those drawn from."""
    if held_out.scores is None or np.isnan(held_out.scores).any() or np.isnan(scores).any():
        raise NotMeasurable("the model gives no probabilities")
    if len(held_out.labels) < MIN_HOLDOUT_ROWS:
        raise NotMeasurable(f"the version was measured on {len(held_out.labels)} rows, {MIN_HOLDOUT_ROWS} are needed")
    if not held_out.binary:
        calibration = calibrate(held_out.scores, (held_out.labels == held_out.answers).astype(np.float64), rows)
        return Probable(answers, scores, calibration(scores), binary=False)
    # One curve for the second class: an answer's own score never lies below a half, which would hide half of it.
    calibration = calibrate(held_out.probability, (held_out.labels == 1).astype(np.float64), rows)
    positive = calibration(np.where(answers == 1, scores, 1 - scores))
    return Probable(answers, scores, np.where(answers == 1, positive, 1 - positive), binary=True)


def estimate(
    metric: str, held_out: Classified, answers: Integers, scores: Floats, *, confidence: float | None = None
) -> Estimate:
    """Return the estimate of `metric` for answers with such scores; raises NotMeasurable where probabilities do not allow one.

    The interval is that of the metric on labels drawn as the probabilities say, with these calibrated again on resampled
    rows each time.
    """
    if metric in ERRORS:
        scorer = estimate(ERRORS[metric], held_out, answers, scores, confidence=confidence)
        return Estimate(-scorer.value, -scorer.high, -scorer.low)
    if not len(answers):
        raise NotMeasurable("the version answered nothing")
    value = expected(metric, probable(held_out, answers, scores))
    if math.isnan(value):
        raise NotMeasurable(
            f"{metric} is not defined for these predictions: no row was predicted as the positive class"
        )
    rng = np.random.default_rng(7)
    drawn = []
    for _ in range(ROUNDS):
        likely = probable(resampled(held_out, rng), answers, scores, len(held_out.labels))
        right = (rng.random(len(answers)) < likely.right).astype(np.float64)
        drawn.append(expected(metric, replace(likely, right=right)))
    return with_interval(value, drawn, confidence, LARGEST.get(metric, 1.0))


def with_interval(value: float, drawn: Sequence[float], confidence: float | None, largest: float) -> Estimate:
    """Return the estimate with the interval that holds what labels will say, from metrics of drawn labels; at least `largest` - 1 wide where none is defined.

    >>> estimate = with_interval(0.8, [0.7, 0.9] * 30, None, 1.0)
    >>> round(estimate.low, 2), round(estimate.high, 2)
    (0.6, 1.0)
    """
    from scipy.special import stdtrit

    finite = np.array([draw for draw in drawn if math.isfinite(draw)])
    if len(finite) < 2:
        return Estimate(value, min(value, largest - 1), largest)
    # The draws lie around the estimate as the estimate lies around what it estimates.
    unbiased = 2 * value - float(finite.mean())
    prediction_std = math.sqrt(1 + 1 / len(finite)) * float(finite.std(ddof=1))
    margin = float(stdtrit(len(finite) - 1, 0.5 + (confidence or CONFIDENCE) / 2)) * prediction_std
    low, high = min(value, unbiased) - margin, max(value, unbiased) + margin
    return Estimate(value, low if largest <= 0 else max(0.0, low), min(largest, high))


def expected(metric: str, rows: Probable) -> float:
    """`metric` as it is on average where answers are right as often as they probably are."""
    if metric == "accuracy":
        return float(rows.right.mean())
    if metric not in _OF_TWO:
        raise NotMeasurable(f"{metric} cannot be estimated; take accuracy, {', '.join(sorted(_OF_TWO))}")
    return _OF_TWO[metric](rows, rows.positive)


def _confusion(rows: Probable, positive: Floats) -> tuple[float, float, float, float]:
    """Expected true positives, false positives, false negatives, true negatives."""
    answered = rows.answers == 1
    hits, misses = float(positive[answered].sum()), float(positive[~answered].sum())
    return hits, float(answered.sum()) - hits, misses, float((~answered).sum()) - misses


def _ratio(upper: float, lower: float) -> float:
    return upper / lower if lower > 0 else math.nan


def _precision(rows: Probable, positive: Floats) -> float:
    hits, false, _, _ = _confusion(rows, positive)
    return _ratio(hits, hits + false)


def _recall(rows: Probable, positive: Floats) -> float:
    hits, _, missed, _ = _confusion(rows, positive)
    return _ratio(hits, hits + missed)


def _f1(rows: Probable, positive: Floats) -> float:
    hits, false, missed, _ = _confusion(rows, positive)
    return _ratio(2 * hits, 2 * hits + false + missed)


def _balanced(rows: Probable, positive: Floats) -> float:
    hits, false, missed, rest = _confusion(rows, positive)
    return (_ratio(hits, hits + missed) + _ratio(rest, rest + false)) / 2


def _roc_auc(rows: Probable, positive: Floats) -> float:
    return ordered_pairs(np.where(rows.answers == 1, rows.scores, 1 - rows.scores), positive)


def ordered_pairs(score: Floats, positive: Floats) -> float:
    """ROC-AUC where every row is both, a positive one with its probability and a negative one with the rest."""
    _, inverse = np.unique(score, return_inverse=True)
    of_positive = np.bincount(inverse, positive)
    of_negative = np.bincount(inverse, 1 - positive)
    below = np.cumsum(of_negative) - of_negative
    pairs = float(positive.sum()) * float((1 - positive).sum())
    return float((of_positive * (below + of_negative / 2)).sum()) / pairs if pairs else math.nan


def _log_loss(rows: Probable, positive: Floats) -> float:
    probability = np.clip(np.where(rows.answers == 1, rows.scores, 1 - rows.scores), 1e-15, 1 - 1e-15)
    return float(np.mean(positive * np.log(probability) + (1 - positive) * np.log(1 - probability)))


def _brier(rows: Probable, positive: Floats) -> float:
    probability = np.where(rows.answers == 1, rows.scores, 1 - rows.scores)
    return -float(np.mean(positive * np.square(1 - probability) + (1 - positive) * np.square(probability)))


_OF_TWO: Final[Mapping[str, Callable[[Probable, Floats], float]]] = MappingProxyType(
    {
        "precision": _precision,
        "recall": _recall,
        "f1": _f1,
        "balanced_accuracy": _balanced,
        "roc_auc": _roc_auc,
        "neg_log_loss": _log_loss,
        "neg_brier_score": _brier,
    }
)


def estimate_error(
    metric: str,
    held_out: Floats,
    errors: Floats,
    window: Floats,
    *,
    confidence: float | None = None,
    seed: int = 7,
) -> Estimate:
    """Return the estimate of an error of a regression on the window.

    `held_out` and `window` are points with the answer as one more coordinate, `errors` what the answers on `held_out` were
    wrong by. Raises NotMeasurable for a metric that is not a mean of errors.
    """
    if metric in ERRORS:
        scorer = estimate_error(ERRORS[metric], held_out, errors, window, confidence=confidence, seed=seed)
        return Estimate(-scorer.value, -scorer.high, -scorer.low)
    losses = {
        "neg_mean_absolute_error": np.abs,
        "neg_mean_squared_error": np.square,
        "neg_root_mean_squared_error": np.square,
    }.get(metric)
    if losses is None:
        raise NotMeasurable(f"{metric} cannot be estimated; take mean_absolute_error, mean_squared_error or rmse")
    if len(errors) < MIN_HOLDOUT_ROWS:
        raise NotMeasurable(f"the version was measured on {len(errors)} rows, {MIN_HOLDOUT_ROWS} are needed")
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.model_selection import cross_val_predict
    from threadpoolctl import threadpool_limits

    loss = losses(errors)
    model = HistGradientBoostingRegressor(
        max_iter=60, max_leaf_nodes=8, learning_rate=0.08, l2_regularization=5.0, early_stopping=False, random_state=seed
    )  # fmt: skip
    model.set_params(min_samples_leaf=max(5, min(20, len(errors) // 20)))
    with threadpool_limits(limits=1):
        residual = loss - cross_val_predict(model, held_out, loss, cv=5)
        predicted_loss = model.fit(held_out, loss).predict(window)
    # What the trees are wrong by on average, on rows they had not seen, is taken off.
    value = max(0.0, float(predicted_loss.mean()) + float(residual.mean()))
    margin = z_of(confidence) * float(residual.std(ddof=1)) * math.sqrt(1 / len(window) + 1 / len(loss))
    low, high = max(0.0, value - margin), value + margin
    if metric == "neg_root_mean_squared_error":
        value, low, high = math.sqrt(value), math.sqrt(low), math.sqrt(high)
    return Estimate(-value, -high, -low)
