"""Labels of check runs: in any spelling, of no class, of one class only, and few of a group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tidemill.api.checks import Check
from tidemill.contract.reports import CheckOutcome

from .conftest import Life, Shop


def quality(metric: str, **bound: float) -> Check:
    return Check(name="quality", type="Performance", metric=metric, **(bound or {"minimum": 0.5}))


def only(checked: Any) -> CheckOutcome:
    [outcome] = checked.checks
    return outcome


def spelled(labels: Any, *words: str) -> list[str]:
    return [words[label] for label in labels]


@pytest.mark.parametrize("words", [("0", "1"), ("0.0", "1.0"), ("false", "true"), ("False", "True")])
def test_a_label_is_its_class_in_any_usual_spelling(life: Life, words: tuple[str, str]) -> None:
    rows, labels = life.draw(200)
    life.serve(rows, labels=spelled(labels, *words))

    report = life.report(quality("accuracy", minimum=0.9))

    assert not [warning for warning in report.warnings if "no class" in warning]
    assert "Passing" == only(report.checked).verdict


@pytest.mark.parametrize("metric", ["accuracy", "f1", "roc_auc", "log_loss"])
def test_labels_that_are_no_class_are_named_and_never_negative(life: Life, metric: str) -> None:
    rows, labels = life.draw(200)
    life.serve(rows, labels=spelled(labels, "no", "1"))
    bound = {"maximum_regression": 0.1} if metric == "log_loss" else {"minimum": 0.9}

    report = life.report(quality(metric, **bound))
    unknown = f"{int((labels == 0).sum())} of 200 labels are no class of the model: 'no'"

    assert any(unknown in warning and "'0', '1'" in warning for warning in report.warnings)
    assert ("NoData", True) == (only(report.checked).verdict, unknown in only(report.checked).message)
    assert int((labels == 0).sum()) == report.checked.unknown_labels


def test_a_few_labels_that_are_no_class_count_as_wrong(life: Life) -> None:
    rows, labels = life.draw(200)
    words = spelled(labels, "0", "1")
    life.serve(rows, labels=["maybe"] * 8 + words[8:])

    report = life.report(quality("accuracy", minimum=0.9))

    assert 8 == report.checked.unknown_labels
    assert only(report.checked).value is not None
    assert "8 of 200 labels are no class of the model: 'maybe' (8), counted as wrong" in only(report.checked).message


@pytest.mark.parametrize(
    "check",
    [
        Check(name="concept", type="ConceptDrift"),
        Check(name="fair", type="Fairness", metric="EqualOpportunityDifference", column="country", maximum=0.5),
    ],
    ids=lambda check: check.type,
)
def test_no_check_that_needs_labels_judges_labels_that_are_no_class(shop: Shop, check: Check) -> None:
    rows, labels = shop.draw(400)
    shop.serve(rows, labels=[f"class {label}" for label in labels])

    outcome = only(shop.check(check))

    assert "NoData" == outcome.verdict
    assert outcome.message.startswith("400 of 400 labels are no class of the model: ")


@pytest.mark.parametrize("metric", ["recall", "precision", "f1", "average_precision", "matthews_corrcoef", "roc_auc"])
def test_a_window_without_the_class_is_no_data(life: Life, metric: str) -> None:
    rows, labels = life.draw(600)
    negative = rows[(labels == 0) & (life.model.answer(rows).values == 0)]
    life.serve(negative, labels=np.zeros(len(negative), int))

    undefined, accuracy = life.check(quality(metric), quality("accuracy").model_copy(update={"name": "right"})).checks

    assert ("NoData", "Passing", 1.0) == (undefined.verdict, accuracy.verdict, accuracy.value)
    assert "is not defined for these rows" in undefined.message


def test_a_slice_without_the_class_does_not_decide(shop: Shop) -> None:
    rows, labels = shop.draw(600)
    answers = shop.model.answer(
        np.array([[("de", "fr", "it", "pt").index(row["country"]), 0, row["items"]] for row in rows])
    )
    kept = [
        index
        for index, row in enumerate(rows)
        if row["country"] != "pt" or (labels[index] == 0 and answers.values[index] == 0)
    ]
    shop.serve([rows[index] for index in kept], labels=[labels[index] for index in kept])
    check = quality("recall", minimum=0.05).model_copy(update={"slices": ("country",)})

    outcome = only(shop.check(check, minimum_labels=20))

    assert "Passing" == outcome.verdict
    assert all("pt" not in moved.column for moved in outcome.worst)


def test_ten_favourable_labels_of_a_thousand_rows_are_no_proof(shop: Shop) -> None:
    rows, _ = shop.draw(800, countries=("de", "it"))
    labels = np.zeros(len(rows), int)
    for country in ("de", "it"):
        labels[[index for index, row in enumerate(rows) if row["country"] == country][:10]] = 1
    shop.serve(rows, labels=labels)
    check = Check(
        name="fair", type="Fairness", metric="EqualOpportunityDifference", column="country", favorable="1", maximum=0.6
    )

    outcome = only(shop.check(check))

    assert "Warning" == outcome.verdict
    assert "true positive rate of '1'" in outcome.message and "of 10" in outcome.message
    assert ["TruePositiveRate"] * 2 == [moved.method for moved in outcome.worst]
    assert outcome.lower is not None and outcome.upper is not None and outcome.upper - outcome.lower > 0.25
