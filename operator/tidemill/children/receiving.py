"""The receiver of a monitor: one pod that takes what other systems say, with the Secrets of its checks as files."""

from __future__ import annotations

from typing import Any

from tidemill.api import DriftMonitor
from tidemill.api.checks import Check
from tidemill.children import names, pods
from tidemill.children.installation import Installation
from tidemill.contract import CREDENTIALS_PATH, SERVING_PORT, ReceiveOrder

COMPONENT = "receiver"


def external(monitor: DriftMonitor) -> tuple[Check, ...]:
    """The checks that other systems answer; one without a Secret, which a rule of the schema forbids, believes nobody."""
    return tuple(check for check in monitor.spec.checks if check.type == "External" and check.secret_ref is not None)


def service(monitor: DriftMonitor) -> dict[str, Any]:
    """The Service that other systems call: `http://<monitor>-receiver.<namespace>.svc/signals/<check>`."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": names.owned_by(monitor, names.receiver(monitor.name), COMPONENT),
        "spec": {"selector": _selector(monitor), "ports": [{"name": "http", "port": 80, "targetPort": SERVING_PORT}]},
    }


def deployment(monitor: DriftMonitor, installation: Installation) -> dict[str, Any]:
    """The Deployment of the receiver; each check's Secret is mounted under the check's name."""
    checks = external(monitor)
    order = ReceiveOrder(namespace=monitor.namespace, monitor=monitor.name, checks=checks)
    container = {
        "name": COMPONENT,
        "image": installation.server_image,
        "args": ["receive", "--port", str(SERVING_PORT)],
        "ports": [{"name": "http", "containerPort": SERVING_PORT}],
        "resources": {"requests": {"cpu": "10m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}},
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": SERVING_PORT}, "periodSeconds": 5},
    }
    pod = pods.pod(installation, container, told={"order.json": names.ORDER}, scratch="64Mi")
    for index, check in enumerate(checks):
        assert check.secret_ref is not None, "an External check names its Secret"
        volume = f"secret-{index}"
        pod["volumes"].append({"name": volume, "secret": {"secretName": check.secret_ref.name, "optional": True}})
        mount = {"name": volume, "mountPath": f"{CREDENTIALS_PATH}/{check.name}", "readOnly": True}
        pod["containers"][0]["volumeMounts"].append(mount)
    labels = names.labels(monitor, COMPONENT)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": names.owned_by(monitor, names.receiver(monitor.name), COMPONENT),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": _selector(monitor)},
            "revisionHistoryLimit": 2,
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {names.ORDER: order.model_dump_json(by_alias=True, exclude_none=True)},
                },
                "spec": pod,
            },
        },
    }


def _selector(monitor: DriftMonitor) -> dict[str, str]:
    return {names.OWNER_UID: monitor.metadata.uid, names.COMPONENT: COMPONENT}
