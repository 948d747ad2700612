"""HTTPRoutes on a real API server: the definitions are the Gateway API's own, and so are the rules that they bring."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from cluster import Plane, gateway
from cluster.plane import free_ports
from tidemill.api import API_VERSION, InferenceService
from tidemill.children import route

from .conftest import Kube, Ledger, eventually

pytestmark = [pytest.mark.api, pytest.mark.slow, pytest.mark.timeout(300)]
ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/{}/httproutes"
TRAFFIC = {
    "provider": "GatewayAPI",
    "parentRefs": [{"name": "edge", "namespace": "infra", "sectionName": "https"}],
    "hostnames": ["fraud.example.com"],
}
SERVICE: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": "InferenceService",
    "metadata": {"name": "fraud"},
    "spec": {"model": {"name": "fraud"}, "traffic": TRAFFIC},
}
VERSION: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": "ModelVersion",
    "metadata": {"name": "fraud-1"},
    "spec": {"modelName": "fraud", "artifact": {"uri": "s3://b/m", "digest": "sha256:" + "1" * 64}},
}


class Process:
    """The operator with its real planners, for one namespace."""

    def __init__(self, plane: Plane, namespace: str, log: Path) -> None:
        self._log = log
        [self.port] = free_ports(1)
        self._command = [
            sys.executable, "-c", "from tidemill.cli.main import main; main()", "controller",
            "--workload-image", "w:1", "--server-image", "s:1", "--kubeconfig", str(plane.kubeconfig),
            "--namespaces", namespace, "--metrics-address", f"127.0.0.1:{self.port}", "--gateway-api",
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Process:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=dict(os.environ), stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(30)


def condition(kube: Kube, type_: str) -> dict[str, Any]:
    manifest = kube.get("InferenceService", "fraud") or {}
    conditions = (manifest.get("status") or {}).get("conditions") or []
    return next((condition for condition in conditions if condition["type"] == type_), {})


def routes(kube: Kube) -> list[dict[str, Any]]:
    answer = kube.http.get(ROUTES.format(kube.namespace))
    return [] if answer.status_code == 404 else list(answer.raise_for_status().json()["items"])


@pytest.fixture
def defined(kube: Kube) -> Iterator[None]:
    """The Gateway API's definitions, for one test."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    made = []
    for file in sorted(gateway.definitions().glob("*_httproutes.yaml")):
        manifest = yaml.safe_load(file.read_text())
        made.append(manifest["metadata"]["name"])
        kube.http.post(path, json=manifest).raise_for_status()
    assert made
    eventually(lambda: kube.http.get(ROUTES.format(kube.namespace)).status_code == 200)
    yield
    for name in made:
        kube.http.delete(f"{path}/{name}").raise_for_status()
    eventually(lambda: kube.http.get(ROUTES.format(kube.namespace)).status_code == 404)


def test_where_the_api_server_serves_no_routes_the_service_says_what_to_do(
    plane: Plane, kube: Kube, tmp_path: Path
) -> None:
    kube.create(VERSION)
    kube.create(SERVICE)

    with Process(plane, kube.namespace, tmp_path / "log"):
        stalled = eventually(lambda: condition(kube, "Stalled"), seconds=60)

    assert ("True", "Unsupported") == (stalled["status"], stalled["reason"])
    assert "install the Gateway API's CRDs" in stalled["message"]


def test_a_route_is_written_once_and_goes_when_the_stable_pods_split_again(
    plane: Plane, kube: Kube, defined: None, ledger: Ledger, tmp_path: Path
) -> None:
    kube.create(VERSION)
    kube.create(SERVICE)

    with Process(plane, kube.namespace, tmp_path / "log"):
        [written] = eventually(lambda: routes(kube), seconds=60)
        writes = [line for line in ledger.settled(kube.namespace, quiet=3) if "httproutes" in line]
        # What is taken out of the spec goes: host names, and parts of a reference to a Gateway.
        kube.patch("InferenceService", "fraud", {"spec": {"traffic": {"parentRefs": [{"name": "edge"}]}}})
        eventually(
            lambda: parents(kube) == [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"}],
            seconds=60,
        )
        kube.patch("InferenceService", "fraud", {"spec": {"traffic": {"hostnames": None}}})
        eventually(lambda: not routes(kube)[0]["spec"].get("hostnames"), seconds=60)
        kube.patch("InferenceService", "fraud", {"spec": {"traffic": {"provider": "Builtin", "parentRefs": None}}})
        eventually(lambda: not routes(kube), seconds=60)

    assert ["fraud.example.com"] == written["spec"]["hostnames"]
    assert [{"group": "", "kind": "Service", "name": "fraud", "port": 80, "weight": 1}] == written["spec"]["rules"][0][
        "backendRefs"
    ]
    assert 1 == len(writes), writes


def parents(kube: Kube) -> Any:
    [result] = routes(kube)
    return result["spec"]["parentRefs"]


def apply(http: httpx.Client, namespace: str, manifest: dict[str, Any]) -> dict[str, Any]:
    answer = http.patch(
        f"{ROUTES.format(namespace)}/fraud?fieldManager=tidemill&force=true",
        content=json.dumps(manifest),
        headers={"Content-Type": "application/apply-patch+yaml"},
    )
    assert answer.is_success, answer.text
    return dict(answer.json())


def test_every_share_is_a_route_that_the_api_server_takes_as_it_is(kube: Kube, defined: None) -> None:
    body = {**SERVICE, "metadata": {"name": "fraud", "namespace": kube.namespace, "uid": "0a1b"}}
    service = InferenceService.model_validate(body)

    for weight in (0, 5, 100):
        wanted = route.route(service, weight=weight, answering=True)
        live = apply(kube.http, kube.namespace, wanted)
        tester, everybody = live["spec"]["rules"]

        assert wanted["spec"]["rules"][1]["backendRefs"] == everybody["backendRefs"]
        assert [100 - weight, weight] == [backend["weight"] for backend in everybody["backendRefs"]]
        assert {"name": "x-tidemill-version", "value": "candidate", "type": "Exact"} == tester["matches"][0]["headers"][
            0
        ]
        assert ["fraud-candidate"] == [backend["name"] for backend in tester["backendRefs"]]
    stable = apply(kube.http, kube.namespace, route.route(service, weight=0, answering=False))
    assert 1 == len(stable["spec"]["rules"])
