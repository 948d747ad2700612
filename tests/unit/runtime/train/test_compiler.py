"""Compiled forms: taken where they answer as scikit-learn does, and refused where they might not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.linear_model import BayesianRidge, ElasticNet, HuberRegressor, LinearRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier

from tidemill.runtime.model.onnx import CompiledModel, compiled
from tidemill.runtime.model.predictor import estimated
from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.train.compiler import Compiled, compile_model
from tidemill.runtime.train.exact import exact
from tidemill.runtime.train.probes import probe_rows

RNG = np.random.default_rng(5)
ROWS = RNG.integers(1, 60, (900, 3)) / 100
LABELS = ((ROWS[:, 0] > 0.085) ^ (ROWS[:, 1] > 0.3)).astype(np.int64)
HOUR = 1_700_000_000 + 3600 * ROWS[:, 0] + RNG.normal(0, 5, len(ROWS))


def signature(model: Any, *, takes_missing: bool = False, rows: np.ndarray = ROWS) -> Signature:
    classes = tuple(range(len(model.classes_))) if hasattr(model, "classes_") else ()
    features = tuple(
        Feature(f"f{index}", "Numerical", minimum=float(column.min()), maximum=float(column.max()))
        for index, column in enumerate(rows.T)
    )
    return Signature("Classification" if classes else "Regression", features, "y", classes, takes_missing=takes_missing)


def made(model: Any, folder: Path, *, takes_missing: bool = False) -> tuple[Compiled, CompiledModel | None]:
    model_signature = signature(model, takes_missing=takes_missing)
    result = compile_model(model, model_signature, ROWS, estimated(model, model_signature), folder)
    if not result.content:
        return result, None
    (folder / "model.onnx").write_bytes(result.content)
    return result, compiled(folder / "model.onnx", model_signature)


@pytest.mark.parametrize("classes", [2, 3])
def test_boosting_compares_in_double_precision_as_scikit_learn_does(classes: int, tmp_path: Path) -> None:
    labels = LABELS if classes == 2 else LABELS + (ROWS[:, 2] > 0.555)
    model = HistGradientBoostingClassifier(max_iter=30).fit(ROWS, labels)
    # Of the midpoints of hundredths, hundreds as they are typed lie right above the midpoint as it is computed.
    asked = np.tile(np.arange(1, 60)[:, None] / 100 + 0.005, 3)
    asked = np.vstack([np.round(asked, 3), RNG.random((2000, 3)) * 0.6, np.full((1, 3), np.nan)])

    _, form = made(model, tmp_path, takes_missing=True)

    assert form is not None
    answer = form(asked)
    assert model.predict(asked).tolist() == answer.values.tolist()
    np.testing.assert_allclose(answer.probabilities, model.predict_proba(asked), atol=1e-6)


LARGE = {
    "a forest": lambda: RandomForestRegressor(25, random_state=1),
    "extra trees": lambda: ExtraTreesRegressor(25, random_state=1),
    "boosting": lambda: GradientBoostingRegressor(random_state=1),
    "boosting from zero": lambda: GradientBoostingRegressor(init="zero", random_state=1),
    "histograms": lambda: HistGradientBoostingRegressor(max_iter=40),
    "a line": LinearRegression,
}


@pytest.mark.parametrize("case", LARGE)
def test_times_are_predicted_to_the_millisecond(case: str, tmp_path: Path) -> None:
    model = LARGE[case]().fit(ROWS, HOUR)
    asked = np.round(RNG.random((2000, 3)) * 0.6, 3)

    _, form = made(model, tmp_path)

    assert form is not None
    assert np.abs(form(asked).values - model.predict(asked)).max() < 1e-2


RATINGS: dict[str, Callable[[], Any]] = {
    "a tree": lambda: DecisionTreeRegressor(random_state=1),
    "a tree of one leaf": lambda: DecisionTreeRegressor(random_state=1, min_samples_leaf=10_000),
    "a forest": lambda: RandomForestRegressor(101, random_state=1),
    "extra trees": lambda: ExtraTreesRegressor(25, max_depth=4, random_state=1),
    "boosting": lambda: GradientBoostingRegressor(random_state=1, learning_rate=0.07),
    "boosting from zero": lambda: GradientBoostingRegressor(init="zero", random_state=1),
    "histograms": lambda: HistGradientBoostingRegressor(max_iter=40),
}


@pytest.mark.parametrize("case", RATINGS)
def test_trees_answer_in_scikit_learns_digits(case: str, tmp_path: Path) -> None:
    ratings = np.round(ROWS.sum(axis=1) * 3, 1)
    model = RATINGS[case]().fit(ROWS, ratings)
    asked = np.vstack([RNG.random((2000, 3)) * 0.6, ROWS])

    _, form = made(model, tmp_path)

    assert form is not None
    expected = model.predict(asked)
    assert expected.tolist() == form(asked).values.tolist()
    assert expected[:1].tolist() == form(asked[:1]).values.tolist()


def test_histograms_send_gaps_where_scikit_learn_does(tmp_path: Path) -> None:
    rows = ROWS.copy()
    rows[RNG.random(rows.shape) < 0.2] = np.nan
    model = HistGradientBoostingRegressor(max_iter=40).fit(rows, HOUR)

    _, form = made(model, tmp_path, takes_missing=True)

    assert form is not None
    assert model.predict(rows).tolist() == form(rows).values.tolist()


@pytest.mark.parametrize("kind", [LinearRegression, Ridge, ElasticNet, BayesianRidge, HuberRegressor])
def test_lines_answer_in_double_precision(kind: Any, tmp_path: Path) -> None:
    model = make_pipeline(StandardScaler(), kind()).fit(ROWS, ROWS.sum(axis=1) * 3 + RNG.normal(size=len(ROWS)) / 9)

    _, form = made(model, tmp_path)

    assert form is not None
    np.testing.assert_allclose(form(ROWS).values, model.predict(ROWS), rtol=1e-12)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", [DecisionTreeClassifier, ExtraTreeClassifier])
def test_small_trees_that_take_gaps_are_not_compiled(kind: Any, seed: int, tmp_path: Path) -> None:
    result, _ = made(kind(max_depth=3, random_state=seed).fit(ROWS, LABELS), tmp_path, takes_missing=True)

    assert (b"", "its trees take missing values, which ONNX sends another way") == result


def test_fill_values_are_answered_as_scikit_learn_answers_them(tmp_path: Path) -> None:
    model = GaussianNB().fit(ROWS, LABELS)
    asked = np.array([[1e20, 0.1, 0.1], [-1e20, 0.5, 0.1]])

    _, form = made(model, tmp_path)

    assert form is not None
    assert model.predict_proba(asked).tolist() == pytest.approx(np.asarray(form(asked).probabilities))


def test_every_threshold_is_tried_on_both_sides_and_between() -> None:
    model = DecisionTreeClassifier(max_depth=1).fit(ROWS, LABELS)
    model_signature = signature(model)

    probes = probe_rows(ROWS, model_signature, [(1, 0.3)])[:, 1]

    single = np.float32(0.3)
    above = np.nextafter(single, np.float32(1))
    assert {0.3, float(single), float(above)} <= set(probes.tolist())
    between = probes[(probes > float(single)) & (probes < float(above))]
    assert len(np.unique(between)) >= 3
    assert not np.isnan(probes).any()


def test_gaps_are_tried_in_each_feature_if_they_are_taken() -> None:
    model = HistGradientBoostingClassifier(max_iter=2).fit(ROWS, LABELS)

    gaps = np.isnan(probe_rows(ROWS, signature(model, takes_missing=True), []))

    for index in range(3):
        only = gaps[:, index] & (gaps.sum(axis=1) == 1)
        assert only.sum() >= 100
    assert gaps.all(axis=1).any()


def test_trees_of_another_estimator_are_left_as_they_are() -> None:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    forest = RandomForestRegressor(5, random_state=1).fit(ROWS, HOUR)
    other = RandomForestRegressor(5, random_state=2).fit(ROWS, HOUR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = convert_sklearn(forest, "m", [("features", FloatTensorType([None, 3]))])

    assert exact(graph, other) is graph
    assert exact(graph, forest) is not graph
