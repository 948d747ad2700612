"""Tidemill in a cluster: its images, its chart, and the namespaces it works for."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cluster import Cluster, Provider
from cluster.paths import REPOSITORY
from support.api import Api, Manifest
from support.kubectl import helm, kubectl, values
from support.waiting import until
from tidemill.api import KINDS

RELEASE = "tidemill"
NAMESPACE = "tidemill-system"
CHART = REPOSITORY / "charts" / "tidemill"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
OURS = "tidemill.dev/try-out"
"""Label of the namespaces that the demo and the tests make, so that they remove no others."""


@dataclass(frozen=True, slots=True)
class Images:
    """What to run, by role."""

    references: Mapping[str, str]

    def __getitem__(self, role: str) -> str:
        return self.references[role]

    @property
    def values(self) -> dict[str, Any]:
        """The chart's values that name them."""
        named = {}
        for role, reference in self.references.items():
            repository, _, tag = reference.rpartition(":")
            named[f"images.{role}"] = {"repository": repository, "tag": tag, "digest": ""}
        return named


def images(cluster: Cluster) -> Images:
    """The images that were loaded into the cluster."""
    from cluster import images as building

    return Images(building.named(cluster))


def build_images(cluster: Cluster) -> Images:
    """Build what changed and give it to the cluster; one that was given has its own."""
    from cluster import images as building

    if cluster.provider is not Provider.GIVEN:
        building.load(building.build(cluster.provider), cluster)
    return images(cluster)


def namespace(name: str, labels: Mapping[str, str] = RESTRICTED) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {OURS: "true", **labels}}}


def make_namespaces(api: Api, names: Sequence[str], labels: Mapping[str, str] = RESTRICTED) -> None:
    """Create namespaces of our own; pods in them must be `restricted` unless said otherwise."""
    for name in names:
        if api.get("Namespace", "", name) is None:
            api.create(namespace(name, labels))


def remove_namespaces(api: Api, names: Sequence[str], *, seconds: float = 120) -> None:
    """Delete namespaces of our own with all that is in them, and wait until they are gone."""
    for name in names:
        api.delete("Namespace", "", name)
    for name in names:
        until(f"namespace {name} gone", lambda name=name: api.get("Namespace", "", name) is None, seconds=seconds)


def leftovers(api: Api, *own: str) -> list[str]:
    """Namespaces with workloads that an earlier demo or test left, and those of `own` that are there, no matter who made them."""
    labelled = {manifest["metadata"]["name"] for manifest in api.all("Namespace", selector=OURS)} - {NAMESPACE}
    return sorted({*labelled, *(name for name in own if api.get("Namespace", "", name))})


def install(cluster: Cluster, pictures: Images, workload_namespaces: Sequence[str], **more: Any) -> str:
    """`helm upgrade --install`, and wait until the operator and the store are ready."""
    chosen = {
        **pictures.values,
        "workloadNamespaces": list(workload_namespaces),
        "crds.keep": False,
        **more,
    }
    return helm(
        cluster,
        "upgrade",
        "--install",
        RELEASE,
        CHART,
        "--namespace",
        NAMESPACE,
        "--wait",
        "--timeout",
        "3m",
        *values(chosen),
    )


def installed(cluster: Cluster) -> bool:
    return bool(
        json.loads(helm(cluster, "list", "--namespace", NAMESPACE, "--filter", f"^{RELEASE}$", "--output", "json"))
    )


def uninstall(cluster: Cluster) -> None:
    """`helm uninstall`, if it is installed."""
    if installed(cluster):
        helm(cluster, "uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "2m")


def delete_everything(cluster: Cluster, workload_namespace: str) -> None:
    """`kubectl delete` of all objects of the five kinds in a namespace."""
    plurals = ",".join(f"{kind.plural}.tidemill.dev" for kind in KINDS)
    kubectl(cluster, "delete", plurals, "--all", "-n", workload_namespace, "--wait=true", "--timeout=90s")
