"""Checks of a version of three classes with protected columns, as training makes it and as a pod logs it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from pyarrow import parquet
from sklearn.metrics import log_loss, roc_auc_score, top_k_accuracy_score

from support import revisions
from tidemill.api.checks import Check
from tidemill.contract.layout import label_folder, prediction_folder
from tidemill.contract.orders import CheckOrder
from tidemill.contract.reports import CheckOutcome
from tidemill.contract.serving import VersionOrder
from tidemill.runtime.log.layout import hour_folder
from tidemill.runtime.log.records import Author, LabelBatch, LabelFile, Prediction, PredictionFile
from tidemill.runtime.model import predictor
from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.monitor import job
from tidemill.runtime.protocol.feedback import Label
from tidemill.runtime.protocol.infer import Codec
from tidemill.runtime.protocol.predict import RowCodec
from tidemill.runtime.store.objects import ObjectStore

START = datetime(2026, 3, 1, 9, 50, tzinfo=UTC)
CLASSES = ("bronze", "gold", "silver")


def customers(count: int, seed: int) -> list[dict[str, Any]]:
    """Who has more gets the better card, and women in these data have more."""
    rng = np.random.default_rng(seed)
    results = []
    for _ in range(count):
        gender = str(rng.choice(["f", "m"]))
        income = float(rng.normal(3.0 if gender == "f" else 2.0, 1.0))
        rank = int(np.digitize(income + rng.normal(0, 0.6), [1.8, 3.2]))
        results.append(
            {
                "income": round(income, 3),
                "debt": round(float(rng.normal()), 3),
                "gender": gender,
                "years": int(rng.integers(18, 90)),
                "branch": int(rng.integers(1, 4)),
                "card": ("bronze", "silver", "gold")[rank],
            }
        )
    return results


@dataclass
class Service:
    """A version in a store, and the log that a pod with it writes."""

    store: ObjectStore
    version: VersionOrder
    model: predictor.Predictor

    def serve(
        self, rows: list[dict[str, Any]], request: str = "r", *, labels: bool = True, without: tuple[str, ...] = ()
    ) -> Answer:
        """Answer these rows in one request; `without` leaves columns out of the part."""
        codec = Codec("cards", self.version.name, self.model.signature)
        asked = [{name: value for name, value in row.items() if name != "card"} for row in rows]
        read = RowCodec(codec, "cards", self.version.name).read(orjson.dumps({"rows": asked})).rows
        answer = self.model.predict(read.matrix)
        author = Author(self.version.name, self.version.digest, "Stable", codec.labels)
        at = (START + timedelta(minutes=5)).timestamp()
        part = PredictionFile(codec.features, classifies=True)([Prediction(request, at, read, answer, author)])
        self._put(prediction_folder("team", "cards"), at, request, _without(part, without))
        if labels:
            given = tuple(Label(request, index, row["card"], at + 60) for index, row in enumerate(rows))
            self._put(label_folder("team", "cards"), at, request, LabelFile(codec.labels)([LabelBatch(at + 60, given)]))
        return answer

    def _put(self, folder: str, at: float, name: str, content: bytes) -> None:
        self.store.put(f"{folder}/{hour_folder(at)}/{name}.parquet", content)

    def check(self, kind: str, metric: str, **others: Any) -> CheckOutcome:
        bounds = {} if kind == "EstimatedPerformance" or "maximum" in others else {"maximum_regression": 1.0}
        order = CheckOrder(
            namespace="team",
            monitor="watch",
            service="cards",
            start=START,
            end=START + timedelta(minutes=20),
            version=self.version,
            checks=(Check(name="one", type=kind, metric=metric, **bounds, **others),),
            minimum_samples=100,
            minimum_labels=50,
        )
        checked = job.run(order, self.store).checked
        assert checked is not None
        return checked.checks[0]


def _without(part: bytes, names: tuple[str, ...]) -> bytes:
    table = parquet.read_table(pa.BufferReader(part)).drop_columns(list(names))
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink)
    return bytes(sink.getvalue())


ROWS = customers(1500, seed=2)
TRUTH = np.array([CLASSES.index(row["card"]) for row in ROWS])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = tmp_path_factory.mktemp("trained")
    store = ObjectStore.open(f"file://{folder}/store")
    rows = customers(2000, seed=1)
    lines = [",".join(rows[0]), *(",".join(str(value) for value in row.values()) for row in rows)]
    protected = [{"name": name, "role": "Protected"} for name in ("gender", "years", "branch")]
    base = revisions.revision(
        store,
        data="\n".join(lines) + "\n",
        columns=[*protected, {"name": "card", "role": "Target"}],
        splits={"test": 0.5},
    )
    order = revisions.training(
        base, "sklearn.linear_model.LogisticRegression", metrics=("roc_auc_ovr", "top_k_accuracy", "recall_weighted")
    )
    result, _ = revisions.trained(order, store)
    version = VersionOrder(name="cards-1", uri=result.uri, digest=result.digest)
    return Service(store, version, predictor.load(store.fetch(result.uri, result.digest, folder / "model")))


@pytest.fixture
def service(trained: Service, tmp_path: Path) -> Service:
    """The version in a store of its own, whose log is empty."""
    store = ObjectStore.open(f"file://{tmp_path}/store")
    key = trained.store.key_of(trained.version.uri)
    for entry in trained.store.list(key):
        store.put(entry.key, trained.store.get(entry.key))
    uri = f"{store.uri}/{key}"
    return Service(store, trained.version.model_copy(update={"uri": uri}), trained.model)


def test_the_version_knows_its_protected_columns_and_does_not_take_them(trained: Service) -> None:
    model_signature = trained.model.signature

    assert ["income", "debt"] == [feature.name for feature in model_signature.features]
    assert [("gender", "Categorical"), ("years", "Numerical"), ("branch", "Categorical")] == [
        (column.name, column.type) for column in model_signature.protected
    ]
    assert (("f", "m"), ("1", "2", "3")) == (
        model_signature.protected[0].categories,
        model_signature.protected[2].categories,
    )


OF_PROBABILITIES = {
    "roc_auc_ovr": lambda probabilities: roc_auc_score(TRUTH, probabilities, multi_class="ovr"),
    "roc_auc": lambda probabilities: roc_auc_score(TRUTH, probabilities, multi_class="ovr"),
    "log_loss": lambda probabilities: log_loss(TRUTH, probabilities),
    "top_k_accuracy": lambda probabilities: top_k_accuracy_score(TRUTH, probabilities),
}


@pytest.mark.parametrize(("metric", "expected"), OF_PROBABILITIES.items(), ids=OF_PROBABILITIES.keys())
def test_a_metric_of_probabilities_is_what_scikit_learn_says_of_the_answers(
    service: Service, metric: str, expected: Any
) -> None:
    answer = service.serve(ROWS)

    result = service.check("Performance", metric)

    assert ("Passing", pytest.approx(expected(answer.probabilities), abs=1e-5)) == (result.verdict, result.value)


@pytest.mark.parametrize("metric", ["roc_auc_ovr", "log_loss"])
def test_a_part_that_is_older_than_probabilities_of_all_classes_is_no_data(service: Service, metric: str) -> None:
    service.serve(ROWS, without=("probabilities",))

    results = [service.check(kind, metric) for kind in ("Performance", "EstimatedPerformance")]

    assert ["NoData", "NoData"] == [outcome.verdict for outcome in results]
    assert all("answered class only" in outcome.message for outcome in results)
    assert "Passing" == service.check("Performance", "f1").verdict


def test_a_window_that_begins_with_older_parts_is_no_data_for_as_long_as_it_holds_some(service: Service) -> None:
    service.serve(ROWS[:300], "older", without=("probabilities",))
    service.serve(ROWS[300:], "newer")

    results = [service.check(kind, "roc_auc_ovr") for kind in ("Performance", "EstimatedPerformance")]

    assert ["NoData", "NoData"] == [outcome.verdict for outcome in results]
    assert all("300 of 1500 rows were logged without" in outcome.message for outcome in results)


@pytest.mark.parametrize("metric", ["roc_auc_ovr", "f1", "balanced_accuracy", "recall_weighted", "log_loss"])
def test_what_is_estimated_without_labels_is_what_they_say_later(service: Service, metric: str) -> None:
    service.serve(ROWS)

    realised = service.check("Performance", metric)
    estimated = service.check("EstimatedPerformance", metric)

    assert realised.value == pytest.approx(estimated.value, abs=0.03)
    assert estimated.lower < realised.value < estimated.upper


def parity(service: Service, column: str, **others: Any) -> CheckOutcome:
    others = {"metric": "DemographicParityDifference", "favorable": "gold", "maximum": 0.1} | others
    return service.check("Fairness", column=column, **others)


def test_answers_that_hang_on_a_protected_column_are_unfair(service: Service) -> None:
    answer = service.serve(ROWS, labels=False)
    gold = answer.values == CLASSES.index("gold")
    women = np.array([row["gender"] == "f" for row in ROWS])

    result = parity(service, "gender")

    assert ("Failing", pytest.approx(gold[women].mean() - gold[~women].mean())) == (result.verdict, result.value)
    assert "no value" not in result.message


def test_numbers_are_told_apart_by_quarters_and_codes_by_themselves(service: Service) -> None:
    service.serve(ROWS, labels=False)

    years, branch = parity(service, "years"), parity(service, "branch")

    assert ("Passing", "Passing") == (years.verdict, branch.verdict)
    assert all(" to " in moved.column or "below" in moved.column or "above" in moved.column for moved in years.worst)
    assert {"branch = 1", "branch = 2", "branch = 3"} >= {moved.column for moved in branch.worst}


def test_fairness_by_labels_and_slices_know_protected_columns_too(service: Service) -> None:
    service.serve(ROWS)

    odds = parity(service, "gender", metric="EqualizedOddsDifference", maximum=1.0)
    sliced = service.check("Performance", "accuracy", slices=("gender",))

    assert "Passing" == odds.verdict
    assert {"gender = f", "gender = m"} == {moved.column for moved in sliced.worst}


@pytest.mark.parametrize("metric", ["DemographicParityDifference", "EqualizedOddsDifference"])
def test_rows_that_came_without_it_are_counted(service: Service, metric: str) -> None:
    some = [
        row if index % 3 else {name: value for name, value in row.items() if name != "gender"}
        for index, row in enumerate(ROWS)
    ]
    service.serve(some)

    assert "500 of 1,500 rows have no value of it" in parity(service, "gender", metric=metric).message


@pytest.mark.parametrize("metric", ["DemographicParityDifference", "EqualizedOddsDifference"])
@pytest.mark.parametrize("without", [(), ("feature:gender",)])
def test_a_column_that_nobody_sends_is_no_data(service: Service, metric: str, without: tuple[str, ...]) -> None:
    service.serve([{name: value for name, value in row.items() if name != "gender"} for row in ROWS], without=without)

    result = parity(service, "gender", metric=metric)

    assert ("NoData", True) == (result.verdict, "none of 1,500 rows has a value of gender" in result.message)


def test_an_older_version_without_protected_columns_says_so(service: Service, tmp_path: Path) -> None:
    key = service.store.key_of(service.version.uri)
    files = {entry.key.rsplit("/", 1)[1]: service.store.get(entry.key) for entry in service.store.list(key)}
    wire = json.loads(files["signature.json"])
    del wire["protected"]
    kept = {name: content for name, content in files.items() if name not in ("manifest.json", "report.html")}
    older = service.store.publish("team/models/cards/older", kept | {"signature.json": json.dumps(wire).encode()})
    service.version = VersionOrder(name="cards-0", uri=older.uri, digest=older.digest)
    service.model = predictor.load(service.store.fetch(older.uri, older.digest, tmp_path / "older"))
    service.serve(ROWS)

    result = parity(service, "gender")

    assert ("NoData", True) == (result.verdict, "no column 'gender'" in result.message)
    assert "Passing" == service.check("Performance", "roc_auc_ovr").verdict
