"""Build the warm worker of a monitor: a pod like that of a check Job, which stays for the next check."""

from __future__ import annotations

from typing import Any

from tidemill.api import DriftMonitor
from tidemill.children import names, pods
from tidemill.children.installation import Installation
from tidemill.contract.orders import WorkerOrder, to_text
from tidemill.contract.serving import SERVING_PORT

COMPONENT = "worker"


def is_needed(monitor: DriftMonitor) -> bool:
    """Return whether the monitor has a warm worker."""
    return monitor.spec.execution == "WarmWorker" and not monitor.spec.suspend


def deployment(monitor: DriftMonitor, installation: Installation, deadline: float) -> dict[str, Any]:
    """Return the Deployment of the worker, which gives a run up after `deadline` seconds, as a Job would.

    Two are never needed: the old pod stops before the new one starts, and Jobs take over meanwhile.
    """
    order = WorkerOrder(
        namespace=monitor.namespace, monitor=monitor.name, service=monitor.log, deadline_seconds=deadline
    )
    container = {
        "name": COMPONENT,
        "image": installation.workload_image,
        "args": ["work", "--port", str(SERVING_PORT)],
        "ports": [{"name": "http", "containerPort": SERVING_PORT}],
        "resources": pods.resources(monitor.spec.resources, cpu="250m", memory="512Mi"),
        "readinessProbe": {
            "httpGet": {"path": "/healthz", "port": "http"},
            "periodSeconds": 2,
            "timeoutSeconds": 5,
            "failureThreshold": 2,
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": names.owned_by(monitor, names.worker(monitor.name), COMPONENT),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {names.OWNER_UID: monitor.metadata.uid, names.COMPONENT: COMPONENT}},
            "strategy": {"type": "Recreate"},
            "revisionHistoryLimit": 2,
            "template": {
                "metadata": {
                    "labels": names.labels(monitor, COMPONENT),
                    "annotations": {names.ORDER: to_text(order)},
                },
                "spec": pods.pod(installation, container, files={"order.json": names.ORDER}),
            },
        },
    }
