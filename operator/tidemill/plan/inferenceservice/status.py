"""What an InferenceService reports about itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tidemill.api import InferenceService
from tidemill.api.conditions import PendingCondition, Reason, false, settle, true, unknown
from tidemill.api.inferenceservice import InferenceServiceStatus, Outcome, Serving
from tidemill.children import names, serving
from tidemill.plan import unsupported
from tidemill.plan.inferenceservice.lifecycle import RolloutDecision
from tidemill.plan.inferenceservice.observed import ServiceState, deployed
from tidemill.plan.inferenceservice.selection import Selection
from tidemill.plan.lookup import get_path
from tidemill.plan.world import Manifest


def report(
    service: InferenceService,
    seen: ServiceState,
    choice: Selection,
    course: RolloutDecision,
    now: datetime,
    refused: tuple[PendingCondition, ...] = (),
    unscaled: str = "",
) -> InferenceServiceStatus:
    weight = course.rollout.weight if course.rollout else 0
    stable = _serving(seen, seen.stable, 100 - weight)
    candidate = _serving(seen, seen.candidate, weight) if course.rollout and not course.retire_candidate else None
    history = (course.ended, *service.status.history)[:20] if course.ended else service.status.history
    generation = service.metadata.generation
    said = unsupported.with_refusal(refused, _said(service, seen, choice, course, stable, history))
    if unscaled:
        said.append(false("Autoscaled", Reason.DEPENDENCY_NOT_READY, unscaled))
    return InferenceServiceStatus(
        observed_generation=generation,
        conditions=settle(service.status.conditions, said, generation=generation, now=now),
        url=f"http://{names.service(service.name)}.{service.namespace}.svc",
        stable=stable,
        candidate=candidate,
        rollout=course.rollout,
        history=history,
        replicas=stable.replicas if stable else 0,
        selector=",".join(f"{name}={value}" for name, value in serving.selector(service, "Stable").items()),
    )


def _serving(seen: ServiceState, deployment: Manifest | None, weight: int) -> Serving | None:
    if deployment is None:
        return None
    name = deployed(deployment)
    version = seen.version(name)
    status: dict[str, Any] = deployment.get("status") or {}
    return Serving(
        version=name,
        digest=version.spec.artifact.digest if version else "",
        replicas=get_path(deployment, "spec", "replicas") or 0,
        ready=status.get("readyReplicas") or 0,
        weight=weight,
    )


def _said(
    service: InferenceService,
    seen: ServiceState,
    choice: Selection,
    course: RolloutDecision,
    stable: Serving | None,
    history: tuple[Outcome, ...],
) -> list[PendingCondition]:
    if stable is None:
        said = [unknown("Ready", Reason.RECONCILING, "pods are being started")]
        if choice.version is None:
            said = [false("Ready", choice.reason, choice.message)]
            said.append(
                true("Stalled", choice.reason, choice.message)
                if choice.hopeless
                else true("Reconciling", choice.reason, choice.message)
            )
        else:
            said.append(true("Reconciling", Reason.PROGRESSING, "pods are being started"))
        return said
    enough = stable.ready >= stable.replicas
    said = []
    if enough:
        said.append(true("Ready", Reason.REPLICAS_READY, f"{stable.version} answers with {stable.ready} pods"))
        said.append(true("StableReady", Reason.REPLICAS_READY))
    else:
        trouble = _trouble(seen) or f"{stable.ready} of {stable.replicas} pods are ready"
        said.append(false("Ready", Reason.REPLICAS_NOT_READY, trouble))
        said.append(false("StableReady", Reason.REPLICAS_NOT_READY, trouble))
    rollout = course.rollout
    if rollout is not None:
        message = f"{rollout.version}: {rollout.message}"
        said.append(
            false("RolloutComplete", Reason.PAUSED if rollout.phase == "Paused" else Reason.ROLLING_OUT, message)
        )
        said.append(true("Reconciling", Reason.ROLLING_OUT, message))
    else:
        said.append(true("RolloutComplete", Reason.ROLLOUT_COMPLETE, f"{stable.version} answers every request"))
        if not enough:
            said.append(true("Reconciling", Reason.REPLICAS_NOT_READY))
    if service.spec.suspend:
        said.append(true("Suspended", Reason.SUSPENDED, "spec.suspend is set: no new version is taken in"))
    if choice.version is None and rollout is None:
        said.append(true("VersionUnavailable", choice.reason, choice.message))
    if history and history[0].outcome == "RolledBack":
        said.append(true("RolledBack", Reason.ROLLED_BACK, f"{history[0].version}: {history[0].message}"))
    return said


def _trouble(seen: ServiceState) -> str:
    """What stable pods complain of."""
    for pod in seen.of_role("stable"):
        for container in get_path(pod, "status", "containerStatuses") or ():
            waiting = get_path(container, "state", "waiting") or {}
            if waiting.get("reason") not in {None, "ContainerCreating", "PodInitializing"}:
                return f"{pod['metadata']['name']}: {waiting['reason']}: {waiting.get('message', '')}"
    return ""
