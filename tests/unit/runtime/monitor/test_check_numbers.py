"""Check runs of a service that answers with numbers: how wrong they are, how wrong they probably are, and whether they moved."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from tidemill.api.checks import Check
from tidemill.contract.reports import CheckOutcome

Station = Any  # the builder of conftest.py
MINUTE = timedelta(minutes=1)
QUALITY = Check(name="quality", type="Performance", metric="mean_absolute_error", maximum_regression=0.3)
ESTIMATE = Check(name="estimate", type="EstimatedPerformance", metric="mean_absolute_error", maximum_regression=0.3)
CONCEPT = Check(name="concept", type="ConceptDrift")
ANSWERS = Check(name="answers", type="PredictionDrift", failing=0.2)


def only(checked: Any) -> CheckOutcome:
    (outcome,) = checked.checks
    assert isinstance(outcome, CheckOutcome)
    return outcome


def test_days_like_those_learnt_from_pass_every_check(station: Station) -> None:
    weather, power = station.draw(500)
    station.serve(weather, labels=power)

    checked = station.check(QUALITY, ESTIMATE, CONCEPT, ANSWERS)

    assert ["Passing"] * 4 == [outcome.verdict for outcome in checked.checks]
    assert 500 == checked.labelled


def test_answers_that_are_no_numbers_are_not_estimated(station: Station) -> None:
    weather, _ = station.draw(500)
    station.serve(np.full_like(weather, np.nan))

    outcome = only(station.check(ESTIMATE))

    assert "NoData" == outcome.verdict, outcome.message


def test_errors_are_those_of_the_labels_that_came_back(station: Station) -> None:
    weather, power = station.draw(500)
    station.serve(weather, labels=power)
    wrong = float(np.mean(np.abs(station.model.answer(weather).values - power)))

    outcome = only(station.check(QUALITY))

    assert wrong == pytest.approx(outcome.value)
    assert station.model.metrics["mean_absolute_error"] + 0.3 == pytest.approx(outcome.threshold)


def test_a_worn_turbine_fails_performance_by_its_labels(station: Station) -> None:
    weather, power = station.draw(500, off=4.0)
    station.serve(weather, labels=power)

    outcome = only(station.check(QUALITY))

    assert ("Failing", True) == (outcome.verdict, outcome.lower > outcome.threshold)


def test_stormy_days_are_answered_worse_before_any_label_comes(station: Station) -> None:
    calm, _ = station.draw(400, 1)
    station.serve(calm)
    usual = only(station.check(ESTIMATE)).value
    stormy, power = station.draw(400, 2, windier=3.0)
    station.serve(stormy)
    station.serve(stormy)

    outcome = only(station.check(ESTIMATE))

    wrong = float(np.mean(np.abs(station.model.answer(stormy).values - power)))
    assert outcome.value > usual
    assert wrong == pytest.approx(outcome.value, rel=0.25)


def test_a_turbine_that_wears_within_the_window_is_concept_drift(station: Station) -> None:
    start = station.order().start
    for minute, off in ((1, 0.0), (10, 5.0)):
        weather, power = station.draw(400, minute, off=off)
        station.serve(weather, labels=power, at=start + minute * MINUTE)

    outcome = only(station.check(CONCEPT))

    assert ("Failing", True) == (outcome.verdict, outcome.value > 1)


def test_stormy_days_move_the_answers(station: Station) -> None:
    weather, _ = station.draw(500, windier=3.0)
    station.serve(weather)

    outcome = only(station.check(ANSWERS))

    assert ("Failing", "prediction") == (outcome.verdict, outcome.worst[0].column)


def test_a_metric_of_classes_says_that_it_is_none_of_numbers(station: Station) -> None:
    weather, power = station.draw(200)
    station.serve(weather, labels=power)

    outcome = only(station.check(QUALITY.model_copy(update={"metric": "accuracy"})))

    assert ("NoData", True) == (outcome.verdict, "accuracy is a metric of classification" in outcome.message)


def test_answers_that_are_words_say_nothing_of_errors(station: Station) -> None:
    weather, power = station.draw(200)
    station.serve(weather, labels=power)
    station.spoil("prediction", "much")

    assert ("NoData", 0) == ((checked := station.check(QUALITY)).verdict, checked.labelled)
