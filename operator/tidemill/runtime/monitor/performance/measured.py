"""Metrics of predictions against the labels that came back: scikit-learn's scorers by name, and errors such as `rmse`.

Scorers count upwards, errors downwards, as in a version's own evaluation.

The usual ones are computed here from counts, because importing scikit-learn takes longer than a whole check; any other is
asked of scikit-learn itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tidemill.api.base import Scalar
from tidemill.contract.layout import LogColumn
from tidemill.runtime.model.labels import ClassLabels
from tidemill.runtime.profile.grid import Floats, Integers
from tidemill.runtime.scoring.defined import NotMeasurable, require_classes, require_numbers, undefined_is_an_error
from tidemill.runtime.scoring.scorers import ERRORS, OF_MANY

__all__ = ["AVERAGES", "Classified", "NotMeasurable", "Predicted", "averaged", "classified", "mean_recall", "measure"]


MAX_UNKNOWN_SHARE: Final = 0.01
"""The largest share of labels outside the model's classes with which metrics of its probabilities are measured."""
OF_SCORES: Final = frozenset(
    {
        "roc_auc",
        "roc_auc_ovr",
        "roc_auc_ovr_weighted",
        "roc_auc_ovo",
        "roc_auc_ovo_weighted",
        "average_precision",
        "neg_log_loss",
        "neg_brier_score",
        "d2_log_loss_score",
        "d2_brier_score",
        "top_k_accuracy",
    }
)
"""Metrics of the probabilities, not of the predicted class."""


@dataclass(frozen=True, slots=True, eq=False)
class Classified:
    """Labels and answers as indices into `classes`."""

    classes: tuple[str, ...]
    labels: Integers
    answers: Integers
    scores: Floats | None = None
    """Probability of the class that was answered."""
    unknown_classes: int = 0
    """The number of last `classes` that only labels have, not the model."""
    probabilities: Floats | None = None
    """[rows, classes] for more than two classes of the model, NaN where they were not logged."""

    @property
    def known_classes(self) -> int:
        """Return how many classes the model has; they come first."""
        return len(self.classes) - self.unknown_classes

    @property
    def binary(self) -> bool:
        """Return whether the model tells two classes apart; the second one is the positive one."""
        return self.known_classes == 2

    @property
    def unknown_labels(self) -> dict[str, int]:
        """Labels that are no class of the model, with how many rows have them, the most frequent first."""
        counts = np.bincount(self.labels, minlength=len(self.classes))[self.known_classes :].tolist()
        unknown = zip(self.classes[self.known_classes :], counts, strict=True)
        return dict(sorted(((name, count) for name, count in unknown if count), key=lambda pair: -pair[1]))

    def of_known_labels(self) -> Classified:
        """The rows whose label is a class of the model; raises NotMeasurable where too many have another one.

        A probability of the positive class says nothing about a third class, so such a row is neither right nor wrong.
        """
        unknown = self.unknown_labels
        if not unknown:
            return self
        rows = sum(unknown.values())
        if rows > MAX_UNKNOWN_SHARE * len(self.labels):
            raise NotMeasurable(describe_unknown(unknown, len(self.labels)))
        known = self.take(np.flatnonzero(self.labels < self.known_classes))
        return replace(known, classes=self.classes[: self.known_classes], unknown_classes=0)

    def take(self, chosen: Any) -> Classified:
        """Some of the rows, by index or by mask."""
        scores = None if self.scores is None else self.scores[chosen]
        every = None if self.probabilities is None else self.probabilities[chosen]
        return replace(
            self, labels=self.labels[chosen], answers=self.answers[chosen], scores=scores, probabilities=every
        )

    @property
    def probability(self) -> Floats:
        """Return the probability of the positive one of two classes."""
        if not self.binary:
            raise NotMeasurable("there is a probability of the positive class only where there are two classes")
        if self.scores is None or np.isnan(self.scores).any():
            raise NotMeasurable("the log holds no probabilities for these answers")
        return np.asarray(np.where(self.answers == 1, self.scores, 1.0 - self.scores))

    @property
    def by_class(self) -> Floats:
        """[rows, classes]; 0 for a class that only labels have."""
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
        return np.pad(self.probabilities, ((0, 0), (0, self.unknown_classes)))


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """Labels and answers of a regression."""

    labels: Floats
    answers: Floats

    def take(self, chosen: Any) -> Predicted:
        """Some of the rows, by index or by mask."""
        return Predicted(self.labels[chosen], self.answers[chosen])


def measure(metric: str, rows: Classified | Predicted) -> float:
    """Return `metric` of these rows; raises NotMeasurable where it is not defined for them.

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
    if isinstance(rows, Classified):
        if rows.binary and metric in OF_SCORES:
            rows = rows.of_known_labels()
        require_classes(metric, rows.classes, rows.labels, rows.answers, binary=rows.binary)
    else:
        require_numbers(metric, rows.labels)
    value = table[metric](rows) if metric in table else _ask_sklearn(metric, rows)
    if not math.isfinite(value):
        raise NotMeasurable(f"{metric} is not defined for these rows")
    return value


def describe_unknown(unknown: Mapping[str, int], rows: int) -> str:
    """Say which labels are no class of the model, and how many.

    >>> describe_unknown({"yes": 200, "maybe": 3}, 500)
    "203 of 500 labels are no class of the model: 'yes' (200), 'maybe' (3)"
    """
    named = ", ".join(f"{name[:40]!r} ({count:,})" for name, count in list(unknown.items())[:3])
    more = ", …" if len(unknown) > 3 else ""
    return f"{sum(unknown.values()):,} of {rows:,} labels are no class of the model: {named}{more}"


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


def _jaccard(right: Floats, labelled: Floats, answered: Floats) -> Floats:
    return _divide(right, labelled + answered - right)


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
            # Over all classes together; labels are as many as answers, so precision, recall and f1 are the same.
            return float(
                per_class(right.sum(keepdims=True), labelled.sum(keepdims=True), answered.sum(keepdims=True))[0]
            )


def _of_positive(per_class: PerClass) -> Callable[[Classified], float]:
    return lambda rows: float(per_class(*_counts(rows))[1])


def _of_all(per_class: PerClass, average: str) -> Callable[[Classified], float]:
    return lambda rows: averaged(per_class, average, *_counts(rows))


def _roc_auc(rows: Classified) -> float:
    return _ordered_pairs(rows.probability, rows.labels == 1)


def _ordered_pairs(scores: Floats, positive: Any) -> float:
    """The share of pairs of one positive and one negative row that are in the right order (Mann-Whitney)."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    size = float(positive.sum())
    return float((rank[positive].sum() - size * (size + 1) / 2) / (size * float((~positive).sum())))


def _roc_auc_ovr(average: str) -> Callable[[Classified], float]:
    """Return the ROC AUC of each class against all others, averaged."""

    def score(rows: Classified) -> float:
        if rows.binary:
            return _roc_auc(rows)
        probabilities = rows.by_class
        labelled = np.bincount(rows.labels, minlength=len(rows.classes)).astype(np.float64)
        if (labelled == 0).any() or labelled.max() == len(rows.labels):
            missing = [name for name, count in zip(rows.classes, labelled.tolist(), strict=True) if not count]
            raise NotMeasurable(f"roc_auc needs labels of every class; there are none of {', '.join(missing[:3])}")
        values = [_ordered_pairs(probabilities[:, index], rows.labels == index) for index in range(len(rows.classes))]
        return float(np.average(values, weights=labelled if average == "weighted" else None))

    return score


def _neg_log_loss(rows: Classified) -> float:
    if rows.binary:
        own = np.where(rows.labels == 1, rows.probability, 1 - rows.probability)
    else:
        own = rows.by_class[np.arange(len(rows.labels)), rows.labels]
    return float(np.mean(np.log(np.clip(own, np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps))))


def _neg_brier_score(rows: Classified) -> float:
    """As scikit-learn has it: of two classes half of the sum that is taken of more."""
    if rows.binary:
        return -float(np.mean(np.square(rows.probability - (rows.labels == 1))))
    one_hot = rows.labels[:, None] == np.arange(len(rows.classes))
    return -float(np.mean(np.square(rows.by_class - one_hot).sum(axis=1)))


def _r2(rows: Predicted) -> float:
    total = float(np.square(rows.labels - rows.labels.mean()).sum())
    return 1.0 - float(np.square(rows.labels - rows.answers).sum()) / total


_PER_CLASS: Final[Mapping[str, PerClass]] = MappingProxyType(
    {"precision": _precision, "recall": _recall, "f1": _f1, "jaccard": _jaccard}
)
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

    class LoggedEstimator(mixin, BaseEstimator):  # type: ignore[misc]
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
        with undefined_is_an_error():
            return float(scorer(LoggedEstimator(), np.zeros((len(rows.labels), 1)), rows.labels))
    except NotMeasurable:
        raise
    except (ValueError, TypeError, AttributeError, Warning) as error:
        raise NotMeasurable(f"{metric} cannot be computed from the log: {error}") from error


def classified(
    classes: Sequence[Scalar], labels: Sequence[Scalar], answers: Sequence[Scalar], scores: Floats | None = None
) -> Classified:
    """Rows of a classification with labels and answers in any spelling; labels that are no class of the model become classes.

    >>> classified((0, 1), ["1", "2", "1.0"], ["1", "0", "1"]).labels.tolist()
    [1, 2, 1]
    """
    known = ClassLabels(classes)
    names = list(known.texts)
    by_text: dict[str, int] = {}

    def index_of(label: Scalar) -> int:
        text = str(label)
        index = by_text.get(text)
        if index is None:
            index = known.index(label)
            if index is None:
                index = len(names)
                names.append(text)
            by_text[text] = index
        return index

    codes = [np.fromiter(map(index_of, side), np.int64, len(side)) for side in (labels, answers)]
    return Classified(tuple(names), codes[0], codes[1], scores, len(names) - len(known.texts))
