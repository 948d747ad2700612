"""Explanations add up, and are Shapley's values: held against the definition, coalition by coalition."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    AdaBoostClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeRegressor

from tidemill.runtime.explain import methods
from tidemill.runtime.explain.methods import MAX_EXACT_FEATURES, explainer
from tidemill.runtime.explain.values import Ask, Explained, output_of
from tidemill.runtime.model.answer import Answer, RowRefused, Unanswerable
from tidemill.runtime.model.predictor import Predictor, estimated
from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.train.estimators import find, make
from tidemill.runtime.train.preprocessing import prepare

RNG = np.random.default_rng(5)
FEW, MANY = 5, 12
ROWS = RNG.normal(size=(400, MANY))
CLASSES = (ROWS[:, 0] * ROWS[:, 1] + ROWS[:, 2] > 0).astype(int)
NUMBERS = ROWS[:, 0] * 3 + ROWS[:, 1] ** 2
BACKGROUND = 20


def signature(features: int, task: str = "Classification", classes: tuple[int, ...] = (0, 1)) -> Signature:
    named = tuple(Feature(name=f"f{index}", type="Numerical") for index in range(features))
    return Signature(
        task="Classification" if task == "Classification" else "Regression",
        features=named,
        target="t",
        classes=classes if task == "Classification" else (),
    )


def by_definition(ask: Ask, row: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Shapley's formula, coalition by coalition."""
    count = len(row)

    def worth(inside: tuple[int, ...]) -> np.ndarray:
        rows = background.copy()
        rows[:, list(inside)] = row[list(inside)]
        return ask(rows).mean(axis=0)

    results = []
    for feature in range(count):
        others = [other for other in range(count) if other != feature]
        total = np.zeros(ask(background).shape[1])
        for size in range(count):
            weight = math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
            for inside in itertools.combinations(others, size):
                total += weight * (worth((*inside, feature)) - worth(inside))
        results.append(total)
    return np.array(results)


def explained(
    estimator: Any, model_signature: Signature, rows: np.ndarray, background: np.ndarray
) -> tuple[Explained, Ask]:
    ask = output_of(estimated(estimator, model_signature), model_signature)
    return explainer(ask, estimator, model_signature, background)(rows), ask


TREES = {
    "forest": lambda rows: (RandomForestClassifier(20, random_state=1).fit(rows, CLASSES), signature(rows.shape[1])),
    "forest of three classes": lambda rows: (
        RandomForestClassifier(20, random_state=1).fit(rows, CLASSES + (NUMBERS > 2)),
        signature(rows.shape[1], classes=(0, 1, 2)),
    ),
    "extra trees": lambda rows: (
        ExtraTreesRegressor(20, random_state=1).fit(rows, NUMBERS),
        signature(rows.shape[1], "Regression"),
    ),
    "a tree": lambda rows: (
        DecisionTreeRegressor(random_state=1).fit(rows, NUMBERS),
        signature(rows.shape[1], "Regression"),
    ),
    "histogram boosting of numbers": lambda rows: (
        HistGradientBoostingRegressor(max_iter=20, random_state=1).fit(rows, NUMBERS),
        signature(rows.shape[1], "Regression"),
    ),
}


@pytest.mark.parametrize("fit", TREES.values(), ids=TREES.keys())
def test_trees_are_explained_as_the_definition_says(fit: Any) -> None:
    rows = ROWS[:, :FEW]
    estimator, model_signature = fit(rows)
    asked, background = rows[:3] + 1e-3, rows[3 : 3 + BACKGROUND] + 1e-3

    result, ask = explained(estimator, model_signature, asked, background)

    assert "shap-tree" == result.method
    for row, values in zip(asked, result.attributions, strict=True):
        assert by_definition(ask, row, background) == pytest.approx(values, abs=1e-6)


def test_a_value_at_a_threshold_that_shap_takes_for_another_sends_it_to_the_model_itself() -> None:
    model = HistGradientBoostingRegressor(max_iter=20, random_state=1).fit(ROWS[:, :FEW], NUMBERS)
    rows = ROWS[:40, :FEW]

    result, ask = explained(model, signature(FEW, "Regression"), rows, rows[:BACKGROUND])

    assert "shap-exact" == result.method
    assert ask(rows) == pytest.approx(result.expected + result.attributions.sum(axis=1), abs=1e-9)


OTHERS = {
    "boosting": lambda rows: GradientBoostingClassifier(n_estimators=20, random_state=1).fit(rows, CLASSES),
    "histogram boosting": lambda rows: HistGradientBoostingClassifier(max_iter=20, random_state=1).fit(rows, CLASSES),
    "logistic regression": lambda rows: LogisticRegression().fit(rows, CLASSES),
    "neighbours": lambda rows: KNeighborsClassifier().fit(rows, CLASSES),
    "boosted stumps": lambda rows: AdaBoostClassifier(n_estimators=10, random_state=1).fit(rows, CLASSES),
}


@pytest.mark.parametrize("fit", OTHERS.values(), ids=OTHERS.keys())
def test_other_models_of_few_features_are_explained_as_the_definition_says(fit: Any) -> None:
    rows = ROWS[:, :FEW]

    result, ask = explained(fit(rows), signature(FEW), rows[:2], rows[:BACKGROUND])

    assert "shap-exact" == result.method
    for row, values in zip(rows[:2], result.attributions, strict=True):
        assert by_definition(ask, row, rows[:BACKGROUND]) == pytest.approx(values, abs=1e-9)


@pytest.mark.parametrize("features", [3, MANY])
def test_a_linear_model_is_explained_by_weight_times_distance_from_the_mean(features: int) -> None:
    rows = ROWS[:, :features]
    model = LinearRegression().fit(rows, NUMBERS)

    result, _ = explained(model, signature(features, "Regression"), rows[:3], rows[50:100])

    expected = (rows[:3] - rows[50:100].mean(axis=0)) * model.coef_
    assert "shap-linear" == result.method
    assert expected == pytest.approx(result.attributions[:, :, 0], abs=1e-9)


def test_a_linear_model_behind_preparations_is_explained_in_the_features_themselves() -> None:
    rows = np.array(ROWS[:, :FEW])
    rows[::7, 2] = np.nan
    features = signature(FEW).features
    model = prepare(find("Ridge"), make(find("Ridge"), {}, 1), features).fit(rows, NUMBERS)

    result, ask = explained(model, signature(FEW, "Regression"), rows[:8], rows[:BACKGROUND])

    assert "shap-linear" == result.method
    for row, values in zip(rows[:8], result.attributions, strict=True):
        assert by_definition(ask, row, rows[:BACKGROUND]) == pytest.approx(values, abs=1e-9)


def test_a_link_that_shap_does_not_see_sends_it_to_the_model_itself() -> None:
    rows = ROWS[:, :FEW]
    model = PoissonRegressor().fit(rows, np.exp(NUMBERS / 10))

    result, ask = explained(model, signature(FEW, "Regression"), rows[:2], rows[:BACKGROUND])

    assert "shap-exact" == result.method
    assert by_definition(ask, rows[0], rows[:BACKGROUND]) == pytest.approx(result.attributions[0], abs=1e-9)


def test_trees_behind_categories_are_asked_and_not_read() -> None:
    rows = np.array(ROWS[:, :FEW])
    rows[:, 4] = np.abs(np.round(rows[:, 4])) % 3
    category = Feature(name="f4", type="Categorical", categories=("a", "b", "c"))
    model_signature = signature(FEW)
    model_signature = model_signature.model_copy(update={"features": (*model_signature.features[:4], category)})
    model = prepare(
        find("RandomForestClassifier"), make(find("RandomForestClassifier"), {}, 1), model_signature.features
    )

    result, ask = explained(model.fit(rows, CLASSES), model_signature, rows[:2], rows[:BACKGROUND])

    assert "shap-exact" == result.method
    assert by_definition(ask, rows[0], rows[:BACKGROUND]) == pytest.approx(result.attributions[0], abs=1e-9)


def test_missing_values_are_explained_as_the_model_takes_them() -> None:
    rows = np.array(ROWS[:, :FEW])
    rows[::5, 1] = np.nan
    model = HistGradientBoostingClassifier(max_iter=20, random_state=1).fit(rows, CLASSES)

    result, ask = explained(model, signature(FEW), rows[:6], rows[:BACKGROUND])

    for row, values in zip(rows[:6], result.attributions, strict=True):
        assert by_definition(ask, row, rows[:BACKGROUND]) == pytest.approx(values, abs=1e-3)


def test_sampled_attributions_add_up_and_lie_near_the_exact_ones() -> None:
    weights = np.linspace(2, 0, MAX_EXACT_FEATURES + 1)
    rows = ROWS[:, : len(weights)]

    def ask(matrix: np.ndarray) -> np.ndarray:
        return (1 / (1 + np.exp(-matrix @ weights - matrix[:, 0] * matrix[:, 1])))[:, None]

    model_signature = signature(len(weights), "Regression")
    explain = explainer(ask, None, model_signature, rows[100:140])
    result = explain(rows[:2])

    assert ("shap-permutation", True) == (result.method, result.orders > 0)
    assert ask(rows[:2]) == pytest.approx(result.expected + result.attributions.sum(axis=1), abs=1e-9)
    assert np.abs(result.attributions[0] - by_definition(ask, rows[0], rows[100:140])).max() < 0.05
    assert (explain(rows[:2]).attributions == result.attributions).all()


def test_a_model_without_probabilities_is_explained_by_the_class_it_names() -> None:
    model_signature = signature(2)
    ask = output_of(lambda matrix: Answer((matrix[:, 0] > 0).astype(np.int64)), model_signature)

    result = explainer(ask, None, model_signature, np.array([[-1.0, 0.0]]))(np.array([[1.0, 1.0]]))

    assert [[-1.0, 1.0], [0.0, 0.0]] == result.attributions[0].tolist()


def test_a_classifier_that_names_classes_alone_is_asked() -> None:
    rows = ROWS[:, :FEW]
    model_signature = signature(FEW).model_copy(update={"gives_probabilities": False})

    result, ask = explained(RidgeClassifier().fit(rows, CLASSES), model_signature, rows[:1], rows[:BACKGROUND])

    assert by_definition(ask, rows[0], rows[:BACKGROUND]) == pytest.approx(result.attributions[0], abs=1e-9)


def test_a_row_that_the_model_refuses_is_named_by_its_own_index() -> None:
    model_signature = signature(2, "Regression", ())
    background = np.array([[0.0, 0.0], [5.0, 0.0]])

    def answer(matrix: np.ndarray) -> Answer:
        return Answer(np.where(matrix.sum(axis=1) > 10, np.nan, matrix[:, 0]))

    model = Predictor(model_signature, answer, compiled=False)
    explain = explainer(output_of(model.predict, model_signature), None, model_signature, background)

    own = methods.explained(explain, model.predict, np.array([[1.0, 1.0], [9.0, 9.0]]))
    mixed = methods.explained(explain, model.predict, np.array([[1.0, 8.0]]))

    assert isinstance(own, RowRefused)
    assert 1 == own.row
    assert isinstance(mixed, Unanswerable)
    assert "the model refuses rows that an explanation compares these with: the model's answer is not" in str(mixed)
    assert isinstance(methods.explained(explain, model.predict, np.array([[1.0, 1.0]])), Explained)
