"""An estimator fitted to encoded rows, behind what it needs, and what is known of it then."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tidemill.contract.orders import TrainOrder
from tidemill.runtime.failures import InvalidParameters, TrainingFailed
from tidemill.runtime.model.predictor import Matrix
from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.train.estimators import KnownEstimator
from tidemill.runtime.train.preprocessing import prepare
from tidemill.runtime.train.rows import LabelledTable
from tidemill.runtime.train.target import TrainingTarget


def prepared(order: TrainOrder, known: KnownEstimator, estimator: Any, features: tuple[Feature, ...]) -> Any:
    """`estimator` behind whatever it needs, where the order asks for that."""
    return prepare(known, estimator, features) if order.estimator.preprocessing == "Auto" else estimator


def fit(known: KnownEstimator, model: Any, matrix: Matrix, rows: LabelledTable) -> None:
    """Fit `model` to `rows`, whose features are in `matrix`; raises TrainingFailed where the estimator gives up."""
    weighted = _weights(model, rows)
    try:
        model.fit(matrix, rows.truth, **weighted)
    except (ValueError, ArithmeticError, np.linalg.LinAlgError, IndexError) as error:
        reason = str(error).strip().splitlines()[0][:400] if str(error).strip() else type(error).__name__
        raise TrainingFailed(f"{known.name} gave up: {reason}; change its parameters, or the rows") from error


def signature(
    order: TrainOrder,
    known: KnownEstimator,
    target: TrainingTarget,
    features: tuple[Feature, ...],
    model: Any,
    held_out: NDArray[Any] | None = None,
) -> Signature:
    """Return what the fitted `model` takes and gives; `held_out` is the hold-out's target, for a number to predict."""
    numbers = held_out if known.task == "Regression" else None
    return Signature(
        task=known.task,
        features=features,
        target=target.name,
        classes=target.classes,
        target_spread=0.0 if numbers is None else float(np.std(numbers)),
        target_mean=None if numbers is None else float(np.mean(numbers)),
        gives_probabilities=gives_probabilities(known, model),
        takes_missing=order.estimator.preprocessing == "Auto" or takes_missing(model),
    )


def gives_probabilities(known: KnownEstimator, model: Any) -> bool:
    """Return whether a fitted model answers with the probability of each class."""
    if known.task != "Classification" or not hasattr(model, "predict_proba"):
        return False
    inner = getattr(model, "steps", [("", model)])[-1][1]
    # The only estimator that has the method and refuses it: one pair of classes gives it probabilities, several do not.
    return not (
        known.name == "GaussianProcessClassifier" and inner.multi_class == "one_vs_one" and len(inner.classes_) > 2
    )


def takes_missing(model: Any) -> bool:
    """Return whether scikit-learn says that the estimator takes NaN."""
    from sklearn.utils import get_tags

    return bool(get_tags(model).input_tags.allow_nan)


def _weights(model: Any, rows: LabelledTable) -> dict[str, NDArray[np.float64]]:
    from sklearn.pipeline import Pipeline
    from sklearn.utils.validation import has_fit_parameter

    if (rows.weight == 1.0).all():
        return {}
    inner = model.steps[-1][1] if isinstance(model, Pipeline) else model
    if not has_fit_parameter(inner, "sample_weight"):
        raise InvalidParameters(
            f"{type(inner).__name__} takes no weights, but a column with the role Weight, or spec.servedRows.balance, asks for them; take another estimator"
        )
    return {"model__sample_weight" if isinstance(model, Pipeline) else "sample_weight": rows.weight}
