"""Revisions, runs and service logs for tests: small, real, and made by the code that makes them in a cluster."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from tidemill.contract.layout import LogColumn, label_folder, prediction_folder
from tidemill.contract.orders import IngestOrder, TrainOrder
from tidemill.contract.reports import Ingested, Trained
from tidemill.runtime.ingest.job import ingest
from tidemill.runtime.store.objects import ObjectStore
from tidemill.runtime.train.job import train

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SIZES = ("radius", "perimeter", "area")
"""What a scanner that measures lengths too long gets wrong."""


def revision(store: ObjectStore, uri: str = "sklearn://breast_cancer", data: str = "", **changes: Any) -> Ingested:
    """A Dataset's revision, ingested."""
    source: dict[str, Any] = {"inline": {"data": data}} if data else {"uri": uri}
    order = IngestOrder.model_validate({"namespace": "team", "dataset": "data", "source": source, **changes})
    with tempfile.TemporaryDirectory() as folder:
        return ingest(order, store, Path(folder))[0]


def training(
    of: Ingested,
    estimator: str | dict[str, Any] = "HistGradientBoostingClassifier",
    version: str = "model-1",
    **changes: Any,
) -> TrainOrder:
    """The order to train on a revision."""
    order = {
        "namespace": "team",
        "trainingJob": "run",
        "model": "model",
        "version": version,
        "dataset": "data",
        "datasetDigest": of.digest,
        "datasetUri": of.uri,
        "estimator": {"name": estimator} if isinstance(estimator, str) else estimator,
    }
    return TrainOrder.model_validate(order | changes)


def trained(order: TrainOrder, store: ObjectStore) -> tuple[Trained, tuple[str, ...]]:
    """What came of the order, carried out."""
    with tempfile.TemporaryDirectory() as folder:
        return train(order, store, Path(folder))


def shifted(table: pa.Table, factor: float = 1.25) -> pa.Table:
    """The biopsies as a scanner measures them whose lengths are too long by `factor`."""
    for index, name in enumerate(table.column_names):
        power = next((2.0 if size == "area" else 1.0 for size in SIZES if size in name), None)
        if power is not None:
            table = table.set_column(index, name, pa.array(table.column(name).to_numpy() * factor**power))
    return table


def served(
    store: ObjectStore,
    features: pa.Table,
    labels: Sequence[object] | None,
    *,
    service: str = "answers",
    start: datetime = NOON,
    request: str = "r",
    step: timedelta = timedelta(seconds=1),
) -> None:
    """Write rows into a service's log as if each had been a request, and their labels an hour later."""
    rows = features.num_rows
    times = [start + step * row for row in range(rows)]
    requests = [f"{request}{row}" for row in range(rows)]
    key = {
        LogColumn.REQUEST: requests,
        LogColumn.ROW: [0] * rows,
        LogColumn.TIME: pa.array(times, pa.timestamp("us", tz="UTC")),
    }
    columns = {LogColumn.FEATURE + name: features.column(name) for name in features.column_names}
    hour = start.strftime("date=%Y-%m-%d/hour=%H")
    put(store, f"{prediction_folder('team', service)}/{hour}/{request}.parquet", pa.table({**key, **columns}))
    if labels is not None:
        later = start + timedelta(hours=1)
        values = {
            **key,
            LogColumn.TIME: pa.array([later] * rows, pa.timestamp("us", tz="UTC")),
            LogColumn.LABEL: [str(label) for label in labels],
        }
        hour = later.strftime("date=%Y-%m-%d/hour=%H")
        put(store, f"{label_folder('team', service)}/{hour}/{request}.parquet", pa.table(values))


def put(store: ObjectStore, key: str, table: pa.Table) -> None:
    """Write a table as a part of a log."""
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    store.put(key, buffer.getvalue())


def text_of(count: int, *, seed: int = 0) -> str:
    """A table with numbers, categories, gaps and a label that hangs on both, as CSV."""
    rng = np.random.default_rng(seed)
    lines = ["size,colour,weight,label"]
    for _ in range(count):
        size, colour = rng.normal(), rng.choice(["red", "green", "blue"])
        label = "yes" if size + (1.5 if colour == "red" else 0.0) + rng.normal() * 0.3 > 0.5 else "no"
        gap = rng.random() < 0.1
        lines.append(f"{'' if gap else f'{size:.3f}'},{colour},{rng.normal():.3f},{label}")
    return "\n".join(lines) + "\n"


def rows_of(store: ObjectStore, revision: Ingested, into: Path) -> pa.Table:
    """Return the rows of a revision, fetched into a folder."""
    return parquet.read_table(store.fetch(revision.uri, revision.digest, into) / "data-00000.parquet")


def row_set(trained: Trained, name: str) -> Any:
    """Return what a run measured on a set of rows."""
    return next(measured for measured in trained.evaluation if measured.on == name)
