"""How right answers are, by scikit-learn's scorers.

A scorer counts upwards, so errors are negative (`neg_log_loss`). People write and gate errors as errors: `log_loss`,
`rmse` and their like are known too, and count downwards. Where a metric is made for two classes and there are more,
its unweighted mean over the classes is taken.
"""

from __future__ import annotations

import difflib
import math
import warnings
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tidemill.api.base import Scalar
from tidemill.runtime.failures import InvalidParameters
from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.model.signature import Signature, Task

USUAL: Final[dict[Task, tuple[str, ...]]] = {
    "Classification": ("accuracy", "balanced_accuracy", "f1", "roc_auc", "log_loss"),
    "Regression": ("r2", "mean_absolute_error", "rmse"),
}
ERRORS: Final = {
    "log_loss": "neg_log_loss",
    "brier_score": "neg_brier_score",
    "mean_absolute_error": "neg_mean_absolute_error",
    "mean_squared_error": "neg_mean_squared_error",
    "rmse": "neg_root_mean_squared_error",
    "root_mean_squared_error": "neg_root_mean_squared_error",
    "median_absolute_error": "neg_median_absolute_error",
    "max_error": "neg_max_error",
    "mean_absolute_percentage_error": "neg_mean_absolute_percentage_error",
}
OF_MANY: Final = {
    "f1": "f1_macro",
    "precision": "precision_macro",
    "recall": "recall_macro",
    "jaccard": "jaccard_macro",
    "roc_auc": "roc_auc_ovr",
}
"""What a metric made for two classes means for more."""


def chosen(wanted: Sequence[str], task: Task) -> tuple[str, ...]:
    """The metrics to take: those wanted first, then the usual ones; raises InvalidParameters for one that nobody knows."""
    must_be_known(wanted, "spec.evaluation.metrics")
    return tuple(dict.fromkeys((*wanted, *USUAL[task])))


def must_be_known(wanted: Sequence[str], field: str) -> None:
    """Raises InvalidParameters for a metric that nobody knows, with the `field` to correct."""
    from sklearn.metrics import get_scorer_names

    known = {*get_scorer_names(), *ERRORS}
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, 3)
            meant = (
                f"; did you mean {' or '.join(near)}?"
                if near
                else "; take a name from sklearn.metrics.get_scorer_names()"
            )
            raise InvalidParameters(f"there is no metric {name!r}{meant} Correct {field}")


def measure(
    names: Sequence[str], truth: NDArray[Any], answer: Answer, signature: Signature
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Each metric that these rows allow, and a sentence for each that they do not."""
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.exceptions import UndefinedMetricWarning
    from sklearn.metrics import get_scorer

    classification = signature.task == "Classification"
    mixin: Any = ClassifierMixin if classification else RegressorMixin

    class Answered(mixin, BaseEstimator):  # type: ignore[misc]
        """Gives the answers that were already given."""

        classes_ = np.arange(len(signature.classes))

        def __sklearn_is_fitted__(self) -> bool:
            return True

        def predict(self, X: Any) -> Any:
            return answer.values

        def predict_proba(self, X: Any) -> Any:
            if answer.probabilities is None:
                raise AttributeError("the estimator gives no probabilities")
            probabilities = np.asarray(answer.probabilities, np.float64)
            return probabilities / probabilities.sum(axis=1, keepdims=True)

    found, unknown = {}, []
    for name in names:
        scorer_name = ERRORS.get(name, name)
        if len(signature.classes) > 2:
            scorer_name = OF_MANY.get(scorer_name, scorer_name)
        try:
            with warnings.catch_warnings():
                # What is not defined for these rows is no number to gate on.
                warnings.simplefilter("error", UndefinedMetricWarning)
                warnings.filterwarnings("error", "y_pred contains classes not in y_true")
                value = float(get_scorer(scorer_name)(Answered(), np.zeros((len(truth), 1)), truth))
        except (ValueError, TypeError, AttributeError, UserWarning) as error:
            unknown.append(f"{name} cannot be measured: {str(error).splitlines()[0][:160]}")
            continue
        if math.isfinite(value):
            found[name] = -value if name in ERRORS else value
        else:
            unknown.append(f"{name} cannot be measured on these {len(truth)} rows")
    return found, tuple(unknown)


def translated(answer: Answer, classes: Sequence[Scalar], into: Sequence[Scalar]) -> Answer:
    """A model's answer in the classes of another; a label that the other does not know is index -1 and has no probability."""
    if tuple(classes) == tuple(into):
        return answer
    place = {str(label): index for index, label in enumerate(into)}
    lookup = np.array([place.get(str(label), -1) for label in classes], np.int64)
    probabilities = None
    if answer.probabilities is not None:
        probabilities = np.full((len(answer.values), len(into)), 1e-12)
        for index, target in enumerate(lookup):
            if target >= 0:
                probabilities[:, target] = answer.probabilities[:, index]
    return Answer(lookup[answer.values], probabilities)
