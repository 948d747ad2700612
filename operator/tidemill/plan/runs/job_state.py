"""Diagnose a run: its Job and its pod, as one value.

    Absent → Waiting → Running → Succeeded(report)
                            └──→ Failed(failure)

The pod's termination message is the report, and the pod is read before its Job, which knows later.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import ValidationError

from tidemill.api.conditions import Reason
from tidemill.children.jobs import WORKLOAD
from tidemill.contract.reports import Failure, RunReport
from tidemill.plan.diagnosis import (
    NO_EVENTS,
    Events,
    failed_pods_problem,
    has_started,
    job_problem,
    memory_limit,
    memory_remedy,
    pods_problem,
)
from tidemill.plan.lookup import get_path, is_being_deleted
from tidemill.plan.world import Manifest


@dataclass(frozen=True, slots=True)
class JobState:
    """The state of a run."""

    phase: Literal["Absent", "Waiting", "Running", "Succeeded", "Failed"]
    report: RunReport | None = None
    failure: Failure | None = None
    message: str = ""
    """The thing that the run waits for."""
    blocked: bool = False
    """Whether a known problem keeps the pod from starting."""
    reason: Reason = Reason.PROGRESSING
    """The kind of that problem."""
    queued: bool = False
    """Whether a queue holds the run back."""

    @property
    def over(self) -> bool:
        return self.phase in {"Succeeded", "Failed"}


ABSENT = JobState("Absent")
POD_MISSING_SECONDS = 60.0
"""Seconds after a Job has completed within which a missing pod is taken to be seen late rather than removed."""


def diagnose(
    job: Manifest | None,
    pods: Sequence[Manifest],
    now: datetime | None = None,
    problem_before: str = "",
    events: Events = NO_EVENTS,
) -> JobState:
    """Return the state of `job` with its `pods`; without `now`, a missing pod counts as removed.

    `problem_before` is what kept the pod from starting when it was seen last; `events` are those of the Job and the pods.
    """
    if job is None:
        return ABSENT
    for pod in pods:
        for container in get_path(pod, "status", "containerStatuses") or ():
            ended = get_path(container, "state", "terminated")
            if container.get("name") == WORKLOAD and ended:
                return _ended(pod, ended)
    for condition in get_path(job, "status", "conditions") or ():
        if condition.get("status") != "True":
            continue
        is_over = condition.get("type") in {"Failed", "Complete"} and condition.get("reason") != "DeadlineExceeded"
        if is_over and any(_seems_alive(pod) for pod in pods):
            # Jobs and pods are watched apart, and the pod's end is about to be seen: the report is in it.
            return JobState("Running")
        if condition.get("type") == "Failed":
            return _failed_without_pod(condition, pods, problem_before)
        if condition.get("type") == "Complete":
            if not pods and now is not None and now - _completed(job, now) < timedelta(seconds=POD_MISSING_SECONDS):
                return JobState("Running", message="the run has ended; waiting for its report")
            return _failed(
                Reason.REPORT_MISSING,
                "the pod was removed before its report was read; retrying",
                retryable=True,
            )
    if get_path(job, "spec", "suspend"):
        return JobState("Waiting", message="waiting for admission by the queue", queued=True)
    if problem := job_problem(job, pods, now, events):
        unread = not pods and job["metadata"].get("uid") not in events
        # What the Events said before says more than that there is no pod.
        message = problem_before if unread and problem_before else problem.message
        return JobState("Waiting", message=message, blocked=True, reason=problem.reason)
    if any(get_path(pod, "status", "phase") == "Running" for pod in pods):
        return JobState("Running")
    return JobState("Waiting", message="the pod is starting")


def _completed(job: Manifest, now: datetime) -> datetime:
    text = get_path(job, "status", "completionTime")
    return datetime.fromisoformat(text) if text else now - timedelta(seconds=POD_MISSING_SECONDS)


def _seems_alive(pod: Manifest) -> bool:
    """Return whether the pod has neither ended nor is being deleted."""
    return get_path(pod, "status", "phase") not in {"Succeeded", "Failed"} and not is_being_deleted(pod)


def _ended(pod: Manifest, ended: Manifest) -> JobState:
    """Return the state of a run whose container has terminated."""
    report = _read(ended.get("message") or "")
    if ended.get("reason") == "OOMKilled":
        killed = "the run exceeded its memory limit" if memory_limit(pod) else "the run was OOMKilled"
        return _failed(Reason.OUT_OF_MEMORY, f"{killed}; {memory_remedy(pod)}")
    if removed := failed_pods_problem([pod]):
        return _failed(Reason.UNSCHEDULABLE, removed, retryable=True)
    if report is not None and report.failure is not None:
        return JobState("Failed", report=report, failure=report.failure)
    if report is not None and ended.get("exitCode") == 0:
        return JobState("Succeeded", report=report)
    if ended.get("exitCode") == 0:
        return _failed(Reason.REPORT_MISSING, "the run succeeded without a readable report; retrying", retryable=True)
    return _failed(
        Reason.INTERNAL_ERROR,
        f"the run ended with exit code {ended.get('exitCode')} and no report ({ended.get('reason') or 'no reason'}); check the pod's logs",
        retryable=True,
    )


def _failed_without_pod(condition: Manifest, pods: Sequence[Manifest], problem_before: str) -> JobState:
    if condition.get("reason") == "DeadlineExceeded":
        problem = pods_problem(pods) or problem_before
        if problem and not any(has_started(pod) for pod in pods):
            # A pod that never ran did not take too long: its surroundings may be better next time.
            return _failed(
                Reason.UNSCHEDULABLE, f"the pod did not start before the deadline: {problem}", retryable=True
            )
        return _failed(
            Reason.DEADLINE_EXCEEDED, "the run exceeded its deadline; raise spec.activeDeadline, or reduce the work"
        )
    if removed := failed_pods_problem(pods):
        return _failed(Reason.UNSCHEDULABLE, removed, retryable=True)
    message = condition.get("message") or "the Job failed and its pod is gone"
    # What was seen of the pod says more than the Job, which only counts its failures.
    return _failed(Reason.INTERNAL_ERROR, f"{message}: {problem_before}" if problem_before else message, retryable=True)


def _failed(reason: Reason, message: str, *, retryable: bool = False) -> JobState:
    return JobState("Failed", failure=Failure(reason=reason, message=message, retryable=retryable))


def _read(message: str) -> RunReport | None:
    try:
        report = RunReport.model_validate(json.loads(message))
    except (ValueError, ValidationError):
        return None
    return report if report.to_wire() else None
