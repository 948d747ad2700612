"""Candidates that misbehave in every way a server can: no request fails for it, and each time is counted against them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tidemill.contract.serving import VersionOrder
from tidemill.runtime.store.objects import ObjectStore

from .conftest import Pod, pods, publisher
from .houses import versions

Publish = Callable[..., VersionOrder]
MakePod = Callable[..., Pod]
Behave = Callable[[socket.socket, bytes], None]


@contextmanager
def candidate_that(behave: Behave) -> Iterator[str]:
    """A server that reads each request and does what it is told; gives its URL."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.05)

        def serve_one(connection: socket.socket) -> None:
            with connection:
                request = b""
                while b'"rows"' not in request:
                    got = connection.recv(65536)
                    if not got:
                        return
                    request += got
                behave(connection, request)

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = listening.accept()
                except TimeoutError:
                    continue
                threading.Thread(target=serve_one, args=(connection,), daemon=True).start()

        serving = threading.Thread(target=serve)
        serving.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            over.set()
            serving.join()


def says(status: str, body: bytes, **headers: str) -> Behave:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{lines}connection: close\r\n\r\n".encode()
    return lambda connection, _: connection.sendall(head + body)


DIGEST = "sha256:" + "2" * 64
MARKS = {"x_model_version": "house-2", "x_model_digest": DIGEST}
GOOD = b'{"predictions": [0], "classes": [0, 1], "probabilities": [[0.9, 0.1]]}'

MISBEHAVIOUR: dict[str, Behave] = {
    "hangs": lambda connection, _: (connection.settimeout(30), connection.recv(1))[0],
    "dies": lambda *_: None,
    "dies within its answer": lambda connection, _: connection.sendall(
        b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"
    ),
    "answers 500": says("500 Oh", b"{}", **MARKS),
    "refuses what the stable version takes": says("400 Bad", b'{"error": "no"}', **MARKS),
    "redirects": says("302 Found", b"", location="http://127.0.0.1:1/", **MARKS),
    "does not speak HTTP": lambda connection, _: connection.sendall(b"\x00\x01\x02garbage\r\n\r\n"),
    "answers no JSON": says("200 OK", b"<html>", **MARKS),
    "answers too few rows": says("200 OK", b'{"predictions": []}', **MARKS),
    "answers null": says("200 OK", b'{"predictions": [null]}', **MARKS),
    "answers probabilities that are none": says("200 OK", b'{"predictions": [0], "probabilities": [[7, 8]]}', **MARKS),
    "answers with another version": says("200 OK", GOOD, x_model_version="house-3", x_model_digest=DIGEST),
    "answers with other bytes": says("200 OK", GOOD, x_model_version="house-2", x_model_digest="sha256:" + "3" * 64),
    "answers without end": lambda connection, _: _without_end(connection),
}


def _without_end(connection: socket.socket) -> None:
    try:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b" " * 1_000_000)
    except OSError:
        return


@pytest.fixture(scope="module")
def stable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """One pod for all misbehaviours; each of them has a score of its own."""
    folder = tmp_path_factory.mktemp("stable")
    store = ObjectStore.open(f"file://{folder}/store")
    with pods(folder, store) as prepare:
        yield prepare(publisher(store)("house-1"), timeoutSeconds=0.5).ready()


def try_out(stable: Pod, url: str) -> None:
    """Send all requests to a candidate, with a score that starts at zero."""
    stable.route(weight=0)
    stable.route(weight=100, candidate={"name": "house-2", "uri": "file:///x", "digest": DIGEST}, candidateUrl=url)


def errors(stable: Pod) -> int:
    metrics = stable.client.get("/metrics").text
    return int(float(metrics.split('tidemill_candidate_errors_total{service="houses"} ')[1].split()[0]))


@pytest.mark.parametrize("misbehaviour", MISBEHAVIOUR)
def test_a_candidate_that_fails_costs_no_request_and_every_failure_is_counted(stable: Pod, misbehaviour: str) -> None:
    before = errors(stable)
    with candidate_that(MISBEHAVIOUR[misbehaviour]) as url:
        try_out(stable, url)

        answered = versions(stable, 4)

    score = stable.measured()
    assert {"house-1": 4} == answered
    assert (4, 4) == (score["candidate"]["requests"], score["candidate"]["errors"])
    assert (0, 0) == (score["stable"]["requests"], score["stable"]["errors"])
    assert before + 4 == errors(stable)


def test_the_stand_in_candidate_is_believed_when_it_answers_well(stable: Pod) -> None:
    """Otherwise the failures above might have another cause."""
    with candidate_that(says("200 OK", GOOD, **MARKS)) as url:
        try_out(stable, url)

        assert {"house-2": 4} == versions(stable, 4)


@pytest.mark.slow
def test_a_candidate_that_keeps_hanging_is_soon_hardly_asked(publish: Publish, pod: MakePod) -> None:
    stable = pod(publish("house-1"), timeoutSeconds=0.05).ready()
    with candidate_that(MISBEHAVIOUR["hangs"]) as url:
        try_out(stable, url)

        versions(stable, 60)

    assert stable.state()["candidateBreakerOpen"]
    assert 20 <= stable.measured()["candidate"]["requests"] < 60
