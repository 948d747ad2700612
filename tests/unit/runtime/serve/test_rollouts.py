"""Two real serving processes and candidates that misbehave: what clients get, and what the trial's score says."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tidemill.contract import VersionOrder
from tidemill.runtime.objects import Store

from .conftest import AGAINST_SIZE, Pod, pods, publisher, until
from .test_processes import logged

Publish = Callable[..., VersionOrder]
MakePod = Callable[..., Pod]


def versions(pod: Pod, count: int, **more: Any) -> Counter[str]:
    """Which versions answered `count` requests, all of which must be answered."""
    answers = [pod.ask(1.0, **more) for _ in range(count)]
    assert [200] * count == [answer.status_code for answer in answers], [answer.text for answer in answers]
    return Counter(answer.headers["x-model-version"] for answer in answers)


def test_the_candidate_gets_exactly_its_share_and_each_request_is_logged_once(
    publish: Publish, pod: MakePod, store: Store
) -> None:
    first, second = publish("house-1"), publish("house-2", AGAINST_SIZE)
    stable, candidate = pod(first).ready(), pod(second, "Candidate").ready()
    stable.route(weight=25, candidate=second.to_wire(), candidateUrl=candidate.url)

    answered = versions(stable, 100)

    assert {"house-1": 75, "house-2": 25} == answered, stable.output.read_text()
    assert (0, 0) == (stable.stop(), candidate.stop())
    rows = logged(store, "ns/predictions/houses")
    assert {("house-1", "Stable", "1"): 75, ("house-2", "Candidate", "0"): 25} == Counter(
        (row["model_version"], row["role"], row["prediction"]) for row in rows
    )
    assert 100 == len({row["request_id"] for row in rows})


def test_requests_with_the_same_key_go_the_same_way(publish: Publish, pod: MakePod) -> None:
    first, second = publish("house-1"), publish("house-2")
    stable, candidate = pod(first).ready(), pod(second, "Candidate").ready()
    stable.route(weight=50, candidate=second.to_wire(), candidateUrl=candidate.url)

    def who(key: str) -> set[str]:
        answers = [
            stable.client.post(
                "/v2/models/house/predict", json={"rows": [{"size": 1, "age": 1}]}, headers={"x-routing-key": key}
            )
            for _ in range(5)
        ]
        return {answer.headers["x-model-version"] for answer in answers}

    found = [who(f"customer-{number}") for number in range(20)]

    assert all(len(one) == 1 for one in found)
    assert {"house-1", "house-2"} == set.union(*found)


def test_both_versions_are_compared_on_the_same_rows_and_their_labels(publish: Publish, pod: MakePod) -> None:
    first, second = publish("house-1"), publish("house-2", AGAINST_SIZE)
    stable, candidate = pod(first).ready(), pod(second, "Candidate").ready()
    stable.route(weight=100, candidate=second.to_wire(), candidateUrl=candidate.url, compare=True)

    stable.client.post(
        "/v2/models/house/predict", json={"id": "r-1", "rows": [{"size": 1, "age": 1}, {"size": 0, "age": 0}]}
    )
    until(lambda: stable.measured()["compared"] == 2, "compared")
    for _ in range(2):  # a label sent again changes nothing
        stable.client.post("/v2/models/house/feedback", json={"data": [{"id": "r-1", "label": "1"}]})

    score = stable.measured()
    assert (2, 1) == (score["compared"], score["agreed"])  # at zero both choose the first class
    assert (1, {"1": {"1": 1}}) == (score["stable"]["labelled"], score["stable"]["confusion"])
    assert (1, {"1": {"0": 1}}) == (score["candidate"]["labelled"], score["candidate"]["confusion"])
    assert (1, 0) == (score["candidate"]["requests"], score["candidate"]["errors"])


def test_a_label_that_comes_to_another_pod_is_counted_by_the_one_that_answered_and_stored_once(
    publish: Publish, pod: MakePod, store: Store
) -> None:
    first, second = publish("house-1"), publish("house-2")
    one, other, candidate = pod(first).ready(), pod(first).ready(), pod(second, "Candidate").ready()
    table = {"weight": 100, "candidate": second.to_wire(), "candidateUrl": candidate.url, "compare": True}
    one.route(**table, peers=[other.url])
    other.route(**table, peers=[one.url])
    one.ask(1.0, id="r-1")

    other.client.post("/v2/models/house/feedback", json={"data": [{"id": "r-1", "label": 1}]})

    until(lambda: one.measured()["candidate"]["labelled"] == 1, "counted where the request was answered")
    assert 0 == other.measured()["candidate"]["labelled"]
    assert (0, 0) == (one.stop(), other.stop())
    assert ["r-1"] == [row["request_id"] for row in logged(store, "ns/labels/houses")]


def test_another_candidate_starts_at_zero(publish: Publish, pod: MakePod) -> None:
    first, second, third = publish("house-1"), publish("house-2"), publish("house-3", AGAINST_SIZE)
    stable, candidate = pod(first).ready(), pod(second, "Candidate").ready()
    stable.route(weight=100, candidate=second.to_wire(), candidateUrl=candidate.url)
    versions(stable, 3)

    stable.route(weight=0, candidate=third.to_wire(), candidateUrl=candidate.url)

    until(lambda: stable.measured()["candidate"]["version"] == "house-3", "the new candidate is known")
    assert 0 == stable.measured()["candidate"]["requests"]


def test_a_routing_table_that_is_not_understood_leaves_the_last_one_in_force(publish: Publish, pod: MakePod) -> None:
    first, second = publish("house-1"), publish("house-2")
    stable, candidate = pod(first).ready(), pod(second, "Candidate").ready()
    stable.route(weight=100, candidate=second.to_wire(), candidateUrl=candidate.url)

    stable.routes.write_text('{"weight": "many"}')

    until(lambda: stable.state()["routesProblem"], "the problem is visible")
    assert {"house-2": 3} == versions(stable, 3)


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
    store = Store.open(f"file://{folder}/store")
    with pods(folder, store) as prepare:
        yield prepare(publisher(store)("house-1"), timeoutSeconds=0.5).ready()


def try_out(stable: Pod, url: str) -> None:
    """Send all requests to a candidate, with a score that starts at zero."""
    stable.route(weight=0)
    stable.route(weight=100, candidate={"name": "house-2", "uri": "file:///x", "digest": DIGEST}, candidateUrl=url)


def errors(stable: Pod) -> int:
    metrics = stable.client.get("/metrics").text
    return int(metrics.split('tidemill_candidate_errors_total{service="houses"} ')[1].split()[0])


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


def test_a_candidate_that_keeps_hanging_is_soon_hardly_asked(publish: Publish, pod: MakePod) -> None:
    stable = pod(publish("house-1"), timeoutSeconds=0.05).ready()
    with candidate_that(MISBEHAVIOUR["hangs"]) as url:
        try_out(stable, url)

        versions(stable, 60)

    assert stable.state()["candidateBreakerOpen"]
    assert 20 <= stable.measured()["candidate"]["requests"] < 60


def test_a_candidate_killed_while_it_is_asked_costs_no_request(publish: Publish, pod: MakePod) -> None:
    first, second = publish("house-1"), publish("house-2")
    stable, candidate = pod(first).ready(), pod(second, "Candidate").ready()
    stable.route(weight=50, candidate=second.to_wire(), candidateUrl=candidate.url)
    before = versions(stable, 10)

    assert candidate.process is not None
    candidate.process.kill()
    after = versions(stable, 10)

    assert {"house-1": 5, "house-2": 5} == before
    assert {"house-1": 10} == after
