"""The API server, as plain HTTP through `kubectl proxy`: whatever the kubeconfig says about credentials, kubectl does it."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from cluster import Cluster, clients, versions
from support.waiting import until
from tidemill.api import API_VERSION, KINDS, AnyResource

Manifest = dict[str, Any]
Kind = TypeVar("Kind", bound=AnyResource)

# Kind to the path of its group and its plural; those of Tidemill speak for themselves.
PATHS: dict[str, tuple[str, str]] = {
    "ConfigMap": ("/api/v1", "configmaps"),
    "Event": ("/api/v1", "events"),
    "Namespace": ("/api/v1", "namespaces"),
    "PersistentVolume": ("/api/v1", "persistentvolumes"),
    "PersistentVolumeClaim": ("/api/v1", "persistentvolumeclaims"),
    "Pod": ("/api/v1", "pods"),
    "Secret": ("/api/v1", "secrets"),
    "Service": ("/api/v1", "services"),
    "ServiceAccount": ("/api/v1", "serviceaccounts"),
    "Deployment": ("/apis/apps/v1", "deployments"),
    "HorizontalPodAutoscaler": ("/apis/autoscaling/v2", "horizontalpodautoscalers"),
    "PodDisruptionBudget": ("/apis/policy/v1", "poddisruptionbudgets"),
    "Job": ("/apis/batch/v1", "jobs"),
    "ClusterRole": ("/apis/rbac.authorization.k8s.io/v1", "clusterroles"),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    "CustomResourceDefinition": ("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions"),
    **{kind.kind_name: (f"/apis/{API_VERSION}", kind.plural) for kind in KINDS},
}


class Refused(AssertionError):
    """The API server said no."""


class Api:
    """Reads and writes objects of one cluster, as JSON or as the models of the five kinds."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def get(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """The object, or None where there is none."""
        answer = self._http.get(_path(kind, namespace, name))
        return None if answer.status_code == 404 else self._checked(answer).json()

    def all(self, kind: str, namespace: str = "", selector: str = "") -> list[Manifest]:
        """The objects of a kind, in one namespace or in all, by name; `kind` and `apiVersion` are filled in."""
        answer = self._checked(self._http.get(_path(kind, namespace), params={"labelSelector": selector}))
        items = answer.json()["items"]
        return sorted(({**item, "kind": kind} for item in items), key=lambda item: item["metadata"]["name"])

    def read(self, kind: type[Kind], namespace: str, name: str) -> Kind | None:
        """An object of one of the five kinds, as its model."""
        result = self.get(kind.kind_name, namespace, name)
        return None if result is None else kind.model_validate(result)

    def read_all(self, kind: type[Kind], namespace: str) -> list[Kind]:
        return [kind.model_validate(result) for result in self.all(kind.kind_name, namespace)]

    def create(self, manifest: Manifest) -> Manifest:
        namespace = manifest["metadata"].get("namespace", "")
        return self._checked(self._http.post(_path(manifest["kind"], namespace), json=manifest)).json()

    def patch(self, kind: str, namespace: str, name: str, change: Manifest) -> Manifest:
        """The object after a merge of `change`."""
        headers = {"content-type": "application/merge-patch+json"}
        return self._checked(self._http.patch(_path(kind, namespace, name), json=change, headers=headers)).json()

    def delete(self, kind: str, namespace: str, name: str, *, grace: int | None = None) -> None:
        """Delete the object if it is there; its dependents follow."""
        body: Manifest = {"propagationPolicy": "Background"}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        answer = self._http.request("DELETE", _path(kind, namespace, name), json=body)
        if answer.status_code != 404:
            self._checked(answer)

    def evict(self, namespace: str, pod: str) -> None:
        """Ask for a pod's end as a drain of its node does; Refused with 429 where a disruption budget is against it."""
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
        self._checked(self._http.post(f"{_path('Pod', namespace, pod)}/eviction", json=body))

    def ask_pod(
        self, namespace: str, pod: str, port: int, path: str, *, method: str = "GET", body: bytes = b""
    ) -> bytes:
        """What a pod answers over HTTP; the API server carries the question there."""
        url = f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/{path.lstrip('/')}"
        return self._checked(self._http.request(method, url, content=body, timeout=120)).content

    def log(self, namespace: str, pod: str) -> str:
        answer = self._http.get(f"/api/v1/namespaces/{namespace}/pods/{pod}/log")
        return answer.text if answer.status_code == 200 else ""

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        if answer.status_code >= 300:
            request = answer.request
            raise Refused(f"{request.method} {request.url.path}: {answer.status_code} {answer.text[:1000]}")
        return answer


def _path(kind: str, namespace: str, name: str = "") -> str:
    group, plural = PATHS[kind]
    index = f"/namespaces/{namespace}" if namespace else ""
    return f"{group}{index}/{plural}" + (f"/{name}" if name else "")


@contextmanager
def connected(cluster: Cluster) -> Iterator[Api]:
    """The API server of `cluster`, for as long as the body runs."""
    with tempfile.TemporaryDirectory(prefix="tidemill-") as folder:
        socket = Path(folder) / "api"
        kubectl = str(clients.locate(versions.KUBECTL))
        command = [kubectl, "proxy", f"--unix-socket={socket}"]
        # In a session of its own: Ctrl-C is for us, and tidying up needs the API.
        proxy = subprocess.Popen(
            command, env=cluster.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
        try:
            until("kubectl proxy listening", lambda: socket.exists() or proxy.poll() is not None, seconds=20, poll=0.05)
            if proxy.poll() is not None:
                assert proxy.stderr is not None
                raise Refused(f"kubectl proxy ended: {proxy.stderr.read().decode()[-500:]}")
            transport = httpx.HTTPTransport(uds=str(socket), retries=2)
            with httpx.Client(transport=transport, base_url="http://localhost", timeout=30, trust_env=False) as http:
                yield Api(http)
        finally:
            proxy.terminate()
            proxy.wait(timeout=10)
            if proxy.stderr:
                proxy.stderr.close()
