"""A service with a real model of real biopsies, its version published in a store, its log written as a serving pod does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from pyarrow import parquet
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tidemill.api.checks import Check
from tidemill.contract import Checked, CheckOrder, LogColumn, RunReport, VersionOrder, label_folder, prediction_folder
from tidemill.runtime.monitor import check
from tidemill.runtime.objects import Store
from tidemill.runtime.predictor import Answer
from tidemill.runtime.profile import Profile, ProfiledColumn, profile_table
from tidemill.runtime.serve.features import Features, Rows
from tidemill.runtime.serve.feedback import Label
from tidemill.runtime.serve.labels import Labels
from tidemill.runtime.serve.log import partition
from tidemill.runtime.serve.records import Author, LabelBatch, LabelFile, Prediction, PredictionFile
from tidemill.runtime.signature import Feature, Signature

START = datetime(2026, 3, 1, 9, 50, tzinfo=UTC)
END = START + timedelta(minutes=20)
SIZES = ("radius", "perimeter", "area")

biopsies = load_breast_cancer()
NAMES = tuple(str(name) for name in biopsies.feature_names)
_shuffled = np.random.default_rng(7).permutation(len(biopsies.data))
TRAIN, HOLDOUT = _shuffled[:455], _shuffled[455:]


@dataclass(frozen=True)
class Model:
    """The model, and what its version carries."""

    estimator: Any
    signature: Signature
    profile: Profile
    accuracy: float

    def answer(self, matrix: Any) -> Answer:
        probabilities = self.estimator.predict_proba(np.nan_to_num(matrix, nan=0.0))
        return Answer(probabilities.argmax(axis=1), probabilities)


@pytest.fixture(scope="session")
def model() -> Model:
    """A scaler and a logistic regression, fitted on 455 biopsies."""
    estimator = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    estimator.fit(biopsies.data[TRAIN], biopsies.target[TRAIN])
    rows = biopsies.data[TRAIN]
    features = tuple(
        Feature(name=name, type="Numerical", minimum=float(column.min()), maximum=float(column.max()))
        for name, column in zip(NAMES, rows.T, strict=True)
    )
    learnt = pa.table({LogColumn.FEATURE + name: column for name, column in zip(NAMES, rows.T, strict=True)})
    probabilities = estimator.predict_proba(biopsies.data[HOLDOUT])
    answered = pa.table(
        {
            LogColumn.PREDICTION: [str(answer) for answer in probabilities.argmax(axis=1)],
            LogColumn.SCORE: probabilities.max(axis=1),
        }
    )
    inputs = profile_table(learnt, [ProfiledColumn(name, "Numerical") for name in learnt.schema.names])
    outputs = profile_table(
        answered, [ProfiledColumn(LogColumn.PREDICTION, "Categorical"), ProfiledColumn(LogColumn.SCORE, "Numerical")]
    )
    return Model(
        estimator,
        Signature(task="Classification", features=features, target="target", classes=(0, 1)),
        Profile(inputs.rows, inputs.columns + outputs.columns),
        float(np.mean(probabilities.argmax(axis=1) == biopsies.target[HOLDOUT])),
    )


def logged(rows: Any) -> pa.Table:
    """Rows with their columns named as in the log."""
    return pa.table({LogColumn.FEATURE + name: column for name, column in zip(NAMES, rows.T, strict=True)})


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink)
    return bytes(sink.getvalue())


class Life:
    """What happened to a service: its log and its labels, and the checks of it."""

    def __init__(self, folder: Path, model: Model) -> None:
        self.store = Store.open(f"file://{folder}")
        self.model = model
        self.version = self.publish("fraud-1")
        self._requests = 0
        self._parts = 0

    def publish(self, name: str, **files: bytes) -> VersionOrder:
        """A version in the store; `files` replace its own."""
        evaluation = [
            {"on": "Holdout", "rows": len(HOLDOUT), "metrics": {"accuracy": self.model.accuracy, "log_loss": 0.1}}
        ]
        content: dict[str, bytes | Path] = {
            "signature.json": orjson.dumps(self.model.signature.to_wire()),
            "profile.json": self.model.profile.to_json(),
            "evaluation.json": orjson.dumps(evaluation),
            "sample.parquet": _parquet(logged(biopsies.data[TRAIN])),
            "answers.parquet": _parquet(self._answers()),
            **{name.replace("_", "."): text for name, text in files.items()},
        }
        content = {name: text for name, text in content.items() if text}
        published = self.store.publish(f"ns/models/fraud/{name}", content)
        return VersionOrder(name=name, uri=published.uri, digest=published.digest)

    def _answers(self) -> pa.Table:
        answer = self.model.answer(biopsies.data[HOLDOUT])
        table = logged(biopsies.data[HOLDOUT])
        table = table.append_column(LogColumn.LABEL, pa.array([str(label) for label in biopsies.target[HOLDOUT]]))
        table = table.append_column(LogColumn.PREDICTION, pa.array([str(value) for value in answer.values]))
        return table.append_column(LogColumn.SCORE, pa.array(answer.probabilities.max(axis=1)))

    def matter(self, *names: str) -> None:
        """From now on the version says that these features are all that matters."""
        features = tuple(
            feature.model_copy(update={"importance": 1 / len(names) if feature.name in names else 0.0})
            for feature in self.model.signature.features
        )
        signature = self.model.signature.model_copy(update={"features": features})
        self.version = self.publish("fraud-weighed", signature_json=orjson.dumps(signature.to_wire()))

    def draw(self, count: int, seed: int = 0, *, scaled: float = 1.0) -> tuple[Any, Any]:
        """Rows of the hold-out and their labels; a scanner that is off scales the sizes."""
        chosen = np.random.default_rng(seed).choice(HOLDOUT, count)
        rows = biopsies.data[chosen].copy()
        for place, name in enumerate(NAMES):
            if any(size in name for size in SIZES):
                rows[:, place] *= scaled
        return rows, biopsies.target[chosen]

    def serve(
        self,
        rows: Any,
        *,
        labels: Iterable[Any] | None = None,
        at: datetime = START + timedelta(minutes=15),
        version: VersionOrder | None = None,
        role: str = "Stable",
    ) -> list[str]:
        """Answer `rows`, one request each, and log them; returns the requests' ids."""
        version = version or self.version
        author = Author(version.name, version.digest, role, Labels((0, 1)))
        answer = self.model.answer(rows)
        records, requests = [], []
        for place in range(len(rows)):
            self._requests += 1
            requests.append(f"r{self._requests}")
            one = Answer(answer.values[place : place + 1], answer.probabilities[place : place + 1])
            records.append(Prediction(requests[-1], at.timestamp(), Rows(rows[place : place + 1], {}), one, author))
        write = PredictionFile(Features(self.model.signature), classifies=True)
        self._put(prediction_folder("ns", "fraud"), at, write(records))
        if labels is not None:
            self.label(zip(requests, labels, strict=True), at=at + timedelta(minutes=1))
        return requests

    def label(self, pairs: Iterable[tuple[str, Any]], *, at: datetime) -> None:
        """Send labels back."""
        given = tuple(Label(request, 0, label, at.timestamp()) for request, label in pairs)
        self._put(label_folder("ns", "fraud"), at, LabelFile(Labels((0, 1)))([LabelBatch(at.timestamp(), given)]))

    def _put(self, folder: str, at: datetime, content: bytes) -> str:
        self._parts += 1
        key = f"{folder}/{partition(at.timestamp())}/pod-{self._parts:06d}.parquet"
        self.store.put(key, content)
        return key

    def order(self, *checks: Check, minimum_samples: int = 100, minimum_labels: int = 50, **others: Any) -> CheckOrder:
        return CheckOrder(
            namespace="ns",
            monitor="fraud-watch",
            service="fraud",
            start=START,
            end=END,
            version=self.version,
            checks=checks,
            minimum_samples=minimum_samples,
            minimum_labels=minimum_labels,
            **others,
        )

    def report(self, *checks: Check, **limits: Any) -> RunReport:
        return check.run(self.order(*checks, **limits), self.store)

    def check(self, *checks: Check, **limits: Any) -> Checked:
        """What a check run of the window finds."""
        checked = self.report(*checks, **limits).checked
        assert checked is not None
        return checked

    def result(self) -> dict[str, Any]:
        """The result beside the report."""
        found: dict[str, Any] = orjson.loads(self.store.get("ns/monitors/fraud-watch/2026-03-01T10-10-00Z/result.json"))
        return found


@pytest.fixture
def life(tmp_path: Path, model: Model) -> Life:
    """A service whose first version is published and that nobody has asked yet."""
    return Life(tmp_path / "store", model)
