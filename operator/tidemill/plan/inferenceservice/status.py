"""Report the status of an InferenceService."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tidemill.api import InferenceService
from tidemill.api.conditions import PendingCondition, Reason, false, true, unknown
from tidemill.api.inferenceservice import InferenceServiceStatus, Outcome, Serving
from tidemill.children import names, serving
from tidemill.plan import unsupported
from tidemill.plan.conditions import with_conditions
from tidemill.plan.inferenceservice.lifecycle import RolloutDecision
from tidemill.plan.inferenceservice.observed import ServiceState, deployed
from tidemill.plan.inferenceservice.selection import Selection
from tidemill.plan.lookup import get_path
from tidemill.plan.world import Manifest


def report(
    service: InferenceService,
    state: ServiceState,
    selection: Selection,
    decision: RolloutDecision,
    now: datetime,
    refused: tuple[PendingCondition, ...] = (),
    scaling_problem: str = "",
) -> InferenceServiceStatus:
    weight = decision.rollout.weight if decision.rollout else 0
    stable = _serving(state, state.stable, 100 - weight)
    candidate = _serving(state, state.candidate, weight) if decision.rollout and not decision.retire_candidate else None
    history = (decision.ended, *service.status.history)[:20] if decision.ended else service.status.history
    conditions = unsupported.with_refusal(refused, _conditions(service, state, selection, decision, stable, history))
    if scaling_problem:
        conditions.append(false("Autoscaled", Reason.DEPENDENCY_NOT_READY, scaling_problem))
    status = InferenceServiceStatus(
        url=f"http://{names.service(service.name)}.{service.namespace}.svc",
        stable=stable,
        candidate=candidate,
        rollout=decision.rollout,
        history=history,
        replicas=stable.replicas if stable else 0,
        selector=",".join(f"{name}={value}" for name, value in serving.selector(service, "Stable").items()),
    )
    return with_conditions(service, status, conditions, now)


def _serving(state: ServiceState, deployment: Manifest | None, weight: int) -> Serving | None:
    if deployment is None:
        return None
    name = deployed(deployment)
    version = state.version(name)
    status: dict[str, Any] = deployment.get("status") or {}
    return Serving(
        version=name,
        digest=version.spec.artifact.digest if version else "",
        replicas=get_path(deployment, "spec", "replicas") or 0,
        ready=status.get("readyReplicas") or 0,
        weight=weight,
    )


def _conditions(
    service: InferenceService,
    state: ServiceState,
    selection: Selection,
    decision: RolloutDecision,
    stable: Serving | None,
    history: tuple[Outcome, ...],
) -> list[PendingCondition]:
    if stable is None:
        conditions = [unknown("Ready", Reason.RECONCILING, "the pods are starting")]
        if selection.version is None:
            conditions = [false("Ready", selection.reason, selection.message)]
            conditions.append(
                true("Stalled", selection.reason, selection.message)
                if selection.hopeless
                else true("Reconciling", selection.reason, selection.message)
            )
        else:
            conditions.append(true("Reconciling", Reason.PROGRESSING, "the pods are starting"))
        return conditions
    enough = stable.ready >= stable.replicas
    conditions = []
    if enough:
        conditions.append(true("Ready", Reason.REPLICAS_READY, f"{stable.version} is served by {stable.ready} pods"))
        conditions.append(true("StableReady", Reason.REPLICAS_READY))
    else:
        problem = _pod_problem(state) or f"{stable.ready} of {stable.replicas} pods are ready"
        conditions.append(false("Ready", Reason.REPLICAS_NOT_READY, problem))
        conditions.append(false("StableReady", Reason.REPLICAS_NOT_READY, problem))
    rollout = decision.rollout
    if rollout is not None:
        message = f"{rollout.version}: {rollout.message}"
        conditions.append(
            false("RolloutComplete", Reason.PAUSED if rollout.phase == "Paused" else Reason.ROLLING_OUT, message)
        )
        conditions.append(true("Reconciling", Reason.ROLLING_OUT, message))
    else:
        conditions.append(true("RolloutComplete", Reason.ROLLOUT_COMPLETE, f"{stable.version} serves all requests"))
        if not enough:
            conditions.append(true("Reconciling", Reason.REPLICAS_NOT_READY))
    if service.spec.suspend:
        conditions.append(true("Suspended", Reason.SUSPENDED, "spec.suspend is set; new versions are not rolled out"))
    if selection.version is None and rollout is None:
        conditions.append(true("VersionUnavailable", selection.reason, selection.message))
    if history and history[0].outcome == "RolledBack":
        conditions.append(true("RolledBack", Reason.ROLLED_BACK, f"{history[0].version}: {history[0].message}"))
    return conditions


def _pod_problem(state: ServiceState) -> str:
    """Return why stable pods are not ready; empty if no reason is known."""
    for pod in state.of_role("stable"):
        for container in get_path(pod, "status", "containerStatuses") or ():
            waiting = get_path(container, "state", "waiting") or {}
            if waiting.get("reason") not in {None, "ContainerCreating", "PodInitializing"}:
                return f"{pod['metadata']['name']}: {waiting['reason']}: {waiting.get('message', '')}"
    return ""
