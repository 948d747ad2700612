"""Carrying out an order: one Job for each attempt, a pause before the next one, an end where trying again cannot help.

An attempt is known by its number and by the digest of its order. Both are in the Job's name, so that deciding twice does
once, and both are in the status, so that the outcome outlives the Job.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tidemill.api import AnyResource
from tidemill.api.conditions import Reason
from tidemill.api.dataset import Attempt
from tidemill.children import names
from tidemill.contract.reports import Failure, RunReport
from tidemill.plan.lookup import annotation, get_path, is_being_deleted, is_ours
from tidemill.plan.runs.job_state import POD_MISSING_SECONDS, JobState, diagnose
from tidemill.plan.types import Retirement
from tidemill.plan.world import Manifest, World, key_of

MIN_BACKOFF_SECONDS = 5.0
MAX_BACKOFF_SECONDS = 300.0

# Their cause lies outside the order, so they are tried again for as long as it takes.
PATIENT = frozenset({Reason.STORE_CREDENTIALS_MISSING, Reason.STORE_UNREACHABLE, Reason.SOURCE_UNREACHABLE})


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an order stands after a look at the world."""

    attempt: Attempt
    run: JobState
    order_job: bool = False
    """Whether the attempt's Job is to be made."""
    wake: float | None = None
    just_ended: bool = False
    """Whether this look is the first to see the attempt's end."""

    @property
    def report(self) -> RunReport | None:
        return self.run.report

    @property
    def failure(self) -> Failure | None:
        return self.run.failure


def outdated(job: Manifest, progress: Progress, world: World) -> tuple[Retirement, ...]:
    """The Job at hand, to be replaced by `job`, where it still waits to start on terms that are no longer those of the spec.

    Without this, one that no node has room for would wait for ever, however the spec is mended.
    """
    key = key_of(job)
    found = world.get(*key)
    if found is None or progress.run.phase != "Waiting" or is_being_deleted(found):
        return ()
    given = annotation(found, names.TERMS)
    if not given or given == annotation(job, names.TERMS):
        return ()
    return (Retirement(key, found["metadata"]["uid"], "it has not started, and the spec now asks for other resources"),)


def pause(number: int) -> float:
    """Seconds to wait after the n-th failure.

    >>> [pause(number) for number in (1, 2, 3, 10)]
    [5.0, 10.0, 20.0, 300.0]
    """
    # Anybody who may write the status may have written a number whose power no float can hold.
    return min(MIN_BACKOFF_SECONDS * 2.0 ** min(number - 1, 30), MAX_BACKOFF_SECONDS)


def advance(
    owner: AnyResource,
    digest: str,
    recorded: Attempt | None,
    world: World,
    now: datetime,
    *,
    at: datetime | None = None,
    limit: int | None = None,
    terms: str = "",
) -> Progress:
    """Where the order with this digest stands: `limit` is how often it is tried, for ever where None.

    On other `terms` than those it failed on, what could not be repeated is tried once more.
    """
    if recorded is None or recorded.order != digest:
        recorded = Attempt(order=digest, number=1, outcome="Running", at=at, terms=terms)
    if recorded.outcome == "Succeeded":
        return Progress(recorded, JobState("Succeeded"))
    if recorded.outcome == "Failed":
        # Anybody who may write the status may have written another word.
        reason = Reason(recorded.reason) if recorded.reason in set(Reason) else Reason.INTERNAL_ERROR
        failure = Failure(reason=reason, message=recorded.message, retryable=recorded.retryable)
        due = (recorded.finished_at or now) + timedelta(seconds=pause(recorded.number))
        on_other_terms = bool(terms) and recorded.terms not in ("", terms)
        if not on_other_terms and not may_repeat(failure, recorded.number, limit):
            return Progress(recorded, JobState("Failed", failure=failure))
        if not on_other_terms and now < due:
            return Progress(recorded, JobState("Failed", failure=failure), wake=(due - now).total_seconds())
        recorded = Attempt(order=digest, number=recorded.number + 1, outcome="Running", at=recorded.at, terms=terms)
    job = world.get("Job", owner.namespace, names.run(owner.name, digest, recorded.number))
    if job is not None and not is_ours(job, owner.metadata.uid):
        job = None
    pods = world.owned("Pod", job["metadata"]["uid"]) if job else []
    run = diagnose(job, pods, now)
    given = annotation(job, names.TERMS) if job else terms
    if recorded.terms != given:
        # A run ends on the terms on which it began, whatever the spec has said since.
        recorded = recorded.model_copy(update={"terms": given})
    if run.phase == "Absent":
        return Progress(recorded, run, order_job=True)
    if not run.over:
        # A pod that is looked for is given up by the clock, not by an event.
        completed = get_path(job or {}, "status", "completionTime")
        return Progress(recorded, run, wake=POD_MISSING_SECONDS if completed and not pods else None)
    return ended(recorded, run, now, limit=limit)


def ended(recorded: Attempt, run: JobState, now: datetime, *, limit: int | None = None) -> Progress:
    """The attempt, whose end is seen now for the first time: how `run` ended."""
    if run.failure is None:
        over = recorded.model_copy(update={"outcome": "Succeeded", "finished_at": now.replace(microsecond=0)})
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
    wake = pause(over.number) if may_repeat(run.failure, over.number, limit) else None
    return Progress(over, run, wake=wake, just_ended=True)


def may_repeat(failure: Failure, number: int, limit: int | None) -> bool:
    """Whether there is a next attempt after the n-th failed like this."""
    if not failure.retryable:
        return False
    return failure.reason in PATIENT or limit is None or number < limit
