from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression

from tidemill.runtime import shapley
from tidemill.runtime.answer import Answer
from tidemill.runtime.predictor import estimated
from tidemill.runtime.signature import Feature, Signature

CHANCE = np.random.default_rng(5)


def signature(features: int, task: str = "Classification") -> Signature:
    named = tuple(Feature(name=f"f{place}", type="Numerical") for place in range(features))
    return Signature(
        task="Classification" if task == "Classification" else "Regression",
        features=named,
        target="t",
        classes=(0, 1) if task == "Classification" else (),
    )


def by_definition(ask: shapley.Ask, row: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Shapley's formula, coalition by coalition."""
    count = len(row)

    def worth(inside: tuple[int, ...]) -> np.ndarray:
        rows = background.copy()
        rows[:, list(inside)] = row[list(inside)]
        return ask(rows).mean(axis=0)

    found = []
    for feature in range(count):
        others = [other for other in range(count) if other != feature]
        total = np.zeros(ask(background).shape[1])
        for size in range(count):
            weight = math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count)
            for inside in itertools.combinations(others, size):
                total += weight * (worth((*inside, feature)) - worth(inside))
        found.append(total)
    return np.array(found)


@pytest.fixture(scope="module")
def boosting() -> tuple[shapley.Ask, np.ndarray]:
    rows = CHANCE.normal(size=(300, 5))
    truth = (rows[:, 0] * rows[:, 1] + rows[:, 2] > 0).astype(int)
    model = HistGradientBoostingClassifier(max_iter=20).fit(rows, truth)
    said = signature(5)
    return shapley.output_of(estimated(model, said), said), rows


def test_few_features_are_explained_as_the_definition_says(boosting: tuple[shapley.Ask, np.ndarray]) -> None:
    ask, rows = boosting

    found = shapley.explain(ask, rows[:2], rows[:20])

    for row, values in zip(rows[:2], found.attributions, strict=True):
        assert by_definition(ask, row, rows[:20]) == pytest.approx(values, abs=1e-12)


@pytest.mark.parametrize("features", [3, 30])
def test_a_linear_model_is_explained_by_weight_times_distance_from_the_mean(features: int) -> None:
    rows = CHANCE.normal(size=(200, features))
    model = LinearRegression().fit(rows, rows @ CHANCE.normal(size=features))
    said = signature(features, "Regression")

    found = shapley.explain(shapley.output_of(estimated(model, said), said), rows[:3], rows[50:100])

    expected = (rows[:3] - rows[50:100].mean(axis=0)) * model.coef_
    assert expected == pytest.approx(found.attributions[:, :, 0], abs=1e-9)


def test_sampled_attributions_add_up_and_lie_near_the_exact_ones() -> None:
    rows = CHANCE.normal(size=(300, 12))
    weights = np.linspace(2, 0, 12)

    def ask(matrix: np.ndarray) -> np.ndarray:
        return (1 / (1 + np.exp(-matrix @ weights - matrix[:, 0] * matrix[:, 1])))[:, None]

    found = shapley.explain(ask, rows[:2], rows[100:140])
    exact = np.stack([shapley._exactly(ask, row, rows[100:140]) for row in rows[:2]])

    assert found.orders > 0
    assert ask(rows[:2]) == pytest.approx(found.expected + found.attributions.sum(axis=1), abs=1e-12)
    assert np.abs(found.attributions - exact).max() < 0.05
    assert (shapley.explain(ask, rows[:2], rows[100:140]).attributions == found.attributions).all()


def test_a_model_without_probabilities_is_explained_by_the_class_it_names() -> None:
    said = signature(2)

    ask = shapley.output_of(lambda matrix: Answer((matrix[:, 0] > 0).astype(np.int64)), said)

    found = shapley.explain(ask, np.array([[1.0, 1.0]]), np.array([[-1.0, 0.0]]))
    assert [[-1.0, 1.0], [0.0, 0.0]] == found.attributions[0].tolist()
