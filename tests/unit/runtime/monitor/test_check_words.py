"""Check runs of a service whose columns are words: new and lost ones, slices and groups by them."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from tidemill.api.checks import Check
from tidemill.api.methods import Method
from tidemill.contract.reports import CheckOutcome
from tidemill.runtime.protocol.features import Features

Shop = Any  # the builder of conftest.py
INPUTS = Check(name="inputs", type="FeatureDrift", failing=0.2, share=0.2)
ANSWERS = Check(name="answers", type="PredictionDrift", failing=0.2)
WITHOUT_ONE = ("de", "fr", "it")
WITH_ANOTHER = ("de", "fr", "it", "es")


def only(checked: Any) -> CheckOutcome:
    (outcome,) = checked.checks
    assert isinstance(outcome, CheckOutcome)
    return outcome


def sound(**rule: Any) -> Check:
    return Check.model_validate({"name": "sound", "type": "DataQuality", "rules": [rule]})


def fair(metric: str, **bound: float) -> Check:
    return Check(name="fair", type="Fairness", metric=metric, column="country", favorable="1", **bound)


def statistics(shop: Shop, column: str) -> dict[str, float]:
    result: dict[str, float] = next(
        entry["statistics"] for entry in shop.result()["columns"] if entry["name"] == column
    )
    return result


def test_visits_like_those_learnt_from_pass(shop: Shop) -> None:
    rows, labels = shop.draw(600)
    shop.serve(rows, labels=labels)

    assert {"Passing"} == {outcome.verdict for outcome in shop.check(INPUTS, ANSWERS).checks}


@pytest.mark.parametrize("method", ["Auto", "PSI", "JensenShannon", "CramersV", "TotalVariation", "KolmogorovSmirnov"])
def test_people_from_another_country_are_found_by_every_method(shop: Shop, method: Any) -> None:
    rows, _ = shop.draw(600, countries=WITH_ANOTHER)
    shop.serve(rows)

    outcome = only(shop.check(INPUTS.model_copy(update={"method": method})))

    assert ("Failing", "country") == (outcome.verdict, outcome.worst[0].column)


def test_a_country_that_nobody_comes_from_any_more_is_lost(shop: Shop) -> None:
    rows, _ = shop.draw(600, countries=WITHOUT_ONE)
    shop.serve(rows)

    shop.check(INPUTS)

    result = statistics(shop, "feature:country")
    assert (1.0, 0.0) == (result["LostCategories"], result["NewCategoryShare"])
    assert 0.25 == pytest.approx(result["LostCategoryShare"], abs=0.03)


def test_a_country_that_training_never_saw_has_a_bound(shop: Shop) -> None:
    rows, _ = shop.draw(600, countries=WITH_ANOTHER)
    shop.serve(rows)
    share = sum(row["country"] == "es" for row in rows) / 600

    tight, wide = shop.check(
        sound(metric="UnknownCategoryShare", maximum=0.2), sound(metric="UnknownCategoryShare", maximum=0.3)
    ).checks

    assert ("Failing", "country", round(share, 6)) == (tight.verdict, tight.worst[0].column, tight.worst[0].value)
    assert "Passing" == wide.verdict
    assert share == pytest.approx(statistics(shop, "feature:country")["NewCategoryShare"])


def test_a_country_in_which_answers_are_wrong_fails_though_the_whole_passes(shop: Shop) -> None:
    rows, _ = shop.draw(800)
    here = np.array([row["country"] == "it" for row in rows])
    answers = shop.model.answer(Features(shop.model.signature).from_rows(rows).matrix).values
    shop.serve(rows, labels=np.where(here, 1 - answers, answers))
    check = Check(name="quality", type="Performance", metric="accuracy", minimum=0.7)

    whole, sliced = shop.check(check, check.model_copy(update={"slices": ("country",)})).checks

    assert ("Passing", "Failing") == (whole.verdict, sliced.verdict)
    assert ("country = it", 0.0) == (sliced.worst[0].column, sliced.worst[0].value)


@pytest.mark.parametrize(
    ("metric", "bound"),
    [
        ("DemographicParityDifference", {"maximum": 0.2}),
        ("DemographicParityRatio", {"minimum": 0.8}),
        ("EqualizedOddsDifference", {"maximum": 0.2}),
        ("EqualizedOddsRatio", {"minimum": 0.8}),
        ("EqualOpportunityDifference", {"maximum": 0.1}),
    ],
)
def test_people_from_some_countries_are_answered_otherwise(shop: Shop, metric: str, bound: Any) -> None:
    rows, labels = shop.draw(1200)
    shop.serve(rows, labels=labels)

    outcome = only(shop.check(fair(metric, **bound)))

    assert "Failing" == outcome.verdict
    worse, better = (moved.column.removeprefix("country = ") for moved in outcome.worst)
    assert (True, True) == (worse in {"it", "pt"}, better in {"de", "fr"})


@pytest.mark.parametrize(
    ("metric", "bound"),
    [
        ("EqualizedOddsDifference", {"maximum": 0.2}),
        ("EqualizedOddsRatio", {"minimum": 0.5}),
        ("EqualOpportunityDifference", {"maximum": 0.2}),
    ],
)
def test_people_of_countries_that_are_alike_are_answered_alike(shop: Shop, metric: str, bound: Any) -> None:
    rows, labels = shop.draw(1200, countries=("de", "fr"))
    shop.serve(rows, labels=labels)

    assert "Passing" == only(shop.check(fair(metric, **bound))).verdict


def test_odds_need_labels_and_parity_does_not(shop: Shop) -> None:
    rows, _ = shop.draw(600)
    shop.serve(rows)

    odds, parity = shop.check(
        fair("EqualizedOddsDifference", maximum=1.0), fair("DemographicParityDifference", maximum=1.0)
    ).checks

    assert ("NoData", "Passing") == (odds.verdict, parity.verdict)
    assert "0 rows have labels, 50 are needed" in odds.message


def test_words_in_a_column_of_numbers_are_a_schema_that_does_not_match(shop: Shop) -> None:
    rows, _ = shop.draw(300)
    shop.serve(rows)
    shop.spoil("feature:items", "several")

    outcome = only(shop.check(sound(metric="SchemaMatch", maximum=0.0)))

    assert ("Failing", "items", 0.25) == (outcome.verdict, outcome.worst[0].column, outcome.worst[0].value)


@pytest.mark.parametrize("method", get_args(Method))
def test_columns_that_became_constant_are_told_in_numbers_that_a_status_can_hold(shop: Shop, method: Any) -> None:
    rows, _ = shop.draw(1)
    shop.serve(rows * 250)
    checks = [check.model_copy(update={"method": method}) for check in (INPUTS, ANSWERS)]

    results = [outcome.to_wire() for outcome in shop.check(*checks).checks]

    numbers = [number for outcome in results for number in (outcome.get("value", 0.0), outcome.get("threshold", 0.0))]
    numbers += [moved["value"] for outcome in results for moved in outcome.get("worst", ())]
    assert all(np.isfinite(numbers))
