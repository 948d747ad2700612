"""One real API server as different people see it, and objects to show it."""

from __future__ import annotations

import base64
import re
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from cluster import Plane, clients, versions
from cluster.commands import run
from tidemill.api import API_VERSION, KINDS, AnyResource

Manifest = dict[str, Any]
REPOSITORY = Path(__file__).parents[3]
CHART = REPOSITORY / "charts" / "tidemill"
SYSTEM = "tidemill-system"
OPERATOR = f"system:serviceaccount:{SYSTEM}:tidemill"
BY_KIND = {kind.kind_name: kind for kind in KINDS}

DIGEST = "sha256:" + "0" * 64
# The least that a user must say of each kind.
LEAST: dict[str, Manifest] = {
    "Dataset": {"source": {"uri": "sklearn://iris"}},
    "TrainingJob": {
        "modelName": "fraud",
        "dataset": {"name": "fraud"},
        "estimator": {"name": "sklearn.linear_model.LogisticRegression"},
    },
    "ModelVersion": {"modelName": "fraud", "artifact": {"uri": "s3://bucket/model", "digest": DIGEST}},
    "InferenceService": {"model": {"name": "fraud"}},
    "DriftMonitor": {
        "target": {"inferenceService": "fraud"},
        "checks": [{"name": "inputs", "type": "FeatureDrift", "failing": 0.2}],
    },
}

# A search that the schema admits.
_SEARCH = {"objective": {"metric": "f1"}, "parameters": [{"name": "C"}]}
AROUND: dict[str, Manifest] = {
    "Dataset.spec.source.scored": {"source": {"scored": {"dataset": "customers", "modelVersion": "churn-1"}}},
    "Dataset.spec.source.predictions": {"source": {"predictions": {"inferenceServiceRef": {"name": "fraud"}}}},
    "TrainingJob.spec.automl": {"estimator": None, "automl": {}},
    "TrainingJob.spec.tuning": {"tuning": _SEARCH},
    "DriftMonitor.spec.target": {"reference": {"type": "Window", "window": {"offset": "7d"}}},
    "DriftMonitor.spec.reference.window": {"reference": {"type": "Window"}},
    "DriftMonitor.spec.checks[].rules": {"checks": [{"name": "sound", "type": "DataQuality"}]},
    "DriftMonitor.spec.retraining.": {"retraining": {"template": {"trainingJob": "fraud"}}},
    "DriftMonitor.spec.notify[].": {"notify": [{"name": "chat"}]},
}
"""What a place needs around it to make sense, by the beginning of its path."""


def around(kind: str, path: str, name: str = "fraud") -> Manifest:
    """The least object in which something can stand at `path`."""
    result = least(kind, name)
    for index, spec in AROUND.items():
        if f"{kind}{path}".startswith(index):
            result["spec"] |= yaml.safe_load(yaml.safe_dump(spec))
    result["spec"] = {name: value for name, value in result["spec"].items() if value is not None}
    return result


def least(kind: str, name: str = "fraud", namespace: str = "default") -> Manifest:
    """An object that says no more than it must."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": yaml.safe_load(yaml.safe_dump(LEAST[kind])),
    }


@dataclass(frozen=True)
class Server:
    """The API server, asked by one person."""

    plane: Plane
    http: httpx.Client
    user: str = ""

    def as_user(self, user: str) -> Server:
        """The same server, asked by `user`."""
        return Server(self.plane, self.http, user)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """One request; `headers` have underscores for hyphens."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.user:
            given["Impersonate-User"] = self.user
        return self.http.request(method, path, json=body, headers=given)

    def create(self, manifest: Manifest, *, dry: bool = False) -> httpx.Response:
        """Create the object; a field that its kind does not have is refused."""
        return self.ask(
            "POST",
            address(manifest, named=False) + "?fieldValidation=Strict" + ("&dryRun=All" if dry else ""),
            manifest,
        )

    def read(self, manifest: Manifest) -> Manifest:
        """The object as the server has it."""
        answer = self.ask("GET", address(manifest))
        assert answer.status_code == 200, answer.text
        document: Manifest = answer.json()
        return document

    def merge(
        self, manifest: Manifest, change: Manifest, subresource: str = "", *, dry: bool = False
    ) -> httpx.Response:
        """Merge `change` into the object."""
        path = (
            address(manifest)
            + (f"/{subresource}" if subresource else "")
            + "?fieldValidation=Strict"
            + ("&dryRun=All" if dry else "")
        )
        return self.ask("PATCH", path, change, Content_Type="application/merge-patch+json")

    def apply(self, manifest: Manifest, manager: str, *, force: bool = False, dry: bool = False) -> httpx.Response:
        """Server-side apply, as `manager`; `force` takes fields over from other managers."""
        path = (
            address(manifest)
            + f"?fieldManager={manager}&fieldValidation=Strict&force={str(force).lower()}"
            + ("&dryRun=All" if dry else "")
        )
        return self.ask("PATCH", path, manifest, Content_Type="application/apply-patch+yaml")

    def delete(self, manifest: Manifest) -> httpx.Response:
        return self.ask("DELETE", address(manifest))

    def kubectl(self, *words: str | Path, given: bytes | None = None) -> str:
        """kubectl as a user runs it."""
        return run([clients.locate(versions.KUBECTL), *words], env=self._environment(), given=given, timeout=120)

    def helm(self, *words: str | Path) -> str:
        """Helm as a user runs it."""
        return run([clients.locate(versions.HELM_CLIENT), *words], env=self._environment(), timeout=180)

    def _environment(self) -> dict[str, str]:
        folder = self.plane.kubeconfig.parent
        return {"KUBECONFIG": str(self.plane.kubeconfig), "HOME": str(folder), "PATH": "/usr/bin:/bin", "NO_PROXY": "*"}


def address(manifest: Manifest, *, named: bool = True) -> str:
    """Where an object of ours is kept."""
    kind: type[AnyResource] = BY_KIND[manifest["kind"]]
    metadata = manifest["metadata"]
    path = f"/apis/{API_VERSION}/namespaces/{metadata['namespace']}/{kind.plural}"
    return f"{path}/{metadata['name']}" if named else path


@contextmanager
def asking(plane: Plane) -> Iterator[Server]:
    """The server of `plane`, asked by its administrator."""
    configuration = yaml.safe_load(plane.kubeconfig.read_text())
    user = configuration["users"][0]["user"]
    authority = configuration["clusters"][0]["cluster"]
    with tempfile.TemporaryDirectory() as folder:

        def file(source: Manifest, name: str) -> str:
            if name in source:
                return str(source[name])
            path = Path(folder) / name
            path.write_bytes(base64.b64decode(source[f"{name}-data"]))
            return str(path)

        trust = ssl.create_default_context(cafile=file(authority, "certificate-authority"))
        trust.load_cert_chain(file(user, "client-certificate"), file(user, "client-key"))
        with httpx.Client(base_url=plane.server, verify=trust, timeout=30, trust_env=False) as http:
            yield Server(plane, http)


def put(document: Manifest, path: str, value: Any) -> Manifest:
    """`document` with `value` at a path such as `.spec.checks[]`; what is missing on the way is made.

    >>> put({"spec": {"checks": [1, 2]}}, ".spec.checks[]", {"name": "a"})
    {'spec': {'checks': [{'name': 'a'}]}}
    """
    if not path:
        return {**document, **value, "metadata": {**document["metadata"], **value.get("metadata", {})}}
    steps = re.findall(r"\.\w+|\[\]|\{\}", path)
    return dict(_put(document, steps, value))


def _put(inside: Any, steps: list[str], value: Any) -> Any:
    if not steps:
        return value
    first, *rest = steps
    if first == "[]":
        # What a list holds first goes on around what stands deeper in it.
        return [_put(inside[0] if rest and inside else None, rest, value)]
    if first == "{}":
        return {"any": _put(None, rest, value)}
    return {**(inside or {}), first[1:]: _put((inside or {}).get(first[1:]), rest, value)}


TEXTS = ("text", "fraud", DIGEST, "90s", "accuracy", "Ready", "@daily", "https://hooks.example.com")
"""One of these fits every pattern that the schemas know."""


def full(schema: Manifest) -> Any:
    """A value with every field that `schema` knows."""
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields"):
        return "2"
    match schema["type"]:
        case "object" if "properties" in schema:
            return {name: full(inner) for name, inner in schema["properties"].items()}
        case "object":
            return {"any": full(schema["additionalProperties"])}
        case "array":
            return [full(schema["items"])]
        case "string" if schema.get("format") == "date-time":
            return "2026-01-02T03:04:05Z"
        case "string":
            return next(text for text in TEXTS if re.search(schema.get("pattern", ""), text))
        case "boolean":
            return True
        case number:
            return schema.get("minimum", 1) or (0.5 if number == "number" else 1)
