"""How right answers of more than two classes probably are while no labels have come back (CBPE, see `estimation`).

Each class's probability is calibrated against all others by the version's own answers, and each row's are scaled to add
up to one. Their sums over the window are the expected right answers and labels of each class, from which averages over
classes follow; of one class against the others they tell the expected ROC-AUC. Metrics that compare pairs of classes
(`roc_auc_ovo`) or need the whole ranking (`top_k_accuracy`) are not estimated.

(NannyML's documentation of CBPE for multiclass classification)
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tidemill.runtime.monitor.confidence import CONFIDENCE, take
from tidemill.runtime.monitor.estimation import LEAST_HELD_OUT, ROUNDS, Estimate, calibrate, ordered_pairs
from tidemill.runtime.monitor.performance import AVERAGES, Classified, NotMeasurable, averaged, mean_recall
from tidemill.runtime.profile.grid import Floats, Integers
from tidemill.runtime.train.measures import ERRORS, OF_MANY

KNOWN: Final = (
    *AVERAGES,
    "balanced_accuracy",
    "roc_auc_ovr",
    "roc_auc_ovr_weighted",
    "neg_log_loss",
    "neg_brier_score",
)
_CALIBRATIONS: Final = 300
"""How often a curve is fitted for an interval, in all; of many classes fewer rounds are drawn."""
_FEWEST_ROUNDS: Final = 20


def estimate(
    metric: str, held_out: Classified, answers: Integers, said: Floats | None, *, confidence: float | None = None
) -> Estimate:
    """What `metric` probably is of answers with such probabilities, [rows, classes]; raises NotMeasurable.

    The interval is made as that of two classes is.
    """
    if metric in ERRORS:
        found = estimate(ERRORS[metric], held_out, answers, said, confidence=confidence)
        return Estimate(-found.value, -found.high, -found.low)
    metric = OF_MANY.get(metric, metric)
    if metric not in KNOWN:
        raise NotMeasurable(f"{metric} cannot be estimated; take accuracy, {', '.join(KNOWN)}")
    if not len(answers):
        raise NotMeasurable("the version answered nothing")
    if len(held_out.labels) < LEAST_HELD_OUT:
        raise NotMeasurable(f"the version was measured on {len(held_out.labels)} rows, {LEAST_HELD_OUT} are needed")
    if held_out.probabilities is None:
        raise NotMeasurable(
            "the version carries the probability of the answered class only; take accuracy, or train it again"
        )
    if said is None:
        raise NotMeasurable("the log holds the probability of the answered class only; take accuracy")
    without = int(np.isnan(said).any(axis=1).sum())
    if without:
        raise NotMeasurable(f"{without} of {len(said)} rows were logged without the probabilities of all classes")
    value = expected(metric, answers, said, likely(held_out, said))
    if not np.isfinite(value):
        raise NotMeasurable(f"{metric} is not defined for these rows")
    random = np.random.default_rng(7)
    classes = said.shape[1]
    drawn = []
    for _ in range(max(_FEWEST_ROUNDS, min(ROUNDS, _CALIBRATIONS // classes))):
        chosen = take(held_out, random.integers(0, len(held_out.labels), len(held_out.labels)))
        assert isinstance(chosen, Classified)
        sums = np.cumsum(likely(chosen, said), axis=1)
        came = np.minimum((sums < random.random((len(said), 1))).sum(axis=1), classes - 1)
        drawn.append(expected(metric, answers, said, (came[:, None] == np.arange(classes)).astype(np.float64)))
    told = np.array([one for one in drawn if np.isfinite(one)] or [value])
    beyond = (1 - (confidence or CONFIDENCE)) / 2
    low, high = np.quantile(told, (beyond, 1 - beyond))
    return Estimate(value, min(value, float(low)), max(value, float(high)))


def likely(held_out: Classified, said: Floats) -> Floats:
    """How probable each class is of rows of which the model said so: calibrated, each row adding up to one."""
    assert held_out.probabilities is not None
    found = np.empty_like(said)
    for one in range(said.shape[1]):
        came = (held_out.labels == one).astype(np.float64)
        found[:, one] = calibrate(held_out.probabilities[:, one], came)(said[:, one])
    sums = found.sum(axis=1, keepdims=True)
    # Where no class seems possible, what the model said is all there is.
    return np.where(sums > 0, found / np.where(sums > 0, sums, 1), said)


def expected(metric: str, answers: Integers, said: Floats, likely: Floats) -> float:
    """`metric` as it is on average where rows are of each class as often as is `likely`; labels are the case of zeros and ones."""
    rows, labelled = len(answers), likely.sum(axis=0)
    if metric == "neg_log_loss":
        return float((likely * np.log(np.clip(said, 1e-15, 1 - 1e-15))).sum() / rows)
    if metric == "neg_brier_score":
        return -float((np.square(said) - 2 * likely * said).sum() / rows) - 1.0
    if metric in ("roc_auc_ovr", "roc_auc_ovr_weighted"):
        values = [ordered_pairs(said[:, one], likely[:, one]) for one in range(said.shape[1])]
        return float(np.average(values, weights=labelled if metric == "roc_auc_ovr_weighted" else None))
    right = np.bincount(answers, likely[np.arange(rows), answers], minlength=said.shape[1])
    answered = np.bincount(answers, minlength=said.shape[1]).astype(np.float64)
    if metric == "balanced_accuracy":
        return mean_recall(right, labelled, answered)
    per_class, average = AVERAGES[metric]
    return averaged(per_class, average, right, labelled, answered)
