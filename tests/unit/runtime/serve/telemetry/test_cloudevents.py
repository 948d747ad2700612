"""Requests and answers as CloudEvents, taken by a real HTTP sink."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple

import numpy as np
import pytest

from tidemill.contract.serving import VersionOrder
from tidemill.runtime.protocol.features import NO_CATEGORIES, Features, Rows
from tidemill.runtime.serve.http.request import Request
from tidemill.runtime.serve.telemetry.cloudevents import MAX_BYTES, MAX_WAITING, AnsweredRequest, CloudEventSender
from tidemill.runtime.serve.version.model import Identity

from ..conftest import Pod, signature, until

IDENTITY = Identity("ns", "houses", "house", "house-1", "sha256:" + "1" * 64, "Stable")
REQUEST = Request(
    "/v2/models/house/predict",
    b'{"rows": []}',
    {b"content-type": b"application/json"},
    "r-1",
    Rows(np.array([[1.0, 2.0], [3.0, float("nan")]]), NO_CATEGORIES),
)
EXCHANGE = AnsweredRequest(
    REQUEST,
    "house-1",
    "Stable",
    b'{"predictions": [1]}',
    "application/json",
    "",
)


class Posted(NamedTuple):
    headers: dict[str, str]
    body: bytes


class Sink:
    """Takes what is posted, or says otherwise."""

    def __init__(self) -> None:
        self.posted: list[Posted] = []
        self.status = 202
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                sink.posted.append(Posted({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(sink.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing to say."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/events"

    def of(self, request: str) -> list[Posted]:
        return [posted_one for posted_one in list(self.posted) if posted_one.headers.get("ce-id") == request]


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink()
    Thread(target=made.server.serve_forever, daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
async def sending() -> AsyncIterator[Callable[[CloudEventSender], None]]:
    """Lets events be sent until the test ends."""
    tasks: list[asyncio.Task[None]] = []

    def send(events: CloudEventSender) -> None:
        tasks.append(asyncio.create_task(events.run()))

    yield send
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def come_true(claim: Callable[[], Any]) -> None:
    for _ in range(3_000):
        if claim():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come true")


def events(url: str, *redact: str) -> CloudEventSender:
    return CloudEventSender(url, IDENTITY, Features(signature()), redact=redact)


async def test_a_request_and_its_answer_are_a_pair_in_kserves_words(
    sink: Sink, sending: Callable[[CloudEventSender], None]
) -> None:
    sent = events(sink.url)
    sending(sent)

    sent.put(EXCHANGE)
    await come_true(lambda: sent.sent == 2)

    asked, answered = sink.posted
    assert {"1.0"} == {request.headers["ce-specversion"] for request in sink.posted}
    assert ("org.kubeflow.serving.inference.request", b'{"rows": []}') == (asked.headers["ce-type"], asked.body)
    assert ("org.kubeflow.serving.inference.response", b'{"predictions": [1]}') == (
        answered.headers["ce-type"],
        answered.body,
    )
    assert {("r-1", "houses", "ns", "default", "predictor")} == {
        tuple(
            request.headers[f"ce-{name}"]
            for name in ("id", "inferenceservicename", "namespace", "endpoint", "component")
        )
        for request in sink.posted
    }


async def test_redacted_features_leave_no_trace(sink: Sink, sending: Callable[[CloudEventSender], None]) -> None:
    sent = events(sink.url, "age")
    sending(sent)

    sent.put(EXCHANGE)
    await come_true(lambda: sent.sent == 2)

    asked = json.loads(sink.posted[0].body)
    assert {"id": "r-1", "inputs": [{"name": "size", "shape": [2], "datatype": "FP64", "data": [1.0, 3.0]}]} == asked


async def test_a_sink_that_refuses_costs_the_event_and_nothing_else(
    sink: Sink, sending: Callable[[CloudEventSender], None]
) -> None:
    sink.status = 500
    sent = events(sink.url)
    sending(sent)

    sent.put(EXCHANGE)
    await come_true(lambda: sent.failed == 1)
    sink.status = 200
    sent.put(EXCHANGE)
    await come_true(lambda: sent.sent == 2)

    assert 3 == len(sink.posted), "a request that was refused has no answer sent after it"


def test_what_finds_no_room_is_dropped_and_counted() -> None:
    full = events("http://127.0.0.1:1")

    for _ in range(MAX_WAITING + 2):
        full.put(EXCHANGE)

    assert 4 == full.dropped


def test_large_bodies_are_bounded_too() -> None:
    full = events("http://127.0.0.1:1")

    for _ in range(3):
        full.put(EXCHANGE._replace(request=replace(REQUEST, body=b"x" * (MAX_BYTES // 2))))

    assert 4 == full.dropped


def test_a_pod_sends_what_it_answers_and_answers_without_the_sink(
    publish: Callable[..., VersionOrder], pod: Callable[..., Pod], sink: Sink
) -> None:
    stable = pod(publish("house-1"), eventsUrl=sink.url, redact=["age"]).ready()

    answer = stable.client.post("/v2/models/house/predict", json={"id": "told", "rows": [{"size": 1, "age": 7}]})
    until(lambda: len(sink.of("told")) == 2, "both events came")
    sink.server.shutdown()
    sink.server.server_close()
    answers = [stable.ask(1.0, id=f"after-{number}") for number in range(10)]

    asked, answered = sink.of("told")
    assert 200 == answer.status_code
    assert ["size"] == [tensor["name"] for tensor in json.loads(asked.body)["inputs"]]
    assert answer.content == answered.body
    assert [200] * 10 == [response.status_code for response in answers]
    until(
        lambda: 'tidemill_events_total{result="failed",service="houses"}' in stable.client.get("/metrics").text, "seen"
    )
