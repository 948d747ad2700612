"""A stream of events as KServe's logger sends them, replayed over HTTP to a receiver on a real S3 server, and the checks of it."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiohttp import web

from support import gateway
from tidemill.api.checks import Check
from tidemill.contract.layout import PAYLOADS, LogColumn, prediction_folder
from tidemill.contract.orders import (
    OUTSIDE_DIGEST,
    CheckOrder,
    IngestOrder,
    PayloadOrder,
    ReceiveOrder,
    ReferenceOrder,
    TimeRange,
)
from tidemill.contract.serving import VersionOrder
from tidemill.runtime.ingest import job
from tidemill.runtime.monitor import job as check
from tidemill.runtime.receive import exchanges
from tidemill.runtime.receive.events import MAX_BYTES, REQUEST, RESPONSE
from tidemill.runtime.receive.server import application
from tidemill.runtime.store.objects import ObjectStore

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LOG = "cloudevents.iris-watch"
COLUMNS = ("sepal_length_cm", "sepal_width_cm", "petal_length_cm", "petal_width_cm")
INPUTS = Check.model_validate({"name": "inputs", "type": "FeatureDrift", "failing": 0.2, "share": 0.2})
RECORDED = [json.loads(line) for line in Path(__file__).with_name("kserve_agent.jsonl").read_text().splitlines()]
"""What KServe's agent (August 2026) sent of requests to KServe's own server (0.21), told to pass on two headers."""
_THREE = [([4.7, 3.2, 1.3, 0.2], "0"), ([6.0, 2.2, 4.0, 1.0], "1"), ([7.7, 2.8, 6.7, 2.0], "2")]
RECORDED_ROWS = {
    "V1": [([5.1, 3.5, 1.4, 0.2], "0"), ([5.0, 2.0, 3.5, 1.0], "1")],
    "V1 without a content type": [([6.9, 3.2, 5.7, 2.3], "2")],
    "V2": [([4.9, 3.0, 1.4, 0.2], "0"), ([5.9, 3.0, 4.2, 1.5], "1")],
    "V2 as bytes, answered with bytes": _THREE,
    "V2 as bytes, answered with JSON": _THREE,
    "V2 with a tensor for each column": [([4.6, 3.1, 1.5, 0.2], "0"), ([6.1, 2.9, 4.7, 1.4], "1")],
    "V1 with an id of the client's": [([5.4, 3.9, 1.7, 0.4], "0")],
}
ANSWERS = Check.model_validate({"name": "answers", "type": "PredictionDrift", "failing": 0.2})


@dataclass
class Receiver:
    """A receiver that listens, and the sidecar of a KServe predictor that calls it."""

    store: ObjectStore
    order: PayloadOrder
    credentials: Path
    now: float = NOON.timestamp()
    down: bool = False
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    _stop: Callable[[], Any] | None = None

    async def start(self) -> None:
        def open_store() -> ObjectStore:
            if self.down:
                raise OSError("nothing answers there")
            return self.store

        order = ReceiveOrder(namespace="shop", monitor="iris-watch", checks=(), payloads=self.order)
        runner = web.AppRunner(application(order, open_store, credentials=self.credentials, clock=lambda: self.now))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._stop = runner.cleanup

    async def stop(self) -> None:
        """End it as its pod ends: what waits is written."""
        if self._stop is not None:
            stop, self._stop = self._stop, None
            await stop()

    async def event(self, kind: str, request: str, body: Any, **headers: str) -> int:
        """One event, with the headers that KServe 0.16's agent sets."""
        event = {
            "ce-specversion": "1.0",
            "ce-id": request,
            "ce-type": kind,
            "ce-source": "http://localhost:9081/",
            "ce-time": "2026-03-01T12:00:00.501752983Z",
            "ce-inferenceservicename": "sklearn-iris",
            "ce-namespace": "shop",
            "ce-component": "predictor",
            "ce-endpoint": "",
            "ce-metadata": "{}",
            # The agent repeats the client's content type, whatever it is.
            "content-type": "application/x-www-form-urlencoded",
            **self.headers,
            **headers,
        }
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url + "/", data=io.BytesIO(content), headers=event) as answer,
        ):
            return answer.status

    async def recorded(self, event: dict[str, Any]) -> int:
        """One event of a recording, header by header as it came."""
        headers = [(name, value) for name, value in event["headers"] if name not in ("Host", "Content-Length")]
        body = base64.b64decode(event["body"])
        async with (
            aiohttp.ClientSession(skip_auto_headers=("Content-Type",)) as session,
            session.post(self.url + event["path"], data=body, headers=headers) as answer,
        ):
            return answer.status

    async def exchange(self, request: str, asked: Any, answered: Any) -> tuple[int, int]:
        return await self.event(REQUEST, request, asked), await self.event(RESPONSE, request, answered)

    def rows(self) -> list[dict[str, Any]]:
        """What is in the log."""
        folder = prediction_folder("shop", LOG)
        tables = [pq.read_table(pa.BufferReader(self.store.get(entry.key))) for entry in self.store.list(folder)]
        return [row for table in tables for row in table.to_pylist()]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    folder = tmp_path_factory.mktemp("s3")
    with gateway.gateway(folder / "data") as endpoint:
        yield ObjectStore.from_files(gateway.secret(folder / "secret", endpoint))


@pytest.fixture
async def receiver(store: ObjectStore, tmp_path: Path) -> AsyncIterator[Receiver]:
    store.delete(*[entry.key for entry in store.list("shop")])
    order = PayloadOrder(log=LOG, service="sklearn-iris", columns=COLUMNS, retention_seconds=86400.0 * 9000)
    made = Receiver(store, order, tmp_path / "credentials")
    await made.start()
    yield made
    await made.stop()


def v1(rows: Any) -> dict[str, Any]:
    return {"instances": np.asarray(rows).tolist()}


BODIES: dict[str, tuple[Any, Any]] = {
    "V1 with lists": (v1([[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]), {"predictions": [1, 1]}),
    "V1 with objects": (
        {"instances": [dict(zip(COLUMNS, row, strict=True)) for row in ([6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6])]},
        {"predictions": ["1", "1"]},
    ),
    "V1 with probabilities": (
        v1([[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]),
        {"predictions": [[0.1, 0.9, 0.0], [0.2, 0.7, 0.1]]},
    ),
    "V2 with one tensor": (
        {"inputs": [{"name": "input-0", "shape": [2, 4], "datatype": "FP32", "data": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]}]},
        {"id": "x", "model_name": "m", "outputs": [{"name": "output-0", "shape": [2], "datatype": "INT32", "data": [1, 1]}]},
    ),
    "V2 with a tensor for each column": (
        {
            "inputs": [
                {"name": name, "shape": [2, 1], "datatype": "FP64", "data": [row[index] for row in ([6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6])]}
                for index, name in enumerate(COLUMNS)
            ]
        },
        {
            "outputs": [
                {"name": "predict", "shape": [2, 1], "datatype": "INT64", "data": [1, 1]},
                {"name": "predict_proba", "shape": [2, 2], "datatype": "FP64", "data": [0.1, 0.9, 0.3, 0.7]},
            ]
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", BODIES)
async def test_a_request_and_its_response_become_rows_of_the_log(receiver: Receiver, form: str) -> None:
    assert (200, 200) == await receiver.exchange("e58f1edd", *BODIES[form])
    await receiver.stop()

    first, second = receiver.rows()
    assert [6.8, 2.8, 4.8, 1.4] == [round(first[LogColumn.FEATURE + name], 6) for name in COLUMNS]
    assert ("1", "1", "e58f1edd", 1) == (first["prediction"], second["prediction"], second["request_id"], second["row"])
    assert (OUTSIDE_DIGEST, NOON) == (first["model_digest"], first["time"])
    if "prob" in json.dumps(BODIES[form][1]) or "prob" in form:
        assert [0.9, 0.7] == [first["score"], second["score"]]


async def test_truth_values_among_what_is_asked_are_numbers_as_in_a_dataset(receiver: Receiver) -> None:
    await receiver.exchange("said", {"instances": [[True, 2, False, 4]]}, {"predictions": [True]})
    await receiver.stop()

    (row,) = receiver.rows()
    assert [1.0, 2.0, 0.0, 4.0] == [row[LogColumn.FEATURE + name] for name in COLUMNS]
    assert "True" == row["prediction"]


async def test_binary_tensors_are_read_where_the_event_tells_how_long_the_json_is(receiver: Receiver) -> None:
    raw = np.array([[6.8, 2.8, 4.8, 1.4]], "<f4").tobytes()
    tensor = {"name": "input-0", "shape": [1, 4], "datatype": "FP32", "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [tensor]}).encode()
    metadata = json.dumps({"Inference-Header-Content-Length": [str(len(head))]})

    assert 200 == await receiver.event(REQUEST, "a", head + raw, **{"ce-metadata": metadata})
    assert 200 == await receiver.event(RESPONSE, "a", {"predictions": [0]})
    await receiver.stop()

    assert 1.4 == round(receiver.rows()[0][LogColumn.FEATURE + COLUMNS[3]], 6)


async def test_a_stream_that_kserves_own_agent_sent_is_understood(receiver: Receiver) -> None:
    statuses = [await receiver.recorded(event) for event in RECORDED]
    await receiver.stop()

    # A request of two values where the model takes four, which KServe's server refused as well.
    assert [400] == [status for status in statuses if status != 200]
    body: dict[str, list[tuple[list[float], str]]] = {}
    for row in sorted(receiver.rows(), key=lambda row: row["row"]):
        values = [round(row[LogColumn.FEATURE + name], 6) for name in COLUMNS]
        body.setdefault(row["request_id"], []).append((values, row["prediction"]))
    # In the order in which they were asked.
    requests = dict.fromkeys(dict(event["headers"])["Ce-Id"] for event in RECORDED)
    assert list(RECORDED_ROWS.values()) == [body[request] for request in requests if request in body]


async def test_halves_are_joined_in_whatever_order_they_come_and_however_often(receiver: Receiver) -> None:
    events = [(REQUEST, f"r{n}", v1([[n, 1, 1, 1]])) for n in range(30)]
    events += [(RESPONSE, f"r{n}", {"predictions": [f"class {n}"]}) for n in range(30)]
    random.Random(4).shuffle(events)
    for kind, request, body in [*events, *events[:20]]:
        assert 200 == await receiver.event(kind, request, body)
    await receiver.stop()

    assert [(float(n), f"class {n}") for n in range(30)] == sorted(
        (row[LogColumn.FEATURE + COLUMNS[0]], row["prediction"]) for row in receiver.rows()
    )


async def test_a_request_without_a_response_is_a_row_without_a_prediction(receiver: Receiver) -> None:
    await receiver.event(REQUEST, "alone", v1([[1, 2, 3, 4]]))
    await receiver.event(RESPONSE, "nobody asked", {"predictions": [1]})
    await receiver.stop()

    (row,) = receiver.rows()
    assert ("alone", None) == (row["request_id"], row["prediction"])


async def test_a_response_of_another_length_is_not_believed(receiver: Receiver) -> None:
    await receiver.exchange("odd", v1([[1, 2, 3, 4]]), {"predictions": [1, 2, 3]})
    await receiver.stop()

    assert [None] == [row["prediction"] for row in receiver.rows()]


async def test_events_of_other_services_and_of_other_kinds_are_passed_over(receiver: Receiver) -> None:
    await receiver.event(REQUEST, "a", v1([[1, 2, 3, 4]]), **{"ce-inferenceservicename": "another"})
    await receiver.event("org.kubeflow.serving.inference.outlier", "b", {})
    await receiver.stop()

    assert [] == receiver.rows()


BAD: dict[str, Any] = {
    "nonsense": b"\xff\xfe",
    "lists in lists without end": b"[" * 100_000,
    "rows, and more that is none": b'{"instances": [[1, 2, 3, 4]]} and more',
    "tensors, and bytes of none": b'{"inputs": [{"name": "a", "shape": [1, 4], "datatype": "FP64", "data": [1, 2, 3, 4]}]}\x00',
    "no object": [1, 2],
    "no rows": {"instances": []},
    "neither protocol": {"rows": [1]},
    "rows of different lengths": {"instances": [[1, 2, 3, 4], [1, 2]]},
    "too few columns": {"instances": [[1, 2]]},
    "a picture": {"instances": [[[1, 2], [3, 4], [5, 6], [7, 8]]]},
    "a shape that lies": {"inputs": [{"name": "a", "shape": [1000000, 4], "datatype": "FP64", "data": [1.0]}]},
    "a whole number beyond all": {"instances": [[10**400, 1, 1, 1]]},
    "more rows than are taken": {"instances": [[1, 1, 1, 1]] * 10_001},
    "a thousand and more columns": {"instances": [{f"c{n}": 1 for n in range(1025)}]},
}


@pytest.mark.parametrize("name", BAD)
async def test_bodies_that_are_no_table_are_refused_and_leave_nothing(receiver: Receiver, name: str) -> None:
    assert 400 == await receiver.event(REQUEST, "bad", BAD[name])
    await receiver.stop()

    assert [] == receiver.rows()


async def test_what_is_no_event_or_too_large_is_refused(receiver: Receiver) -> None:
    assert 400 == await receiver.event(REQUEST, "", v1([[1, 2, 3, 4]]))
    assert 400 == await receiver.event(REQUEST, "a", {}, **{"ce-specversion": "0.3"})
    assert 413 == await receiver.event(REQUEST, "a", b" " * (MAX_BYTES + 1))


async def test_only_who_bears_the_token_is_taken_where_there_is_a_secret(store: ObjectStore, tmp_path: Path) -> None:
    order = PayloadOrder(log=LOG, columns=COLUMNS, secured=True, retention_seconds=86400.0 * 9000)
    made = Receiver(store, order, tmp_path)
    await made.start()
    asked = v1([[1, 2, 3, 4]])

    assert 401 == await made.event(REQUEST, "a", asked)
    (tmp_path / PAYLOADS).mkdir()
    (tmp_path / PAYLOADS / "token").write_text("t0ken\n")
    assert 401 == await made.event(REQUEST, "a", asked, authorization="Bearer wrong")
    assert 200 == await made.event(REQUEST, "a", asked, authorization="Bearer t0ken")
    await made.stop()


async def test_a_store_that_is_down_loses_nothing_while_there_is_room(receiver: Receiver, tmp_path: Path) -> None:
    made = Receiver(receiver.store, receiver.order, tmp_path, down=True)
    await made.start()
    assert (200, 200) == await made.exchange("early", v1([[1, 2, 3, 4]]), {"predictions": [1]})
    made.down = False
    for _ in range(100):
        if made.rows():
            break
        await asyncio.sleep(0.1)
    await made.stop()

    assert ["early"] == [row["request_id"] for row in made.rows()]


def test_what_waits_for_its_other_half_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "MAX_WAITING", 100)
    joining = exchanges.Joining()

    complete = [exchange for n in range(1000) for exchange in joining.asked(f"r{n}", {"a": [1.0]}, "", 10, 0.0)]

    assert 900 == len(complete)
    assert 100 == len(joining.lapsed(exchanges.WAITS))


def order(checks: tuple[Check, ...], reference: ReferenceOrder, start: datetime, end: datetime) -> CheckOrder:
    return CheckOrder(
        namespace="shop",
        monitor="iris-watch",
        service=LOG,
        start=start,
        end=end,
        version=VersionOrder(name="sklearn-iris", uri="", digest=OUTSIDE_DIGEST),
        checks=checks,
        minimum_samples=50,
        minimum_labels=1,
        reference=reference,
        labels=False,
    )


async def serve(receiver: Receiver, rows: Any, name: str) -> None:
    for index in range(0, len(rows), 10):
        batch = rows[index : index + 10]
        labels = ["virginica" if row[2] > 4.9 else "other" for row in batch]
        assert (200, 200) == await receiver.exchange(f"{name}-{index}", v1(batch), {"predictions": labels})


async def test_a_kserve_service_is_compared_with_a_dataset(receiver: Receiver, tmp_path: Path) -> None:
    from sklearn.datasets import load_iris

    published, _ = job.ingest(
        IngestOrder.model_validate({"namespace": "shop", "dataset": "iris", "source": {"uri": "sklearn://iris"}}),
        receiver.store,
        scratch=tmp_path,
    )
    rows = load_iris().data[np.random.default_rng(1).integers(0, 150, 200)]
    await serve(receiver, rows, "calm")
    receiver.now += 3600
    await serve(receiver, rows + np.array([0, 0, 1.5, 0]), "moved")
    await receiver.stop()
    reference = ReferenceOrder(dataset_uri=published.uri, dataset_digest=published.digest)
    hour = timedelta(hours=1)

    reports = [
        check.run(order((INPUTS, ANSWERS), reference, start, start + hour), receiver.store).checked
        for start in (NOON, NOON + hour)
    ]

    assert all(report is not None for report in reports)
    calm, moved = ({outcome.name: outcome for outcome in report.checks} for report in reports if report is not None)
    assert ("Passing", "Failing") == (calm["inputs"].verdict, moved["inputs"].verdict)
    assert "petal_length_cm" == moved["inputs"].worst[0].column
    assert "NoData" == calm["answers"].verdict


async def test_a_kserve_service_is_compared_with_its_own_earlier_window(receiver: Receiver) -> None:
    from sklearn.datasets import load_iris

    rng = np.random.default_rng(1)
    data = load_iris().data
    hour = timedelta(hours=1)
    for name, shift in (("first", 0.0), ("second", 0.0), ("third", 1.5)):
        await serve(receiver, data[rng.integers(0, 150, 300)] + np.array([0, 0, shift, 0]), name)
        receiver.now += 3600
    await receiver.stop()

    reference = ReferenceOrder(ranges=(TimeRange(start=NOON, end=NOON + hour),))
    results = [
        check.run(order((INPUTS, ANSWERS), reference, NOON + hour * n, NOON + hour * (n + 1)), receiver.store).checked
        for n in (1, 2)
    ]

    assert [["Passing", "Passing"], ["Failing", "Failing"]] == [
        [outcome.verdict for outcome in checked.checks] for checked in results if checked is not None
    ]
