"""Build the Job that takes a file from a person's machine. The person creates it, with their own rights."""

from __future__ import annotations

from typing import Any

from tidemill.children import names, pods
from tidemill.children.installation import Installation
from tidemill.contract.orders import to_text
from tidemill.contract.uploads import UploadOrder

COMPONENT = "upload"
DEADLINE_SECONDS = 24 * 3600
"""When the Job ends at the latest; it ends by itself minutes after the last request."""
TTL_SECONDS = 300
"""How long a Job is kept that its command could not delete."""


def take(order: UploadOrder, installation: Installation) -> dict[str, Any]:
    """Return the Job; its pod accepts requests on its loopback address alone."""
    marks = {names.MANAGED_BY: names.MANAGER, names.PART_OF: "tidemill", names.COMPONENT: COMPONENT}
    container = {
        "name": "take",
        "image": installation.workload_image,
        "args": ["take"],
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": names.upload(order.digest, order.token_digest),
            "namespace": order.namespace,
            "labels": marks,
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "ttlSecondsAfterFinished": TTL_SECONDS,
            "template": {
                "metadata": {"labels": marks, "annotations": {names.ORDER: to_text(order)}},
                "spec": {
                    "restartPolicy": "Never",
                    **pods.pod(installation, container, files={"order.json": names.ORDER}, scratch="64Mi"),
                },
            },
        },
    }
