"""kubectl and Helm as a user runs them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from cluster import Cluster, clients, versions
from cluster.commands import run


def kubectl(cluster: Cluster, *words: str | Path, given: bytes | None = None, timeout: float = 120) -> str:
    """Run kubectl to its end, and return what it printed."""
    return run([clients.locate(versions.KUBECTL), *words], env=cluster.environment, given=given, timeout=timeout)


def apply(cluster: Cluster, namespace: str, *paths: Path) -> str:
    """`kubectl apply` of files or folders, and what it said of each object."""
    files = [word for path in paths for word in ("-f", path)]
    return kubectl(cluster, "apply", "-n", namespace, *files)


def apply_manifests(cluster: Cluster, namespace: str, manifests: Sequence[dict[str, Any]]) -> str:
    """`kubectl apply` of objects that stand in no file."""
    return kubectl(cluster, "apply", "-n", namespace, "-f", "-", given=yaml.safe_dump_all(manifests).encode())


def helm(cluster: Cluster, *words: str | Path, timeout: float = 300) -> str:
    """Run Helm to its end, and return what it printed."""
    return run([clients.locate(versions.HELM_CLIENT), *words], env=cluster.environment, timeout=timeout)


def values(given: dict[str, Any]) -> list[str]:
    """Chart values as words of Helm's command line.

    >>> values({"store": {"enabled": True}, "workloadNamespaces": ["a"]})
    ['--set-json', 'store={"enabled": true}', '--set-json', 'workloadNamespaces=["a"]']
    """
    return [word for name, value in given.items() for word in ("--set-json", f"{name}={json.dumps(value)}")]
