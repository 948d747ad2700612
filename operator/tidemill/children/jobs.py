"""Build the Jobs that carry out orders: one order, one attempt, one Job, one pod."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tidemill.api import AnyResource
from tidemill.api.base import Quantities
from tidemill.children import names, pods
from tidemill.children.installation import Installation
from tidemill.contract.orders import AnyOrder, digest_of, to_text

WORKLOAD = "workload"
"""The name of the container whose termination message is the report."""


def run(
    owner: AnyResource,
    order: AnyOrder,
    installation: Installation,
    *,
    attempt: int = 1,
    digest: str = "",
    resources: Quantities | None = None,
    deadline: int = 3600,
    ttl: int = 3600,
    credentials: str = "",
    claim: str = "",
    pod_labels: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the Job that carries out `order` for the n-th time; another order or attempt is another Job.

    `claim` is a PersistentVolumeClaim that the pod may read, and `pod_labels` are labels for the pod alone.
    `digest` is the order's identity, if that is not the digest of the whole order. A failed pod is not replaced by Kubernetes:
    the operator reads its report first and decides.
    """
    digest = digest or digest_of(order)
    component = order.task.lower()
    queue: dict[str, str] = {
        str(label): owner.metadata.labels[label] for label in names.QUEUE_LABELS if label in owner.metadata.labels
    }
    metadata = names.owned_by(owner, names.run(owner.name, order.task, digest, attempt), component, queue)
    template_labels = names.labels(owner, component) | {names.ATTEMPT: str(attempt)} | dict(pod_labels or {})
    container = {
        "name": WORKLOAD,
        "image": installation.workload_image,
        "args": ["run"],
        "resources": pods.resources(resources, cpu="250m", memory="512Mi"),
    }
    metadata["annotations"] = {names.TERMS: terms(resources, deadline, ttl)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": deadline,
            "ttlSecondsAfterFinished": ttl,
            "template": {
                "metadata": {"labels": template_labels, "annotations": {names.ORDER: to_text(order)}},
                "spec": {
                    "restartPolicy": "Never",
                    **pods.pod(
                        installation, container, files={"order.json": names.ORDER}, credentials=credentials, claim=claim
                    ),
                },
            },
        },
    }


def terms(resources: Quantities | None, deadline: int, ttl: int) -> str:
    """Return a digest of the terms of a run: its resources, deadline and retention."""
    return names.short(json.dumps([resources.to_wire() if resources else None, deadline, ttl], sort_keys=True))
