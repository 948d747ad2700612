"""Models small enough to write down, and real serving processes around them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tidemill.contract.serving import Routes, ServeOrder, VersionOrder
from tidemill.runtime.model import background
from tidemill.runtime.model.predictor import Answer, Golden
from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.store.objects import ObjectStore

PATIENCE = 90.0
"""Seconds until a test gives up waiting; nothing is asserted about how long anything takes."""


def until(happens: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """What `happens` gives once it is true."""
    end = time.monotonic() + seconds
    while True:
        result = happens()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"did not happen within {seconds} s: {what}")
        time.sleep(0.02)


def signature(**others: Any) -> Signature:
    """Two numbers in, one of two classes out."""
    body: dict[str, Any] = {
        "task": "Classification",
        "features": (Feature(name="size", type="Numerical"), Feature(name="age", type="Numerical")),
        "target": "sold",
        "classes": (0, 1),
    }
    return Signature(**{**body, **others})


def linear_model(weights: list[list[float]], *, classifies: bool = True) -> bytes:
    """An ONNX model that multiplies rows with `weights` [features, outputs], and answers with the largest output or the only one.

    A missing value counts as zero.
    """
    matrix = np.array(weights, np.float32)
    nodes = [
        helper.make_node("IsNaN", ["rows"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "rows"], ["whole"]),
        helper.make_node("MatMul", ["whole", "weights"], ["scores" if classifies else "values"]),
    ]
    outputs = [helper.make_tensor_value_info("values", TensorProto.FLOAT, [None, 1])]
    if classifies:
        nodes += [
            helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
            helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
        ]
        outputs = [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, matrix.shape[1]]),
        ]
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, matrix.shape[0]])],
        outputs,
        [numpy_helper.from_array(matrix, "weights"), numpy_helper.from_array(np.zeros((), np.float32), "zero")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def golden(weights: list[list[float]], *, classifies: bool = True) -> Golden:
    """Rows with the answers that `linear_model` must give."""
    rows = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.25]])
    scores = rows @ np.array(weights)
    if not classifies:
        return Golden(rows, Answer(scores[:, 0]))
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return Golden(rows, Answer(scores.argmax(axis=1), powers / powers.sum(axis=1, keepdims=True)))


TOWARDS_SIZE = [[0.0, 1.0], [0.0, 0.0]]
"""Weights that answer 1 where `size` is above zero."""
AGAINST_SIZE = [[0.0, -1.0], [0.0, 0.0]]
"""Weights that answer 1 where `size` is below zero."""


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore.open(f"file://{tmp_path}/store")


@pytest.fixture
def publish(store: ObjectStore) -> Callable[..., VersionOrder]:
    """Puts a version into the store."""
    return publisher(store)


def publisher(store: ObjectStore) -> Callable[..., VersionOrder]:
    def put(
        name: str, weights: list[list[float]] = TOWARDS_SIZE, model_signature: Signature | None = None
    ) -> VersionOrder:
        model_signature = model_signature or signature()
        classifies = model_signature.task == "Classification"
        published = store.publish(
            f"ns/models/house/{name}",
            {
                "model.onnx": linear_model(weights, classifies=classifies),
                "signature.json": json.dumps(model_signature.to_wire()).encode(),
                "typical.json": background.of(golden(weights).matrix, model_signature, seed=1).to_json(),
                "golden.json": golden(weights, classifies=classifies).to_json(),
            },
        )
        return VersionOrder(name=name, uri=published.uri, digest=published.digest)

    return put


class Pod:
    """A serving process as a pod runs it, with its mounted files in a folder."""

    def __init__(self, folder: Path, order: ServeOrder, name: str, environment: dict[str, str]) -> None:
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.routes = folder / "routes.json"
        self.secret = folder / "store"
        self.output = folder / "output"
        self.secret.mkdir(parents=True)
        (folder / "order.json").write_text(json.dumps(order.to_wire()))
        self.command = [
            sys.executable, "-c", "from tidemill.cli.main import main; main()", "serve",
            "--order", str(folder / "order.json"), "--routes", str(self.routes), "--store", str(self.secret),
            "--host", "127.0.0.1", "--port", str(self.port),
        ]  # fmt: skip
        self._environment = {
            **os.environ,
            "TIDEMILL_POD": name,
            "TIDEMILL_LOG_SECONDS": "0.1",
            "TIDEMILL_DRAIN_SECONDS": "1",
            "TIDEMILL_BENTOML": "no",
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def begin(self) -> None:
        """Start the process and wait for nothing."""
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                self.command, env=self._environment, stdout=output, stderr=subprocess.STDOUT
            )

    def start(self) -> Pod:
        self.begin()
        until(lambda: self.answers("/v2/health/live"), f"{self.name} lives; it said:\n{self.output.read_text()}")
        return self

    def ready(self) -> Pod:
        self.start()
        until(lambda: self.answers("/v2/health/ready"), f"{self.name} is ready")
        return self

    def answers(self, path: str) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.output.read_text()
        try:
            return self.client.get(path).status_code == 200
        except httpx.TransportError:
            return False

    def route(self, **routes: Any) -> None:
        """Replace the routing table, as the kubelet does: by renaming."""
        new = self.routes.with_suffix(".new")
        new.write_text(json.dumps(routes))
        new.rename(self.routes)
        wanted = Routes.model_validate(routes).to_wire()
        until(lambda: self.state()["routes"] == wanted, "routes are followed")

    def state(self) -> dict[str, Any]:
        document: dict[str, Any] = self.client.get("/tidemill/v1/state").json()
        return document

    def measured(self) -> dict[str, Any]:
        document: dict[str, Any] = self.client.get("/tidemill/v1/measurements").json()
        return document

    def ask(self, size: float, **more: Any) -> httpx.Response:
        """Ask for one house; `more` goes into the body."""
        return self.client.post("/v2/models/house/predict", json={"rows": [{"size": size, "age": 1.0}], **more})

    def stop(self) -> int:
        """Tell it to stop, and give its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        self.client.close()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def all_ready(*several: Pod) -> None:
    """Start pods side by side, and wait until all of them are ready."""
    for server in several:
        server.begin()
    for server in several:
        until(lambda server=server: server.answers("/v2/health/ready"), f"{server.name} is ready")


def free_port() -> int:
    with socket.socket() as connection:
        connection.bind(("127.0.0.1", 0))
        port: int = connection.getsockname()[1]
        return port


@pytest.fixture
def pod(tmp_path: Path, store: ObjectStore) -> Iterator[Callable[..., Pod]]:
    """Prepares serving processes and ends them after the test."""
    with pods(tmp_path, store) as prepare:
        yield prepare


@contextmanager
def pods(folder: Path, store: ObjectStore) -> Iterator[Callable[..., Pod]]:
    made: list[Pod] = []

    def prepare(
        version: VersionOrder,
        role: str = "Stable",
        *,
        secret: bool = True,
        environment: dict[str, str] | None = None,
        **order: Any,
    ) -> Pod:
        name = f"{role.lower()}-{len(made)}"
        payload_order = ServeOrder.model_validate(
            {"namespace": "ns", "service": "houses", "model": "house", "role": role, "version": version, **order}
        )
        server = Pod(folder / name, payload_order, name, environment or {})
        if secret:
            (server.secret / "uri").write_text(store.uri)
        made.append(server)
        return server

    try:
        yield prepare
    finally:
        for server in made:
            server.end()


class Houses(NamedTuple):
    """Two versions that say the opposite, each in pods of its own, for all tests that leave them running."""

    stable: Pod
    other: Pod
    """Another pod of the stable version."""
    candidate: Pod
    first: VersionOrder
    second: VersionOrder
    store: ObjectStore

    def table(self, weight: int, **more: Any) -> dict[str, Any]:
        """A routing table with the candidate in it."""
        return {"weight": weight, "candidate": self.second.to_wire(), "candidateUrl": self.candidate.url, **more}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Houses]:
    folder = tmp_path_factory.mktemp("houses")
    store = ObjectStore.open(f"file://{folder}/store")
    put = publisher(store)
    first, second = put("house-1"), put("house-2", AGAINST_SIZE)
    with pods(folder, store) as prepare:
        stable = prepare(first, retentionSeconds=86400.0)
        other, candidate = prepare(first), prepare(second, "Candidate")
        all_ready(stable, other, candidate)
        yield Houses(stable, other, candidate, first, second, store)


@pytest.fixture
def houses(started: Houses) -> Houses:
    """The pods without a trial: the next one starts at zero."""
    started.stable.route()
    started.other.route()
    return started
