"""Metrics by name: scikit-learn's value, errors as errors, and what cannot be measured said."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from tidemill.runtime.failures import InvalidParameters
from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.model.signature import Signature
from tidemill.runtime.scoring.scorers import USUAL_NAMES, chosen, measure, must_be_known, translated

RNG = np.random.default_rng(0)
TWO = Signature(task="Classification", features=(), target="t", classes=("no", "yes"))
THREE = Signature(task="Classification", features=(), target="t", classes=("a", "b", "c"))
NUMBERS = Signature(task="Regression", features=(), target="t")


def answers(classes: int, rows: int = 60) -> tuple[np.ndarray, Answer]:
    probabilities = RNG.dirichlet(np.ones(classes), rows)
    return RNG.integers(0, classes, rows), Answer(probabilities.argmax(axis=1), probabilities)


def test_two_classes_are_measured_as_scikit_learn_does() -> None:
    truth, answer = answers(2)

    scores, unknown = measure(("accuracy", "f1", "roc_auc", "log_loss", "neg_log_loss"), truth, answer, TWO)

    assert () == unknown
    assert answer.probabilities is not None
    loss = metrics.log_loss(truth, answer.probabilities)
    assert scores == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(truth, answer.values),
            "f1": metrics.f1_score(truth, answer.values),
            "roc_auc": metrics.roc_auc_score(truth, answer.probabilities[:, 1]),
            "log_loss": loss,
            "neg_log_loss": -loss,
        }
    )


def test_more_classes_are_averaged() -> None:
    truth, answer = answers(3)

    scores, unknown = measure(("f1", "roc_auc"), truth, answer, THREE)

    assert () == unknown
    assert scores == pytest.approx(
        {
            "f1": metrics.f1_score(truth, answer.values, average="macro"),
            "roc_auc": metrics.roc_auc_score(truth, answer.probabilities, multi_class="ovr"),
        }
    )


def test_numbers_are_measured_by_their_errors() -> None:
    truth = RNG.normal(size=40)
    answer = Answer(truth + RNG.normal(size=40))

    scores, _ = measure(("r2", "mean_absolute_error", "rmse"), truth, answer, NUMBERS)

    assert scores == pytest.approx(
        {
            "r2": metrics.r2_score(truth, answer.values),
            "mean_absolute_error": metrics.mean_absolute_error(truth, answer.values),
            "rmse": metrics.root_mean_squared_error(truth, answer.values),
        }
    )


UNMEASURABLE = {
    "one class alone": (np.zeros(5, np.int64), Answer(np.zeros(5, np.int64), np.full((5, 2), 0.5)), "roc_auc"),
    "no probabilities": (np.array([0, 1]), Answer(np.array([0, 1])), "roc_auc"),
}


@pytest.mark.parametrize("case", ["one class alone", "no probabilities"])
def test_what_cannot_be_measured_is_left_out_and_said(case: str) -> None:
    truth, answer, name = UNMEASURABLE[case]

    scores, unknown = measure((name, "accuracy"), truth, answer, TWO)

    assert ["accuracy"] == list(scores)
    assert unknown[0].startswith("roc_auc cannot be measured")


def test_wanted_metrics_come_first_and_the_usual_ones_follow() -> None:
    assert ("roc_auc", "accuracy", "balanced_accuracy", "f1", "log_loss") == chosen(("roc_auc",), "Classification")
    assert ("r2", "mean_absolute_error", "rmse") == chosen((), "Regression")


def test_an_unknown_metric_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidParameters, match=r"unknown metric 'acuracy'; set spec.evaluation.metrics to .*accuracy"):
        chosen(("acuracy",), "Classification")


def test_answers_are_compared_in_the_classes_of_the_newer_version() -> None:
    old = Answer(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]))

    new = translated(old, ("b", "z"), ("a", "b", "c"))

    assert [1, -1] == new.values.tolist()
    assert new.probabilities is not None
    assert [0.9, 0.2] == new.probabilities[:, 1].tolist()


def never_positive(rows: int = 40) -> tuple[np.ndarray, Answer]:
    """Rows of the first of two classes alone, all answered so."""
    return np.zeros(rows, np.int64), Answer(np.zeros(rows, np.int64), np.tile([0.9, 0.1], (rows, 1)))


@pytest.mark.parametrize(
    "name",
    ["recall", "precision", "f1", "jaccard", "average_precision", "matthews_corrcoef", "roc_auc", "balanced_accuracy"],
)
def test_a_metric_of_a_class_that_is_not_there_is_not_zero(name: str) -> None:
    truth, answer = never_positive()

    scores, unknown = measure((name, "accuracy", "log_loss"), truth, answer, TWO)

    assert {"accuracy": 1.0, "log_loss": pytest.approx(-np.log(0.9))} == scores
    assert 1 == len(unknown) and unknown[0].startswith(f"{name} cannot be measured")


@pytest.mark.parametrize("name", ["recall_macro", "recall_weighted", "precision_macro", "precision_weighted"])
def test_an_average_over_a_share_of_no_rows_is_not_measured(name: str) -> None:
    labels, others = np.array([0, 0, 1, 1]), np.array([0, 1, 2, 1])
    truth, answers = (labels, others) if name.startswith("recall") else (others, labels)

    scores, unknown = measure((name, "f1_macro"), truth, Answer(answers), THREE)

    assert {"f1_macro": metrics.f1_score(truth, answers, average="macro")} == scores
    assert "'c'" in unknown[0]


@pytest.mark.parametrize("constant", [0.1, 0.7, 3.3, 101.325, 1e9 + 0.1])
@pytest.mark.parametrize("name", ["r2", "explained_variance", "d2_absolute_error_score"])
def test_labels_that_are_all_the_same_explain_nothing(name: str, constant: float) -> None:
    truth = np.full(200, constant)

    scores, unknown = measure((name, "rmse"), truth, Answer(truth + RNG.normal(size=200)), NUMBERS)

    assert ["rmse"] == list(scores)
    assert "needs labels that differ" in unknown[0]


def test_an_error_relative_to_labels_of_zero_is_not_measured() -> None:
    truth = np.array([0.0, 1.0, 2.0])

    scores, unknown = measure(("mean_absolute_percentage_error", "max_error"), truth, Answer(truth + 1), NUMBERS)

    assert {"max_error": 1.0} == scores
    assert "1 of 3 labels are 0" in unknown[0]


@pytest.mark.parametrize(("name", "meant"), USUAL_NAMES.items(), ids=USUAL_NAMES)
def test_the_name_that_other_libraries_use_leads_to_the_scorer(name: str, meant: str) -> None:
    must_be_known([meant], "spec.evaluation.metrics")
    with pytest.raises(InvalidParameters) as refused:
        must_be_known([name.upper()], "spec.evaluation.metrics")

    assert f"unknown metric '{name.upper()}'; set spec.evaluation.metrics to {meant}" == str(refused.value)
