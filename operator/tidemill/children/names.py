"""Define every name, label and annotation.

A child's name is its owner's name, a word for its purpose, and a digest of its order. The same order has the same name,
so that ordering twice creates one child.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from tidemill.api import API_VERSION, AnyResource
from tidemill.api.crds import NAME_LIMIT

LIMIT: Final = 63
MANAGER: Final = "tidemill"

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
PART_OF: Final = "app.kubernetes.io/part-of"
COMPONENT: Final = "app.kubernetes.io/component"
OWNER_KIND: Final = "tidemill.dev/owner-kind"
OWNER_NAME: Final = "tidemill.dev/owner"
OWNER_UID: Final = "tidemill.dev/owner-uid"
ATTEMPT: Final = "tidemill.dev/attempt"
ROLE: Final = "tidemill.dev/role"
MODEL: Final = "tidemill.dev/model"
MODEL_VERSION: Final = "tidemill.dev/model-version"
TRAINING_JOB: Final = "tidemill.dev/training-job"
MONITOR: Final = "tidemill.dev/monitor"

ORDER: Final = "tidemill.dev/order"
TERMS: Final = "tidemill.dev/terms"
ROUTES: Final = "tidemill.dev/routes"
DIGEST: Final = "tidemill.dev/model-digest"
CAUSE: Final = "tidemill.dev/cause"
METRICS: Final = "tidemill.dev/metrics"
"""The metrics of a ModelVersion in the order in which they were asked for; a map loses it in the API server."""
QUARANTINE: Final = "tidemill.dev/quarantine"
"""On a ModelVersion: `USER: REASON`. No service rolls the version out until the annotation is removed."""
PROMOTE: Final = "tidemill.dev/promote"
ABORT: Final = "tidemill.dev/abort"
PAUSE: Final = "tidemill.dev/pause"
RETRY: Final = "tidemill.dev/retry"
"""On an InferenceService: `VERSION/TIME`. What the service held against the version until that time no longer counts."""
RESET: Final = "tidemill.dev/reset-circuit"
RETRAIN: Final = "tidemill.dev/retrain"
CHECK: Final = "tidemill.dev/check"
REFRESH: Final = "tidemill.dev/refresh"
SCM_REF: Final = "tidemill.dev/scm-ref"

PEOPLE: Final = (PROMOTE, ABORT, PAUSE, RETRY, QUARANTINE, CHECK, REFRESH, RETRAIN, RESET, SCM_REF)
"""Annotations that people set; the admission policies keep all others below `tidemill.dev/` for the operator."""

AZURE_IDENTITY: Final = "azure.workload.identity/use"
"""On a pod: Azure's webhook gives it the identity of its ServiceAccount, if that has one."""

# A queue admits the child Job, so the user's choice of queue travels from the parent to it.
QUEUE_LABELS: Final = ("kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class")


def short(text: str, length: int = 8) -> str:
    """Return the first hexadecimal digits of a digest of `text`.

    >>> short("biopsies")
    '7ab7f41d'
    """
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def child(owner: str, *parts: str, limit: int = LIMIT) -> str:
    """Return a name that begins with `owner`, shortened with a digest where it would exceed `limit` characters.

    >>> child("iris", "check", "0a1b2c3d")
    'iris-check-0a1b2c3d'
    >>> len(child("i" * 60, "check", "0a1b2c3d"))
    63
    """
    tail = "-".join(("", *parts))
    if len(owner) + len(tail) <= limit:
        return owner + tail
    keep = limit - len(tail) - 9
    return f"{owner[:keep].rstrip('-')}-{short(owner)}{tail}"


def run(owner: str, task: str, order_digest: str, attempt: int) -> str:
    """Return the name of the Job that carries out an order for the n-th time; its pods show which task they do.

    >>> run("iris", "Train", "0a1b2c3d4e5f", 2)
    'iris-train-0a1b2c3d-2'
    >>> len(run("i" * 63, "Ingest", "0a1b2c3d4e5f", 12))
    63
    """
    return child(owner, task.lower(), order_digest[:8], str(attempt))


def run_before_tasks(owner: str, order_digest: str, attempt: int) -> str:
    """Return the name that earlier releases gave to the same Job, without the task.

    An upgrade finds a Job that is under way by this name and carries it on, so that no order is carried out twice.

    >>> run_before_tasks("iris", "0a1b2c3d4e5f", 2)
    'iris-0a1b2c3d-2'
    """
    return child(owner, order_digest[:8], str(attempt))


def version(model: str, training_job_uid: str, dataset_digest: str) -> str:
    """Return the name of the ModelVersion that a run on a revision publishes.

    >>> version("fraud", "0a1b", "sha256:" + "0" * 64)
    'fraud-072c23e4'
    >>> len(version("m" * 63, "0a1b", "sha256:" + "0" * 64))
    52
    """
    return child(model, short(f"{training_job_uid}/{dataset_digest}"), limit=NAME_LIMIT)


def retraining(monitor: str, monitor_uid: str, trigger: str, version_digest: str) -> str:
    """Return the name of the TrainingJob that answers a trigger: the same window, tick, revision or request of the same
    version always has the same name.
    """
    return child(monitor, "retrain", short(f"{monitor_uid}/{trigger}/{version_digest}"), limit=NAME_LIMIT)


def service(name: str) -> str:
    """Return the name of the Service for clients."""
    return name


def stable(name: str) -> str:
    """Return the name of the stable Deployment."""
    return child(name, "stable")


def candidate(name: str) -> str:
    """Return the name of the candidate's Deployment and Service."""
    return child(name, "candidate")


def judge(service: str, service_uid: str, version: str, metric: str, attempt: int = 0) -> str:
    """Return the name of a user's Job that judges a candidate; `metric` is its whole entry in the spec."""
    again = f"/{attempt}" if attempt else ""
    return child(service, "judge", short(f"{service_uid}/{version}/{metric}{again}"))


def worker(monitor: str) -> str:
    """Return the name of the Deployment of a monitor's warm worker."""
    return child(monitor, "worker")


def receiver(monitor: str) -> str:
    """Return the name of the Deployment and the Service of a monitor's receiver."""
    return child(monitor, "receiver")


def upload(file_digest: str, token_digest: str) -> str:
    """Return the name of the Job that takes an upload; the same file of another person is another Job.

    >>> upload("sha256:" + "0" * 64, "sha256:" + "1" * 64)
    'tidemill-upload-00000000-11111111'
    """
    return f"tidemill-upload-{file_digest.removeprefix('sha256:')[:8]}-{token_digest.removeprefix('sha256:')[:8]}"


def labels(owner: AnyResource, component: str) -> dict[str, str]:
    """Return the labels of every child: its manager, its owner and its component."""
    return {
        MANAGED_BY: MANAGER,
        PART_OF: "tidemill",
        COMPONENT: component,
        OWNER_KIND: owner.kind,
        OWNER_NAME: owner.name,
        OWNER_UID: owner.metadata.uid,
    }


def owned_by(owner: AnyResource, name: str, component: str, extra: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the metadata of a child that is deleted with its owner."""
    return {
        "name": name,
        "namespace": owner.namespace,
        "labels": labels(owner, component) | dict(extra or {}),
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": owner.kind,
                "name": owner.name,
                "uid": owner.metadata.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }
