from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ecdf

from tidemill.runtime.model import background
from tidemill.runtime.model.background import Background
from tidemill.runtime.model.signature import Feature, Signature

NUMBERS = Signature(
    task="Regression", features=tuple(Feature(name=name, type="Numerical") for name in "abc"), target="t"
)
MIXED = NUMBERS.model_copy(
    update={
        "features": (
            Feature(name="size", type="Numerical"),
            Feature(name="city", type="Categorical", categories=("Bonn", "Ulm")),
        )
    }
)
RNG = np.random.default_rng(3)
ROWS = RNG.normal(size=(400, 3))


def test_the_score_is_that_of_the_empirical_distributions() -> None:
    result = background.of(ROWS, NUMBERS, seed=1).score(ROWS, NUMBERS)

    left = np.stack([ecdf(column).cdf.evaluate(column) for column in ROWS.T], axis=1)
    right = np.stack([ecdf(-column).cdf.evaluate(-column) for column in ROWS.T], axis=1)
    sums = [-np.log(tails).sum(axis=1) for tails in (left, right, np.minimum(left, right))]
    assert np.max(sums, axis=0) == pytest.approx(result)


def test_a_row_far_out_ranks_above_all_of_training_and_one_in_the_middle_low() -> None:
    result = background.of(ROWS, NUMBERS, seed=1)

    far, middle = result.rank(np.array([[50.0, -50.0, 50.0], [0.0, 0.0, 0.0]]), NUMBERS)

    assert (1.0, True) == (far, bool(middle < 0.1))


def test_rare_and_unseen_categories_and_unusual_gaps_are_far_out() -> None:
    rows = np.column_stack([RNG.normal(size=1_000), np.r_[np.zeros(990), np.ones(10)]])
    result = background.of(rows, MIXED, seed=1)

    usual, rare, unseen, gap = result.score(np.array([[0.0, 0], [0.0, 1], [0.0, -1], [np.nan, 0]]), MIXED)

    assert usual < rare < unseen
    assert gap > rare


def test_it_is_read_as_it_was_written() -> None:
    rows = ROWS.copy()
    rows[::7, 1] = np.nan
    result = background.of(rows, NUMBERS, seed=1)

    again = Background.from_json(result.to_json())

    assert result.to_json() == again.to_json()
    assert result.rank(rows, NUMBERS).tolist() == again.rank(rows, NUMBERS).tolist()


def test_the_same_rows_and_seed_are_the_same_bytes() -> None:
    assert background.of(ROWS, NUMBERS, seed=1).to_json() == background.of(ROWS, NUMBERS, seed=1).to_json()
