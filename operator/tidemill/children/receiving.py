"""Build the receiver of a monitor: a pod that takes signals and payloads, with the Secrets of its checks as files."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tidemill.api import DriftMonitor
from tidemill.api.checks import Check
from tidemill.children import names, pods
from tidemill.children.installation import Installation
from tidemill.contract.layout import PAYLOADS
from tidemill.contract.orders import CREDENTIALS_PATH, PayloadOrder, ReceiveOrder, to_text
from tidemill.contract.serving import SERVING_PORT

COMPONENT = "receiver"


def external(monitor: DriftMonitor) -> tuple[Check, ...]:
    """Return the External checks; one without a Secret, which a rule of the schema forbids, accepts no signal."""
    return tuple(check for check in monitor.spec.checks if check.type == "External" and check.secret_ref is not None)


def is_needed(monitor: DriftMonitor) -> bool:
    """Return whether the monitor has a receiver: for an External check, or for the payloads of an external service."""
    return bool(external(monitor)) or monitor.spec.target.cloud_events is not None


def payloads(monitor: DriftMonitor, kept: timedelta) -> PayloadOrder | None:
    """Return the order for payloads, whose log is kept for `kept`; None if the receiver takes none."""
    events = monitor.spec.target.cloud_events
    if events is None:
        return None
    return PayloadOrder(
        log=monitor.log,
        service=events.service,
        columns=events.columns,
        secured=events.secret_ref is not None,
        retention_seconds=kept.total_seconds(),
    )


def service(monitor: DriftMonitor) -> dict[str, Any]:
    """Return the Service that other systems call: `http://<monitor>-receiver.<namespace>.svc/signals/<check>`."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": names.owned_by(monitor, names.receiver(monitor.name), COMPONENT),
        "spec": {"selector": _selector(monitor), "ports": [{"name": "http", "port": 80, "targetPort": SERVING_PORT}]},
    }


def deployment(monitor: DriftMonitor, installation: Installation, kept: timedelta) -> dict[str, Any]:
    """Return the Deployment of the receiver; each check's Secret is mounted under the check's name, and its log is kept for `kept`."""
    checks = external(monitor)
    taken = payloads(monitor, kept)
    order = ReceiveOrder(namespace=monitor.namespace, monitor=monitor.name, checks=checks, payloads=taken)
    container = {
        "name": COMPONENT,
        "image": installation.server_image,
        "args": ["receive", "--port", str(SERVING_PORT)],
        "ports": [{"name": "http", "containerPort": SERVING_PORT}],
        "resources": {
            "requests": {"cpu": "10m", "memory": "96Mi"},
            "limits": {"memory": "512Mi" if taken else "256Mi"},
        },
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": SERVING_PORT}, "periodSeconds": 5},
    }
    pod = pods.pod(installation, container, files={"order.json": names.ORDER}, scratch="64Mi")
    secrets = {check.name: check.secret_ref for check in checks}
    if taken is not None and monitor.spec.target.cloud_events is not None:
        secrets[PAYLOADS] = monitor.spec.target.cloud_events.secret_ref
    for index, (folder, secret) in enumerate(secrets.items()):
        if secret is None:
            continue
        volume = f"secret-{index}"
        pod["volumes"].append({"name": volume, "secret": {"secretName": secret.name, "optional": True}})
        mount = {"name": volume, "mountPath": f"{CREDENTIALS_PATH}/{folder}", "readOnly": True}
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
                    "annotations": {names.ORDER: to_text(order)},
                },
                "spec": pod,
            },
        },
    }


def _selector(monitor: DriftMonitor) -> dict[str, str]:
    return {names.OWNER_UID: monitor.metadata.uid, names.COMPONENT: COMPONENT}
