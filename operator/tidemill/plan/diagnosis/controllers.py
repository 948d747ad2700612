"""Read what the controllers of pods report: a Deployment by its conditions, a Job by its Events."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from tidemill.api.conditions import Reason
from tidemill.plan.diagnosis.pods import (
    NO_EVENTS,
    Events,
    Problem,
    failed_pods_problem,
    first_problem,
    is_unplaced,
    pods_problem,
)
from tidemill.plan.diagnosis.refusals import refusal, shortened
from tidemill.plan.lookup import get_path, is_being_deleted
from tidemill.plan.world import Manifest

POD_CREATION_SECONDS: Final = 15.0
"""Seconds within which the Job controller creates a pod, unless something refuses it."""
_REPLACEMENT: Final = timedelta(minutes=2)
"""How long after its creation a pod counts as the replacement of one that failed."""


def deployment_problem(deployment: Manifest | None, pods: Iterable[Manifest], events: Events = NO_EVENTS) -> str:
    """Return why a Deployment's pods are not created, do not start or do not stay up; empty if no problem is known."""
    conditions = {condition.get("type"): condition for condition in get_path(deployment, "status", "conditions") or ()}
    failure = conditions.get("ReplicaFailure", {})
    if failure.get("status") == "True":
        return refusal(failure.get("message") or failure.get("reason") or "")
    pods = [pod for pod in pods if not is_being_deleted(pod)]
    # A pod that failed stays, and says nothing about those that replaced it long ago.
    live = [pod for pod in pods if get_path(pod, "status", "phase") != "Failed"]
    if problem := pods_problem(live, events):
        return problem
    failed = [pod for pod in pods if pod not in live]
    if problem := failed_pods_problem(pod for pod in failed if not live or any(_replaces(new, pod) for new in live)):
        return problem
    progressing = conditions.get("Progressing", {})
    if progressing.get("status") == "False":
        text = shortened(progressing.get("message") or progressing.get("reason") or "")
        return f"the pods do not become ready: {text}"
    return ""


def lacks_room(deployment: Manifest | None, pods: Iterable[Manifest]) -> bool:
    """Return whether a quota, a limit or the nodes leave no room for a pod of a Deployment."""
    refused = any(
        condition.get("type") == "ReplicaFailure" and condition.get("status") == "True"
        for condition in get_path(deployment, "status", "conditions") or ()
    )
    return refused or any(is_unplaced(pod) for pod in pods if not is_being_deleted(pod))


def job_problem(
    job: Manifest, pods: Sequence[Manifest], now: datetime | None, events: Events = NO_EVENTS
) -> Problem | None:
    """Return why a Job's pod does not start; None if no problem is known, or not yet.

    A Job has no condition for a pod that may not be created: only its Events name the quota, the LimitRange or the admission
    rule that refuses it.
    """
    if problem := first_problem(pods, events):
        return problem
    if pods:
        return None
    for event in events.get(job["metadata"].get("uid", ""), ()):
        if event.get("reason") == "FailedCreate":
            return Problem(Reason.REFUSED, refusal(event.get("message") or ""))
    if now is not None and seconds_until_pod_is_late(job, now) == 0.0:
        return Problem(
            Reason.REFUSED,
            "no pod was created; a quota, a LimitRange or an admission rule may refuse it: "
            f"see the Events of kubectl describe job {job['metadata']['name']}",
        )
    return None


def seconds_until_pod_is_late(job: Manifest, now: datetime) -> float | None:
    """Return the seconds until a Job without a pod counts as refused, 0 if it does; None if its start is not known."""
    text = get_path(job, "status", "startTime") or get_path(job, "metadata", "creationTimestamp")
    if not text:
        return None
    age = (now - datetime.fromisoformat(text)).total_seconds()
    return max(POD_CREATION_SECONDS - age, 0.0)


def _replaces(new: Manifest, failed: Manifest) -> bool:
    """Return whether `new` was created about when `failed` ended."""
    ended = max(
        (
            text
            for condition in get_path(failed, "status", "conditions") or ()
            if (text := condition.get("lastTransitionTime"))
        ),
        default="",
    )
    created = get_path(new, "metadata", "creationTimestamp")
    if not ended or not created:
        return True
    return abs(datetime.fromisoformat(created) - datetime.fromisoformat(ended)) <= _REPLACEMENT
