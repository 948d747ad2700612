"""KEDA as its own manifests install it: its definitions, its rights, its certificates; only the images are ours."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from cluster import Cluster, programs
from cluster.commands import run, twice
from cluster.progress import step
from keda.images import KEDA
from support.kubectl import kubectl

MODULE = "github.com/kedacore/keda/v2"
NAMESPACE = "keda"
DEPLOYMENTS = ("keda-operator", "keda-metrics-apiserver")


def install(cluster: Cluster) -> None:
    """Apply the manifests, and wait until both programs and the API that they serve are available."""
    with step("installing KEDA"):
        made = yaml.safe_dump_all(with_images_of_ours(_manifests(cluster)))
        # The definitions are too large for the annotation that a client-side apply leaves.
        kubectl(cluster, "apply", "--server-side", "-f", "-", given=made.encode())
        # The operator makes the certificates, and both have them once the kubelet has brought them: a minute or two.
        for name in DEPLOYMENTS:
            kubectl(cluster, "rollout", "status", f"deployment/{name}", "-n", NAMESPACE, "--timeout=300s", timeout=320)
        service = "apiservice/v1beta1.external.metrics.k8s.io"
        kubectl(cluster, "wait", service, "--for=condition=Available", "--timeout=120s", timeout=140)


def with_images_of_ours(manifests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same with images that are in the node already."""
    for manifest in manifests:
        if manifest["kind"] == "Deployment":
            for container in manifest["spec"]["template"]["spec"]["containers"]:
                container |= {"image": KEDA, "imagePullPolicy": "Never"}
    return manifests


def _manifests(cluster: Cluster) -> list[dict[str, Any]]:
    go = programs.toolchain(programs.go_needed("keda"))
    fetch = [str(go), "mod", "download", "-json", MODULE]
    output = twice(partial(run, fetch, cwd=programs.MODULES / "keda", env=programs.environment()))
    # Without the webhooks, which only refuse what is wrong.
    folder = Path(json.loads(output)["Dir"]) / "config" / "minimal"
    return [manifest for manifest in yaml.safe_load_all(kubectl(cluster, "kustomize", folder)) if manifest]
