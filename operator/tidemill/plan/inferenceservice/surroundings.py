"""Tell failures of the surroundings of a version's pods from failures of the version.

No room, a quota, the service's own memory limit, an image and the store are the surroundings. A process that crashes, and one
that runs and does not become ready, is the version.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from tidemill.api.conditions import Reason
from tidemill.contract.serving import Measurements
from tidemill.plan.diagnosis import Events, Problem, first_problem, memory_remedy, refusal
from tidemill.plan.lookup import get_path, is_being_deleted, is_ready
from tidemill.plan.types import Answers
from tidemill.plan.world import Manifest

SURROUNDINGS: Final = frozenset(
    {
        Reason.REFUSED,
        Reason.UNSCHEDULABLE,
        Reason.IMAGE_UNAVAILABLE,
        Reason.OUT_OF_MEMORY,
        Reason.STORE_UNREACHABLE,
        Reason.STORE_CREDENTIALS_MISSING,
        Reason.DEPENDENCY_NOT_READY,
        Reason.PROGRESSING,
    }
)
"""Reasons that are no verdict on a version."""


def obstacle(deployment: Manifest | None, unready: Sequence[Manifest], events: Events) -> Problem | None:
    """Return what in the surroundings keeps pods of a Deployment from running; None if nothing is known."""
    for condition in get_path(deployment, "status", "conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return Problem(Reason.REFUSED, refusal(condition.get("message") or condition.get("reason") or ""))
    problem = first_problem(unready, events)
    if problem is not None:
        return problem if problem.reason in SURROUNDINGS else None
    for pod, container in _containers(unready):
        if _was_killed_for_memory(container):
            remedy = memory_remedy(pod, container.get("name") or "")
            return Problem(Reason.OUT_OF_MEMORY, f"the container was OOMKilled; {remedy}")
    return None


def restarts(pods: Sequence[Manifest]) -> int:
    """Count the restarts of containers that were not killed for want of memory."""
    return sum(
        int(container.get("restartCount") or 0)
        for _, container in _containers(pods)
        if not _was_killed_for_memory(container)
    )


def unready_seconds(pods: Sequence[Manifest], now: datetime) -> float | None:
    """Return for how long a process has run without being ready; None if no process of a pod that is not ready runs."""
    times = [
        (now - max(datetime.fromisoformat(text) for text in since)).total_seconds()
        for pod in pods
        if not is_ready(pod) and (since := _running_unready_since(pod))
    ]
    return max(times, default=None)


def loading_problem(answers: Answers) -> Problem | None:
    """Return what keeps a pod from loading its version, as the pod itself says; None if no pod waits for its surroundings."""
    for answer in answers:
        if isinstance(answer, Measurements) and answer.waits_for in SURROUNDINGS:
            return Problem(Reason(answer.waits_for), answer.waits_message)
    return None


def _containers(pods: Sequence[Manifest]) -> Iterator[tuple[Manifest, Manifest]]:
    for pod in pods:
        if not is_being_deleted(pod):
            for container in get_path(pod, "status", "containerStatuses") or ():
                yield pod, container


def _was_killed_for_memory(container: Manifest) -> bool:
    return "OOMKilled" in (
        get_path(container, "state", "terminated", "reason"),
        get_path(container, "lastState", "terminated", "reason"),
    )


def _running_unready_since(pod: Manifest) -> list[str]:
    """Return the times of which the last one is the start of the process or the end of its readiness."""
    started = [
        text for _, container in _containers([pod]) if (text := get_path(container, "state", "running", "startedAt"))
    ]
    ended = [
        text
        for condition in get_path(pod, "status", "conditions") or ()
        if condition.get("type") == "Ready" and (text := condition.get("lastTransitionTime"))
    ]
    return started + ended if started else []
