"""A real kube-apiserver and etcd, and the operator as a process of its own."""

from __future__ import annotations

import base64
import itertools
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from cluster import Plane, control_plane
from cluster.plane import free_ports
from tidemill.api import KINDS

AGENT = "tidemill/"
WRITES = {"create", "update", "patch", "delete", "deletecollection"}


def eventually(claim: Callable[[], Any], *, seconds: float = 90) -> Any:
    """What `claim` answers as soon as that is true; its last answer is in the error.

    A change between an operator's first list and its watches is seen by the list that comes 30 s after the start.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = claim()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s; the last answer was {answer!r}")
        time.sleep(0.05)


@dataclass
class Kube:
    """A test's own hands on the API server."""

    http: httpx.Client
    namespace: str

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        answer = self.http.get(self._path(kind, name))
        return None if answer.status_code == 404 else dict(answer.raise_for_status().json())

    def list(self, kind: str) -> list[dict[str, Any]]:
        return list(self.http.get(self._path(kind)).raise_for_status().json()["items"])

    def create(self, manifest: dict[str, Any]) -> dict[str, Any]:
        return dict(self.http.post(self._path(manifest["kind"]), json=manifest).raise_for_status().json())

    def patch(self, kind: str, name: str, patch: dict[str, Any], subresource: str = "") -> dict[str, Any]:
        content = json.dumps(patch)
        headers = {"Content-Type": "application/merge-patch+json"}
        return dict(
            self.http.patch(self._path(kind, name, subresource), content=content, headers=headers)
            .raise_for_status()
            .json()
        )

    def delete(self, kind: str, name: str) -> None:
        self.http.delete(self._path(kind, name)).raise_for_status()

    def dataset(self, name: str, **spec: Any) -> dict[str, Any]:
        return self.create(
            {"apiVersion": "tidemill.dev/v1alpha1", "kind": "Dataset", "metadata": {"name": name}, "spec": spec}
        )

    def condition(self, name: str, type_: str = "Ready") -> dict[str, Any]:
        dataset = self.get("Dataset", name) or {}
        conditions = (dataset.get("status") or {}).get("conditions") or []
        return next((condition for condition in conditions if condition["type"] == type_), {})

    def is_ready(self, name: str) -> bool:
        """Whether the object is ready, and says so of its newest spec."""
        dataset = self.get("Dataset", name) or {}
        ready = self.condition(name)
        return ready.get("status") == "True" and ready.get("observedGeneration") == dataset["metadata"]["generation"]

    def _path(self, kind: str, name: str = "", subresource: str = "") -> str:
        roots = {"Service": "/api/v1", "Job": "/apis/batch/v1", "Event": "/apis/events.k8s.io/v1"}
        root = roots.get(kind, "/apis/tidemill.dev/v1alpha1")
        tail = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{root}/namespaces/{self.namespace}/{kind.lower()}s{tail}"


def children(kube: Kube) -> set[tuple[str, str]]:
    """What there is of the kinds that the toy planner makes."""
    return {(kind, manifest["metadata"]["name"]) for kind in ("Service", "Job") for manifest in kube.list(kind)}


@dataclass
class Operator:
    """The operator as a process, to be stopped politely or not."""

    kubeconfig: Path
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    port: int = 0

    def start(self, **environment: str) -> Operator:
        [self.port] = free_ports(1)
        variables = {
            **os.environ,
            **self.environment,
            **environment,
            "KUBECONFIG": str(self.kubeconfig),
            "TOY_PORT": str(self.port),
        }
        with self.log.open("ab") as log:
            command = [sys.executable, str(Path(__file__).with_name("toy.py"))]
            self.process = subprocess.Popen(command, env=variables, stdout=log, stderr=log)
        return self

    def wait_ready(self) -> Operator:
        eventually(lambda: self.asks("/readyz") == 200 or self.ended, seconds=60)
        assert not self.ended, self.log.read_text()
        return self

    def asks(self, path: str) -> int:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=5).status_code
        except httpx.HTTPError:
            return 0

    def metrics(self) -> str:
        return httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=5).text

    @property
    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@dataclass
class Ledger:
    """What the operator has written, by the API server's own account."""

    plane: Plane
    begun: int = 0

    def open(self) -> Ledger:
        """From now on."""
        self.begun = len(self.plane.audit())
        return self

    def writes(self, namespace: str) -> list[str]:
        return [
            f"{event.verb} {event.resource}{'/' + event.subresource if event.subresource else ''}/{event.name} {event.code}"
            for event in self.plane.audit()[self.begun :]
            if event.agent.startswith(AGENT)
            and event.verb in WRITES
            and event.namespace == namespace
            and event.resource != "leases"
        ]

    def settled(self, namespace: str, *, quiet: float = 1.0) -> list[str]:
        """The writes once there have been none for a while."""
        count, since = -1, time.monotonic()
        while time.monotonic() - since < quiet:
            now = self.writes(namespace)
            if len(now) != count:
                count, since = len(now), time.monotonic()
            time.sleep(0.1)
        return self.writes(namespace)


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with control_plane(tmp_path_factory.mktemp("plane")) as running:
        with client(running) as http:
            define(http)
        yield running


def client(running: Plane) -> httpx.Client:
    """An administrator's connection."""
    config = json.loads(running.kubeconfig.read_text())
    user = config["users"][0]["user"]
    pem = running.kubeconfig.with_name("administrator.pem")
    pem.write_bytes(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
    authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
    trust = ssl.create_default_context(cadata=authority)
    trust.load_cert_chain(pem)
    return httpx.Client(base_url=running.server, verify=trust, timeout=30, trust_env=False)


def define(http: httpx.Client) -> None:
    """The five kinds with open schemas, so that objects can be as wrong as a test wants them."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}}
    for kind in KINDS:
        version = {
            "name": "v1alpha1",
            "served": True,
            "storage": True,
            "subresources": {"status": {}},
            "schema": schema,
        }
        names = {"plural": kind.plural, "kind": kind.kind_name, "singular": kind.kind_name.lower()}
        spec = {"group": "tidemill.dev", "scope": "Namespaced", "names": names, "versions": [version]}
        metadata = {"name": f"{kind.plural}.tidemill.dev"}
        manifest = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": metadata,
            "spec": spec,
        }
        http.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", json=manifest).raise_for_status()


_numbers = itertools.count(1)


@pytest.fixture
def kube(plane: Plane) -> Iterator[Kube]:
    """A namespace of the test's own."""
    namespace = f"test-{next(_numbers)}"
    with client(plane) as http:
        http.post("/api/v1/namespaces", json={"metadata": {"name": namespace}}).raise_for_status()
        yield Kube(http, namespace)


@pytest.fixture
def operators(plane: Plane, kube: Kube, tmp_path: Path) -> Iterator[Callable[..., Operator]]:
    """Makes operators of the test's namespace; all are gone when the test ends."""
    made: list[Operator] = []

    def make(**environment: str) -> Operator:
        # Only the test's own namespace, so that what other tests have left behind does not matter.
        watched = {"TOY_NAMESPACES": kube.namespace, **environment}
        made.append(Operator(plane.kubeconfig, tmp_path / f"operator-{len(made)}.log", watched))
        return made[-1]

    yield make
    for operator in made:
        operator.kill()


@pytest.fixture
def ledger(plane: Plane) -> Ledger:
    return Ledger(plane).open()


@pytest.fixture(scope="module")
def operator(plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """One operator for the whole cluster and all tests of a module."""
    running = Operator(plane.kubeconfig, tmp_path_factory.mktemp("operator") / "operator.log").start()
    try:
        yield running.wait_ready()
    finally:
        running.kill()
