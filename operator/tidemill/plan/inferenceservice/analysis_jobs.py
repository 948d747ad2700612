"""Plan the users' Jobs that judge candidates: which to start, what they say, and which to delete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tidemill.api import InferenceService, ModelVersion
from tidemill.api.inferenceservice import AnalysisJob, RolloutStatus
from tidemill.children import judge, names
from tidemill.children.installation import Installation
from tidemill.plan.inferenceservice import job_attempts
from tidemill.plan.inferenceservice.analysis import ExternalVerdict
from tidemill.plan.inferenceservice.observed import ServiceState, ready_candidates
from tidemill.plan.inferenceservice.surroundings import SURROUNDINGS
from tidemill.plan.lookup import is_being_deleted, is_ours, label
from tidemill.plan.types import Notice, Retirement
from tidemill.plan.world import Manifest, key_of

ANALYSED_PHASES = frozenset({"Shadowing", "Progressing", "Paused", "Switched"})
"""The phases in which a candidate is analysed."""


@dataclass(frozen=True, slots=True)
class ObservedJobs:
    """What the Jobs say of a candidate."""

    jobs: tuple[AnalysisJob, ...] = ()
    verdicts: dict[str, ExternalVerdict] = field(default_factory=dict)
    """The verdicts, by metric."""
    notices: tuple[Notice, ...] = ()
    wake: float | None = None


def observe(
    service: InferenceService, state: ServiceState, rollout: RolloutStatus, candidate: ModelVersion, now: datetime
) -> ObservedJobs:
    """Return what the Jobs say of the candidate, and what keeps them from running."""
    if rollout.phase not in ANALYSED_PHASES:
        return ObservedJobs(rollout.jobs)
    manifests = {job["metadata"]["name"]: job for job in state.judges}
    pods = [pod for pod in state.pods if label(pod, names.COMPONENT) == judge.COMPONENT]
    candidate_waits = without_waiting(rollout).reason in SURROUNDINGS
    jobs: list[AnalysisJob] = []
    verdicts: dict[str, ExternalVerdict] = {}
    wakes: list[float] = []
    for metric in service.spec.rollout.analysis.metrics:
        if metric.job is None:
            continue
        before = _recorded(rollout, metric.name)
        if before is None or before.name != judge.name(service, candidate, metric, before.attempt):
            # Another entry in the spec is another Job.
            before = AnalysisJob(metric=metric.name, name=judge.name(service, candidate, metric))
        job = manifests.get(before.name)
        its_pods = [pod for pod in pods if job is not None and is_ours(pod, job["metadata"]["uid"])]
        seen = job_attempts.observe(before, job, its_pods, now, state.events)
        kept = seen.job
        if candidate_waits and job is not None and seen.verdict.verdict != "Successful" and not seen.is_over:
            # What fails on a candidate that has lost its pods says nothing of the version.
            kept = job_attempts.again(kept, None, now, at_once=True)
            seen = job_attempts.Observed(kept, ExternalVerdict(message="no pod of the candidate is ready"))
        jobs.append(kept.model_copy(update={"name": judge.name(service, candidate, metric, kept.attempt)}))
        verdicts[metric.name] = seen.verdict
        wakes += [seen.wake] if seen.wake is not None else []
    notices = tuple(
        Notice("AnalysisWaits", f"{candidate.name}: {waiting([job])}"[:1000], "Warning")
        for job in jobs
        if job.reason and _essence(job) != _essence(_recorded(rollout, job.metric))
    )
    return ObservedJobs(tuple(jobs), verdicts, notices, min(wakes, default=None))


def waiting(jobs: Sequence[AnalysisJob]) -> str:
    """Return what keeps Jobs from running, in words; empty if nothing does."""
    waits = [f"metric '{job.metric}' waits for its Job: {job_attempts.waiting(job)}" for job in jobs if job.reason]
    return "; ".join(waits)[:1000]


def with_waiting(rollout: RolloutStatus) -> RolloutStatus:
    """Return the rollout with a word about Jobs that do not run; what keeps the candidate itself from running comes first."""
    waits = waiting(rollout.jobs)
    if not waits or rollout.reason:
        return rollout
    reason = next(job.reason for job in rollout.jobs if job.reason)
    message = f"{rollout.message}; {waits}" if rollout.message else waits
    return rollout.model_copy(update={"reason": reason, "message": message})


def without_waiting(rollout: RolloutStatus) -> RolloutStatus:
    """Return the rollout without the word that `with_waiting` added."""
    waits = waiting(rollout.jobs)
    if not waits or not rollout.message.endswith(waits):
        return rollout
    return rollout.model_copy(update={"reason": "", "message": rollout.message.removesuffix(waits).removesuffix("; ")})


def to_start(
    service: InferenceService,
    state: ServiceState,
    rollout: RolloutStatus | None,
    installation: Installation,
    now: datetime,
) -> Iterator[Manifest]:
    """Yield the Jobs to start; existing ones stay, since a Job cannot be changed."""
    candidate = state.version(rollout.version) if rollout and rollout.phase in ANALYSED_PHASES else None
    if rollout is None or candidate is None or not ready_candidates(state, candidate.name):
        return
    existing = {job["metadata"]["name"] for job in state.judges}
    for metric in service.spec.rollout.analysis.metrics:
        if metric.job is None:
            continue
        recorded = _recorded(rollout, metric.name)
        attempt = recorded.attempt if recorded else 0
        is_due = recorded is None or recorded.retry_at is None or recorded.retry_at <= now
        if is_due and judge.name(service, candidate, metric, attempt) not in existing:
            yield judge.job(service, candidate, state.stable_version, metric, installation, attempt)


def retired(service: InferenceService, state: ServiceState, rollout: RolloutStatus | None) -> Iterator[Retirement]:
    """Yield the Jobs of former candidates, of metrics that were removed from the spec, and those that gave no verdict."""
    candidate = state.version(rollout.version) if rollout else None
    kept = (
        {
            judge.name(service, candidate, metric, recorded.attempt if recorded else 0)
            for metric in service.spec.rollout.analysis.metrics
            if metric.job
            for recorded in [_recorded(rollout, metric.name)]
        }
        if rollout and candidate
        else set()
    )
    for job in state.judges:
        if job["metadata"]["name"] not in kept and not is_being_deleted(job):
            yield Retirement(key_of(job), job["metadata"]["uid"], "its verdict is no longer needed, or it gave none")


def _recorded(rollout: RolloutStatus, metric: str) -> AnalysisJob | None:
    return next((job for job in rollout.jobs if job.metric == metric), None)


def _essence(job: AnalysisJob | None) -> tuple[object, ...]:
    """Return what is worth an Event; that the next Job exists now is not."""
    return (job.attempt, job.reason, job.message) if job else ()
