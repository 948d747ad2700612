"""Plan the users' Jobs that judge candidates: which to start, their verdicts, and which to delete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from tidemill.api import InferenceService, ModelVersion
from tidemill.api.conditions import Reason
from tidemill.api.inferenceservice import AnalysisResult, RolloutStatus
from tidemill.children import judge, names
from tidemill.children.installation import Installation
from tidemill.plan.diagnosis import Events, Problem, failed_pods_problem, has_started, job_problem, memory_limit
from tidemill.plan.inferenceservice.analysis import ExternalVerdict
from tidemill.plan.inferenceservice.observed import ServiceState
from tidemill.plan.inferenceservice.surroundings import SURROUNDINGS
from tidemill.plan.lookup import get_path, is_being_deleted, label
from tidemill.plan.types import Retirement
from tidemill.plan.world import Manifest, key_of

ANALYSED_PHASES = frozenset({"Shadowing", "Progressing", "Paused", "Switched"})
"""The phases in which a candidate is analysed."""
RETRY: Final = timedelta(seconds=60)
"""How long after its failure a Job that could not run is started again."""


def verdicts_of(
    service: InferenceService, state: ServiceState, candidate: ModelVersion, rollout: RolloutStatus, now: datetime
) -> dict[str, ExternalVerdict]:
    """Return the verdicts of the Jobs on a candidate, by metric."""
    jobs = {job["metadata"]["name"]: job for job in state.judges}
    before = {result.name: result for result in rollout.analysis}
    return {
        metric.name: _verdict(jobs.get(judge.name(service, candidate, metric)), before.get(metric.name), state, now)
        for metric in service.spec.rollout.analysis.metrics
        if metric.job is not None
    }


def to_start(
    service: InferenceService, state: ServiceState, rollout: RolloutStatus | None, installation: Installation
) -> Iterator[Manifest]:
    """Yield the Jobs to start; existing ones stay, since a Job cannot be changed."""
    candidate = state.version(rollout.version) if rollout and rollout.phase in ANALYSED_PHASES else None
    if candidate is None:
        return
    existing = {job["metadata"]["name"] for job in state.judges}
    for metric in service.spec.rollout.analysis.metrics:
        if metric.job is not None and judge.name(service, candidate, metric) not in existing:
            yield judge.job(service, candidate, state.stable_version, metric, installation)


def retired(
    service: InferenceService, state: ServiceState, rollout: RolloutStatus | None, now: datetime
) -> Iterator[Retirement]:
    """Yield the Jobs of former candidates, of metrics that were removed from the spec, and those to start again."""
    candidate = state.version(rollout.version) if rollout else None
    results = {result.name: result for result in rollout.analysis} if rollout else {}
    kept = (
        {
            judge.name(service, candidate, metric): results.get(metric.name)
            for metric in service.spec.rollout.analysis.metrics
            if metric.job
        }
        if candidate
        else {}
    )
    for job in state.judges:
        name, failed = job["metadata"]["name"], _condition(job, "Failed")
        if is_being_deleted(job):
            continue
        if name not in kept:
            yield Retirement(key_of(job), job["metadata"]["uid"], "its candidate is no longer analysed")
        elif failed is not None and (result := kept[name]) and result.reason and _has_paused(failed, now):
            yield Retirement(key_of(job), job["metadata"]["uid"], "it could not run and is started again")


def _verdict(
    job: Manifest | None, before: AnalysisResult | None, state: ServiceState, now: datetime
) -> ExternalVerdict:
    """Return the verdict of a Job; one that could not run has none, and keeps the reason until it runs."""
    if job is None or is_being_deleted(job):
        if before is not None and before.reason:
            return _blocked(before.message, Reason(before.reason))
        return ExternalVerdict(message="the Job is starting")
    name = job["metadata"]["name"]
    pods = [pod for pod in state.pods if label(pod, names.COMPONENT) == judge.COMPONENT and _is_of(pod, job)]
    if _condition(job, "Complete") is not None:
        return ExternalVerdict(verdict="Successful", message=f"Job {name} succeeded")
    if (failed := _condition(job, "Failed")) is not None:
        if problem := _obstacle(job, pods, state.events):
            message = f"Job {name} could not run and is started again: {problem.message}"
            return _blocked(message, _surrounding(problem))
        if before is not None and before.reason and not any(has_started(pod) for pod in pods):
            # The deadline of a Job deletes its pods: what was seen of them before is all that is known.
            return _blocked(before.message, Reason(before.reason))
        why = ": ".join(filter(None, (failed.get("reason"), failed.get("message") or "see its logs")))
        return ExternalVerdict(verdict="Failed", message=f"Job {name} failed: {why}"[:1000])
    if not any(has_started(pod) for pod in pods) and (problem := job_problem(job, pods, now, state.events)):
        message = f"Job {name} does not start: {problem.message}"
        return _blocked(message, _surrounding(problem))
    return ExternalVerdict(message=f"Job {name} is running")


def _obstacle(job: Manifest, pods: Sequence[Manifest], events: Events) -> Problem | None:
    """Return what kept the pod of a failed Job from running to its end; None if it ended by itself, or nothing is known."""
    if removed := failed_pods_problem(pods):
        return Problem(Reason.UNSCHEDULABLE, removed)
    for pod in pods:
        for container in get_path(pod, "status", "containerStatuses") or ():
            if get_path(container, "state", "terminated", "reason") == "OOMKilled":
                limit = memory_limit(pod)
                remedy = f"raise its memory limit ({limit})" if limit else "free memory of the node"
                return Problem(Reason.OUT_OF_MEMORY, f"the container was OOMKilled; {remedy}, or let it use less")
    if any(has_started(pod) for pod in pods):
        return None
    return job_problem(job, pods, None, events)


def _blocked(message: str, reason: Reason) -> ExternalVerdict:
    """Return that nothing is known of the candidate, and why."""
    return ExternalVerdict(message=message[:1000], problem=Problem(reason, message[:1000]))


def _surrounding(problem: Problem) -> Reason:
    """Return the reason of a Job that does not run, which never is the candidate."""
    return problem.reason if problem.reason in SURROUNDINGS else Reason.PROGRESSING


def _condition(job: Manifest, type_: str) -> Manifest | None:
    conditions: Sequence[Manifest] = get_path(job, "status", "conditions") or ()
    return next((entry for entry in conditions if entry.get("type") == type_ and entry.get("status") == "True"), None)


def _has_paused(failed: Manifest, now: datetime) -> bool:
    """Return whether a Job that could not run failed long enough ago to be started again."""
    text = failed.get("lastTransitionTime")
    return not text or now - datetime.fromisoformat(text) >= RETRY


def _is_of(pod: Manifest, job: Manifest) -> bool:
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == job["metadata"]["uid"] for owner in owners)
