"""Observe one service: its Deployments, its pods and its versions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from tidemill.api import InferenceService, ModelVersion, TrainingJob
from tidemill.api.conditions import Reason
from tidemill.children import judge, names
from tidemill.plan.diagnosis import Events, Problem, deployment_problem, has_started, lacks_room
from tidemill.plan.inferenceservice import canary as rollouts
from tidemill.plan.inferenceservice import surroundings
from tidemill.plan.lookup import all_of, get_path, is_being_deleted, is_ours, is_ready, label
from tidemill.plan.world import Manifest, World


@dataclass(frozen=True, slots=True)
class ServiceState:
    """The objects of one service."""

    stable: Manifest | None
    candidate: Manifest | None
    pods: tuple[Manifest, ...]
    versions: tuple[ModelVersion, ...]
    judges: tuple[Manifest, ...] = ()
    """The user's Jobs that judge candidates."""
    events: Events = field(default_factory=dict)
    """Events about pods that do not start, by uid."""
    runs: tuple[TrainingJob, ...] = ()
    """The TrainingJobs of the model, as long as it has no version."""
    loading: Problem | None = None
    """What keeps stable pods from loading their version, as they say themselves."""

    @property
    def stable_version(self) -> str:
        return deployed(self.stable) if self.stable else ""

    @property
    def candidate_version(self) -> str:
        return deployed(self.candidate) if self.candidate else ""

    def version(self, name: str) -> ModelVersion | None:
        return next((version for version in self.versions if version.name == name), None)

    def of_role(self, role: str) -> list[Manifest]:
        return [pod for pod in self.pods if label(pod, names.ROLE) == role]


def deployed(deployment: Manifest) -> str:
    """Return the version that a Deployment's pods load.

    Read from their order; from the label if the order was damaged.
    """
    try:
        order = json.loads(get_path(deployment, "spec", "template", "metadata", "annotations", names.ORDER) or "")
    except ValueError:
        order = None
    name = get_path(order, "version", "name")
    return name if isinstance(name, str) else label(deployment, names.MODEL_VERSION)


def observe(service: InferenceService, world: World) -> ServiceState:
    """Gather the objects of the service."""

    def owned(name: str) -> Manifest | None:
        deployment = world.get("Deployment", service.namespace, name)
        return (
            deployment
            if deployment is not None and is_ours(deployment, service.metadata.uid) and not is_being_deleted(deployment)
            else None
        )

    path = ("spec", "modelName")
    named = world.referring(ModelVersion.kind_name, service.namespace, path, service.spec.model.name)
    return ServiceState(
        stable=owned(names.stable(service.name)),
        candidate=owned(names.candidate(service.name)),
        pods=tuple(world.labelled("Pod", service.namespace, names.OWNER_UID, service.metadata.uid)),
        versions=tuple(all_of(ModelVersion, world, named)),
        judges=tuple(
            job
            for job in world.labelled("Job", service.namespace, names.OWNER_UID, service.metadata.uid)
            if label(job, names.COMPONENT) == judge.COMPONENT and is_ours(job, service.metadata.uid)
        ),
        events=world.events,
        runs=()
        if named
        else tuple(
            all_of(
                TrainingJob,
                world,
                world.referring(TrainingJob.kind_name, service.namespace, path, service.spec.model.name),
            )
        ),
    )


def candidate(state: ServiceState, version: str, now: datetime) -> rollouts.CandidateState:
    """Return the state of the candidate's pods of this version."""
    pods = _candidates(state, version)
    return rollouts.CandidateState(
        ready=ready_candidates(state, version),
        restarts=surroundings.restarts(pods),
        problem=candidate_problem(state, version)[:500],
        wanted=get_path(state.candidate, "spec", "replicas") or 1,
        obstacle=surroundings.obstacle(state.candidate, [pod for pod in pods if not is_ready(pod)], state.events),
        unready_seconds=surroundings.unready_seconds(pods, now),
        otherwise=who_answers(state),
    )


def candidate_problem(state: ServiceState, version: str) -> str:
    """Return why the candidate's pods of this version are not ready; empty if no reason is known."""
    return deployment_problem(state.candidate, _candidates(state, version), state.events)


def ready_candidates(state: ServiceState, version: str) -> int:
    """Count the candidate's pods of this version that answer; they count once the Deployment calls them available.

    Until every node knows the address of a new pod, requests to it fail.
    """
    available = get_path(state.candidate, "status", "availableReplicas") or 0
    return min(sum(map(is_ready, _candidates(state, version))), available)


def _candidates(state: ServiceState, version: str) -> list[Manifest]:
    return [
        pod
        for pod in state.of_role("candidate")
        if label(pod, names.MODEL_VERSION) == version and not is_being_deleted(pod)
    ]


def stable_lacks_room(state: ServiceState) -> bool:
    """Return whether a stable pod is missing because a quota, a limit or the nodes leave no room for it."""
    return lacks_room(state.stable, state.of_role("stable"))


def previous_version(state: ServiceState, version: str) -> ModelVersion | None:
    """Return the version of stable pods that still answer with another one than `version`; None if there is none."""
    others = (state.version(name) for name in answering_versions(state) if name != version)
    return next((other for other in others if other is not None), None)


def answering_versions(state: ServiceState) -> dict[str, int]:
    """Count the stable pods that answer, by their version, in the order of names."""
    answering = (pod for pod in state.of_role("stable") if is_ready(pod) and not is_being_deleted(pod))
    return dict(sorted(Counter(label(pod, names.MODEL_VERSION) for pod in answering).items()))


def version_in_service(state: ServiceState) -> str:
    """Return the version that the stable pods answer with.

    It is the Deployment's, unless only pods of another version answer, as while they are being replaced.
    """
    answering = answering_versions(state)
    return state.stable_version if state.stable_version in answering else next(iter(answering), state.stable_version)


def who_answers(state: ServiceState) -> str:
    """Return which versions answer the requests that the stable pods do not forward."""
    match list(answering_versions(state)):
        case []:
            return "no pod answers requests"
        case [version]:
            return f"{version} answers all requests"
        case versions:
            return f"{' and '.join(versions)} answer requests"


def stable_obstacle(state: ServiceState) -> Problem | None:
    """Return what in their surroundings keeps stable pods from running; None if a process of one runs, or has failed.

    A pod whose image is pulled for long may have no Event left that says so: one that has started nothing has an obstacle.
    """
    pods = [pod for pod in state.of_role("stable") if not is_ready(pod)]
    obstacle = surroundings.obstacle(state.stable, pods, state.events) or state.loading
    if obstacle is not None or any(map(has_started, pods)):
        return obstacle
    return Problem(Reason.PROGRESSING, "a pod of the new version has not started; see kubectl describe pod")


def stable_problem(state: ServiceState) -> str:
    """Return why stable pods are missing or not ready; empty if no problem is known."""
    pods = [pod for pod in state.of_role("stable") if not is_ready(pod)]
    if problem := deployment_problem(state.stable, pods, state.events):
        return problem
    return state.loading.message if state.loading and pods else ""


@dataclass(frozen=True, slots=True)
class Readiness:
    """The pods of a Deployment, counted by what they run rather than by how many there are."""

    wanted: int
    ready: int
    """Ready pods of any template."""
    current: int
    """Ready pods of the newest template, at least."""
    observed: bool
    """Whether the Deployment's controller has observed the newest template."""
    outdated: int
    """Pods of older templates."""

    @property
    def runs(self) -> bool:
        """Return whether every wanted pod is ready and of the newest template."""
        return self.observed and not self.outdated and self.current >= self.wanted


def readiness(deployment: Manifest, pods: Iterable[Manifest]) -> Readiness:
    """Count the `pods` of a Deployment that run its version, and those that have its newest template.

    Its status speaks of an older template until its controller has observed the newest one, and its ready pods are those of
    all templates: at most as many as are not updated are of an older one.
    """
    status = deployment.get("status") or {}
    wanted = get_path(deployment, "spec", "replicas")
    wanted = 1 if wanted is None else int(wanted)
    version = deployed(deployment)
    of_version = sum(is_ready(pod) and label(pod, names.MODEL_VERSION) == version for pod in pods)
    ready, replicas, updated = (status.get(name) or 0 for name in ("readyReplicas", "replicas", "updatedReplicas"))
    observed = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    outdated = max(replicas - updated, 0) if observed else 0
    current = min(of_version, max(ready - outdated, 0)) if observed else of_version
    return Readiness(wanted, ready, current, observed, outdated)


def rolled_out(state: ServiceState, version: str) -> bool:
    """Return whether the stable Deployment has only available pods of `version`, and no other stable pod is left."""
    deployment = state.stable
    if deployment is None:
        return False
    wanted = get_path(deployment, "spec", "replicas")
    status = deployment.get("status") or {}
    current = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    counts = [status.get(count) or 0 for count in ("updatedReplicas", "replicas", "availableReplicas")]
    others = [pod for pod in state.of_role("stable") if label(pod, names.MODEL_VERSION) != version]
    return current and all(count == wanted for count in counts) and not others
