"""Chooses the explainer of shap for a model: the one for trees, the one for linear models, or one that only asks the model.

A feature that is not there takes the values it has in real rows, all others staying as they are (interventional values:
Lundberg and Lee, 2017; Janzing et al., 2020). What is explained is what answers, in the units of the answer. The explainers for
trees and linear models read the estimator; whether they say what the model says is looked at for each row, and where they do
not (a loss with a link, a value at a threshold, which shap compares in single precision), the model itself is asked. So are
boosted classifiers, whose trees add up to log odds: shap scales these to probabilities, which adds up but is not Shapley's value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tidemill.runtime.explain.values import Ask as AskOutput
from tidemill.runtime.explain.values import Explained
from tidemill.runtime.model.answer import Ask, Matrix, RowRefused, Unanswerable
from tidemill.runtime.model.signature import Signature

MAX_EXACT_FEATURES: Final = 8
"""Up to so many features every coalition of them is tried."""
MAX_EVALUATIONS: Final = 100_000
"""Rows the model is asked at most to explain one."""
MAX_PERMUTATIONS: Final = 8
"""Orders and their reverses: what one overrates the other underrates."""
TOLERANCE: Final = 2e-3
"""Largest error of an explainer that reads the estimator, as a share of the standard deviation of the model's answers."""
ADDING_UP: Final = frozenset({"probability", "raw_value"})
"""Outputs of trees whose attributions are those of the answer."""
SEED: Final = 0

Explain = Callable[[Matrix], Explained]


def explainer(ask: AskOutput, estimator: Any, signature: Signature, background: Matrix) -> Explain:
    """Return a function that explains the answers of `ask`, those of a fitted scikit-learn `estimator` (None where it is not there) with
    this signature, by the rows of the background."""
    asking = _by_asking(ask, background)
    reading = _by_reading(estimator, signature, background)
    if reading is None:
        return asking
    std = float(np.std(ask(background), axis=0).max())

    def explain(rows: Matrix) -> Explained:
        try:
            explanation = reading(rows)
        except Exception:  # whatever shap cannot do with an estimator, the model can still be asked
            return asking(rows)
        gap = np.abs(explanation.expected + explanation.attributions.sum(axis=1) - ask(rows)).max()
        return explanation if gap <= TOLERANCE * std else asking(rows)

    return explain


def explained(explain: Explain, predict: Ask, rows: Matrix) -> Explained | Unanswerable:
    """Return why the model answers `rows` so, or why it does not: the row that it refuses, by its index in `rows`.

    Explaining asks for rows that the client did not send, in which some values are those of the background. Where one of these is
    refused, its index says nothing to the client.
    """
    try:
        predict(rows)
    except Unanswerable as error:
        return error
    try:
        return explain(rows)
    except RowRefused as error:
        return Unanswerable(f"the model refuses rows that an explanation compares these with: {error.reason}")
    except Unanswerable as error:
        return error


def _by_asking(ask: AskOutput, background: Matrix) -> Explain:
    import shap

    features = background.shape[1]
    masker = shap.maskers.Independent(background, max_samples=len(background))
    if features <= MAX_EXACT_FEATURES:
        exact = shap.ExactExplainer(ask, masker)

        def explain_exactly(rows: Matrix) -> Explained:
            explanation = exact(rows, max_evals=1 << features, silent=True)
            return _from_shap(explanation, rows, "shap-exact")

        return explain_exactly
    evaluations = 2 * features + 1
    pairs = max(1, min(MAX_PERMUTATIONS, MAX_EVALUATIONS // (evaluations * len(background))))

    def explain_by_sampling(rows: Matrix) -> Explained:
        # A new one for each request, so that its random numbers are the same ones: the same rows get the same values.
        explanation = shap.PermutationExplainer(ask, masker, seed=SEED)(
            rows, max_evals=pairs * evaluations, silent=True
        )
        return _from_shap(explanation, rows, "shap-permutation", 2 * pairs)

    return explain_by_sampling


def _from_shap(explanation: Any, rows: Matrix, method: str, orders: int = 0) -> Explained:
    """shap says the average answer again for each row, and leaves the last axis out where there is one output."""
    expected = np.asarray(explanation.base_values, np.float64).reshape(len(rows), -1)[0]
    return Explained(expected, np.asarray(explanation.values, np.float64).reshape(*rows.shape, -1), method, orders)


def _by_reading(estimator: Any, signature: Signature, background: Matrix) -> Explain | None:
    """By the structure of the estimator, where shap knows it and its columns are the features."""
    import shap
    from sklearn.pipeline import Pipeline

    if estimator is None or any(feature.type != "Numerical" for feature in signature.features):
        return None
    before = estimator[:-1] if isinstance(estimator, Pipeline) else None
    model = estimator[-1] if isinstance(estimator, Pipeline) else estimator

    def columns(rows: Matrix) -> Matrix:
        return rows if before is None else np.asarray(before.transform(rows), np.float64)

    known = columns(background)
    if known.shape != background.shape:
        return None
    classifies = signature.task == "Classification"
    if not classifies and hasattr(model, "coef_"):
        linear = shap.LinearExplainer(model, known)
        return lambda rows: _as_explained(linear, linear.shap_values(columns(rows)), "shap-linear", classifies=False)
    try:
        trees = shap.TreeExplainer(
            model,
            data=known,
            feature_perturbation="interventional",
            model_output="probability" if classifies else "raw",
        )
        if trees.model.tree_output not in ADDING_UP:
            return None
    except Exception:  # shap has an error of its own for each model that it does not know
        return None
    return lambda rows: _as_explained(
        trees, trees.shap_values(columns(rows), check_additivity=False), "shap-tree", classifies=classifies
    )


def _as_explained(shap_explainer: Any, values: Any, method: str, *, classifies: bool) -> Explained:
    """[rows, features], or [rows, features, outputs], with one output for each class."""
    expected, given = (
        np.atleast_1d(np.asarray(shap_explainer.expected_value, np.float64)),
        np.asarray(values, np.float64),
    )
    if given.ndim == 2:
        given = given[:, :, None]
    if classifies and given.shape[2] == 1:
        # Of two classes shap explains the second.
        expected, given = np.concatenate([1 - expected, expected]), np.concatenate([-given, given], axis=2)
    return Explained(expected, given, method)
