"""Metrics of a model's answers, by the names of scikit-learn's scorers.

A scorer counts upwards, so errors are negative (`neg_log_loss`). People write and gate errors as errors: `log_loss`,
`rmse` and their like are known too, and count downwards. Where a metric is made for two classes and there are more,
its unweighted mean over the classes is taken.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tidemill.api.base import Scalar
from tidemill.contract.metrics import ERROR_SCORERS, USUAL_METRICS
from tidemill.runtime.failures import InvalidParameters
from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.model.signature import Signature, Task
from tidemill.runtime.scoring.defined import require_classes, require_numbers, undefined_is_an_error

USUAL: Final[dict[Task, tuple[str, ...]]] = USUAL_METRICS
ERRORS: Final = ERROR_SCORERS
OF_MANY: Final = {
    "f1": "f1_macro",
    "precision": "precision_macro",
    "recall": "recall_macro",
    "jaccard": "jaccard_macro",
    "roc_auc": "roc_auc_ovr",
}
"""The average that stands for a metric of two classes where there are more."""


def chosen(wanted: Sequence[str], task: Task) -> tuple[str, ...]:
    """Return the metrics to take: those wanted first, then the usual ones; raises InvalidParameters for an unknown one."""
    must_be_known(wanted, "spec.evaluation.metrics")
    return tuple(dict.fromkeys((*wanted, *USUAL[task])))


USUAL_NAMES: Final = {
    "acc": "accuracy",
    "auc": "roc_auc",
    "auroc": "roc_auc",
    "aucroc": "roc_auc",
    "rocauc": "roc_auc",
    "auprc": "average_precision",
    "prauc": "average_precision",
    "f1score": "f1",
    "logloss": "log_loss",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
    "r2score": "r2",
    "rsquared": "r2",
}
"""Names of metrics in papers and other libraries, without signs, and the scorers that are meant."""


def must_be_known(wanted: Sequence[str], field: str) -> None:
    """Raise InvalidParameters for an unknown metric, with the `field` to correct."""
    from sklearn.metrics import get_scorer_names

    known = {*get_scorer_names(), *ERRORS}
    for name in wanted:
        if name not in known:
            usual = USUAL_NAMES.get("".join(filter(str.isalnum, name.lower())))
            close = [usual] if usual is not None else difflib.get_close_matches(name, sorted(known), 3)
            remedy = (
                f"set {field} to {' or '.join(close)}"
                if close
                else f"set {field} to a name from sklearn.metrics.get_scorer_names()"
            )
            raise InvalidParameters(f"unknown metric {name!r}; {remedy}")


def measure(
    names: Sequence[str], truth: NDArray[Any], answer: Answer, signature: Signature
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return each metric that is defined for these rows, and a sentence for each that is not."""
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.metrics import get_scorer

    classification = signature.task == "Classification"
    classes = tuple(str(label) for label in signature.classes)
    mixin: Any = ClassifierMixin if classification else RegressorMixin

    class Answered(mixin, BaseEstimator):  # type: ignore[misc]
        """Gives the answers that were already given."""

        classes_ = np.arange(len(classes))

        def __sklearn_is_fitted__(self) -> bool:
            return True

        def predict(self, X: Any) -> Any:
            return answer.values

        def predict_proba(self, X: Any) -> Any:
            if answer.probabilities is None:
                raise AttributeError("the estimator gives no probabilities")
            probabilities = np.asarray(answer.probabilities, np.float64)
            return probabilities / probabilities.sum(axis=1, keepdims=True)

    measured, messages = {}, []
    for name in names:
        scorer = ERRORS.get(name, name)
        if len(classes) > 2:
            scorer = OF_MANY.get(scorer, scorer)
        try:
            if classification:
                require_classes(scorer, classes, truth, answer.values, binary=len(classes) == 2)
            else:
                require_numbers(scorer, truth)
            with undefined_is_an_error():
                if scorer == "neg_log_loss" and classification:
                    # Of labels of one class alone scikit-learn's scorer does not know how many classes there are.
                    value = _neg_log_loss(truth, Answered().predict_proba(None))
                else:
                    value = float(get_scorer(scorer)(Answered(), np.zeros((len(truth), 1)), truth))
        except (ValueError, TypeError, AttributeError, Warning) as error:
            messages.append(f"{name} cannot be measured: {str(error).splitlines()[0][:160]}")
            continue
        if math.isfinite(value):
            measured[name] = -value if name in ERRORS else value
        else:
            messages.append(f"{name} cannot be measured on these {len(truth)} rows")
    return measured, tuple(messages)


def _neg_log_loss(truth: NDArray[Any], probabilities: NDArray[Any]) -> float:
    from sklearn.metrics import log_loss

    return -float(log_loss(truth, probabilities, labels=np.arange(probabilities.shape[1])))


def translated(answer: Answer, classes: Sequence[Scalar], into: Sequence[Scalar]) -> Answer:
    """Return a model's answer in the classes of another; a label that the other lacks is index -1 and has no probability."""
    if tuple(classes) == tuple(into):
        return answer
    index_of = {str(label): index for index, label in enumerate(into)}
    lookup = np.array([index_of.get(str(label), -1) for label in classes], np.int64)
    probabilities = None
    if answer.probabilities is not None:
        probabilities = np.full((len(answer.values), len(into)), 1e-12)
        for index, target in enumerate(lookup):
            if target >= 0:
                probabilities[:, target] = answer.probabilities[:, index]
    return Answer(lookup[answer.values], probabilities)
