"""Real serving processes, driven over HTTP: started, asked, told to stop, with and without a store."""

from __future__ import annotations

import gzip
import json
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tidemill.contract.serving import VersionOrder
from tidemill.runtime.store.objects import ObjectStore

from .conftest import Pod, pods, publisher, signature, until

Publish = Callable[..., VersionOrder]
MakePod = Callable[..., Pod]


def logged(store: ObjectStore, folder: str) -> list[dict[str, Any]]:
    """All rows below a folder of the log."""
    tables = [pq.read_table(pa.BufferReader(store.get(entry.key))) for entry in store.list(folder)]
    return [row for table in tables for row in table.to_pylist()]


class House(NamedTuple):
    """One pod for all tests that leave it as it was."""

    pod: Pod
    version: VersionOrder


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    store = ObjectStore.open(f"file://{folder}/store")
    version = publisher(store)("house-1")
    with pods(folder, store) as prepare:
        yield House(prepare(version, maxBodyBytes=100_000).ready(), version)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """A pod with little patience for bodies and little room for its log, which it writes once a minute."""
    folder = tmp_path_factory.mktemp("strict")
    store = ObjectStore.open(f"file://{folder}/store")
    bounds = {"TIDEMILL_BODY_SECONDS": "1", "TIDEMILL_LOG_SECONDS": "60", "TIDEMILL_LOG_BYTES": "1000"}
    with pods(folder, store) as prepare:
        yield prepare(publisher(store)("house-1"), environment=bounds).ready()


def test_a_pod_answers_with_the_version_it_was_ordered_to_serve(house: House) -> None:
    server, version = house

    answer = server.ask(2.0, id="r-1")

    assert 200 == answer.status_code
    assert ("r-1", "house-1", version.digest) == tuple(
        answer.headers[name] for name in ("x-request-id", "x-model-version", "x-model-digest")
    )
    assert [1] == answer.json()["predictions"]
    assert [0] == server.ask(-2.0).json()["predictions"]


@pytest.mark.slow
def test_requests_and_labels_are_in_the_store_after_the_pod_is_gone(
    publish: Publish, pod: MakePod, store: ObjectStore
) -> None:
    version = publish("house-1")
    server = pod(version, environment={"TIDEMILL_LOG_SECONDS": "60"}).ready()
    server.client.post(
        "/v2/models/house/predict", json={"id": "r-1", "rows": [{"size": 2.5, "age": None}, {"size": -1, "age": 4}]}
    )
    server.client.post(
        "/v2/models/house/feedback",
        json={"data": [{"id": "r-1", "row": 1, "label": 0, "time": "2026-01-02T03:04:05Z"}]},
    )

    assert 0 == server.stop()

    first, second = sorted(logged(store, "ns/predictions/houses"), key=lambda row: row["row"])
    assert {"request_id": "r-1", "row": 0, "feature:size": 2.5, "feature:age": None} == {
        name: first[name] for name in ("request_id", "row", "feature:size", "feature:age")
    }
    assert ("house-1", version.digest, "Stable", "0") == tuple(
        second[name] for name in ("model_version", "model_digest", "role", "prediction")
    )
    assert 0.5 < second["score"] < 1
    (label,) = logged(store, "ns/labels/houses")
    assert ("r-1", 1, "0", "2026-01-02T03:04:05+00:00") == (
        label["request_id"],
        label["row"],
        label["label"],
        label["time"].isoformat(),
    )


def test_a_regression_logs_numbers(publish: Publish, pod: MakePod, store: ObjectStore) -> None:
    model_signature = signature(task="Regression", classes=())
    server = pod(publish("house-1", [[2.0], [1.0]], model_signature)).ready()

    answer = server.ask(2.5, id="r-1")
    server.client.post("/v2/models/house/feedback", json={"data": [{"id": "r-1", "label": 7}]})
    server.stop()

    assert [6.0] == answer.json()["predictions"]
    assert [6.0] == [row["prediction"] for row in logged(store, "ns/predictions/houses")]
    assert [7.0] == [row["label"] for row in logged(store, "ns/labels/houses")]


def test_without_credentials_a_pod_waits_and_says_so_until_they_come(
    publish: Publish, pod: MakePod, store: ObjectStore
) -> None:
    server = pod(publish("house-1"), secret=False).start()
    until(lambda: server.state()["reason"] == "StoreCredentialsMissing", "the missing Secret is named")

    unready = server.client.get("/v2/health/ready")
    refused = server.ask(1.0)
    (server.secret / "uri").write_text(store.uri)
    until(lambda: server.answers("/v2/health/ready"), "ready once the Secret is there")

    assert 503 == unready.status_code
    assert "create it with the keys uri" in unready.json()["error"]
    assert 503 == refused.status_code
    assert 200 == server.ask(1.0).status_code


def test_other_bytes_than_ordered_are_never_served(publish: Publish, pod: MakePod, store: ObjectStore) -> None:
    good, other = publish("house-1"), publish("house-2", [[0.0, -1.0], [0.0, 0.0]])
    server = pod(good.model_copy(update={"uri": other.uri})).start()

    until(lambda: server.state()["reason"] == "ArtifactCorrupt", "the wrong digest is named")

    assert 503 == server.ask(1.0).status_code


def test_a_store_that_goes_away_costs_no_answer_and_its_rows_are_written_when_it_is_back(
    publish: Publish, pod: MakePod, store: ObjectStore, tmp_path: Path
) -> None:
    server = pod(publish("house-1")).ready()
    hidden = tmp_path / "hidden"
    (tmp_path / "store").rename(hidden)
    (tmp_path / "store").write_text("no folder")  # so that nothing can be created below it

    answers = [server.ask(1.0, id=f"r-{number}").status_code for number in range(20)]
    until(lambda: server.state()["logs"]["predictions"]["error"], "the failure is visible")
    failing = server.client.get("/metrics").text
    (tmp_path / "store").unlink()
    hidden.rename(tmp_path / "store")
    until(lambda: len(logged(store, "ns/predictions/houses")) == 20, "all rows are written")

    assert [200] * 20 == answers
    assert 'tidemill_log_backlog_rows{log="predictions",service="houses"} 20.0' in failing
    assert {f"r-{number}" for number in range(20)} == {
        row["request_id"] for row in logged(store, "ns/predictions/houses")
    }


def test_a_full_log_drops_rows_and_counts_them_and_answers_go_on(strict: Pod) -> None:
    answers = [strict.ask(1.0).status_code for _ in range(10)]

    log = strict.state()["logs"]["predictions"]
    assert [200] * 10 == answers
    assert (2, 8) == (log["backlogRows"], log["dropped"])


@pytest.mark.slow
@pytest.mark.parametrize("bentoml", ["yes", "no"])
def test_told_to_stop_under_load_it_answers_every_request(
    publish: Publish, pod: MakePod, store: ObjectStore, bentoml: str
) -> None:
    """Clients go on until they learn that the pod is unready, as endpoints do, and then come no more."""
    server = pod(publish("house-1"), environment={"TIDEMILL_BENTOML": bentoml}).ready()
    if bentoml == "yes":
        until(lambda: server.state()["bentoml"], "BentoML is loaded")
    codes: list[int] = []
    begun, over = threading.Event(), threading.Event()

    def ask_on(path: str) -> None:
        with httpx.Client(base_url=server.url) as client:
            while not over.is_set():
                codes.append(client.post(path, json={"rows": [{"size": 1, "age": 1}]}).status_code)
                begun.set()

    paths = ["/v2/models/house/predict", "/predict" if bentoml == "yes" else "/v2/models/house/predict"]
    clients = [threading.Thread(target=ask_on, args=(path,)) for path in paths * 2]
    for client in clients:
        client.start()
    begun.wait()
    assert server.process is not None
    server.process.terminate()
    until(lambda: server.client.get("/v2/health/ready").status_code == 503, "unready")
    closing = server.ask(1.0)
    living = server.client.get("/livez").status_code
    over.set()
    for client in clients:
        client.join()

    assert 0 == server.process.wait(30)
    assert {200} == set(codes)
    assert 200 == living, "what drains is not to be killed"
    assert (200, "close") == (closing.status_code, closing.headers["connection"])
    assert len(codes) + 1 == len(logged(store, "ns/predictions/houses"))


@pytest.mark.slow
def test_bentoml_stands_behind(publish: Publish, pod: MakePod) -> None:
    server = pod(publish("house-1"), environment={"TIDEMILL_BENTOML": "yes"}).ready()
    until(lambda: server.state()["bentoml"], "BentoML is loaded")

    answer = server.client.post("/predict", json={"rows": [{"size": 2, "age": 1}]})

    assert [1] == answer.json()["predictions"]
    probes = {path: server.client.get(path) for path in ("/livez", "/healthz", "/readyz")}
    assert dict.fromkeys(probes, 200) == {path: probe.status_code for path, probe in probes.items()}
    assert {"/livez": "live", "/healthz": "live", "/readyz": "ready"} == {
        path: next(iter(probe.json())) for path, probe in probes.items()
    }, "they tell of what answers predictions, and not of BentoML alone"
    assert server.client.get("/docs.json").json() == server.client.get("/v2/openapi.json").json()
    assert "routes" in server.client.get("/schema.json").json()
    metrics = server.client.get("/metrics").text
    assert "bentoml_service" in metrics
    counted = {
        tuple(sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == "tidemill_predictions_total"
    }
    who = (("code", "200"), ("model_version", "house-1"), ("role", "Stable"), ("service", "houses"))
    assert {who: 1.0} == counted


@pytest.fixture(scope="module")
def bento(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """A pod with BentoML behind, for tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("bento")
    store = ObjectStore.open(f"file://{folder}/store")
    with pods(folder, store) as prepare:
        server = prepare(publisher(store)("house-1"), environment={"TIDEMILL_BENTOML": "yes"}).ready()
        until(lambda: server.state()["bentoml"], "BentoML is loaded")
        yield server


ROWS = json.dumps({"rows": [{"size": 2, "age": 1}]}).encode()


class Gotcha:
    """Unpickled, it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        "application/vnd.bentoml+pickle",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "text/plain",
        "application/octet-stream",
    ],
)
def test_what_stands_behind_takes_json_alone(bento: Pod, tmp_path: Path, kind: str) -> None:
    body = ROWS if "pickle" not in kind else pickle.dumps({"rows": Gotcha(tmp_path / "unpickled")})

    answer = bento.client.post("/predict", content=body, headers={"content-type": kind})
    hidden = bento.client.post(
        "/predict", content=body, headers={"content-type": kind, "inference-header-content-length": "2"}
    )

    assert 415 == answer.status_code
    assert answer.json()["error"].startswith("content-type: must be application/json")
    assert 400 == hidden.status_code
    assert not list(tmp_path.iterdir())
    assert [1] == bento.client.post("/predict", json=json.loads(ROWS)).json()["predictions"]


@pytest.mark.parametrize("coding", [{}, {"content-encoding": "identity"}], ids=["at once", "the long way"])
def test_a_share_of_the_requests_is_logged_and_all_of_them_are_counted(
    publish: Publish, pod: MakePod, store: ObjectStore, coding: dict[str, str]
) -> None:
    server = pod(publish("house-1"), logPercent=25).ready()

    answers = [
        server.client.post(
            "/v2/models/house/predict", content=ROWS, headers={"content-type": "application/json", **coding}
        ).status_code
        for _ in range(100)
    ]
    metrics = server.client.get("/metrics").text
    server.stop()

    assert [200] * 100 == answers
    assert (
        'tidemill_predictions_total{code="200",model_version="house-1",role="Stable",service="houses"} 100.0' in metrics
    )
    assert 25 == len(logged(store, "ns/predictions/houses"))


def test_a_pod_removes_what_its_log_has_kept_for_too_long(publish: Publish, pod: MakePod, store: ObjectStore) -> None:
    old, new = (f"ns/predictions/houses/date={day}/hour=07/pod-000001.parquet" for day in ("2020-01-01", "2199-01-01"))
    for key in (old, new):
        store.put(key, b"rows")
    soon = {"TIDEMILL_RETENTION_FIRST_SECONDS": "0.1", "TIDEMILL_RETENTION_EVERY_SECONDS": "0.1"}
    server = pod(publish("house-1"), retentionSeconds=86400.0, environment=soon).ready()

    until(lambda: old not in {entry.key for entry in store.list("ns/predictions")}, "the old day is gone")
    store.put(old.replace("hour=07", "hour=08"), b"rows")
    until(
        lambda: 'tidemill_log_expired_parts_total{service="houses"} 2.0' in server.client.get("/metrics").text,
        "it looks again, and counts what it removed",
    )

    assert [new] == [entry.key for entry in store.list("ns/predictions")]


def test_bodies_may_be_compressed_but_not_to_any_size(house: House) -> None:
    server = house.pod
    row = json.dumps({"rows": [{"size": 2, "age": 1}]}).encode()

    def send(body: bytes, coding: str) -> httpx.Response:
        return server.client.post(
            "/v2/models/house/predict",
            content=body,
            headers={"content-type": "application/json", "content-encoding": coding},
        )

    assert [1] == send(gzip.compress(row), "gzip").json()["predictions"]
    assert 413 == send(gzip.compress(b" " * 200_000 + row), "gzip").status_code
    assert 400 == send(row, "gzip").status_code
    assert 415 == send(row, "br").status_code


def test_bad_requests_are_refused_and_the_pod_stays_ready(house: House) -> None:
    server = house.pod
    client, infer = server.client, "/v2/models/house/infer"

    refused = {
        "a long body": client.post(infer, content=b" " * 300_000),
        "a long body without its length": client.post(infer, content=(b" " * 50_000 for _ in range(6))),
        "a pickle": client.post(
            infer, content=b"\x80\x04K\x01.", headers={"content-type": "application/vnd.bentoml+pickle"}
        ),
        "a form": client.post(infer, data={"a": "b"}),
        "another method": client.get(infer),
        "another model": client.post("/v2/models/boat/infer", json={}),
        "another version": client.post("/v2/models/house/versions/house-9/infer", json={}),
        "a hostile id": client.post(infer, json={}, headers={"x-request-id": "a" * 500}),
    }

    assert {
        "a long body": 413,
        "a long body without its length": 413,
        "a pickle": 415,
        "a form": 415,
        "another method": 405,
        "another model": 404,
        "another version": 404,
        "a hostile id": 400,
    } == {name: response.status_code for name, response in refused.items()}
    assert all(response.json()["error"] for response in refused.values())
    assert server.answers("/v2/health/ready")


def test_a_body_that_never_ends_is_given_up(strict: Pod) -> None:
    with socket.create_connection(("127.0.0.1", strict.port), timeout=20) as slow:
        slow.sendall(b"POST /v2/models/house/infer HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{")
        response = slow.recv(4096)

    assert response.startswith(b"HTTP/1.1 408 ")
    assert strict.answers("/v2/health/ready")
