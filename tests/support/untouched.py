"""Whether what a user applied is still exactly what they applied."""

from collections.abc import Iterable
from pathlib import Path

from cluster import Cluster
from support.api import Api, Manifest
from support.kubectl import apply
from tidemill.api import KINDS

USERS = frozenset({"kubectl-client-side-apply"})


def applying_again(cluster: Cluster, namespace: str, *paths: Path) -> set[str]:
    """What a second `kubectl apply` says of the objects: `{"unchanged"}` where they were not touched."""
    return {line.rsplit(" ", 1)[-1] for line in apply(cluster, namespace, *paths).strip().splitlines()}


def touched(api: Api, namespace: str) -> list[str]:
    """The objects that users applied and whose spec somebody else wrote to, or changed at all since."""
    applied = (manifest for kind in KINDS for manifest in api.all(kind.kind_name, namespace) if _is_users(manifest))
    return [f"{manifest['kind']}/{manifest['metadata']['name']}" for manifest in applied if _is_touched(manifest)]


def _is_users(manifest: Manifest) -> bool:
    return "kubectl.kubernetes.io/last-applied-configuration" in manifest["metadata"].get("annotations", {})


def _is_touched(manifest: Manifest) -> bool:
    writers: Iterable[str] = (
        entry["manager"] for entry in manifest["metadata"]["managedFields"] if "f:spec" in entry.get("fieldsV1", {})
    )
    return manifest["metadata"]["generation"] != 1 or not USERS.issuperset(writers)
