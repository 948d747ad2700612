"""Metrics from the log are those of scikit-learn's scorers."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.metrics import get_scorer

from tidemill.runtime.monitor.performance.measured import Classified, NotMeasurable, Predicted, classified, measure

_random = np.random.default_rng(5)
_probability = np.round(_random.random(400), 2)  # ties, which a ranking metric must share out
_answers = (_probability > 0.5).astype(np.int64)
_labels = (_random.random(400) < 0.2 + 0.6 * _probability).astype(np.int64)
BINARY = Classified(("no", "yes"), _labels, _answers, np.where(_answers == 1, _probability, 1 - _probability))
_three = _random.integers(0, 3, 300)
THREE = Classified(("a", "b", "c"), _three, np.where(_random.random(300) < 0.7, _three, _random.integers(0, 3, 300)))
_probabilities = (
    _random.multinomial(40, (_random.dirichlet([1, 1, 1], 300) + np.eye(3)[_three]) / 2) / 40
)  # ties, as above
SURE = replace(THREE, probabilities=_probabilities)
_numbers = _random.normal(10, 3, 200)
NUMBERS = Predicted(_numbers, _numbers + _random.normal(size=200))


def by_sklearn(metric: str, rows: Any) -> float:
    class Fixed(ClassifierMixin if isinstance(rows, Classified) else RegressorMixin, BaseEstimator):  # type: ignore[misc]
        classes_ = np.arange(len(rows.classes)) if isinstance(rows, Classified) else None

        def __sklearn_is_fitted__(self) -> bool:
            return True

        def predict(self, X: Any) -> Any:
            return rows.answers

        def predict_proba(self, X: Any) -> Any:
            return rows.by_class if rows.probabilities is None else rows.probabilities

    return float(get_scorer(metric)(Fixed(), np.zeros((len(rows.labels), 1)), rows.labels))


@pytest.mark.parametrize(
    "metric",
    ["accuracy", "balanced_accuracy", "roc_auc", "neg_log_loss", "neg_brier_score", "precision", "recall", "f1"]
    + [f"{name}_{average}" for name in ("precision", "recall", "f1") for average in ("macro", "micro", "weighted")]
    + ["matthews_corrcoef", "average_precision"],
)
def test_metrics_of_two_classes_are_scikit_learns(metric: str) -> None:
    assert by_sklearn(metric, BINARY) == pytest.approx(measure(metric, BINARY))


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "f1_macro", "precision_weighted", "recall_micro"])
def test_metrics_of_three_classes_are_scikit_learns(metric: str) -> None:
    assert by_sklearn(metric, THREE) == pytest.approx(measure(metric, THREE))


@pytest.mark.parametrize(
    "metric",
    [f"roc_auc_{way}{weighted}" for way in ("ovr", "ovo") for weighted in ("", "_weighted")]
    + ["neg_log_loss", "neg_brier_score", "top_k_accuracy", "average_precision", "d2_log_loss_score"],
)
def test_metrics_of_the_probabilities_of_three_classes_are_scikit_learns(metric: str) -> None:
    assert by_sklearn(metric, SURE) == pytest.approx(measure(metric, SURE), abs=1e-5)


@pytest.mark.parametrize("metric", ["roc_auc_ovr", "roc_auc_ovo", "neg_log_loss", "d2_log_loss_score"])
def test_the_log_keeps_probabilities_precisely_enough(metric: str) -> None:
    single = replace(SURE, probabilities=SURE.probabilities.astype(np.float32).astype(np.float64))

    assert measure(metric, SURE) == pytest.approx(measure(metric, single), abs=1e-5)


@pytest.mark.parametrize(
    "metric",
    [
        "r2",
        "neg_mean_absolute_error",
        "neg_mean_squared_error",
        "neg_root_mean_squared_error",
        "neg_median_absolute_error",
        "neg_max_error",
        "explained_variance",
    ],
)
def test_metrics_of_numbers_are_scikit_learns(metric: str) -> None:
    assert by_sklearn(metric, NUMBERS) == pytest.approx(measure(metric, NUMBERS))


def test_a_metric_for_two_classes_is_averaged_over_three() -> None:
    assert measure("f1_macro", THREE) == measure("f1", THREE)
    assert measure("roc_auc_ovr", SURE) == measure("roc_auc", SURE)
    assert measure("jaccard_macro", THREE) == measure("jaccard", THREE)


def test_errors_count_downwards() -> None:
    assert -measure("neg_root_mean_squared_error", NUMBERS) == measure("rmse", NUMBERS)
    assert -measure("neg_log_loss", BINARY) == measure("log_loss", BINARY)


REFUSED = {
    "an unknown metric": ("accurracy", BINARY, "knows no scorer 'accurracy'"),
    "a metric of another task": ("r2", BINARY, "a metric of regression"),
    "a classifier's metric of numbers": ("accuracy", NUMBERS, "a metric of classification"),
    "a ranking of three classes": ("roc_auc", THREE, "enough for two classes"),
    "three classes of which some rows tell the answered one's alone": (
        "log_loss",
        replace(SURE, probabilities=np.where(np.arange(300)[:, None] < 7, np.nan, SURE.probabilities)),
        "7 of 300 rows were logged without",
    ),
    "a ranking of three classes of which one has no labels": (
        "roc_auc_ovr",
        SURE.take(SURE.labels != 1),
        "none of b",
    ),
    "a model that gives no probabilities of its three classes": (
        "roc_auc_ovr",
        replace(THREE, scores=np.full(300, np.nan)),
        "no probabilities",
    ),
    "a ranking of labels that are all one": (
        "roc_auc",
        Classified(("no", "yes"), np.ones(5, np.int64), np.ones(5, np.int64), np.full(5, 0.9)),
        "both classes",
    ),
    "a ranking without probabilities": (
        "roc_auc",
        Classified(("no", "yes"), np.array([0, 1]), np.array([0, 1])),
        "no probabilities",
    ),
    "labels that do not differ": ("r2", Predicted(np.ones(3), np.ones(3)), "labels that differ"),
    "no labels": ("r2", Predicted(np.empty(0), np.empty(0)), "no labels"),
}


@pytest.mark.parametrize(("metric", "rows", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_measured_says_why(metric: str, rows: Any, why: str) -> None:
    with pytest.raises(NotMeasurable, match=why):
        measure(metric, rows)


NEVER = Classified(("no", "yes"), np.zeros(200, np.int64), np.zeros(200, np.int64), np.full(200, 0.9))


@pytest.mark.parametrize(
    "metric",
    ["recall", "precision", "f1", "jaccard", "average_precision", "matthews_corrcoef", "roc_auc", "balanced_accuracy"],
)
def test_a_metric_of_a_class_without_rows_is_not_zero(metric: str) -> None:
    assert 1.0 == measure("accuracy", NEVER)
    with pytest.raises(NotMeasurable, match=r"yes|all labels are 'no'"):
        measure(metric, NEVER)


def test_log_loss_is_defined_for_labels_of_one_class() -> None:
    assert -np.log(0.9) == pytest.approx(measure("log_loss", NEVER))


@pytest.mark.parametrize(
    "metric",
    ["recall", "precision", "f1", "jaccard", "average_precision"]
    + [f"{name}_{average}" for name in ("precision", "recall", "f1", "jaccard") for average in ("macro", "weighted")],
)
def test_where_scikit_learn_warns_nothing_is_measured_and_elsewhere_its_value_is(metric: str) -> None:
    rng = np.random.default_rng(11)
    for _ in range(30):
        rows = int(rng.integers(2, 6))
        answers, labels = rng.integers(0, 2, rows), rng.integers(0, 2, rows)
        labels[: rng.integers(0, 2)] = 1
        table = Classified(("no", "yes"), labels, answers, np.full(rows, 0.8))
        if metric in ("f1", "jaccard") and 1 not in labels:
            continue  # stricter than scikit-learn: without a label of the class they are 0 whatever is answered
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                expected = by_sklearn(metric, table)
            except UserWarning:
                with pytest.raises(NotMeasurable):
                    measure(metric, table)
                continue
        assert expected == pytest.approx(measure(metric, table))


@pytest.mark.parametrize("constant", [0.1, 0.7, 3.3, 101.325])
@pytest.mark.parametrize("metric", ["r2", "explained_variance"])
def test_a_constant_target_explains_nothing(metric: str, constant: float) -> None:
    labels = np.full(150, constant)

    with pytest.raises(NotMeasurable, match="labels that differ"):
        measure(metric, Predicted(labels, labels + _random.normal(size=150)))


def test_a_label_that_the_model_does_not_know_is_counted_as_wrong_and_named() -> None:
    rows = classified(("M", "B"), ["M", "B", "X"], ["M", "B", "M"])

    assert (("M", "B", "X"), 2 / 3) == (rows.classes, pytest.approx(measure("accuracy", rows)))
    assert {"X": 1} == rows.unknown_labels


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "brier_score", "average_precision"])
def test_a_label_that_is_neither_class_is_not_negative(metric: str) -> None:
    sure = np.full(200, 0.8)
    labels, answers = ["no", "yes"] * 100, ["no", "yes"] * 100
    few = classified(("no", "yes"), ["?", *labels[1:]], answers, sure)
    many = classified(("no", "yes"), ["?"] * 40 + labels[40:], answers, sure)

    assert measure(metric, classified(("no", "yes"), labels[1:], answers[1:], sure[1:])) == measure(metric, few)
    with pytest.raises(NotMeasurable, match=r"40 of 200 labels are no class of the model: '\?' \(40\)"):
        measure(metric, many)


SPELLINGS = {
    "floats of pandas": ((0, 1), ["0.0", "1.0", "1"]),
    "truth in words": ((0, 1), ["false", "true", "True"]),
    "numbers for truth": ((False, True), ["0", "1", "1.0"]),
    "text classes": (("0", "1"), [0, 1, 1.0]),
    "halves": ((0.5, 1.5), ["0.50", "1.5", "1.50"]),
}


@pytest.mark.parametrize(("classes", "labels"), SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_label_means_its_class_in_any_usual_spelling(classes: Any, labels: Any) -> None:
    assert [0, 1, 1] == classified(classes, labels, [classes[0]] * 3).labels.tolist()


def test_a_class_is_its_exact_spelling_first() -> None:
    assert [1, 0, 2] == classified(("1", "01", "1.0"), ["01", "1", "1.0"], ["1"] * 3).labels.tolist()


def test_a_label_that_none_of_three_classes_means_was_given_no_probability() -> None:
    known = classified(("a", "b", "c"), ["a", "b", "c"], ["a", "b", "c"])
    rows = classified(("a", "b", "c"), ["a", "b", "c", "X"], ["a", "b", "c", "a"])
    sure = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1]])

    assert 1.0 == measure("roc_auc_ovr", replace(known, probabilities=sure[:3]))
    assert 1.0 > measure("roc_auc_ovr", replace(rows, probabilities=sure))
    assert -8 > measure("neg_log_loss", replace(rows, probabilities=sure))
