"""What answers hang on, and features that know too much."""

from __future__ import annotations

import numpy as np

from tidemill.runtime.model.predictor import Answer, Matrix
from tidemill.runtime.model.signature import Feature
from tidemill.runtime.train.importance import know_too_much, permutation_importance

RNG = np.random.default_rng(0)
FEATURES = tuple(Feature(name=name, type="Numerical") for name in "abc")


def by_first(matrix: Matrix) -> Answer:
    yes = 1 / (1 + np.exp(-4 * matrix[:, 0] - matrix[:, 1]))
    return Answer((yes > 0.5).astype(np.int64), np.column_stack([1 - yes, yes]))


def test_importance_follows_what_the_answers_hang_on() -> None:
    matrix = RNG.normal(size=(400, 3))
    truth = (4 * matrix[:, 0] + matrix[:, 1] > 0).astype(np.int64)

    first, second, third = permutation_importance(by_first, matrix, truth, 7)

    assert first > second > third == 0
    assert np.isclose(first + second + third, 1.0)


def test_importance_is_the_same_every_time() -> None:
    matrix, truth = RNG.normal(size=(50, 3)), RNG.integers(0, 2, 50)

    assert (
        permutation_importance(by_first, matrix, truth, 7).tolist()
        == permutation_importance(by_first, matrix, truth, 7).tolist()
    )


def test_a_model_that_looks_at_nothing_has_no_importance() -> None:
    truth = RNG.normal(size=50)

    importances = permutation_importance(
        lambda matrix: Answer(np.zeros(len(matrix))), RNG.normal(size=(50, 3)), truth, 7
    )

    assert [0.0, 0.0, 0.0] == importances.tolist()


def test_a_feature_that_tells_the_answer_alone_is_suspicious() -> None:
    truth = RNG.integers(0, 2, 100)
    matrix = np.column_stack([RNG.normal(size=100), truth * 3.0 + RNG.random(100), RNG.normal(size=100) + truth])

    warnings = know_too_much(matrix, truth, FEATURES)

    assert 1 == len(warnings)
    assert "feature 'b' alone tells the answer" in warnings[0]


def test_a_number_that_is_the_target_in_other_units_is_suspicious() -> None:
    truth = RNG.normal(size=100)
    matrix = np.column_stack([truth * 2.2 + 1, RNG.normal(size=100), np.full(100, np.nan)])

    assert ["feature 'a' alone"] == [sentence[:17] for sentence in know_too_much(matrix, truth, FEATURES)]
