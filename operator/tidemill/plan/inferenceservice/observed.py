"""What is there for one service: its Deployments, its pods, its versions."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tidemill.api import InferenceService, ModelVersion
from tidemill.children import judge, names
from tidemill.plan.inferenceservice import canary as rollouts
from tidemill.plan.lookup import dig, every, is_leaving, is_ours, is_ready, label
from tidemill.plan.world import Manifest, World


@dataclass(frozen=True, slots=True)
class Seen:
    """What is there for one service."""

    stable: Manifest | None
    candidate: Manifest | None
    pods: tuple[Manifest, ...]
    versions: tuple[ModelVersion, ...]
    judges: tuple[Manifest, ...] = ()
    """Jobs of the user's that judge candidates."""

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
    """The version that a Deployment's pods are ordered to serve.

    The order decides what they load; the label says the same, and speaks for it where somebody has spoilt the order.
    """
    try:
        order = json.loads(dig(deployment, "spec", "template", "metadata", "annotations", names.ORDER) or "")
    except ValueError:
        order = None
    name = dig(order, "version", "name")
    return name if isinstance(name, str) else label(deployment, names.MODEL_VERSION)


def see(service: InferenceService, world: World) -> Seen:
    """Gather what is there for the service."""

    def ours(name: str) -> Manifest | None:
        found = world.get("Deployment", service.namespace, name)
        return found if found is not None and is_ours(found, service.metadata.uid) and not is_leaving(found) else None

    named = world.referring(ModelVersion.kind_name, service.namespace, ("spec", "modelName"), service.spec.model.name)
    return Seen(
        stable=ours(names.stable(service.name)),
        candidate=ours(names.candidate(service.name)),
        pods=tuple(world.labelled("Pod", service.namespace, names.OWNER_UID, service.metadata.uid)),
        versions=tuple(every(ModelVersion, world, named)),
        judges=tuple(
            job
            for job in world.labelled("Job", service.namespace, names.OWNER_UID, service.metadata.uid)
            if label(job, names.COMPONENT) == judge.COMPONENT and is_ours(job, service.metadata.uid)
        ),
    )


def candidate(seen: Seen, version: str) -> rollouts.Candidate:
    """What the candidate's pods look like; only those of this version count, and only once they have settled.

    The Deployment knows for how long its pods have been ready: before every node knows a new address, requests to it fail.
    """
    ready = restarts = 0
    trouble = ""
    for pod in seen.of_role("candidate"):
        if label(pod, names.MODEL_VERSION) != version or is_leaving(pod):
            continue
        ready += is_ready(pod)
        for container in dig(pod, "status", "containerStatuses") or ():
            restarts += int(container.get("restartCount") or 0)
            waiting = dig(container, "state", "waiting") or {}
            ended = dig(container, "lastState", "terminated") or dig(container, "state", "terminated") or {}
            if ended:
                trouble = f"{ended.get('reason', 'Error')} (exit code {ended.get('exitCode')}) {ended.get('message') or ''}".strip()
            elif waiting.get("message"):
                trouble = f"{waiting.get('reason')}: {waiting['message']}"
    settled = dig(seen.candidate, "status", "availableReplicas") or 0
    wanted = dig(seen.candidate, "spec", "replicas") or 1
    return rollouts.Candidate(min(ready, settled), restarts, trouble[:500], wanted)


def rolled_out(seen: Seen, version: str) -> bool:
    """Whether the stable Deployment has only ready pods of `version`, and no other stable pod is left that takes requests."""
    deployment = seen.stable
    if deployment is None:
        return False
    wanted = dig(deployment, "spec", "replicas")
    status = deployment.get("status") or {}
    current = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    counts = [status.get(count) or 0 for count in ("updatedReplicas", "replicas", "availableReplicas")]
    others = [pod for pod in seen.of_role("stable") if label(pod, names.MODEL_VERSION) != version]
    return current and all(count == wanted for count in counts) and not others
