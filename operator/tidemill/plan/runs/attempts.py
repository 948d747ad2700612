"""Carry out an order: one Job for each attempt, a pause before the next one, an end where a retry cannot help.

An attempt is identified by its number and by the digest of its order. Both are in the Job's name, so that deciding twice
creates one Job, and both are in the status, so that the outcome outlives the Job. A Job that an earlier release created
under another name is found and carried on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tidemill.api import AnyResource
from tidemill.api.conditions import Reason
from tidemill.api.dataset import Attempt
from tidemill.children import names
from tidemill.contract.reports import Failure, RunReport
from tidemill.plan.diagnosis import seconds_until_pod_is_late
from tidemill.plan.lookup import annotation, get_path, is_being_deleted, is_ours
from tidemill.plan.runs.job_state import POD_MISSING_SECONDS, JobState, diagnose
from tidemill.plan.types import Notice, Retirement
from tidemill.plan.world import Manifest, World, key_of

MIN_BACKOFF_SECONDS = 5.0
MAX_BACKOFF_SECONDS = 300.0

# Their cause lies outside the order, so they are tried again for as long as it takes.
PATIENT = frozenset(
    {
        Reason.STORE_CREDENTIALS_MISSING,
        Reason.STORE_UNREACHABLE,
        Reason.SOURCE_UNREACHABLE,
        Reason.UNSCHEDULABLE,
    }
)


@dataclass(frozen=True, slots=True)
class Progress:
    """The state of an order after one visit."""

    attempt: Attempt
    run: JobState
    order_job: bool = False
    """Whether the attempt's Job must be created."""
    wake: float | None = None
    just_ended: bool = False
    """Whether this visit is the first to see the attempt's end."""
    job: Manifest | None = None
    """The attempt's Job, where it exists."""
    just_blocked: bool = False
    """Whether this visit is the first to see what keeps the attempt's pod from starting."""

    @property
    def report(self) -> RunReport | None:
        return self.run.report

    @property
    def failure(self) -> Failure | None:
        return self.run.failure


def notices_of(progress: Progress) -> tuple[Notice, ...]:
    """Return the Event about a run that just failed, or whose pod just turned out not to start."""
    if progress.just_ended and progress.failure:
        return (Notice(str(progress.failure.reason), progress.failure.message, "Warning"),)
    if progress.just_blocked:
        return (Notice(str(progress.run.reason), progress.run.message, "Warning"),)
    return ()


def outdated(job: Manifest, progress: Progress) -> tuple[Retirement, ...]:
    """Return the existing Job, to be replaced by `job`, if it has not started and the spec has other terms by now.

    Without this, a Job that no node has room for would wait forever, even after the spec is corrected.
    """
    existing = progress.job
    if existing is None or progress.run.phase != "Waiting" or is_being_deleted(existing):
        return ()
    terms = annotation(existing, names.TERMS)
    if not terms or terms == annotation(job, names.TERMS):
        return ()
    reason = "the Job has not started, and the spec now asks for other resources"
    return (Retirement(key_of(existing), existing["metadata"]["uid"], reason),)


def pause(number: int, longest: float = MAX_BACKOFF_SECONDS) -> float:
    """Return the seconds to wait after the n-th failure.

    >>> [pause(number) for number in (1, 2, 3, 10)]
    [5.0, 10.0, 20.0, 300.0]
    >>> pause(10, longest=60.0), pause(10, longest=1.0), pause(10, longest=86_400.0)
    (60.0, 5.0, 300.0)
    """
    # A user with write access to the status may have set a number whose power no float can hold.
    wait = min(MIN_BACKOFF_SECONDS * 2.0 ** min(number - 1, 30), MAX_BACKOFF_SECONDS)
    return min(wait, max(longest, MIN_BACKOFF_SECONDS))


def advance(
    owner: AnyResource,
    task: str,
    digest: str,
    recorded: Attempt | None,
    world: World,
    now: datetime,
    *,
    at: datetime | None = None,
    limit: int | None = None,
    terms: str = "",
    longest_pause: float = MAX_BACKOFF_SECONDS,
) -> Progress:
    """Return the state of the order with this digest; it is tried `limit` times, without end where that is None.

    A run that failed for good is retried once if it now has other `terms`.
    """
    if recorded is None or recorded.order != digest:
        recorded = Attempt(order=digest, number=1, outcome="Running", at=at, terms=terms)
    if recorded.outcome == "Succeeded":
        return Progress(recorded, JobState("Succeeded"))
    if recorded.outcome == "Failed":
        # A user with write access to the status may have set another reason.
        reason = Reason(recorded.reason) if recorded.reason in set(Reason) else Reason.INTERNAL_ERROR
        failure = Failure(reason=reason, message=recorded.message, retryable=recorded.retryable)
        due = (recorded.finished_at or now) + timedelta(seconds=pause(recorded.number, longest_pause))
        on_other_terms = bool(terms) and recorded.terms not in ("", terms)
        if not on_other_terms and not may_repeat(failure, recorded.number, limit):
            return Progress(recorded, JobState("Failed", failure=failure))
        if not on_other_terms and now < due:
            return Progress(recorded, JobState("Failed", failure=failure), wake=(due - now).total_seconds())
        recorded = Attempt(order=digest, number=recorded.number + 1, outcome="Running", at=recorded.at, terms=terms)
    job = _job(owner, task, digest, recorded.number, world)
    pods = world.owned("Pod", job["metadata"]["uid"]) if job else []
    run = diagnose(job, pods, now, recorded.message, world.events)
    job_terms = annotation(job, names.TERMS) if job else terms
    if recorded.terms != job_terms:
        # A run ends on the terms on which it began, whatever the spec has said since.
        recorded = recorded.model_copy(update={"terms": job_terms})
    if run.phase == "Absent":
        return Progress(recorded, run, order_job=True)
    if not run.over:
        # Kept until the pod runs: the pod is gone when the deadline of its Job ends it.
        problem = run.message[:4096] if run.blocked else ""
        just_blocked = run.blocked and recorded.message != problem
        if recorded.message != problem and (run.blocked or run.phase == "Running"):
            recorded = recorded.model_copy(update={"message": problem})
        wake = _until_pod_is_given_up(job, pods, now) if job else None
        return Progress(recorded, run, wake=wake, job=job, just_blocked=just_blocked)
    return ended(recorded, run, now, limit=limit, longest_pause=longest_pause)


def _job(owner: AnyResource, task: str, digest: str, number: int, world: World) -> Manifest | None:
    """Return the Job of an attempt, by its name or by the name that an earlier release gave it."""
    for name in (names.run(owner.name, task, digest, number), names.run_before_tasks(owner.name, digest, number)):
        job = world.get("Job", owner.namespace, name)
        if job is not None and is_ours(job, owner.metadata.uid):
            return job
    return None


def _until_pod_is_given_up(job: Manifest, pods: Sequence[Manifest], now: datetime) -> float | None:
    """Return when to look again for a pod that is not seen: no event tells that there is none."""
    if pods or get_path(job, "spec", "suspend"):
        return None
    if get_path(job, "status", "completionTime"):
        return POD_MISSING_SECONDS
    return seconds_until_pod_is_late(job, now) or None


def ended(
    recorded: Attempt,
    run: JobState,
    now: datetime,
    *,
    limit: int | None = None,
    longest_pause: float = MAX_BACKOFF_SECONDS,
) -> Progress:
    """Return the attempt with the outcome of `run`, whose end is seen for the first time."""
    if run.failure is None:
        over = recorded.model_copy(
            update={"outcome": "Succeeded", "message": "", "finished_at": now.replace(microsecond=0)}
        )
        return Progress(over, run, just_ended=True)
    over = recorded.model_copy(
        update={
            "outcome": "Failed",
            "reason": str(run.failure.reason),
            "message": run.failure.message[:4096],
            "retryable": run.failure.retryable,
            "finished_at": now.replace(microsecond=0),
        }
    )
    wake = pause(over.number, longest_pause) if may_repeat(run.failure, over.number, limit) else None
    return Progress(over, run, wake=wake, just_ended=True)


def may_repeat(failure: Failure, number: int, limit: int | None) -> bool:
    """Return whether another attempt follows after the n-th one failed like this."""
    if not failure.retryable:
        return False
    return failure.reason in PATIENT or limit is None or number < limit
