"""Training runs: what comes of a revision and an estimator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import revisions
from tidemill.api.conditions import Reason
from tidemill.contract.reports import Ingested, Trained
from tidemill.runtime.failures import RunFailed
from tidemill.runtime.model import predictor
from tidemill.runtime.model.encoding import encode
from tidemill.runtime.model.signature import Signature
from tidemill.runtime.profile import Profile
from tidemill.runtime.store.objects import ObjectStore
from tidemill.runtime.tables.schema import HOLDOUT


def test_gradient_boosting_tells_biopsies_apart(first: Trained) -> None:
    holdout = revisions.row_set(first, "Holdout")

    assert (456, 113) == (first.rows, holdout.rows)
    assert holdout.metrics["accuracy"] > 0.93
    assert {"accuracy", "balanced_accuracy", "f1", "roc_auc", "log_loss"} == set(holdout.metrics)
    assert first.compiled


def test_the_reported_accuracy_is_that_of_the_published_model(
    store: ObjectStore, biopsies: Ingested, first: Trained, folder: Path, tmp_path: Path
) -> None:
    table = revisions.rows_of(store, biopsies, tmp_path)
    held_out = table.filter(table.column(HOLDOUT))
    model = predictor.load(folder)

    answers = model.labels(model.predict(encode(held_out, model.signature.features)))

    right = np.mean(
        [answer == truth for answer, truth in zip(answers, held_out.column("target").to_pylist(), strict=True)]
    )
    assert revisions.row_set(first, "Holdout").metrics["accuracy"] == right


def test_a_version_holds_all_that_is_promised_and_no_pickle(folder: Path) -> None:
    assert {
        "model.skops",
        "model.onnx",
        "signature.json",
        "golden.json",
        "profile.json",
        "sample.parquet",
        "answers.parquet",
        "typical.json",
        "evaluation.json",
        "trained.json",
        "README.md",
        "MLmodel",
    } == {file.name for file in folder.iterdir()}
    golden = json.loads((folder / "golden.json").read_bytes())
    assert len(golden["rows"]) >= 20
    assert any(None in row for row in golden["rows"])


def test_the_signature_says_what_is_taken_and_given(folder: Path) -> None:
    signature = Signature.from_json((folder / "signature.json").read_bytes())

    assert ("benign", "malignant") == signature.classes
    assert 30 == len(signature.features)
    assert pytest.approx(1.0) == sum(feature.importance for feature in signature.features)
    assert all(feature.minimum is not None and feature.minimum < feature.maximum for feature in signature.features)


def test_the_profile_is_of_what_was_learnt_and_of_answers_on_the_hold_out(folder: Path, first: Trained) -> None:
    profile = Profile.from_json((folder / "profile.json").read_bytes())

    inputs, answers = profile.column("feature:mean_radius"), profile.column("prediction")
    assert inputs is not None
    assert answers is not None
    assert profile.column("score") is not None
    assert (first.rows, 113) == (inputs.rows, answers.rows)


def test_the_same_order_gives_the_same_bytes(store: ObjectStore, biopsies: Ingested, first: Trained) -> None:
    store.delete(*(entry.key for entry in store.list("team/models/model/model-1")))

    again, _ = revisions.trained(revisions.training(biopsies), store)

    assert first == again


def test_a_run_whose_report_was_lost_is_not_repeated(store: ObjectStore, biopsies: Ingested, first: Trained) -> None:
    written = {entry.key: entry.modified for entry in store.list("team/models/model/model-1")}

    again, _ = revisions.trained(revisions.training(biopsies), store)

    assert first == again
    assert written == {entry.key: entry.modified for entry in store.list("team/models/model/model-1")}


def test_two_runs_never_share_a_version(store: ObjectStore, biopsies: Ingested, first: Trained) -> None:
    with pytest.raises(RunFailed, match="holds the version of another run") as refused:
        revisions.trained(revisions.training(biopsies, seed=8), store)
    assert Reason.ARTIFACT_CORRUPT == refused.value.reason


MIXED = {
    "HistGradientBoostingClassifier": False,
    "LogisticRegression": True,
    "RandomForestClassifier": True,
    "LinearSVC": True,
    "GaussianNB": True,
    "KNeighborsClassifier": True,
}


@pytest.mark.parametrize("name", MIXED)
def test_categories_and_gaps_are_learnt_from(name: str, store: ObjectStore, tmp_path: Path) -> None:
    rows = revisions.revision(store, data=revisions.text_of(400), columns=[{"name": "label", "role": "Target"}])

    trained, _ = revisions.trained(revisions.training(rows, name, version=f"mixed-{name.lower()}"), store)
    model = predictor.load(store.fetch(trained.uri, trained.digest, tmp_path))

    assert revisions.row_set(trained, "Holdout").metrics["accuracy"] > 0.75
    assert MIXED[name] == trained.compiled == model.compiled
    red = model.signature.features[1].categories.index("red")
    asked = np.array([[1.0, red, 0.0], [np.nan, np.nan, np.nan], [-3.0, -1.0, 0.0]])
    assert ["yes", "no"] == [model.labels(model.predict(asked))[row] for row in (0, 2)]


def test_numbers_are_predicted(store: ObjectStore, tmp_path: Path) -> None:
    rows = revisions.revision(store, "sklearn://diabetes")

    trained, _ = revisions.trained(revisions.training(rows, "sklearn.linear_model.Ridge", version="ridge"), store)
    model = predictor.load(store.fetch(trained.uri, trained.digest, tmp_path))

    assert ("Regression", True) == (trained.learned, trained.compiled)
    assert {"r2", "mean_absolute_error", "rmse"} == set(revisions.row_set(trained, "Holdout").metrics)
    assert revisions.row_set(trained, "Holdout").metrics["r2"] > 0.3
    assert 50 < model.signature.target_spread < 100
    assert 0 == len(model.signature.classes)


def table_of(rows: list[tuple[Any, ...]]) -> str:
    return "a,b,target\n" + "".join(f"{a},{b},{target}\n" for a, b, target in rows)


RNG = np.random.default_rng(3)
TIMES = table_of([(round(a, 3), round(b, 3), 1_700_000_000 + round(3600 * a)) for a, b in RNG.random((400, 2))])
COUNTS = table_of([(a, b, int(RNG.poisson(np.exp(a / 40 + b / 300)))) for a, b in RNG.integers(0, 250, (300, 2))])
NEAR = table_of([(round(a, 3), round(b, 3), round(a + b, 3)) for a, b in RNG.random((300, 2))])


def test_metrics_are_those_of_the_form_that_is_served(store: ObjectStore, tmp_path: Path) -> None:
    rows = revisions.revision(store, data=TIMES)

    trained, _ = revisions.trained(revisions.training(rows, "RandomForestRegressor", version="times"), store)

    model = predictor.load(store.fetch(trained.uri, trained.digest, tmp_path / "model"))
    table = revisions.rows_of(store, rows, tmp_path / "rows")
    held_out = table.filter(table.column(HOLDOUT))
    truth = np.array(held_out.column("target").to_pylist(), np.float64)
    answers = model.predict(encode(held_out, model.signature.features)).values
    assert model.compiled
    assert revisions.row_set(trained, "Holdout").metrics["r2"] == pytest.approx(
        1 - np.square(truth - answers).sum() / np.square(truth - truth.mean()).sum(), abs=1e-12
    )
    assert revisions.row_set(trained, "Holdout").metrics["r2"] > 0.99


@pytest.mark.parametrize(
    ("estimator", "data"),
    [
        ({"name": "PoissonRegressor"}, COUNTS),
        ({"name": "RadiusNeighborsRegressor"}, NEAR),
        ({"name": "TweedieRegressor", "parameters": {"power": 1}}, COUNTS),
        ({"name": "KNeighborsRegressor", "parameters": {"metric": "chebyshev"}}, NEAR),
        ({"name": "MLPRegressor", "parameters": {"solver": "sgd", "hidden_layer_sizes": [8, 4]}}, NEAR),
    ],
)
def test_what_is_published_can_be_loaded(
    estimator: dict[str, Any], data: str, store: ObjectStore, tmp_path: Path
) -> None:
    name = estimator["name"].lower()
    rows = revisions.revision(store, data=data)

    trained, _ = revisions.trained(revisions.training(rows, estimator, version=f"loads-{name}"), store)

    folder = store.fetch(trained.uri, trained.digest, tmp_path / "model")
    assert np.isfinite(predictor.load(folder).predict(np.array([[0.5, 0.5]])).values).all()
    (folder / "model.onnx").unlink(missing_ok=True)
    assert not predictor.load(folder).compiled


def test_what_cannot_be_loaded_is_not_published(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = revisions.revision(store, data=NEAR)
    monkeypatch.setattr("tidemill.runtime.model.artifact.TRUSTED", frozenset())
    estimator = {"name": "KNeighborsRegressor", "parameters": {"algorithm": "ball_tree"}}

    with pytest.raises(RunFailed, match=r"could not be served, so it is not published: .*BallTree") as refused:
        revisions.trained(revisions.training(rows, estimator, version="never"), store)

    assert (Reason.TRAINING_FAILED, False) == (refused.value.reason, refused.value.retryable)
    assert [] == list(store.list("team/models/model/never"))


def test_a_hold_out_without_answers_fails_the_run(store: ObjectStore) -> None:
    rows = revisions.revision(store, data=NEAR)
    estimator = {"name": "RadiusNeighborsRegressor", "parameters": {"radius": 0.0001}}

    with pytest.raises(RunFailed, match=r"has no answer to \d+ of \d+ rows of the hold-out") as refused:
        revisions.trained(revisions.training(rows, estimator, version="lonely"), store)
    assert (Reason.TRAINING_FAILED, False) == (refused.value.reason, refused.value.retryable)


def test_classes_are_weighed_by_their_labels(store: ObjectStore) -> None:
    rows = revisions.revision(store, data=revisions.text_of(400), columns=[{"name": "label", "role": "Target"}])
    shares = {}
    for label in ("yes", "no"):
        estimator = {"name": "LogisticRegression", "parameters": {"class_weight": {label: 50}}}
        trained, _ = revisions.trained(revisions.training(rows, estimator, version=f"weighed-{label}"), store)
        profile = Profile.from_json(store.get(f"{store.key_of(trained.uri)}/profile.json"))
        column = profile.column("prediction")
        assert column is not None
        shares[label] = column
        assert {label: 50} == trained.parameters["class_weight"]

    assert shares["yes"] != shares["no"]


WHOLE = "a,target\n" + "".join(f"{row},{row % 2}\n" for row in range(60))


def test_labels_keep_their_type(store: ObjectStore, tmp_path: Path) -> None:
    rows = revisions.revision(store, data=WHOLE)

    trained, _ = revisions.trained(revisions.training(rows, "DecisionTreeClassifier", version="whole"), store)

    assert (0, 1) == predictor.load(store.fetch(trained.uri, trained.digest, tmp_path)).signature.classes


WRONG: dict[str, tuple[str, dict[str, Any], dict[str, Any], Reason, str]] = {
    "no target": ("a,b\n1,2\n", {}, {}, Reason.TARGET_MISSING, "names no column to predict"),
    "one class": ("a,target\n" + "1,x\n" * 40, {}, {}, Reason.TARGET_UNUSABLE, "is 'x' in every training row"),
    "fractions for a classifier": (
        "a,target\n" + "".join(f"{row},{row / 7}\n" for row in range(40)),
        {},
        {},
        Reason.TARGET_UNUSABLE,
        "holds fractions",
    ),
    "text for a regressor": (
        WHOLE.replace(",1", ",x"),
        {},
        {"estimator": {"name": "Ridge"}},
        Reason.TARGET_UNUSABLE,
        "holds text",
    ),
    "too few rows": (
        "a,target\n" + "".join(f"{row},{row % 2}\n" for row in range(8)),
        {},
        {},
        Reason.NOT_ENOUGH_ROWS,
        "rows can be used for training|are held out",
    ),
    "nothing held out": (WHOLE, {"splits": {"test": 0}}, {}, Reason.NOT_ENOUGH_ROWS, "0 rows are held out"),
    "an unknown estimator": (
        WHOLE,
        {},
        {"estimator": {"name": "sklearn.ensemble.Forest"}},
        Reason.UNKNOWN_ESTIMATOR,
        "none of the",
    ),
    "a wrong parameter": (
        WHOLE,
        {},
        {"estimator": {"name": "Ridge", "parameters": {"alpha": -1}}},
        Reason.INVALID_PARAMETERS,
        "alpha",
    ),
    "an unknown metric": (
        WHOLE,
        {},
        {"metrics": ["acuracy"]},
        Reason.INVALID_PARAMETERS,
        "set spec.evaluation.metrics to accuracy",
    ),
    "another task": (WHOLE, {}, {"learn": "Regression"}, Reason.INVALID_PARAMETERS, "is for Classification"),
    "gaps without preprocessing": (
        WHOLE.replace("59,", ","),
        {},
        {"estimator": {"name": "LogisticRegression", "preprocessing": "None"}},
        Reason.TRAINING_FAILED,
        "set it to Auto",
    ),
    "what the estimator refuses": (
        WHOLE.replace(",1", ",-1.5"),
        {},
        {"estimator": {"name": "PoissonRegressor"}},
        Reason.TRAINING_FAILED,
        "gave up: Some value",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_learnt_is_refused_with_a_reason(case: str, store: ObjectStore) -> None:
    data, ingested, ordered, reason, message = WRONG[case]
    rows = revisions.revision(store, data=data, **ingested)

    with pytest.raises(RunFailed, match=message) as refused:
        revisions.trained(revisions.training(rows, version=f"wrong-{case.replace(' ', '-')}", **ordered), store)

    assert (reason, False) == (refused.value.reason, refused.value.retryable)
    assert [] == list(store.list(f"team/models/model/wrong-{case.replace(' ', '-')}"))


def test_a_revision_that_was_changed_is_not_learnt_from(store: ObjectStore) -> None:
    rows = revisions.revision(store, "sklearn://wine", dataset="changed")
    store.put(f"{store.key_of(rows.uri)}/data-00000.parquet", b"PAR1 something else")

    with pytest.raises(RunFailed, match="nothing of it was used") as refused:
        revisions.trained(revisions.training(rows, version="changed"), store)
    assert Reason.ARTIFACT_CORRUPT == refused.value.reason


def test_the_card_names_data_estimator_and_evidence(folder: Path, biopsies: Ingested) -> None:
    card = (folder / "README.md").read_text()

    assert biopsies.digest in card
    assert "HistGradientBoostingClassifier for classification of `target`" in card
    assert "| Holdout (113) | accuracy |" in card
