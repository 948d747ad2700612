"""Several processes on one port: they share a model's memory, end together, and one that dies is started again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from support import gateway
from tidemill.contract.serving import VersionOrder
from tidemill.runtime.store.objects import ObjectStore

from .conftest import Pod, publisher, until

Publish = Callable[..., VersionOrder]
MakePod = Callable[..., Pod]


def served_by_two(pod: MakePod, version: VersionOrder, folder: Path) -> Pod:
    """A server of two processes for a copy of the version in this folder, as `tidemill serve` makes one; not yet started."""
    server = pod(version)
    shutil.copytree(version.uri.removeprefix("file://"), folder)
    server.command = [*server.command[:3], "serve", str(folder), "--port", str(server.port), "--workers", "2"]
    return server


@pytest.mark.slow
def test_a_folder_is_served_without_a_cluster_by_several_processes(
    publish: Publish, store: ObjectStore, tmp_path: Path, pod: MakePod
) -> None:
    version = publish("house-1")
    folder = tmp_path / "copies" / "house" / "house-7"
    server = served_by_two(pod, version, folder)

    answer = server.ready().ask(2.0)
    # Each process has one of its own that explains.
    explained = [
        httpx.post(f"{server.url}/v2/models/house/explain", json={"rows": [{"size": 2.0, "age": 1.0}]}, timeout=60)
        for _ in range(6)
    ]

    assert ("house-7", version.digest) == (answer.headers["x-model-version"], answer.headers["x-model-digest"])
    assert [200] * 6 == [each.status_code for each in explained], explained[0].text
    assert 0 == server.stop()


def children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@pytest.mark.parametrize(
    ("where", "message"),
    {"/nowhere": "there is no folder /nowhere", "s3://tidemill/nothing": "s3://tidemill at http://127.0.0.1:9"}.items(),
)
@pytest.mark.parametrize("workers", ["1", "2"])
def test_where_there_is_no_model_the_command_says_so_and_ends(where: str, message: str, workers: str) -> None:
    command = [sys.executable, "-m", "tidemill", "serve", where, "--port", "0", "--workers", workers]
    credentials = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}

    ended = subprocess.run(command, env={**os.environ, **credentials}, capture_output=True, text=True, timeout=60)

    assert 2 == ended.returncode
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    with gateway.gateway(tmp_path / "gateway") as running:
        yield running


@pytest.mark.slow
def test_processes_share_a_model_that_one_of_them_fetched(endpoint: str, pod: MakePod) -> None:
    store = ObjectStore.open(
        f"s3://{gateway.BUCKET}", endpoint=endpoint, access_key_id=gateway.KEY, secret_access_key=gateway.SECRET
    )
    version = publisher(store)("house-1")
    credentials = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": gateway.KEY,
        "AWS_SECRET_ACCESS_KEY": gateway.SECRET,
    }
    server = pod(version, environment=credentials)
    server.command = [
        *server.command[:3],
        "serve",
        version.uri,
        "--name",
        "house",
        "--port",
        str(server.port),
        "--workers",
        "2",
    ]
    server.ready()
    assert server.process is not None
    before = children(server.process.pid)
    # A process that fetched for itself would find nothing any more.
    for entry in list(store.list("ns/models/house/house-1")):
        store.delete(entry.key)

    os.kill(before[0], signal.SIGKILL)
    until(lambda: len(set(children(server.process.pid)) - {before[0]}) == 2, "another one is started")
    server.client.close()
    server.client = httpx.Client(base_url=server.url, timeout=30, headers={"connection": "close"})

    answers = [until(lambda: server.ask(2.0), "it answers") for _ in range(20)]
    assert {(200, version.digest)} == {(answer.status_code, answer.headers["x-model-digest"]) for answer in answers}
    assert 0 == server.stop()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody tells a process that its parent is gone")
def test_processes_end_with_the_one_that_made_them_however_it_ends(
    publish: Publish, tmp_path: Path, pod: MakePod
) -> None:
    server = served_by_two(pod, publish("house-1"), tmp_path / "copies" / "house" / "house-7").ready()
    assert server.process is not None
    both = children(server.process.pid)

    server.process.kill()
    server.process.wait(20)

    assert 2 == len(both)
    until(lambda: not any(map(runs, both)), "both are gone")


def runs(process: int) -> bool:
    """Whether a process is there and not only its exit code, which waits for its parent to take it."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def own(process: int) -> float:
    """The share of a process's memory that it shares with no other."""
    head = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    size = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in head)}
    return (size["Private_Clean"] + size["Private_Dirty"]) / size["Rss"]


@pytest.mark.slow
def test_a_process_that_dies_is_started_again_from_the_model_that_all_of_them_share(
    publish: Publish, store: ObjectStore, tmp_path: Path, pod: MakePod
) -> None:
    version = publish("house-1")
    folder = tmp_path / "copies" / "house" / "house-7"
    server = served_by_two(pod, version, folder)
    server.ready()
    assert server.process is not None
    before = children(server.process.pid)
    assert all(own(child) < 0.5 for child in before), [own(child) for child in before]
    # It is not read again: the model was loaded before the processes parted.
    shutil.rmtree(folder)

    os.kill(before[0], signal.SIGKILL)
    until(lambda: len(set(children(server.process.pid)) - {before[0]}) == 2, "another one is started")
    server.client.close()
    server.client = httpx.Client(base_url=server.url, timeout=30, headers={"connection": "close"})

    assert [200] * 20 == [until(lambda: server.ask(2.0), "it answers").status_code for _ in range(20)]
    assert 0 == server.stop()


@pytest.mark.slow
def test_processes_on_one_address_have_one_count(publish: Publish, tmp_path: Path, pod: MakePod) -> None:
    server = served_by_two(pod, publish("house-1"), tmp_path / "copies" / "house" / "house-7").ready()
    assert server.process is not None
    for _ in range(60):
        # Each on a connection of its own, which the kernel gives to either process.
        assert 200 == httpx.post(f"{server.url}/v2/models/house/predict", json={"rows": [{"size": 2.0, "age": 1.0}]}).status_code  # fmt: skip

    assert [60] * 8 == [predictions(server) for _ in range(8)]
    time.sleep(1.5)  # the counts are saved once a second

    before = children(server.process.pid)
    os.kill(before[0], signal.SIGKILL)
    until(lambda: len(set(children(server.process.pid)) - {before[0]}) == 2, "another one is started")
    until(lambda: httpx.get(f"{server.url}/v2/health/ready").status_code == 200, "it answers")

    assert [60] * 8 == [predictions(server) for _ in range(8)]
    assert 0 == server.stop()


def predictions(pod: Pod) -> float:
    text = httpx.get(f"{pod.url}/metrics", timeout=30).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "tidemill_predictions_total" and sample.labels["code"] == "200"
    )


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("content", [None, b"{}"], ids=["an empty folder", "a damaged model"])
def test_a_folder_without_a_model_ends_the_command_with_a_sentence(
    tmp_path: Path, workers: str, content: bytes | None
) -> None:
    if content is not None:
        for name in ("signature.json", "golden.json", "model.onnx"):
            (tmp_path / name).write_bytes(content)
    command = [sys.executable, "-m", "tidemill", "serve", str(tmp_path), "--port", "0", "--workers", workers]

    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)

    assert 2 == ended.returncode
    assert "Traceback" not in ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("tidemill serve: ")
    assert str(tmp_path) in last
    assert content is not None or "give the folder that holds signature.json and model.onnx or model.skops" in last


@pytest.mark.slow
def test_a_signal_costs_no_answer_under_load(publish: Publish, tmp_path: Path, pod: MakePod) -> None:
    server = served_by_two(pod, publish("house-1"), tmp_path / "copies" / "house" / "house-7")
    server.command[-1] = "1"
    server.ready()
    lost: list[Exception] = []
    answered = [0] * 4
    body = json.dumps({"rows": [{"size": 2.0, "age": 1.0}]}).encode()

    def ask(index: int) -> None:
        with closing(HTTPConnection("127.0.0.1", server.port, timeout=30)) as client:
            while True:
                try:
                    client.request("POST", "/v2/models/house/predict", body)
                    response = client.getresponse()
                    response.read()
                except ConnectionRefusedError:
                    return  # a new connection, after the end
                except (OSError, HTTPException) as error:
                    lost.append(error)
                    return
                answered[index] += 1
                if response.getheader("connection") == "close":
                    return

    clients = [threading.Thread(target=ask, args=(index,)) for index in range(4)]
    for client in clients:
        client.start()
    until(lambda: min(answered) > 100, "all clients are answered")

    assert 0 == server.stop()
    for client in clients:
        client.join()
    assert [] == lost
