"""Hostile bodies against a real server: each is told so in bounded time and memory, and the pod stays ready."""

from __future__ import annotations

import json
import pickle
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tidemill.runtime.store.objects import ObjectStore

from .conftest import Pod, pods, publisher, until
from .hostility import BASE, CHUNKED, MB, MOST, attacked, connected, forget_peak, head, peak, poured
from .telemetry.test_in_flight import in_flight


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    with attacked(tmp_path_factory.mktemp("target")) as server:
        yield server


@pytest.mark.parametrize("where", [f"{BASE}/infer", f"{BASE}/feedback", f"{BASE}/explain", f"{BASE}/nothing"])
def test_a_body_without_end_is_ended_in_bounded_memory(target: Pod, where: str) -> None:
    before = forget_peak(target)
    with connected(target) as connection:
        connection.sendall(head(where, b"content-type: application/json", b"transfer-encoding: chunked"))
        sent = poured(connection, b"10000\r\n" + b" " * 0x10000 + b"\r\n", 1024 * MB)

    assert 200 * MB > sent
    assert 24 * MB > peak(target) - before


def test_trailers_without_end_are_ended_in_bounded_memory(target: Pod) -> None:
    before = forget_peak(target)
    with connected(target) as connection:
        connection.sendall(CHUNKED + b"2\r\n{}\r\n0\r\n")
        sent = poured(connection, b"x: y\r\n" * 10_000, 1024 * MB)

    assert 200 * MB > sent
    assert 24 * MB > peak(target) - before


def test_a_body_as_long_as_is_allowed_is_read_and_one_byte_more_is_refused(target: Pod) -> None:
    before = forget_peak(target)
    body = b'{"inputs": []}'

    codes = [
        target.client.post(f"{BASE}/infer", content=body.ljust(length), headers={"content-type": "application/json"})
        for length in (MOST, MOST + 1)
    ]

    assert [400, 413] == [response.status_code for response in codes]
    assert codes[1].json()["error"].startswith(f"body: is longer than {MOST} bytes")
    assert 24 * MB > peak(target) - before


def test_many_long_bodies_at_once_are_not_all_held(target: Pod) -> None:
    part = b" " * (MOST * 9 // 10)

    def sent(count: int) -> Counter[bytes]:
        """What clients are told who all leave off before the end of their bodies."""
        opened: list[socket.socket] = []
        try:
            for _ in range(count):
                connection = socket.create_connection(("127.0.0.1", target.port), timeout=60)
                opened.append(connection)
                connection.sendall(head(f"{BASE}/infer", b"content-length: %d" % MOST) + part)
            return Counter(connection.recv(4096)[9:12] for connection in opened)
        finally:
            for connection in opened:
                connection.close()

    # What the first refusals make the process load is not what bodies take.
    assert sent(2)
    before = forget_peak(target)

    codes = sent(80)

    assert {b"503", b"408"} == codes.keys()
    assert codes[b"503"] > codes[b"408"]
    assert 48 * MB > peak(target) - before, "72 MB were sent"


def test_a_body_that_comes_byte_by_byte_gains_no_time_by_it(target: Pod) -> None:
    with connected(target) as connection:
        connection.settimeout(0.05)
        connection.sendall(head(f"{BASE}/infer", b"content-length: 100000"))
        response = b""
        for _ in range(10_000):
            try:
                connection.sendall(b" ")
                response = connection.recv(4096)
            except TimeoutError:
                continue
            break

    assert response.startswith(b"HTTP/1.1 408 ")


def test_clients_that_leave_in_the_middle_leave_nothing_behind(target: Pod) -> None:
    for index in range(100):
        with connected(target) as connection:
            connection.sendall((CHUNKED + b"4000\r\n" + b"{" * 0x1000)[: 1 + 47 * index])

    until(lambda: target.ask(1.0).status_code == 200, "the next one is answered")
    until(lambda: {0.0} == set(in_flight(target.client.get("/metrics").text).values()), "nothing is left")


def test_clients_that_do_not_read_their_answers_hold_nobody_up(target: Pod) -> None:
    request = b"GET /v2/openapi.json HTTP/1.1\r\nhost: here\r\n\r\n"
    before = forget_peak(target)
    with connected(target) as deaf:
        deaf.settimeout(2)
        poured(deaf, request * 100, 200 * MB)

        assert [200] * 20 == [target.ask(1.0).status_code for _ in range(20)]
        assert 24 * MB > peak(target) - before


@pytest.mark.parametrize(
    ("body", "message"),
    {
        "a pickle": (pickle.dumps({"inputs": []}), "body: is not JSON"),
        "deep lists": (b"[" * 500_000, "body: is not JSON"),
        "deep objects": (b'{"inputs":' * 90_000, "body: is not JSON"),
        "deep data": (b'{"inputs":[{"name":"i","shape":[1,2],"datatype":"FP64","data":' + b"[" * 900 + b"1,2" + b"]" * 900 + b"}]}", "inputs[0].data"),
        "NaN": (b'{"inputs":[{"name":"i","shape":[1,2],"datatype":"FP64","data":[NaN,1]}]}', "body: is not JSON"),
        "infinity": (b'{"inputs":[{"name":"i","shape":[1,2],"datatype":"FP64","data":[1e999,1]}]}', "body: is not JSON"),
        "a number of a million digits": (b'{"inputs":[{"name":"i","shape":[1,2],"datatype":"FP64","data":[' + b"9" * 900_000 + b",1]}]}", ""),
        "a shape of billions": (b'{"inputs":[{"name":"i","shape":[4294967296,4294967296],"datatype":"FP64","data":[1,1]}]}', "inputs[0].data"),
        "a surrogate": (b'{"id":"\\ud800","inputs":[]}', "body: is not JSON"),
        "no UTF-8": (b'{"id":"\xff","inputs":[]}', "body: is not JSON"),
    }.values(),
)  # fmt: skip
def test_a_hostile_body_is_refused_by_its_field(target: Pod, body: bytes, message: str) -> None:
    answer = target.client.post(f"{BASE}/infer", content=body, headers={"content-type": "application/json"})

    assert 400 == answer.status_code
    assert answer.json()["error"].startswith(message)


def test_bytes_that_are_no_number_are_refused(target: Pod) -> None:
    def send(value: float) -> int:
        raw = np.array([value, 1.0], "<f8").tobytes()
        described = {"name": "input", "shape": [1, 2], "datatype": "FP64", "parameters": {"binary_data_size": 16}}
        start = json.dumps({"inputs": [described]}).encode()
        headers = {"inference-header-content-length": str(len(start))}
        return target.client.post(f"{BASE}/infer", content=start + raw, headers=headers).status_code

    assert [400, 400, 200] == [send(value) for value in (np.inf, -np.inf, 1.0)]


@pytest.mark.parametrize("path", ["/v2/models/boat/infer", f"{BASE}/versions/house-9/infer", "/v2/models//infer"])
def test_what_is_not_served_is_not_found_whatever_is_sent_there(target: Pod, path: str) -> None:
    assert 404 == target.client.post(path, content=b"\x80\x04K\x01.").status_code


@pytest.mark.slow
def test_what_goes_to_bentoml_is_bounded_too(tmp_path: Path) -> None:
    store = ObjectStore.open(f"file://{tmp_path}/store")
    with pods(tmp_path, store) as prepare:
        server = prepare(
            publisher(store)("house-1"), maxBodyBytes=MOST, environment={"TIDEMILL_BENTOML": "yes"}
        ).ready()
        until(lambda: server.state()["bentoml"], "BentoML is loaded")
        before = forget_peak(server)
        with connected(server) as connection:
            connection.sendall(head("/predict", b"content-type: application/json", b"transfer-encoding: chunked"))
            sent = poured(connection, b"10000\r\n" + b" " * 0x10000 + b"\r\n", 1024 * MB)

        answer = server.client.post("/predict", json={"rows": [{"size": 2, "age": 1}]})

        assert [1] == answer.json()["predictions"]
        assert 200 * MB > sent
        assert 32 * MB > peak(server) - before
