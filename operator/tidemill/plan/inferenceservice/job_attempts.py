"""Observe the Job of one metric: it judges the candidate by its exit code, or says nothing of it and is started again.

    waiting for the next try ──▶ starting ──▶ running ──▶ passed | failed
              ▲                     │            │
              └─────────────────────┴────────────┘  its pod found no room, was removed, …

A Job that never ran judges nothing. Its pod and its Events are gone when its deadline is over, so what was seen of them is
kept in the status of the rollout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tidemill.api.base import to_rfc3339
from tidemill.api.conditions import Reason
from tidemill.api.inferenceservice import AnalysisJob
from tidemill.children.judge import COMPONENT
from tidemill.plan.diagnosis import Events, Problem, first_problem, job_problem
from tidemill.plan.inferenceservice.analysis import ExternalVerdict
from tidemill.plan.inferenceservice.surroundings import SURROUNDINGS
from tidemill.plan.lookup import get_path, is_being_deleted
from tidemill.plan.world import Manifest

MIN_PAUSE: Final = timedelta(seconds=30)
MAX_PAUSE: Final = timedelta(minutes=10)
POD_SEEN_SECONDS: Final = 60.0
"""Seconds after the end of a Job within which the end of its pod is seen, which is watched apart."""
FAIR_SHARE: Final = 0.5
"""Share of a Job's time that its container must have run before its deadline is a verdict."""
_NOT_RUN: Final = frozenset({"StartError", "ContainerCannotRun", "ContainerStatusUnknown"})
_REMEDIES: Final = (
    # A Job that judges has no resources in the spec of the service.
    ("lower spec.resources.requests, ", ""),
    ("lower spec.resources, ", ""),
    ("change spec.resources, or the LimitRange", "change the LimitRange"),
    ("set it in spec.resources, or create a LimitRange with defaults", "create a LimitRange with defaults"),
    (", or raise spec.resources.requests", ""),
)


@dataclass(frozen=True, slots=True)
class Observed:
    """What is known of the Job of one metric."""

    job: AnalysisJob
    verdict: ExternalVerdict
    wake: float | None = None
    """Seconds until it is to be looked at again; None if the next change of the Job tells."""
    is_over: bool = False
    """Whether the Job ended without a verdict; the next one is another Job."""


def observe(
    before: AnalysisJob, job: Manifest | None, pods: Sequence[Manifest], now: datetime, events: Events
) -> Observed:
    """Return what the Job says of the candidate, and what is to be kept of it."""
    if job is None:
        # Another Job of the same name begins from nothing.
        kept = before.model_copy(update={"started_at": None, "exit_code": None})
        wait = (before.retry_at - now).total_seconds() if before.retry_at else 0.0
        if wait > 0:
            return Observed(kept, _waiting(kept), wake=wait)
        return Observed(kept, _waiting(kept))
    if is_being_deleted(job):
        return Observed(before, ExternalVerdict(message=f"Job {before.name} is being deleted"))
    kept = _with_evidence(before, pods)
    for condition in get_path(job, "status", "conditions") or ():
        if condition.get("status") == "True" and condition.get("type") == "Complete":
            return _judged(kept, passed=True, message="succeeded")
        if condition.get("status") == "True" and condition.get("type") == "Failed":
            return _failed(kept, job, condition, pods, now, events)
    problem = _problem(kept, job, pods, now, events)
    if problem is None and kept.started_at is None and kept.reason:
        # The next try has not started either, and nothing new is known.
        kept = kept.model_copy(update={"retry_at": None})
        return Observed(kept, _waiting(kept))
    kept = _with_problem(kept, problem)
    return Observed(kept, _waiting(kept) if problem else ExternalVerdict(message=f"Job {kept.name} is running"))


def again(kept: AnalysisJob, problem: Problem | None, now: datetime, *, at_once: bool = False) -> AnalysisJob:
    """Return what is kept of a Job that gave no verdict: another one is started after a pause, longer at each time."""
    pause = timedelta(0) if at_once else min(MIN_PAUSE * 2 ** min(kept.attempt, 10), MAX_PAUSE)
    return AnalysisJob(
        metric=kept.metric,
        name=kept.name,
        attempt=kept.attempt + 1,
        reason=str(problem.reason) if problem else "",
        message=problem.message[:1000] if problem else "",
        retry_at=now.replace(microsecond=0) + pause,
    )


def waiting(kept: AnalysisJob) -> str:
    """Return what the Job waits for, in words; empty if nothing keeps it from running."""
    if not kept.reason:
        return ""
    return kept.message + (f"; it is started again at {to_rfc3339(kept.retry_at)}" if kept.retry_at else "")


def _waiting(kept: AnalysisJob) -> ExternalVerdict:
    problem = _before(kept)
    if problem is None:
        return ExternalVerdict(message="the Job is starting")
    problem = problem._replace(message=f"its Job does not run: {problem.message}")
    return ExternalVerdict(message=f"the Job does not run ({problem.reason})", problem=problem)


def _before(kept: AnalysisJob) -> Problem | None:
    """Return what was in the Job's way when it was seen last; None if nothing was."""
    reason = next((reason for reason in SURROUNDINGS if reason == kept.reason), Reason.PROGRESSING)
    return Problem(reason, kept.message) if kept.reason else None


def _with_problem(kept: AnalysisJob, problem: Problem | None) -> AnalysisJob:
    """Return what is kept of a Job that exists, with what is in its way."""
    reason, message = (str(problem.reason), problem.message[:1000]) if problem else ("", "")
    return kept.model_copy(update={"reason": reason, "message": message, "retry_at": None})


def _judged(kept: AnalysisJob, *, passed: bool, message: str) -> Observed:
    verdict = ExternalVerdict(verdict="Successful" if passed else "Failed", message=f"Job {kept.name} {message}"[:1000])
    return Observed(_with_problem(kept, None), verdict)


def _failed(
    kept: AnalysisJob, job: Manifest, condition: Manifest, pods: Sequence[Manifest], now: datetime, events: Events
) -> Observed:
    """Return whether a failed Job is a verdict; it is if its container ran and chose its exit code, or took too long."""
    if kept.exit_code is not None:
        passed = kept.exit_code == 0
        return _judged(
            kept, passed=passed, message="succeeded" if passed else f"failed: exit code {kept.exit_code}; see its logs"
        )
    at = _time(condition.get("lastTransitionTime")) or now
    problem = _never_ran(pods) or _problem(kept, job, pods, now, events)
    if condition.get("reason") == "DeadlineExceeded":
        allowed = get_path(job, "spec", "activeDeadlineSeconds") or 0
        ran = (at - kept.started_at).total_seconds() if kept.started_at else 0.0
        if kept.started_at and ran >= allowed * FAIR_SHARE:
            return _judged(
                kept,
                passed=False,
                message=f"failed: it did not end within {allowed} s; raise job.timeout, or speed it up",
            )
        late = (
            f"its pod started late, and ran for {ran:.0f} s of {allowed} s; raise job.timeout, or make its pod start sooner"
            if kept.started_at
            else f"its pod did not start within {allowed} s; see the Events of the namespace"
        )
        return _without_verdict(kept, problem, Problem(Reason.PROGRESSING, late), now)
    left = POD_SEEN_SECONDS - (now - at).total_seconds()
    if problem is None and left > 0 and condition.get("lastTransitionTime") and all(map(_is_alive, pods)):
        return Observed(kept, ExternalVerdict(message=f"Job {kept.name} has ended; waiting for its exit code"), left)
    gone = "its pod was removed before its exit code was read; keep its node, or free some room on it"
    return _without_verdict(kept, problem, Problem(Reason.UNSCHEDULABLE, gone), now)


def _without_verdict(kept: AnalysisJob, problem: Problem | None, otherwise: Problem, now: datetime) -> Observed:
    """Return a Job that says nothing of the candidate: what was seen of its pod last says more than that it is gone."""
    following = again(kept, problem or _before(kept) or otherwise, now)
    assert following.retry_at is not None, "another try has a time"
    wake = (following.retry_at - now).total_seconds()
    return Observed(following, _waiting(following), max(wake, 0.0), is_over=True)


def _problem(
    kept: AnalysisJob, job: Manifest, pods: Sequence[Manifest], now: datetime, events: Events
) -> Problem | None:
    """Return what in the surroundings keeps the Job's pod from running."""
    ended = any(condition.get("type") == "Failed" for condition in get_path(job, "status", "conditions") or ())
    if get_path(job, "spec", "suspend") and not ended:
        return Problem(
            Reason.DEPENDENCY_NOT_READY,
            "the Job is suspended; let its queue admit it, or set its spec.suspend to false",
        )
    if not pods and kept.started_at is not None:
        # Its pod is gone, and the end of the Job is about to be seen.
        return None
    problem = first_problem(pods, events) if ended else job_problem(job, pods, now, events)
    if problem is None or problem.reason not in SURROUNDINGS:
        return None
    if not pods and kept.reason and job["metadata"].get("uid") not in events:
        # What the Events said before says more than that there is no pod.
        return _before(kept)
    return _retold(problem, kept.metric)


def _retold(problem: Problem, metric: str) -> Problem:
    """Return a problem with the remedy for a user's Job."""
    what, _, _ = problem.message.rpartition("; ")
    match problem.reason:
        case Reason.IMAGE_UNAVAILABLE:
            return Problem(problem.reason, f"{what}; correct job.image of metric '{metric}', or repair the registry")
        case Reason.OUT_OF_MEMORY:
            remedy = "let it use less memory, raise the default limit of the LimitRange, or free memory of its node"
            return Problem(problem.reason, f"{what}; {remedy}")
    message = problem.message
    for ours, theirs in _REMEDIES:
        message = message.replace(ours, theirs)
    return Problem(problem.reason, message)


def _with_evidence(kept: AnalysisJob, pods: Sequence[Manifest]) -> AnalysisJob:
    """Return what is kept of a Job, with the start and the exit code of its container if they can be seen now."""
    started_at, exit_code = kept.started_at, kept.exit_code
    for pod in pods:
        for container in get_path(pod, "status", "containerStatuses") or ():
            if container.get("name") != COMPONENT:
                continue
            ended = get_path(container, "state", "terminated") or {}
            text = ended.get("startedAt") or get_path(container, "state", "running", "startedAt")
            if ended.get("reason") in _NOT_RUN:
                continue
            started_at = started_at or _time(text)
            chosen = ended and ended.get("reason") != "OOMKilled" and not is_being_deleted(pod)
            if chosen and not _is_removed(pod):
                exit_code = ended.get("exitCode")
    if (started_at, exit_code) == (kept.started_at, kept.exit_code):
        return kept
    return kept.model_copy(update={"started_at": started_at, "exit_code": exit_code})


def _is_removed(pod: Manifest) -> bool:
    """Return whether the node or the scheduler ended the pod."""
    disrupted = any(
        condition.get("type") == "DisruptionTarget" and condition.get("status") == "True"
        for condition in get_path(pod, "status", "conditions") or ()
    )
    return disrupted or bool(get_path(pod, "status", "reason"))


def _never_ran(pods: Sequence[Manifest]) -> Problem | None:
    """Return why a container could not be started at all."""
    for pod in pods:
        for container in get_path(pod, "status", "containerStatuses") or ():
            ended = get_path(container, "state", "terminated") or {}
            if container.get("name") == COMPONENT and ended.get("reason") in _NOT_RUN:
                because = (ended.get("message") or ended["reason"]).strip()[:300]
                return Problem(
                    Reason.DEPENDENCY_NOT_READY,
                    f"the container cannot start: {because}; correct job.command and job.image",
                )
    return None


def _is_alive(pod: Manifest) -> bool:
    """Return whether the pod has neither ended nor is being deleted."""
    return get_path(pod, "status", "phase") not in {"Succeeded", "Failed"} and not is_being_deleted(pod)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
