"""Diagnose pods: why they do not start or do not stay up, with the remedy.

The one diagnosis for everything that Tidemill runs: ingest, training, check and notify Jobs, stable and candidate pods,
receivers and warm workers. It reads what the pod reports, and what the controller of the pod reports where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from tidemill.plan.lookup import get_path, is_being_deleted
from tidemill.plan.world import Manifest

IMAGE_REASONS: Final = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
)
_STARTING: Final = frozenset({"", "ContainerCreating", "PodInitializing"})
POD_CREATION_SECONDS: Final = 15.0
"""Seconds within which the Job controller creates a pod, unless something refuses it."""


def pod_problem(pod: Manifest) -> str:
    """Return why a pod does not start or does not stay up, with the remedy; empty if no problem is known."""
    if get_path(pod, "status", "reason") == "Evicted":
        return f"the pod was evicted: {get_path(pod, 'status', 'message')}"
    for condition in get_path(pod, "status", "conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"the pod cannot be scheduled: {condition.get('message') or condition.get('reason')}"
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in get_path(pod, "status", kind) or ():
            if problem := _container_problem(pod, container):
                return problem
    return ""


def pods_problem(pods: Iterable[Manifest]) -> str:
    """Return the first problem of pods that are not being deleted; empty if none is known."""
    return next(filter(None, (pod_problem(pod) for pod in pods if not is_being_deleted(pod))), "")


def deployment_problem(deployment: Manifest | None, pods: Iterable[Manifest]) -> str:
    """Return why a Deployment's pods are not created, do not start or do not stay up; empty if no problem is known."""
    conditions = {condition.get("type"): condition for condition in get_path(deployment, "status", "conditions") or ()}
    failure = conditions.get("ReplicaFailure", {})
    if failure.get("status") == "True":
        return f"no pod can be created: {failure.get('message') or failure.get('reason')}"
    if problem := pods_problem(pods):
        return problem
    progressing = conditions.get("Progressing", {})
    if progressing.get("status") == "False":
        return f"the pods do not become ready: {progressing.get('message') or progressing.get('reason')}"
    return ""


def lacks_room(deployment: Manifest | None, pods: Iterable[Manifest]) -> bool:
    """Return whether a quota, a limit or the nodes leave no room for a pod of a Deployment."""
    return any(
        condition.get("type") == type_ and condition.get("status") == status
        for manifest, type_, status in (
            (deployment, "ReplicaFailure", "True"),
            *((pod, "PodScheduled", "False") for pod in pods if not is_being_deleted(pod)),
        )
        for condition in get_path(manifest, "status", "conditions") or ()
    )


def job_problem(job: Manifest, pods: Sequence[Manifest], now: datetime | None) -> str:
    """Return why a Job's pod does not start; empty if no problem is known, or not yet.

    A Job has no condition for a pod that may not be created: only the Events of the Job name the quota, the LimitRange or
    the admission rule that refuses it.
    """
    if problem := pods_problem(pods):
        return problem
    if not pods and now is not None and seconds_until_pod_is_late(job, now) == 0.0:
        return (
            "no pod was created; a quota, a LimitRange or an admission rule may refuse it: "
            f"see the Events of kubectl describe job {job['metadata']['name']}"
        )
    return ""


def seconds_until_pod_is_late(job: Manifest, now: datetime) -> float | None:
    """Return the seconds until a Job without a pod counts as refused, 0 if it does; None if its start is not known."""
    text = get_path(job, "status", "startTime") or get_path(job, "metadata", "creationTimestamp")
    if not text:
        return None
    age = (now - datetime.fromisoformat(text)).total_seconds()
    return max(POD_CREATION_SECONDS - age, 0.0)


def has_started(pod: Manifest) -> bool:
    """Return whether a container of the pod runs or has run."""
    return any(
        get_path(container, "state", "running") is not None or _terminated(container)
        for container in get_path(pod, "status", "containerStatuses") or ()
    )


def _container_problem(pod: Manifest, container: Manifest) -> str:
    waiting = get_path(container, "state", "waiting") or {}
    reason = waiting.get("reason") or ""
    if reason in IMAGE_REASONS:
        return f"cannot pull image {container.get('image')} ({reason}); check the image values of the chart"
    if ended := _terminated(container):
        if ended.get("exitCode") == 0:
            return ""
        return _termination(pod, container, ended)
    if reason in {"CreateContainerConfigError", "CreateContainerError", "RunContainerError"}:
        return f"the container cannot start: {waiting.get('message') or reason}"
    if reason == "CrashLoopBackOff":
        return "the container is crash-looping; check its logs"
    return "" if reason in _STARTING else f"{reason}: {waiting.get('message') or 'see kubectl describe pod'}"


def _termination(pod: Manifest, container: Manifest, ended: Manifest) -> str:
    restarts = container.get("restartCount") or 0
    again = f" {restarts} times" if restarts > 1 else ""
    if ended.get("reason") == "OOMKilled":
        limit = memory_limit(pod, container.get("name") or "")
        return f"the container was OOMKilled{again}; raise spec.resources.limits.memory (now {limit})"
    message = f": {ended['message'].strip()}" if (ended.get("message") or "").strip() else ""
    return (
        f"the container crashed{again} with {ended.get('reason') or 'Error'} (exit code {ended.get('exitCode')}){message}; "
        "check its logs"
    )[:500]


def memory_limit(pod: Manifest, name: str = "") -> str:
    """Return the memory limit of a pod's container, the first one by default, for a message."""
    containers = get_path(pod, "spec", "containers") or ()
    container = next((c for c in containers if c.get("name") == name), containers[0] if containers else {})
    return str(get_path(container, "resources", "limits", "memory") or "not set")


def _terminated(container: Manifest) -> Manifest | None:
    """Return how a container ended last; None if it has not ended, or runs again."""
    ended: Manifest | None = get_path(container, "state", "terminated")
    if ended or get_path(container, "state", "running") is not None:
        return ended
    last: Manifest | None = get_path(container, "lastState", "terminated")
    return last
