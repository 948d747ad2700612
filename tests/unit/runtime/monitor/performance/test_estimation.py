"""Estimates without labels agree with what labels say later, on real data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, get_scorer, mean_absolute_error
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tidemill.runtime.monitor.performance import estimated as estimation
from tidemill.runtime.monitor.performance import multiclass
from tidemill.runtime.monitor.performance.measured import Classified, NotMeasurable, measure
from tidemill.runtime.scoring.scorers import ERRORS


def split(size: int, seed: int, *shares: float) -> list[Any]:
    order = np.random.default_rng(seed).permutation(size)
    return np.split(order, [int(size * share) for share in np.cumsum(shares)])


def answered(model: Any, rows: Any, labels: Any, classes: tuple[str, ...]) -> Classified:
    probabilities = model.predict_proba(rows)
    return Classified(classes, np.asarray(labels), probabilities.argmax(axis=1), probabilities.max(axis=1))


TWO = ("malignant", "benign")


def lives(count: int = 8, where: Any = None) -> Any:
    """A model that is too sure of itself; its answers held out, and later ones, of biopsies drawn again each time."""
    data = load_breast_cancer()
    for seed in range(count):
        fit, held, later = split(len(data.data), seed, 0.3, 0.35)
        model = GaussianNB().fit(data.data[fit, :4], data.target[fit])
        if where is not None:
            later = later[where(data.data[later])]
        yield (
            answered(model, data.data[held, :4], data.target[held], TWO),
            answered(model, data.data[later, :4], data.target[later], TWO),
        )


@pytest.fixture(scope="module")
def biopsies() -> Any:
    return next(iter(lives(1)))


@pytest.mark.parametrize(
    ("metric", "room"),
    [
        ("accuracy", 0.02),
        ("f1", 0.02),
        ("precision", 0.03),
        ("recall", 0.03),
        ("balanced_accuracy", 0.03),
        ("roc_auc", 0.02),
        ("log_loss", 0.08),
        ("brier_score", 0.02),
    ],
)
def test_an_estimate_of_two_classes_is_what_labels_say_later(metric: str, room: float) -> None:
    away, covered = [], 0
    for held, later in lives():
        realised = measure(metric, later)
        result = estimation.estimate(metric, held, later.answers, later.scores)
        away.append(result.value - realised)
        covered += result.low <= realised <= result.high

    assert 0 == pytest.approx(np.mean(away), abs=room)
    assert covered >= 6


def test_confidence_alone_would_have_been_wrong_by_more() -> None:
    pairs = [
        (estimation.estimate("accuracy", held, later.answers, later.scores).value, later.scores.mean(), later)
        for held, later in lives()
    ]
    calibrated = np.mean([abs(result - measure("accuracy", later)) for result, _, later in pairs])
    raw = np.mean([abs(sure - measure("accuracy", later)) for _, sure, later in pairs])

    assert calibrated < raw


def test_accuracy_that_falls_with_harder_biopsies_is_seen_without_labels() -> None:
    def middling(rows: Any) -> Any:
        return (rows[:, 0] > 13) & (rows[:, 0] < 16)

    usual = np.mean([measure("accuracy", later) for _, later in lives()])
    pairs = [
        (estimation.estimate("accuracy", held, later.answers, later.scores).value, measure("accuracy", later))
        for held, later in lives(where=middling)
    ]
    estimated, realised = np.mean(pairs, axis=0)

    assert realised < usual - 0.05
    assert realised == pytest.approx(estimated, abs=0.05)


def ten_classes(seed: int) -> tuple[Classified, Classified]:
    """A model that is too sure of itself: its answers held out, and later ones, with probabilities of ten classes."""
    data = load_digits()
    pixels = data.data[:, 20:36]
    fit, held, later = split(len(pixels), seed, 0.2, 0.45)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, C=10))
    model.fit(pixels[fit], data.target[fit])
    known, rows = (
        replace(
            answered(model, pixels[of], data.target[of], tuple("0123456789")),
            probabilities=model.predict_proba(pixels[of]),
        )
        for of in (held, later)
    )
    return known, rows


@pytest.fixture(scope="module")
def several_digits() -> list[tuple[Classified, Classified]]:
    return [ten_classes(seed) for seed in range(4)]


@pytest.fixture(scope="module")
def digits(several_digits: list[tuple[Classified, Classified]]) -> tuple[Classified, Classified]:
    return several_digits[1]


def test_accuracy_of_ten_classes_is_what_labels_say_later(digits: tuple[Classified, Classified]) -> None:
    known, rows = digits

    result = estimation.estimate("accuracy", known, rows.answers, rows.scores)

    assert accuracy_score(rows.labels, rows.answers) == pytest.approx(result.value, abs=0.02)


@pytest.mark.parametrize(
    ("metric", "room"),
    [
        ("f1", 0.02),
        ("precision_macro", 0.02),
        ("balanced_accuracy", 0.02),
        ("recall_weighted", 0.02),
        ("roc_auc", 0.01),
        ("roc_auc_ovr_weighted", 0.01),
        ("log_loss", 0.12),
        ("brier_score", 0.03),
    ],
)
def test_an_estimate_of_ten_classes_is_what_labels_say_later(
    several_digits: list[tuple[Classified, Classified]], metric: str, room: float
) -> None:
    away, covered = [], 0
    for known, rows in several_digits:
        realised = measure(metric, rows)
        result = multiclass.estimate(metric, known, rows.answers, rows.probabilities)
        away.append(result.value - realised)
        covered += result.low <= realised <= result.high

    assert 0 == pytest.approx(np.mean(away), abs=room)
    assert covered >= 3


def test_probabilities_of_ten_classes_alone_would_have_been_wrong_by_more(
    digits: tuple[Classified, Classified],
) -> None:
    known, rows = digits
    realised = measure("f1", rows)

    calibrated = multiclass.estimate("f1", known, rows.answers, rows.probabilities).value
    raw = multiclass.expected("f1_macro", rows.answers, rows.probabilities, rows.probabilities)

    assert abs(calibrated - realised) < abs(raw - realised)


@pytest.mark.parametrize("metric", multiclass.KNOWN)
def test_metrics_of_many_classes_of_certain_rows_are_the_metrics_themselves(
    digits: tuple[Classified, Classified], metric: str
) -> None:
    _, rows = digits
    certain = (rows.labels[:, None] == np.arange(10)).astype(float)

    assert measure(metric, rows) == pytest.approx(
        multiclass.expected(metric, rows.answers, rows.probabilities, certain), rel=1e-6
    )


REFUSED: dict[str, tuple[str, Any, Any, str]] = {
    "a metric of pairs of classes": (
        "roc_auc_ovo",
        lambda known: known,
        lambda probabilities: probabilities,
        "take accuracy",
    ),
    "a version that keeps too little": (
        "f1",
        lambda known: replace(known, probabilities=None),
        lambda probabilities: probabilities,
        "train it again",
    ),
    "a log that keeps too little": ("f1", lambda known: known, lambda _: None, "answered class only"),
    "a log that began to keep it within the window": (
        "f1",
        lambda known: known,
        lambda probabilities: np.where(np.arange(len(probabilities))[:, None] < 9, np.nan, probabilities),
        "9 of .* rows",
    ),
}


@pytest.mark.parametrize(
    ("metric", "change_known", "change_probabilities", "why"), REFUSED.values(), ids=REFUSED.keys()
)
def test_what_cannot_be_estimated_of_many_classes_says_why(
    digits: tuple[Classified, Classified], metric: str, change_known: Any, change_probabilities: Any, why: str
) -> None:
    known, rows = digits

    with pytest.raises(NotMeasurable, match=why):
        multiclass.estimate(metric, change_known(known), rows.answers, change_probabilities(rows.probabilities))


def test_an_error_of_numbers_is_what_labels_say_later() -> None:
    data = load_diabetes()
    fit, held, later = split(len(data.data), 2, 0.3, 0.35)
    model = Ridge(alpha=0.1).fit(data.data[fit], data.target[fit])

    def points(of: Any) -> Any:
        return np.column_stack((data.data[of], model.predict(data.data[of])))

    errors = data.target[held] - model.predict(data.data[held])
    realised = mean_absolute_error(data.target[later], model.predict(data.data[later]))

    result = estimation.estimate_error("mean_absolute_error", points(held), errors, points(later))

    assert realised == pytest.approx(result.value, rel=0.12)
    assert result.low <= realised <= result.high


def test_errors_that_grow_where_the_window_lies_are_seen_without_labels() -> None:
    random = np.random.default_rng(1)
    index = random.uniform(0, 1, 2000)
    errors = random.normal(size=2000) * (0.1 + 2 * index)
    window = random.uniform(0.8, 1, 1000)

    result = estimation.estimate_error(
        "rmse", np.column_stack((index, index)), errors, np.column_stack((window, window))
    )

    assert np.sqrt(np.mean(np.square(0.1 + 2 * window))) == pytest.approx(result.value, rel=0.1)
    assert result.value > 1.4 * np.sqrt(np.mean(np.square(errors)))


def test_calibration_never_falls_with_the_score_and_is_right_on_average() -> None:
    random = np.random.default_rng(1)
    scores = random.random(3000)
    right = (random.random(3000) < scores**2).astype(float)
    calibration = estimation.Calibration.of(scores, right)
    grid = np.linspace(0, 1, 200)

    assert (np.diff(calibration(grid)) >= 0).all()
    assert right.mean() == pytest.approx(calibration(scores).mean())
    assert 0.06 > np.abs(calibration(grid) - grid**2).mean()


def test_calibration_is_scikit_learns_isotonic_regression() -> None:
    from sklearn.isotonic import IsotonicRegression

    random = np.random.default_rng(1)
    scores = np.round(random.random(500), 2)
    right = (random.random(500) < scores).astype(float)

    assert IsotonicRegression().fit(scores, right).predict(scores) == pytest.approx(
        estimation.Calibration.of(scores, right)(scores)
    )


def test_weighted_metrics_of_certain_rows_are_the_metrics_themselves() -> None:
    random = np.random.default_rng(1)
    labels, answers, scores = random.integers(0, 2, 300), random.integers(0, 2, 300), random.uniform(0.5, 1, 300)
    certain = estimation.Probable(answers, scores, (labels == answers).astype(float), binary=True)
    rows = Classified(("no", "yes"), labels, answers, scores)

    for metric in ("accuracy", "precision", "recall", "f1", "balanced_accuracy", "roc_auc", "log_loss"):
        assert measure(metric, rows) == pytest.approx(
            estimation.expected(ERRORS.get(metric, metric), certain) * (-1 if metric in ERRORS else 1)
        ), metric


@pytest.mark.parametrize("metric", ["jaccard", "r2"])
def test_a_metric_that_cannot_be_estimated_says_which_can(biopsies: Any, metric: str) -> None:
    held, later = biopsies

    with pytest.raises(NotMeasurable, match="take accuracy"):
        estimation.estimate(metric, held, later.answers, later.scores)


WORLDS = (
    # Held-out rows, slope and offset of the score's logit against the truth's, and how far inputs moved.
    (300, 1.8, 0.0, 0.0),
    (1500, 2.0, 0.0, 0.8),
    (1500, 0.5, 0.3, 1.0),
)
"""Few rows and a model that is too sure of itself; many rows and moved inputs; one that is too modest as well and biased."""


def world(rng: np.random.Generator, known: int, slope: float, offset: float, moved: float) -> tuple[Classified, ...]:
    sides = []
    for rows, shift in ((known, 0.0), (500, moved)):
        logit = 1.6 * rng.normal(shift, 1, rows) - 0.8
        labels = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(int)
        positive = 1 / (1 + np.exp(-(slope * logit + offset)))
        answers = (positive >= 0.5).astype(int)
        sides.append(Classified(TWO, labels, answers, np.where(answers == 1, positive, 1 - positive)))
    return tuple(sides)


def test_intervals_of_95_percent_hold_what_labels_say_later(monkeypatch: pytest.MonkeyPatch) -> None:
    calibrate = estimation.calibrate
    made: dict[Any, Any] = {}

    def once(scores: Any, right: Any, rows: int | None = None) -> Any:
        """All metrics of a world resample the same rows: each calibration is made once."""
        key = (scores.tobytes(), right.tobytes())
        if key not in made:
            made[key] = calibrate(scores, right, rows)
        return made[key]

    monkeypatch.setattr(estimation, "calibrate", once)
    covered = dict.fromkeys(("accuracy", "f1", "roc_auc", "log_loss"), 0)
    for seed in range(60):
        for number, parameters in enumerate(WORLDS):
            held, later = world(np.random.default_rng([11, number, seed]), *parameters)
            for metric in covered:
                result = estimation.estimate(metric, held, later.answers, later.scores)
                covered[metric] += result.low <= measure(metric, later) <= result.high
            made.clear()

    windows = 60 * len(WORLDS)
    assert 0.93 <= sum(covered.values()) / (windows * len(covered)), covered
    assert 0.90 <= min(covered.values()) / windows, covered


def test_scorers_named_here_are_scikit_learns() -> None:
    assert all(get_scorer(name) for name in ("precision", "recall", "f1", "balanced_accuracy", "roc_auc"))
