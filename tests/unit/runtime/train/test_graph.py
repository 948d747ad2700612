"""Graphs that are asked in a quicker way give the same bits."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from tidemill.runtime.failures import ArtifactCorrupt
from tidemill.runtime.model import onnx
from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.train.branches import MIN_NODES, turned
from tidemill.runtime.train.estimators import find, make
from tidemill.runtime.train.exact import exact
from tidemill.runtime.train.graph import quickened
from tidemill.runtime.train.preprocessing import prepare

COLUMNS = 6
RNG = np.random.default_rng(7)
# Columns of very unlike sizes, and some whose values are thresholds themselves.
ROWS = (RNG.normal(size=(1_500, COLUMNS)) * [1, 10, 1e4, 1e-6, 1, 1] + [0, 5, 1e6, 0, 0, 0]).astype(np.float32)
ROWS[:, 5] = np.round(ROWS[:, 5])
CLASSES = ((ROWS[:, 0] + ROWS[:, 5]) > 0.5).astype(int)
NUMBERS = ROWS[:, 0] * 2 + ROWS[:, 5]


def converted(estimator: Any, kind: Any = FloatTensorType) -> ModelProto:
    options = {id(estimator): {"zipmap": False}} if hasattr(estimator, "classes_") else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return convert_sklearn(
            estimator,
            "m",
            [("features", kind([None, COLUMNS]))],
            options=options,
            target_opset={"": 18, "ai.onnx.ml": 3},
        )


def answers(model: ModelProto, rows: np.ndarray) -> list[bytes]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [values.tobytes() for values in session.run(None, {"features": rows})]


def operators(model: ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def edges(model: ModelProto) -> np.ndarray:
    """Rows at each threshold of the model's trees, right below and right above it."""
    results = []
    for node in model.graph.node:
        attributes = {value.name: helper.get_attribute_value(value) for value in node.attribute}
        for feature, value in list(
            zip(attributes.get("nodes_featureids", ()), attributes.get("nodes_values", ()), strict=True)
        )[:300]:
            at = np.float32(value)
            for value in (at, np.nextafter(at, np.float32(np.inf)), np.nextafter(at, np.float32(-np.inf))):
                row = ROWS[len(results) % len(ROWS)].copy()
                row[feature] = value
                results.append(row)
    return np.array(results, np.float32).reshape(-1, COLUMNS)


TREES = {
    "forest": lambda: RandomForestClassifier(30, random_state=7).fit(ROWS, CLASSES),
    "extra trees": lambda: ExtraTreesRegressor(20, random_state=7).fit(ROWS, NUMBERS),
    "boosting": lambda: GradientBoostingClassifier(n_estimators=60, max_depth=5, random_state=7).fit(ROWS, CLASSES),
    "three classes": lambda: RandomForestClassifier(30, random_state=7).fit(ROWS, CLASSES + (NUMBERS > 2)),
}


SUMS = {
    "forest": lambda: RandomForestRegressor(20, random_state=7).fit(ROWS, NUMBERS),
    "boosting": lambda: GradientBoostingRegressor(n_estimators=60, max_depth=5, random_state=7).fit(ROWS, NUMBERS),
}


@pytest.mark.parametrize("fit", SUMS.values(), ids=SUMS.keys())
def test_turned_sums_give_the_same_bits_at_every_edge(fit: Any) -> None:
    model = fit()
    single = converted(model)
    plain = exact(single, model)
    quick = quickened(plain, ROWS, takes_missing=False)
    rows = np.concatenate(
        [ROWS, edges(single), np.zeros((1, COLUMNS), np.float32), -np.zeros((1, COLUMNS), np.float32)]
    )

    assert {"Neg", "Concat", "TreeEnsemble"} <= set(operators(quick))
    assert answers(plain, rows) == answers(quick, rows)
    given = np.frombuffer(answers(quick, rows)[0])
    np.testing.assert_allclose(
        given, model.predict(rows), rtol=1e-13, atol=1e-13
    )  # several threads add in their own order


@pytest.mark.parametrize("fit", TREES.values(), ids=TREES.keys())
def test_turned_trees_give_the_same_bits_at_every_edge(fit: Any) -> None:
    plain = converted(fit())
    quick = quickened(plain, ROWS, takes_missing=False)
    rows = np.concatenate([ROWS, edges(plain), np.zeros((1, COLUMNS), np.float32), -np.zeros((1, COLUMNS), np.float32)])

    assert {"Neg", "Concat"} <= set(operators(quick))
    assert answers(plain, rows) == answers(quick, rows)
    assert answers(plain, rows[:1]) == answers(quick, rows[:1])


def prepared(estimator: str, *, categories: bool) -> Any:
    """An estimator behind what a training run puts before it, fitted on rows with gaps."""
    known = find(estimator)
    features = [Feature(name=f"f{index}", type="Numerical") for index in range(COLUMNS)]
    rows = np.array(ROWS, np.float64)
    rows[::9, 1] = np.nan
    if categories:
        features[5] = Feature(name="f5", type="Categorical", categories=("a", "b", "c"))
        rows[:, 5] = np.abs(rows[:, 5]) % 3
    return prepare(known, make(known, {}, 7), features).fit(rows, CLASSES)


@pytest.mark.parametrize("categories", [False, True])
@pytest.mark.parametrize("estimator", ["RandomForestClassifier", "GradientBoostingClassifier", "LogisticRegression"])
def test_what_training_runs_put_before_a_model_is_looked_through(estimator: str, categories: bool) -> None:
    plain = converted(prepared(estimator, categories=categories))
    quick = quickened(plain, ROWS, takes_missing=True)
    rows = ROWS.copy()
    rows[:, 5] = np.abs(rows[:, 5]) % 4 - 1
    rows[::3, :5][RNG.random(rows[::3, :5].shape) < 0.3] = np.nan
    rows[7] = np.nan

    assert ("Sub" if estimator == "LogisticRegression" else "Neg") in operators(quick)
    assert answers(plain, rows) == answers(quick, rows)


def test_the_likely_branch_of_each_node_is_the_false_one() -> None:
    plain = converted(RandomForestClassifier(30, random_state=7).fit(ROWS, CLASSES))
    quick = quickened(plain, ROWS, takes_missing=False)

    both = np.concatenate([ROWS, -ROWS], axis=1)

    assert true_share(quick, both) < true_share(plain, ROWS) - 0.1
    assert turned(quick.graph.node[2], both) is None, "there is nothing left to turn"


def true_share(model: ModelProto, rows: np.ndarray) -> float:
    """Of all comparisons on the ways of the rows, the share that comes out true: one tree and one row at a time."""
    ensemble = next(node for node in model.graph.node if node.op_type.startswith("TreeEnsemble"))
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in ensemble.attribute}
    nodes = {
        (tree, name): (feature, value, true, false, mode)
        for tree, name, feature, value, true, false, mode in zip(
            *(
                attributes[f"nodes_{each}"]
                for each in ("treeids", "nodeids", "featureids", "values", "truenodeids", "falsenodeids", "modes")
            ),
            strict=True,
        )
    }
    taken = []
    for row in rows[:50]:
        for tree in sorted({tree for tree, _ in nodes}):
            name = 0
            while nodes[tree, name][4] != b"LEAF":
                feature, value, true, false, _ = nodes[tree, name]
                taken.append(row[feature] <= np.float32(value))
                name = true if taken[-1] else false
    return float(np.mean(taken))


SCALED = {
    "standard": lambda: make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, CLASSES),
    "robust": lambda: make_pipeline(RobustScaler(), LogisticRegression()).fit(ROWS, CLASSES),
    "without the mean": lambda: make_pipeline(StandardScaler(with_mean=False), Ridge()).fit(ROWS, NUMBERS),
    "after gaps are filled": lambda: make_pipeline(SimpleImputer(), StandardScaler(), Ridge()).fit(ROWS, NUMBERS),
    "some columns": lambda: make_pipeline(
        make_column_transformer((StandardScaler(), [0, 1, 2]), (MinMaxScaler(), [3, 4]), remainder="passthrough"),
        LogisticRegression(),
    ).fit(ROWS, CLASSES),
}


@pytest.mark.parametrize("fit", SCALED.values(), ids=SCALED.keys())
def test_scaling_by_two_operators_gives_the_same_bits(fit: Any) -> None:
    plain = converted(fit())
    quick = quickened(plain, ROWS, takes_missing=False)
    rows = np.concatenate([ROWS, ROWS * np.float32(1e30), np.zeros((1, COLUMNS), np.float32)])

    assert "Scaler" in operators(plain)
    assert "Scaler" not in operators(quick)
    assert answers(plain, rows) == answers(quick, rows)


def test_two_scalers_have_constants_of_their_own() -> None:
    estimator = make_pipeline(StandardScaler(), RobustScaler(), StandardScaler(), Ridge()).fit(ROWS, NUMBERS)
    plain = converted(estimator)
    quick = quickened(plain, ROWS, takes_missing=False)

    names = [constant.name for constant in quick.graph.initializer]
    assert len(names) == len(set(names))
    assert answers(plain, ROWS) == answers(quick, ROWS)


LEFT_ALONE = {
    "a model that takes gaps": (lambda: HistGradientBoostingClassifier(random_state=7).fit(ROWS, CLASSES), True),
    "a forest that takes gaps": (lambda: RandomForestClassifier(30, random_state=7).fit(ROWS, CLASSES), True),
    "a small ensemble": (lambda: RandomForestClassifier(3, max_depth=3, random_state=7).fit(ROWS, CLASSES), False),
    "trees behind an imputer that fills something else than gaps": (
        lambda: make_pipeline(SimpleImputer(missing_values=0.0), RandomForestClassifier(30, random_state=7)).fit(
            ROWS, CLASSES
        ),
        True,
    ),
}


@pytest.mark.parametrize(("fit", "takes_missing"), LEFT_ALONE.values(), ids=LEFT_ALONE.keys())
def test_what_cannot_gain_is_left_as_it_is(fit: Any, takes_missing: bool) -> None:
    plain = converted(fit())

    assert quickened(plain, ROWS, takes_missing=takes_missing).SerializeToString() == plain.SerializeToString()


def test_double_precision_is_left_as_it_is() -> None:
    plain = converted(make_pipeline(StandardScaler(), Ridge()).fit(ROWS, NUMBERS), DoubleTensorType)

    assert operators(quickened(plain, ROWS, takes_missing=False)) == operators(plain)


def stumps(mode: str, **more: Any) -> Any:
    count = MIN_NODES
    return helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
        ["variable"],
        domain="ai.onnx.ml",
        nodes_treeids=[tree for tree in range(count) for _ in range(3)],
        nodes_nodeids=[0, 1, 2] * count,
        nodes_featureids=[0, 0, 0] * count,
        nodes_modes=[mode, "LEAF", "LEAF"] * count,
        nodes_values=[100.0, 0.0, 0.0] * count,
        nodes_truenodeids=[1, 0, 0] * count,
        nodes_falsenodeids=[2, 0, 0] * count,
        target_treeids=[tree for tree in range(count) for _ in range(2)],
        target_nodeids=[1, 2] * count,
        target_ids=[0, 0] * count,
        target_weights=[1.0, 2.0] * count,
        n_targets=1,
        **more,
    )


def test_only_one_way_to_compare_is_turned() -> None:
    assert turned(stumps("BRANCH_LEQ"), ROWS) is not None
    assert turned(stumps("BRANCH_LT"), ROWS) is None
    assert turned(stumps("BRANCH_LEQ", nodes_missing_value_tracks_true=[1, 0, 0] * MIN_NODES), ROWS) is None


def test_a_threshold_that_has_nothing_above_it_stays() -> None:
    plain = stumps("BRANCH_LEQ")
    limit = float(np.finfo(np.float32).max)
    next(attribute for attribute in plain.attribute if attribute.name == "nodes_values").floats[:] = [
        limit,
        0.0,
        0.0,
    ] * MIN_NODES

    assert turned(plain, np.zeros((4, COLUMNS), np.float32)) is None


def test_a_turned_ensemble_of_stumps_is_a_model_that_runs() -> None:
    def model(nodes: list[Any]) -> ModelProto:
        graph = helper.make_graph(
            nodes,
            "m",
            [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, COLUMNS])],
            [helper.make_tensor_value_info("variable", TensorProto.FLOAT, [None, 1])],
        )
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)

    plain = model([stumps("BRANCH_LEQ")])

    assert answers(plain, ROWS) == answers(quickened(plain, ROWS, takes_missing=False), ROWS)


def test_a_large_model_is_held_in_less_memory_and_gives_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = converted(RandomForestClassifier(60, random_state=7).fit(ROWS, CLASSES))
    file = tmp_path / "model.onnx"
    file.write_bytes(model.SerializeToString())
    model_signature = Signature(
        task="Classification",
        features=tuple(Feature(name=f"f{index}", type="Numerical") for index in range(COLUMNS)),
        target="t",
        classes=(0, 1),
    )
    as_it_is = onnx.compiled(file, model_signature)(ROWS)
    monkeypatch.setattr(onnx, "SLIMMED", range(1 << 10, 64 << 20))

    slim = onnx.compiled(file, model_signature)

    for rows in (ROWS, ROWS[:1]):
        assert slim(rows).values.tobytes() == as_it_is.values[: len(rows)].tobytes()
        assert slim(rows).probabilities.tobytes() == as_it_is.probabilities[: len(rows)].tobytes()
    monkeypatch.setattr(onnx.tempfile, "tempdir", str(tmp_path / "nowhere"))
    assert onnx.compiled(file, model_signature)(ROWS).values.tobytes() == as_it_is.values.tobytes(), "no disk, no harm"
    file.write_bytes(file.read_bytes()[:5_000])
    with pytest.raises(ArtifactCorrupt, match="cannot be loaded as an ONNX model"):
        onnx.compiled(file, model_signature)
