"""Plan the users' Jobs that judge candidates: which to start, their verdicts, and which to delete."""

from __future__ import annotations

from collections.abc import Iterator

from tidemill.api import InferenceService, ModelVersion
from tidemill.api.inferenceservice import RolloutStatus
from tidemill.children import judge, names
from tidemill.children.installation import Installation
from tidemill.plan.diagnosis import job_problem
from tidemill.plan.inferenceservice.analysis import ExternalVerdict
from tidemill.plan.inferenceservice.observed import ServiceState
from tidemill.plan.lookup import get_path, is_being_deleted, label
from tidemill.plan.types import Retirement
from tidemill.plan.world import Manifest, key_of

ANALYSED_PHASES = frozenset({"Shadowing", "Progressing", "Paused", "Switched"})
"""The phases in which a candidate is analysed."""


def verdicts_of(service: InferenceService, state: ServiceState, candidate: ModelVersion) -> dict[str, ExternalVerdict]:
    """Return the verdicts of the Jobs on a candidate, by metric."""
    jobs = {job["metadata"]["name"]: job for job in state.judges}
    return {
        metric.name: _verdict(jobs.get(judge.name(service, candidate, metric)), state)
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


def retired(service: InferenceService, state: ServiceState, rollout: RolloutStatus | None) -> Iterator[Retirement]:
    """Yield the Jobs of former candidates, and of metrics that were removed from the spec."""
    candidate = state.version(rollout.version) if rollout else None
    kept = (
        {judge.name(service, candidate, metric) for metric in service.spec.rollout.analysis.metrics if metric.job}
        if candidate
        else set()
    )
    for job in state.judges:
        if job["metadata"]["name"] not in kept and not is_being_deleted(job):
            yield Retirement(key_of(job), job["metadata"]["uid"], "its candidate is no longer analysed")


def _verdict(job: Manifest | None, state: ServiceState) -> ExternalVerdict:
    if job is None:
        return ExternalVerdict(message="the Job is starting")
    for condition in get_path(job, "status", "conditions") or ():
        if condition.get("status") != "True":
            continue
        if condition.get("type") == "Complete":
            return ExternalVerdict(verdict="Successful", message=f"Job {job['metadata']['name']} succeeded")
        if condition.get("type") == "Failed":
            why = ": ".join(filter(None, (condition.get("reason"), condition.get("message") or "see its logs")))
            return ExternalVerdict(verdict="Failed", message=f"Job {job['metadata']['name']} failed: {why}"[:1000])
    pods = [pod for pod in state.pods if label(pod, names.COMPONENT) == judge.COMPONENT and _is_of(pod, job)]
    if problem := job_problem(job, pods, None, state.events):
        return ExternalVerdict(message=f"Job {job['metadata']['name']} does not start: {problem.message}"[:1000])
    return ExternalVerdict(message=f"Job {job['metadata']['name']} is running")


def _is_of(pod: Manifest, job: Manifest) -> bool:
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == job["metadata"]["uid"] for owner in owners)
