"""`tidemill serve FOLDER` while the version in the folder is replaced."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tidemill.contract.serving import VersionOrder
from tidemill.runtime.store.objects import ObjectStore

from .conftest import AGAINST_SIZE, PATIENCE, free_port, until

Publish = Callable[..., VersionOrder]
INFER = "/v2/models/house/infer"
BODY = {"inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP64", "data": [2.0, 1.0]}]}


class Served:
    """A folder that is served, whose content can be replaced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder.parent / "output"
        port = free_port()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from tidemill.cli.main import main; main()", "serve", str(folder), "--name", "house", "--port", str(port)],
                env={**os.environ, "TIDEMILL_BENTOML": "no"}, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def ready(self) -> bool:
        assert self.process.poll() is None
        try:
            return self.client.get("/v2/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def replace(self, version: VersionOrder) -> None:
        """Put another version's files there, one after the other and the manifest last."""
        source = Path(version.uri.removeprefix("file://"))
        for file in sorted(source.iterdir(), key=lambda file: file.name == "manifest.json"):
            shutil.copy(file, self.folder / file.name)

    def digest(self) -> str:
        return self.client.get(INFER.removesuffix("/infer")).headers["x-model-digest"]


@pytest.fixture
def served(publish: Publish, tmp_path: Path) -> Iterator[tuple[Served, VersionOrder]]:
    first = publish("house-1")
    folder = tmp_path / "house" / "current"
    shutil.copytree(first.uri.removeprefix("file://"), folder)
    server = Served(folder)
    try:
        until(server.ready, "ready")
        yield server, first
    finally:
        server.client.close()
        server.process.kill()
        server.process.wait()


def test_a_replaced_version_answers_without_a_request_lost_and_each_answer_names_who_gave_it(
    served: tuple[Served, VersionOrder], publish: Publish
) -> None:
    server, first = served
    second = publish("house-2", AGAINST_SIZE)
    given: list[tuple[int, str, int]] = []
    over = threading.Event()

    def ask_on() -> None:
        with httpx.Client(base_url=server.client.base_url, timeout=PATIENCE) as client:
            while not over.is_set():
                answer = client.post(INFER, json=BODY)
                given.append(
                    (answer.status_code, answer.headers["x-model-digest"], answer.json()["outputs"][0]["data"][0])
                )

    clients = [threading.Thread(target=ask_on) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        until(lambda: len(given) > 20, "the first version answers")
        server.replace(second)
        until(lambda: given[-1][1] == second.digest, "the second version answers")
    finally:
        over.set()
        for client in clients:
            client.join()

    assert {(200, first.digest, 1), (200, second.digest, 0)} == set(given)


def test_a_version_that_does_not_give_its_golden_answers_is_refused_and_the_next_good_one_served(
    served: tuple[Served, VersionOrder], publish: Publish, store: ObjectStore
) -> None:
    server, first = served
    true, other = publish("house-2"), publish("house-3", AGAINST_SIZE)
    files = {
        name: store.get(f"{store.key_of((other if name == 'model.onnx' else true).uri)}/{name}")
        for name in ("model.onnx", "signature.json", "golden.json", "typical.json")
    }
    liar = store.publish("ns/models/house/liar", files)
    server.replace(VersionOrder(name="liar", uri=liar.uri, digest=liar.digest))

    until(lambda: "the newer version is not served: " in server.output.read_text(), "it is refused")
    kept = server.client.post(INFER, json=BODY)
    server.replace(other)
    until(lambda: server.digest() == other.digest, "the next one answers")

    assert (200, first.digest) == (kept.status_code, kept.headers["x-model-digest"])


def test_files_that_are_only_half_replaced_are_not_served(
    served: tuple[Served, VersionOrder], publish: Publish
) -> None:
    server, first = served
    second = Path(publish("house-2", AGAINST_SIZE).uri.removeprefix("file://"))
    shutil.copy(second / "manifest.json", server.folder / "manifest.json")

    until(lambda: "the newer version is not served: " in server.output.read_text(), "it is refused")

    assert first.digest == server.digest()
