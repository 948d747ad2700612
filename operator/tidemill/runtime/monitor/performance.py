"""How right answers were, given the labels that came back: scikit-learn's scorers by name, and errors such as `rmse`.

Scorers count upwards, errors downwards, as in a version's own evaluation.

The usual ones are computed here from counts, because importing scikit-learn takes longer than a whole check; any other is
asked of scikit-learn itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tidemill.runtime.profile.grid import Floats, Integers
from tidemill.runtime.train.measures import ERRORS


class NotMeasurable(ValueError):
    """The metric cannot be computed from what the log holds; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class Classified:
    """Labels and answers as indices into `classes`."""

    classes: tuple[str, ...]
    labels: Integers
    answers: Integers
    scores: Floats | None = None
    """Probability of the class that was answered."""
    strangers: int = 0
    """How many of the last `classes` only labels know, not the model."""

    @property
    def binary(self) -> bool:
        """Whether the model tells two classes apart; the second one is the positive one."""
        return len(self.classes) - self.strangers == 2

    @property
    def probability(self) -> Floats:
        """Of the positive one of two classes."""
        if not self.binary:
            raise NotMeasurable(
                "the log holds the probability of the answered class only, which is enough for two classes"
            )
        if self.scores is None or np.isnan(self.scores).any():
            raise NotMeasurable("the log holds no probabilities for these answers")
        return np.asarray(np.where(self.answers == 1, self.scores, 1.0 - self.scores))


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """Labels and answers of a regression."""

    labels: Floats
    answers: Floats


def measure(metric: str, rows: Classified | Predicted) -> float:
    """`metric` of these rows; raises NotMeasurable where they do not allow it.

    Where a metric is made for two classes and there are more, its unweighted mean over the classes is taken.

    >>> measure("accuracy", Classified(("no", "yes"), np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0])))
    0.75
    >>> rows = Predicted(np.array([1.0, 2.0]), np.array([1.5, 2.0]))
    >>> measure("neg_mean_absolute_error", rows), measure("mean_absolute_error", rows)
    (-0.25, 0.25)
    """
    if metric in ERRORS:
        return -measure(ERRORS[metric], rows)
    if not len(rows.labels):
        raise NotMeasurable("there are no labels")
    table: Mapping[str, Callable[[Any], float]] = _OF_CLASSES if isinstance(rows, Classified) else _OF_NUMBERS
    other = _OF_NUMBERS if isinstance(rows, Classified) else _OF_CLASSES
    if metric in other:
        task = "regression" if isinstance(rows, Classified) else "classification"
        raise NotMeasurable(f"{metric} is a metric of {task}")
    value = table[metric](rows) if metric in table else _ask_sklearn(metric, rows)
    if not math.isfinite(value):
        raise NotMeasurable(f"{metric} is not defined for these rows")
    return value


def _accuracy(rows: Classified) -> float:
    return float(np.mean(rows.labels == rows.answers))


def _balanced_accuracy(rows: Classified) -> float:
    right, labelled, _ = _counts(rows)
    present = labelled > 0
    return float(np.mean(right[present] / labelled[present]))


def _counts(rows: Classified) -> tuple[Floats, Floats, Floats]:
    """Per class: right answers, labels, answers."""
    size = len(rows.classes)
    right = np.bincount(rows.labels[rows.labels == rows.answers], minlength=size)
    return (
        right.astype(np.float64),
        np.bincount(rows.labels, minlength=size).astype(np.float64),
        np.bincount(rows.answers, minlength=size).astype(np.float64),
    )


def _divide(upper: Floats, lower: Floats) -> Floats:
    return np.divide(upper, lower, out=np.zeros_like(upper), where=lower > 0)


def _precision(right: Floats, labelled: Floats, answered: Floats) -> Floats:
    return _divide(right, answered)


def _recall(right: Floats, labelled: Floats, answered: Floats) -> Floats:
    return _divide(right, labelled)


def _f1(right: Floats, labelled: Floats, answered: Floats) -> Floats:
    return _divide(2 * right, labelled + answered)


def _averaged(per_class: Callable[[Floats, Floats, Floats], Floats], average: str) -> Callable[[Classified], float]:
    def score(rows: Classified) -> float:
        right, labelled, answered = _counts(rows)
        values = per_class(right, labelled, answered)
        # As scikit-learn does, classes that neither labels nor answers show are left out of an average.
        shown = (labelled + answered) > 0
        match average:
            case "binary":
                return float(values[1]) if rows.binary else float(values[shown].mean())
            case "macro":
                return float(values[shown].mean())
            case "weighted":
                return float(values @ labelled / labelled.sum())
            case _:
                return float(right.sum() / labelled.sum())

    return score


def _roc_auc(rows: Classified) -> float:
    """The share of pairs of one positive and one negative row that are in the right order (Mann-Whitney)."""
    positive = rows.labels == 1
    pairs = float(positive.sum()) * float((~positive).sum())
    if pairs == 0:
        raise NotMeasurable("roc_auc needs labels of both classes")
    _, place, counts = np.unique(rows.probability, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[place]
    size = float(positive.sum())
    return float((rank[positive].sum() - size * (size + 1) / 2) / pairs)


def _neg_log_loss(rows: Classified) -> float:
    probability = np.clip(rows.probability, np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps)
    return float(np.mean(np.log(np.where(rows.labels == 1, probability, 1 - probability))))


def _neg_brier_score(rows: Classified) -> float:
    return -float(np.mean(np.square(rows.probability - (rows.labels == 1))))


def _r2(rows: Predicted) -> float:
    spread = float(np.square(rows.labels - rows.labels.mean()).sum())
    if spread == 0:
        raise NotMeasurable("r2 needs labels that differ")
    return 1.0 - float(np.square(rows.labels - rows.answers).sum()) / spread


_AVERAGES: Final = (("", "binary"), ("_macro", "macro"), ("_micro", "micro"), ("_weighted", "weighted"))
_OF_CLASSES: Final[Mapping[str, Callable[[Classified], float]]] = MappingProxyType(
    {
        "accuracy": _accuracy,
        "balanced_accuracy": _balanced_accuracy,
        "roc_auc": _roc_auc,
        "neg_log_loss": _neg_log_loss,
        "neg_brier_score": _neg_brier_score,
        **{
            name + ending: _averaged(per_class, average)
            for name, per_class in (("precision", _precision), ("recall", _recall), ("f1", _f1))
            for ending, average in _AVERAGES
        },
    }
)
_OF_NUMBERS: Final[Mapping[str, Callable[[Predicted], float]]] = MappingProxyType(
    {
        "r2": _r2,
        "neg_mean_absolute_error": lambda rows: -float(np.mean(np.abs(rows.labels - rows.answers))),
        "neg_mean_squared_error": lambda rows: -float(np.mean(np.square(rows.labels - rows.answers))),
        "neg_root_mean_squared_error": lambda rows: -math.sqrt(float(np.mean(np.square(rows.labels - rows.answers)))),
        "neg_median_absolute_error": lambda rows: -float(np.median(np.abs(rows.labels - rows.answers))),
    }
)


def _ask_sklearn(metric: str, rows: Classified | Predicted) -> float:
    """Any other scorer, applied to an estimator that answers what was logged."""
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.metrics import get_scorer

    try:
        scorer = get_scorer(metric)
    except ValueError:
        raise NotMeasurable(
            f"scikit-learn knows no scorer {metric!r}; see sklearn.metrics.get_scorer_names()"
        ) from None
    mixin: Any = ClassifierMixin if isinstance(rows, Classified) else RegressorMixin

    class Logged(mixin, BaseEstimator):  # type: ignore[misc]
        """Answers what the log says."""

        classes_ = np.arange(len(rows.classes)) if isinstance(rows, Classified) else None

        def __sklearn_is_fitted__(self) -> bool:
            return True

        def predict(self, X: Any) -> Any:
            return rows.answers

        def predict_proba(self, X: Any) -> Any:
            assert isinstance(rows, Classified)
            return np.column_stack((1 - rows.probability, rows.probability))

    try:
        return float(scorer(Logged(), np.zeros((len(rows.labels), 1)), rows.labels))
    except NotMeasurable:
        raise
    except (ValueError, TypeError, AttributeError) as error:
        raise NotMeasurable(f"{metric} cannot be computed from the log: {error}") from error


def classified(
    classes: Sequence[object], labels: Sequence[object], answers: Sequence[object], scores: Floats | None = None
) -> Classified:
    """Rows of a classification with labels and answers in any spelling; labels the model does not know become classes.

    >>> classified((0, 1), ["1", "2"], ["1", "0"]).labels.tolist()
    [1, 2]
    """
    known: dict[str, int] = {}
    for label in classes:
        known.setdefault(str(label), len(known))
    sides, model_knows = [], len(known)
    for side in (labels, answers):
        codes = np.empty(len(side), np.int64)
        for place, label in enumerate(side):
            text = str(label)
            codes[place] = known.setdefault(text, len(known))
        sides.append(codes)
    return Classified(tuple(known), sides[0], sides[1], scores, len(known) - model_knows)
