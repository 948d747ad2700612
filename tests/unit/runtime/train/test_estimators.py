"""Which estimators there are, and how what is wrong with one is said."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.utils import all_estimators

from support.parameter_sets import PARAMETERS
from tidemill.runtime.failures import InvalidParameters, UnknownEstimator
from tidemill.runtime.model import artifact, sklearn_internals
from tidemill.runtime.model.signature import Feature
from tidemill.runtime.train.estimators import KNOWN, find, make
from tidemill.runtime.train.preprocessing import prepare

LEFT_OUT = {
    "takes another estimator": [
        "ClassifierChain",
        "FixedThresholdClassifier",
        "MultiOutputClassifier",
        "MultiOutputRegressor",
        "OneVsOneClassifier",
        "OneVsRestClassifier",
        "OutputCodeClassifier",
        "RegressorChain",
        "SelfTrainingClassifier",
        "StackingClassifier",
        "StackingRegressor",
        "TransformedTargetRegressor",
        "TunedThresholdClassifierCV",
        "VotingClassifier",
        "VotingRegressor",
    ],
    "predicts several columns": [
        "CCA",
        "MultiTaskElasticNet",
        "MultiTaskElasticNetCV",
        "MultiTaskLasso",
        "MultiTaskLassoCV",
        "PLSCanonical",
    ],
    "takes one feature": ["IsotonicRegression"],
    "takes nothing but counts of categories": ["CategoricalNB"],
    "learns from rows without labels": ["LabelPropagation", "LabelSpreading"],
}


def test_every_estimator_of_scikit_learn_is_known_or_left_out_for_a_reason() -> None:
    theirs = {name for kind in ("classifier", "regressor") for name, _ in all_estimators(type_filter=kind)}

    assert theirs == {known.name for known in KNOWN.values()} | {name for names in LEFT_OUT.values() for name in names}


def table() -> tuple[Any, Any, Any, tuple[Feature, ...]]:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(120, 4))
    matrix[:, 3] = rng.integers(0, 3, 120)
    classes = (matrix[:, 0] + (matrix[:, 3] == 1) + rng.normal(size=120) * 0.3 > 0).astype(np.int64)
    numbers = np.exp(matrix[:, 0]) + 0.1
    matrix[rng.random(matrix.shape) < 0.05] = np.nan
    features = (
        *(Feature(name=name, type="Numerical") for name in "abc"),
        Feature(name="d", type="Categorical", categories=("x", "y", "z")),
    )
    return matrix, classes, numbers, features


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", KNOWN)
def test_every_estimator_learns_from_gaps_and_categories_and_is_kept_without_pickle(path: str, tmp_path: Path) -> None:
    matrix, classes, numbers, features = table()
    known = find(path)
    model = prepare(known, make(known, {}, 7), features)

    model.fit(matrix, classes if known.task == "Classification" else numbers)
    artifact.write_estimator(model, tmp_path / "model.skops")
    again = artifact.estimator_of(tmp_path / "model.skops")

    np.testing.assert_array_equal(model.predict(matrix), again.predict(matrix))


def test_an_estimator_is_found_by_its_path_and_by_its_name() -> None:
    assert find("sklearn.svm.SVC") == find("SVC")


UNKNOWN = {
    "a slip": ("sklearn.ensemble.RandomForrestClassifier", "did you mean sklearn.ensemble.RandomForestClassifier"),
    "another module": ("sklearn.tree.RandomForestClassifier", "did you mean sklearn.ensemble.RandomForestClassifier"),
    "anything importable": ("os.system", "set spec.estimator.name to"),
    "a private one": ("sklearn.ensemble._forest.ForestClassifier", "did you mean"),
    "nothing": ("", "set spec.estimator.name to"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_an_unknown_estimator_is_refused_with_the_nearest(case: str) -> None:
    path, message = UNKNOWN[case]

    with pytest.raises(UnknownEstimator, match=message):
        find(path)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a slip": ({"max_iterr": 3}, r"has no parameter 'max_iterr'; did you mean 'max_iter'\?"),
    "one it never had": ({"n_neighbours": 3}, "has no parameter 'n_neighbours'; it has loss, learning_rate"),
    "out of its range": (
        {"max_iter": 0},
        r"'max_iter' parameter .* must be an int in the range \[1, inf\). Got 0 instead",
    ),
    "of another type": ({"learning_rate": "fast"}, "'learning_rate' parameter"),
    "a fraction of a whole": ({"max_iter": 2.5}, "'max_iter' parameter"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_parameter_is_named(case: str) -> None:
    parameters, message = WRONG[case]

    with pytest.raises(InvalidParameters, match=message):
        make(find("HistGradientBoostingClassifier"), parameters, 7)


def test_parameters_and_seed_arrive() -> None:
    estimator = make(find("HistGradientBoostingClassifier"), {"max_iter": 50.0, "learning_rate": 1}, 11)

    assert (50, 1, 11) == (estimator.max_iter, estimator.learning_rate, estimator.random_state)
    assert isinstance(estimator.max_iter, int)
    assert 3 == make(find("HistGradientBoostingClassifier"), {"random_state": 3}, 11).random_state


def test_lists_are_taken_where_scikit_learn_takes_lists_or_tuples() -> None:
    network = make(find("MLPClassifier"), {"hidden_layer_sizes": (64, 32)}, 7)
    ridge = make(find("RidgeCV"), {"alphas": [0.1, 1.0, 10.0]}, 7)

    assert [64, 32] == list(network.hidden_layer_sizes)
    assert [0.1, 1.0, 10.0] == list(ridge.alphas)
    with pytest.raises(InvalidParameters, match=r"'C' parameter .*; correct spec.estimator.parameters.C"):
        make(find("SVC"), {"C": [1, 2]}, 7)


WEIGHTED: dict[str, tuple[tuple[Any, ...], dict[str, Any], dict[int, float]]] = {
    "text": (("fraud", "fine"), {"fraud": 5}, {0: 5.0}),
    "whole numbers": ((0, 1), {"1": 2.5, "0": 1}, {1: 2.5, 0: 1.0}),
    "truth values": ((False, True), {"true": 3}, {1: 3.0}),
    "leading zeros": (("01", "1"), {"1": 3}, {1: 3.0}),
}


@pytest.mark.parametrize("case", WEIGHTED)
def test_weights_are_given_by_label(case: str) -> None:
    classes, weights, expected = WEIGHTED[case]

    assert expected == make(find("LogisticRegression"), {"class_weight": weights}, 7, classes).class_weight


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"froud": 5}, "class_weight names 'froud', and the classes are 'fraud', 'fine'; correct"),
        ({"fraud": "much"}, "class_weight of 'fraud' is 'much', and must be a number"),
        ({"fraud": -1}, "class_weight of 'fraud' is -1, and must be a number"),
    ],
)
def test_weights_that_mean_no_class_or_no_number_are_refused(weights: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameters, match=message):
        make(find("LogisticRegression"), {"class_weight": weights}, 7, ("fraud", "fine"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PARAMETERS)
def test_what_parameters_put_into_a_file_can_be_loaded(name: str, tmp_path: Path) -> None:
    matrix, classes, numbers, features = table()
    known = find(name)
    for number, parameters in enumerate(PARAMETERS[name]):
        model = prepare(known, make(known, parameters, 7), features)
        try:
            model.fit(matrix, classes if known.task == "Classification" else numbers)
        except (ValueError, np.linalg.LinAlgError):
            continue
        artifact.write_estimator(model, tmp_path / f"{number}.skops")
        again = artifact.estimator_of(tmp_path / f"{number}.skops")

        np.testing.assert_array_equal(model.predict(matrix), again.predict(matrix))


def test_only_types_of_numeric_libraries_are_trusted_and_each_by_its_name() -> None:
    assert {"functools", "numpy", "sklearn"} == {name.partition(".")[0] for name in sklearn_internals.TRUSTED}
    for name in sklearn_internals.TRUSTED:
        module, _, attribute = name.rpartition(".")
        assert callable(getattr(importlib.import_module(module), attribute))


def test_another_release_of_scikit_learn_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sklearn_internals.SUPPORTED.require()
    monkeypatch.setattr("tidemill.runtime.process.versions.version", lambda _: "1.10.0")

    with pytest.raises(RuntimeError, match=r"scikit-learn 1\.10\.0 is installed; install scikit-learn>=1\.9,<1\.10"):
        sklearn_internals.SUPPORTED.require()
