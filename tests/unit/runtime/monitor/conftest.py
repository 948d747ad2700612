"""A service with a real model of real biopsies, its version published in a store, its log written as a serving pod does.

Next to it a shop, whose columns are words and whole numbers, and a power station, whose model answers with numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
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
from tidemill.contract.layout import LogColumn, label_folder, prediction_folder
from tidemill.contract.orders import CheckOrder
from tidemill.contract.reports import Checked, RunReport
from tidemill.contract.serving import VersionOrder
from tidemill.runtime.log.layout import hour_folder
from tidemill.runtime.log.records import Author, LabelBatch, LabelFile, Prediction, PredictionFile
from tidemill.runtime.model.labels import ClassLabels
from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.monitor import job
from tidemill.runtime.profile import Profile, ProfiledColumn, profile_table
from tidemill.runtime.protocol.features import Features, Rows
from tidemill.runtime.protocol.feedback import Label
from tidemill.runtime.store.objects import ObjectStore

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

    answer: Callable[[Any], Answer]
    signature: Signature
    profile: Profile
    metrics: dict[str, float]
    sample: pa.Table
    answers: pa.Table

    @property
    def accuracy(self) -> float:
        return self.metrics["accuracy"]

    @property
    def labels(self) -> ClassLabels | None:
        return ClassLabels(self.signature.classes) if self.signature.task == "Classification" else None


def answering(estimator: Any, matrix: Any) -> Answer:
    """What a classifier of scikit-learn answers."""
    probabilities = estimator.predict_proba(np.nan_to_num(matrix, nan=0.0))
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
    answer = answering(estimator, biopsies.data[HOLDOUT])
    answers = answered(logged(biopsies.data[HOLDOUT]), answer, biopsies.target[HOLDOUT])
    accuracy = float(np.mean(answer.values == biopsies.target[HOLDOUT]))
    return Model(
        partial(answering, estimator),
        Signature(task="Classification", features=features, target="target", classes=(0, 1)),
        profiled(logged(rows), answers),
        {"accuracy": accuracy, "log_loss": 0.1},
        logged(rows),
        answers,
    )


def answered(rows: pa.Table, answer: Answer, labels: Any) -> pa.Table:
    """Rows of a hold-out with their labels and what a model answered, as its version carries them."""
    if answer.probabilities is None:
        table = rows.append_column(LogColumn.LABEL, pa.array(np.asarray(labels, np.float64)))
        return table.append_column(LogColumn.PREDICTION, pa.array(np.asarray(answer.values, np.float64)))
    table = rows.append_column(LogColumn.LABEL, pa.array([str(label) for label in labels]))
    table = table.append_column(LogColumn.PREDICTION, pa.array([str(value) for value in answer.values]))
    return table.append_column(LogColumn.SCORE, pa.array(answer.probabilities.max(axis=1)))


def profiled(training: pa.Table, answers: pa.Table) -> Profile:
    """The profile of rows that were training from, and of the answers to others."""

    def columns(table: pa.Table, names: Iterable[str]) -> list[ProfiledColumn]:
        texts = {field.name for field in table.schema if pa.types.is_string(field.type)}
        return [ProfiledColumn(name, "Categorical" if name in texts else "Numerical") for name in names]

    outputs = [name for name in (LogColumn.PREDICTION, LogColumn.SCORE) if name in answers.column_names]
    inputs = profile_table(training, columns(training, training.column_names))
    return Profile(inputs.rows, inputs.columns + profile_table(answers, columns(answers, outputs)).columns)


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
        self.store = ObjectStore.open(f"file://{folder}")
        self.model = model
        self.version = self.publish("fraud-1")
        self._requests = 0
        self._parts = 0

    def publish(self, name: str, **files: bytes) -> VersionOrder:
        """A version in the store; `files` replace its own."""
        evaluation = [{"on": "Holdout", "rows": self.model.answers.num_rows, "metrics": self.model.metrics}]
        content: dict[str, bytes | Path] = {
            "signature.json": orjson.dumps(self.model.signature.to_wire()),
            "profile.json": self.model.profile.to_json(),
            "evaluation.json": orjson.dumps(evaluation),
            "sample.parquet": _parquet(self.model.sample),
            "answers.parquet": _parquet(self.model.answers),
            **{name.replace("_", "."): text for name, text in files.items()},
        }
        content = {name: text for name, text in content.items() if text}
        published = self.store.publish(f"ns/models/fraud/{name}", content)
        return VersionOrder(name=name, uri=published.uri, digest=published.digest)

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
        for index, name in enumerate(NAMES):
            if any(size in name for size in SIZES):
                rows[:, index] *= scaled
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
        """Answer `rows`, one request each, and log them; returns the requests' ids.

        Rows are a matrix, or objects that name each feature.
        """
        version = version or self.version
        author = Author(version.name, version.digest, role, self.model.labels)
        features = Features(self.model.signature)
        records, requests = [], []
        for index in range(len(rows)):
            self._requests += 1
            requests.append(f"r{self._requests}")
            asked = features.from_rows([rows[index]]) if isinstance(rows, list) else Rows(rows[index : index + 1], {})
            answer = self.model.answer(asked.matrix)
            records.append(Prediction(requests[-1], at.timestamp(), asked, answer, author))
        write = PredictionFile(features, classifies=self.model.labels is not None)
        self._put(prediction_folder("ns", "fraud"), at, write(records))
        if labels is not None:
            self.label(zip(requests, labels, strict=True), at=at + timedelta(minutes=1))
        return requests

    def label(self, pairs: Iterable[tuple[str, Any]], *, at: datetime, dated: datetime | None = None) -> None:
        """Send labels back at a time; they say that they are of that time, or `dated`."""
        given = tuple(Label(request, 0, label, (dated or at).timestamp()) for request, label in pairs)
        self._put(label_folder("ns", "fraud"), at, LabelFile(self.model.labels)([LabelBatch(at.timestamp(), given)]))

    def _put(self, folder: str, at: datetime, content: bytes) -> str:
        self._parts += 1
        key = f"{folder}/{hour_folder(at.timestamp())}/pod-{self._parts:06d}.parquet"
        self.store.put(key, content)
        return key

    def spoil(self, column: str, value: Any) -> None:
        """All rows of the newest part of the log have this value in a column instead of their own."""
        *_, key = [entry.key for entry in self.store.list(prediction_folder("ns", "fraud"))]
        table = parquet.read_table(pa.BufferReader(self.store.get(key)))
        index = table.schema.get_field_index(column)
        self.store.put(key, _parquet(table.set_column(index, column, pa.array([value] * table.num_rows))))

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
        return job.run(self.order(*checks, **limits), self.store)

    def check(self, *checks: Check, **limits: Any) -> Checked:
        """What a check run of the window finds."""
        checked = self.report(*checks, **limits).checked
        assert checked is not None
        return checked

    def result(self) -> dict[str, Any]:
        """The result next to the report."""
        document: dict[str, Any] = orjson.loads(
            self.store.get("ns/monitors/fraud-watch/2026-03-01T10-10-00Z/result.json")
        )
        return document


@pytest.fixture
def life(tmp_path: Path, model: Model) -> Life:
    """A service whose first version is published and that has no requests yet."""
    return Life(tmp_path / "store", model)


COUNTRIES = ("de", "fr", "it", "pt")
CHANNELS = ("app", "shop")


class Shop(Life):
    """A service that says whether somebody buys, from words and whole numbers."""

    def draw(
        self, count: int, seed: int = 0, *, countries: tuple[str, ...] = COUNTRIES, **_: Any
    ) -> tuple[list[dict[str, Any]], Any]:
        """Visits and whether they ended in a purchase."""
        return visits(count, seed, countries)


def visits(count: int, seed: int, countries: tuple[str, ...] = COUNTRIES) -> tuple[list[dict[str, Any]], Any]:
    random = np.random.default_rng(seed)
    rows = [
        {
            "country": str(random.choice(countries)),
            "channel": str(random.choice(CHANNELS)),
            "items": int(random.poisson(6)),
            "amount": float(random.lognormal(3, 0.5)),
        }
        for _ in range(count)
    ]
    chances = np.array(
        [buys(COUNTRIES.index(row["country"]), row["items"]) if row["country"] in COUNTRIES else 0.5 for row in rows]
    )
    return rows, (random.random(count) < chances).astype(int)


def buys(country: float, items: float) -> float:
    """How likely a visit ends in a purchase; people from `de` and `fr` buy more often."""
    return float(1 / (1 + np.exp(-(1.0 - 2.0 * (country >= 2) + 0.5 * (items - 6)))))


def shopping(matrix: Any) -> Answer:
    chances = np.array([buys(row[0], row[2]) for row in matrix])
    probabilities = np.column_stack((1 - chances, chances))
    return Answer(probabilities.argmax(axis=1), probabilities)


def as_logged(rows: list[dict[str, Any]]) -> pa.Table:
    """Objects with their columns named as in the log; numbers are floats there."""
    columns = {LogColumn.FEATURE + name: [row[name] for row in rows] for name in rows[0]}
    return pa.table(
        {
            name: pa.array(values, pa.string() if isinstance(values[0], str) else pa.float64())
            for name, values in columns.items()
        }
    )


@pytest.fixture(scope="session")
def shop_model() -> Model:
    signature = Signature(
        task="Classification",
        features=(
            Feature(name="country", type="Categorical", categories=COUNTRIES),
            Feature(name="channel", type="Categorical", categories=CHANNELS),
            Feature(name="items", type="Numerical"),
            Feature(name="amount", type="Numerical"),
        ),
        target="bought",
        classes=(0, 1),
    )
    training, (held_out, labels) = visits(2000, 101)[0], visits(1000, 102)
    answer = shopping(Features(signature).from_rows(held_out).matrix)
    answers = answered(as_logged(held_out), answer, labels)
    metrics = {"accuracy": float(np.mean(answer.values == labels))}
    return Model(shopping, signature, profiled(as_logged(training), answers), metrics, as_logged(training), answers)


@pytest.fixture
def shop(tmp_path: Path, shop_model: Model) -> Shop:
    """A shop's service whose first version is published and that has no requests yet."""
    return Shop(tmp_path / "shop", shop_model)


class Station(Life):
    """A service that says how much power a station gives, from the weather."""

    def draw(self, count: int, seed: int = 0, *, windier: float = 0.0, off: float = 0.0, **_: Any) -> tuple[Any, Any]:
        """Weathers and the power that came of them; a worn turbine gives `off` less."""
        weather, power = weathers(count, seed, windier)
        return weather, power - off


def weathers(count: int, seed: int, windier: float = 0.0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    weather = random.normal((8.0 + windier, 15.0), (2.0, 6.0), (count, 2))
    # The stronger the wind, the less certain is what comes of it.
    return weather, turning(weather).values + random.normal(0, 0.2 * np.maximum(weather[:, 0], 1), count)


def turning(matrix: Any) -> Answer:
    return Answer(3 * matrix[:, 0] + 0.1 * matrix[:, 1], None)


@pytest.fixture(scope="session")
def station_model() -> Model:
    names = ("wind", "temperature")
    signature = Signature(
        task="Regression", features=tuple(Feature(name=name, type="Numerical") for name in names), target="power"
    )

    def table(weather: Any) -> pa.Table:
        return pa.table({LogColumn.FEATURE + name: column for name, column in zip(names, weather.T, strict=True)})

    training, (held_out, power) = weathers(2000, 101)[0], weathers(1000, 102)
    answer = turning(held_out)
    answers = answered(table(held_out), answer, power)
    metrics = {"mean_absolute_error": float(np.mean(np.abs(answer.values - power)))}
    return Model(turning, signature, profiled(table(training), answers), metrics, table(training), answers)


@pytest.fixture
def station(tmp_path: Path, station_model: Model) -> Station:
    """A power station's service whose first version is published and that has no requests yet."""
    return Station(tmp_path / "station", station_model)
