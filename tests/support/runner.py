"""A pod of the tests in the cluster: an image of Tidemill with some Python files, reached over HTTP."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from support.api import Api, Manifest
from support.waiting import until

FOLDER = "/runner"
SECURITY = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


@dataclass(frozen=True, slots=True)
class Recipe:
    """Image, command and files of the pod."""

    name: str
    image: str
    command: tuple[str, ...]
    files: Mapping[str, Mapping[str, str]]
    """Folder below `/runner` to the files in it, by name and text."""
    port: int
    store: bool = False
    """Whether the namespace's store Secret is mounted where Tidemill's own workloads have it."""
    host_processes: bool = False
    """Whether it sees the processes of the node; such a pod is not `restricted`."""

    def manifests(self, namespace: str) -> list[Manifest]:
        """The ConfigMaps with the files, and the pod."""
        folders = {f"{self.name}-{number}": folder for number, folder in enumerate(self.files)}
        maps = [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "namespace": namespace},
                "data": dict(self.files[folder]),
            }
            for name, folder in folders.items()
        ]
        return [*maps, self._pod(namespace, folders)]

    def _pod(self, namespace: str, folders: Mapping[str, str]) -> Manifest:
        volumes: list[Manifest] = [{"name": "scratch", "emptyDir": {}}]
        mounts: list[Manifest] = [{"name": "scratch", "mountPath": "/tmp"}]
        for name, folder in folders.items():
            volumes.append({"name": name, "configMap": {"name": name}})
            mounts.append({"name": name, "mountPath": f"{FOLDER}/{folder}", "readOnly": True})
        if self.store:
            volumes.append({"name": "store", "secret": {"secretName": "tidemill-store"}})
            mounts.append({"name": "store", "mountPath": "/tidemill/store", "readOnly": True})
        container = {
            "name": "runner",
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": list(self.command),
            "env": [{"name": "PYTHONPATH", "value": f"{FOLDER}:/opt/tidemill"}],
            "ports": [{"name": "http", "containerPort": self.port}],
            "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 1},
            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
            "securityContext": SECURITY,
            "volumeMounts": mounts,
        }
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.name, "namespace": namespace},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "terminationGracePeriodSeconds": 2,
                "hostPID": self.host_processes,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 65532,
                    "runAsGroup": 65532,
                    "fsGroup": 65532,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [container],
                "volumes": volumes,
            },
        }


class PodRunner:
    """A pod of the tests that runs."""

    def __init__(self, api: Api, namespace: str, recipe: Recipe) -> None:
        self._api = api
        self.namespace = namespace
        self.recipe = recipe

    @classmethod
    def start(cls, api: Api, namespace: str, recipe: Recipe) -> "PodRunner":
        """Create the runner, and wait until it answers."""
        for manifest in recipe.manifests(namespace):
            api.create(manifest)
        runner = cls(api, namespace, recipe)
        until(f"pod {recipe.name} ready", runner.ready, seconds=90, explain=runner.explain)
        return runner

    def ready(self) -> bool:
        pod = self._api.get("Pod", self.namespace, self.recipe.name) or {}
        conditions = pod.get("status", {}).get("conditions") or []
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    def explain(self) -> str:
        pod = self._api.get("Pod", self.namespace, self.recipe.name) or {}
        states = [each.get("state") for each in pod.get("status", {}).get("containerStatuses") or []]
        return f"{states} {self._api.log(self.namespace, self.recipe.name)[-2000:]}"

    def ask(self, path: str, *, method: str = "GET", body: bytes = b"") -> bytes:
        return self._api.ask_pod(self.namespace, self.recipe.name, self.recipe.port, path, method=method, body=body)

    def ask_json(self, path: str, *, method: str = "GET") -> Any:
        return json.loads(self.ask(path, method=method))

    def stop(self) -> None:
        """Delete the pod and its files."""
        for manifest in reversed(self.recipe.manifests(self.namespace)):
            self._api.delete(manifest["kind"], self.namespace, manifest["metadata"]["name"])
