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

from tidemill.contract.layout import LogColumn
from tidemill.runtime.profile.grid import Floats, Integers
from tidemill.runtime.scoring.scorers import ERRORS, OF_MANY


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
    probabilities: Floats | None = None
    """[rows, classes] for more than two classes of the model: what it said of each, NaN where that was not logged."""

    @property
    def binary(self) -> bool:
        """Whether the model tells two classes apart; the second one is the positive one."""
        return len(self.classes) - self.strangers == 2

    @property
    def probability(self) -> Floats:
        """Of the positive one of two classes."""
        if not self.binary:
            raise NotMeasurable("there is a probability of the positive class only where there are two classes")
        if self.scores is None or np.isnan(self.scores).any():
            raise NotMeasurable("the log holds no probabilities for these answers")
        return np.asarray(np.where(self.answers == 1, self.scores, 1.0 - self.scores))

    @property
    def by_class(self) -> Floats:
        """[rows, classes]; of a class that only labels know the model said nothing."""
        if self.binary:
            return np.column_stack((1 - self.probability, self.probability))
        if self.probabilities is None:
            if self.scores is not None and np.isnan(self.scores).all():
                raise NotMeasurable("the log holds no probabilities for these answers")
            raise NotMeasurable(
                "the log holds the probability of the answered class only, which is enough for two classes; "
                f"all are kept for up to {LogColumn.MAX_CLASSES} classes, and in older parts for none"
            )
        without = int(np.isnan(self.probabilities).any(axis=1).sum())
        if without:
            raise NotMeasurable(
                f"{without} of {len(self.labels)} rows were logged without the probabilities of all classes"
            )
        return np.pad(self.probabilities, ((0, 0), (0, self.strangers)))


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
    if isinstance(rows, Classified) and not rows.binary:
        metric = OF_MANY.get(metric, metric)
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
    return mean_recall(*_counts(rows))


def mean_recall(right: Floats, labelled: Floats, answered: Floats) -> float:
    """Balanced accuracy, from what `averaged` takes."""
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


PerClass = Callable[[Floats, Floats, Floats], Floats]
"""Right answers, labels and answers of each class, to a metric of each class."""


def _precision(right: Floats, labelled: Floats, answered: Floats) -> Floats:
    return _divide(right, answered)


def _recall(right: Floats, labelled: Floats, answered: Floats) -> Floats:
    return _divide(right, labelled)


def _f1(right: Floats, labelled: Floats, answered: Floats) -> Floats:
    return _divide(2 * right, labelled + answered)


def averaged(per_class: PerClass, average: str, right: Floats, labelled: Floats, answered: Floats) -> float:
    """A metric of each class as one number, the way scikit-learn averages it."""
    values = per_class(right, labelled, answered)
    # As scikit-learn does, classes that neither labels nor answers show are left out of an average.
    shown = (labelled + answered) > 0
    match average:
        case "macro":
            return float(values[shown].mean())
        case "weighted":
            return float(values @ labelled / labelled.sum())
        case _:
            return float(right.sum() / labelled.sum())


def _of_positive(per_class: PerClass) -> Callable[[Classified], float]:
    return lambda rows: float(per_class(*_counts(rows))[1])


def _of_all(per_class: PerClass, average: str) -> Callable[[Classified], float]:
    return lambda rows: averaged(per_class, average, *_counts(rows))


def _roc_auc(rows: Classified) -> float:
    positive = rows.labels == 1
    if positive.all() or not positive.any():
        raise NotMeasurable("roc_auc needs labels of both classes")
    return _ordered_pairs(rows.probability, positive)


def _ordered_pairs(said: Floats, positive: Any) -> float:
    """The share of pairs of one positive and one negative row that are in the right order (Mann-Whitney)."""
    _, place, counts = np.unique(said, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[place]
    size = float(positive.sum())
    return float((rank[positive].sum() - size * (size + 1) / 2) / (size * float((~positive).sum())))


def _roc_auc_ovr(average: str) -> Callable[[Classified], float]:
    """Of each class against all others."""

    def score(rows: Classified) -> float:
        if rows.binary:
            return _roc_auc(rows)
        said = rows.by_class
        labelled = np.bincount(rows.labels, minlength=len(rows.classes)).astype(np.float64)
        if (labelled == 0).any() or labelled.max() == len(rows.labels):
            missing = [name for name, count in zip(rows.classes, labelled.tolist(), strict=True) if not count]
            raise NotMeasurable(f"roc_auc needs labels of every class; there are none of {', '.join(missing[:3])}")
        values = [_ordered_pairs(said[:, one], rows.labels == one) for one in range(len(rows.classes))]
        return float(np.average(values, weights=labelled if average == "weighted" else None))

    return score


def _neg_log_loss(rows: Classified) -> float:
    if rows.binary:
        said = np.where(rows.labels == 1, rows.probability, 1 - rows.probability)
    else:
        said = rows.by_class[np.arange(len(rows.labels)), rows.labels]
    return float(np.mean(np.log(np.clip(said, np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps))))


def _neg_brier_score(rows: Classified) -> float:
    """As scikit-learn has it: of two classes half of the sum that is taken of more."""
    if rows.binary:
        return -float(np.mean(np.square(rows.probability - (rows.labels == 1))))
    came = rows.labels[:, None] == np.arange(len(rows.classes))
    return -float(np.mean(np.square(rows.by_class - came).sum(axis=1)))


def _r2(rows: Predicted) -> float:
    spread = float(np.square(rows.labels - rows.labels.mean()).sum())
    if spread == 0:
        raise NotMeasurable("r2 needs labels that differ")
    return 1.0 - float(np.square(rows.labels - rows.answers).sum()) / spread


_PER_CLASS: Final[Mapping[str, PerClass]] = MappingProxyType({"precision": _precision, "recall": _recall, "f1": _f1})
AVERAGES: Final[Mapping[str, tuple[PerClass, str]]] = MappingProxyType(
    {
        f"{name}_{average}": (per_class, average)
        for name, per_class in _PER_CLASS.items()
        for average in ("macro", "micro", "weighted")
    }
)
"""Scorers that are averages over classes, as `averaged` takes them."""
_OF_CLASSES: Final[Mapping[str, Callable[[Classified], float]]] = MappingProxyType(
    {
        "accuracy": _accuracy,
        "balanced_accuracy": _balanced_accuracy,
        "roc_auc": _roc_auc,
        "roc_auc_ovr": _roc_auc_ovr("macro"),
        "roc_auc_ovr_weighted": _roc_auc_ovr("weighted"),
        "neg_log_loss": _neg_log_loss,
        "neg_brier_score": _neg_brier_score,
        **{name: _of_positive(per_class) for name, per_class in _PER_CLASS.items()},
        **{name: _of_all(per_class, average) for name, (per_class, average) in AVERAGES.items()},
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
            # In the precision of the log: scikit-learn looks how closely they add up to one, and scaled they would lose ties.
            return rows.by_class if rows.binary else rows.by_class.astype(np.float32)

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
