"""The tables that both sides of the pod boundary read agree with scikit-learn and with each other."""

from __future__ import annotations

import pytest
from sklearn.metrics import get_scorer, get_scorer_names

from tidemill.contract.metrics import ERROR_SCORERS, regression
from tidemill.plan.inferenceservice.statistics.psi import population_stability
from tidemill.runtime.monitor.statistics.shares import psi
from tidemill.runtime.scoring.scorers import ERRORS


def test_every_error_of_scikit_learn_counts_downwards_and_nothing_else_does() -> None:
    negated = {name for name in get_scorer_names() if name.startswith("neg_")}

    assert negated == set(ERROR_SCORERS.values())
    assert all(get_scorer(name)._sign == -1 for name in negated)
    assert all(get_scorer(name)._sign == 1 for name in set(get_scorer_names()) - negated)


def test_the_pods_score_with_the_table_that_the_gates_read() -> None:
    assert ERRORS is ERROR_SCORERS


@pytest.mark.parametrize("metric", sorted(ERROR_SCORERS))
def test_a_larger_error_is_a_regression(metric: str) -> None:
    assert regression(metric, 0.3, 0.2) > 0
    assert regression(f"neg_{metric}", -0.3, -0.2) > 0


def test_operator_and_pods_compute_one_stability_index() -> None:
    before, after = {"1": 10, "2": 20, "3": 70}, {"1": 300, "2": 300, "4": 400}
    bins = sorted({*before, *after})
    smoothed = [[counts.get(name, 0) + 0.5 for name in bins] for counts in (before, after)]

    assert psi(*smoothed) == pytest.approx(population_stability(before, after), rel=1e-12)
