"""Shapley values of a model's answers: how much each feature of a row moves the answer away from the average one.

A feature that is not there takes the values it has in real rows, all others staying as they are (interventional values:
Lundberg and Lee, 2017; Janzing et al., 2020). The model itself is asked, so what is explained is what answers, in the units
of the answer, and the attributions of a row add up to its answer less the average one, whatever the model. For linear models
they are weight times distance from the mean, exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.runtime.answer import Answer, Matrix
from tidemill.runtime.signature import Signature

MOST_EXACT: Final = 8
"""Up to so many features every coalition of them is tried."""
MOST_ASKED: Final = 100_000
"""Rows the model is asked at most to explain one."""
MOST_ORDERS: Final = 16

Values = NDArray[np.float64]
Ask = Callable[[Matrix], Values]
"""[rows, features] to [rows, outputs]."""


class Explained(NamedTuple):
    """Why a model answers so."""

    expected: Values
    """The average answer over the background, [outputs]."""
    attributions: Values
    """[rows, features, outputs]."""
    orders: int
    """In how many orders features were added; 0 where every coalition was tried, and the values are exact."""


def output_of(predict: Callable[[Matrix], Answer], signature: Signature) -> Ask:
    """What is explained of a model: its numbers, its probabilities, or 1 for the class it names and 0 for the others."""

    def ask(matrix: Matrix) -> Values:
        answer = predict(matrix)
        if signature.task == "Regression":
            return np.asarray(answer.values, np.float64).reshape(-1, 1)
        if answer.probabilities is not None:
            return np.asarray(answer.probabilities, np.float64)
        return np.eye(len(signature.classes))[np.asarray(answer.values, np.int64)]

    return ask


def explain(ask: Ask, rows: Matrix, background: Matrix, seed: int = 0) -> Explained:
    """The Shapley values of each row; sampled ones are the same for the same seed, and add up all the same."""
    features = rows.shape[1]
    expected = ask(background).mean(axis=0)
    if features <= MOST_EXACT:
        return Explained(expected, np.stack([_exactly(ask, row, background) for row in rows]), 0)
    pairs = max(1, min(MOST_ORDERS // 2, MOST_ASKED // (2 * (features + 1) * len(background))))
    chance = np.random.default_rng(seed)
    orders: list[NDArray[np.int64]] = []
    for _ in range(pairs):
        order = chance.permutation(features)
        # An order and its reverse: what one overrates the other underrates.
        orders += [order, order[::-1]]
    return Explained(expected, np.stack([_sampled(ask, row, background, orders) for row in rows]), len(orders))


def _sampled(ask: Ask, row: Values, background: Matrix, orders: list[NDArray[np.int64]]) -> Values:
    count = len(row)
    found: Values | None = None
    for order in orders:
        steps = np.repeat(background[None], count + 1, axis=0)
        for step, feature in enumerate(order):
            steps[step + 1 :, :, feature] = row[feature]
        answers = ask(steps.reshape(-1, count)).reshape(count + 1, len(background), -1).mean(axis=1)
        moved = np.empty((count, answers.shape[1]))
        moved[order] = np.diff(answers, axis=0)
        found = moved if found is None else found + moved
    assert found is not None
    return found / len(orders)


def _exactly(ask: Ask, row: Values, background: Matrix) -> Values:
    count = len(row)
    coalitions = np.arange(1 << count)
    inside = (coalitions[:, None] >> np.arange(count)) & 1 == 1
    steps = np.where(inside[:, None, :], row, background[None])
    worth = ask(steps.reshape(-1, count)).reshape(len(coalitions), len(background), -1).mean(axis=1)
    sizes = inside.sum(axis=1)
    weights = np.array(
        [math.factorial(size) * math.factorial(count - size - 1) / math.factorial(count) for size in range(count)]
    )
    found = np.empty((count, worth.shape[1]))
    for feature in range(count):
        without = coalitions[~inside[:, feature]]
        gained = worth[without | (1 << feature)] - worth[without]
        found[feature] = (weights[sizes[without]][:, None] * gained).sum(axis=0)
    return found
