"""Report the status of an InferenceService."""

from __future__ import annotations

from datetime import datetime

from tidemill.api import InferenceService
from tidemill.api.conditions import PendingCondition, Reason, false, true, unknown
from tidemill.api.inferenceservice import Endpoints, InferenceServiceStatus, Outcome, RolloutStatus, Serving
from tidemill.children import names, serving
from tidemill.contract.numbers import quantity
from tidemill.plan import unsupported
from tidemill.plan.conditions import with_conditions
from tidemill.plan.inferenceservice import verdicts
from tidemill.plan.inferenceservice.lifecycle import RolloutDecision
from tidemill.plan.inferenceservice.observed import (
    Readiness,
    ServiceState,
    answering_versions,
    readiness,
    ready_candidates,
    stable_problem,
    version_in_service,
    who_answers,
)
from tidemill.plan.inferenceservice.selection import Selection, withdrawal
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
    more: tuple[PendingCondition, ...] = (),
) -> InferenceServiceStatus:
    """Return the status for a decision that is in force; `more` are conditions that others have found."""
    weight = decision.rollout.weight if decision.rollout else 0
    stable = _stable(state, 100 - weight)
    candidate = _candidate(state, decision.rollout, weight) if not decision.retire_candidate else None
    history = (decision.ended, *service.status.history)[:20] if decision.ended else service.status.history
    rejected = verdicts.after(service, decision.ended, now)
    ended = service.model_copy(
        update={"status": service.status.model_copy(update={"history": history, "rejected": rejected})}
    )
    conditions = unsupported.with_refusal(refused, _conditions(ended, state, selection, decision, stable, now))
    conditions += more
    if scaling_problem:
        conditions.append(false("Autoscaled", Reason.DEPENDENCY_NOT_READY, scaling_problem))
    url = f"http://{names.service(service.name)}.{service.namespace}.svc"
    status = InferenceServiceStatus(
        url=url,
        endpoints=_endpoints(f"{url}/v2/models/{service.spec.model.name}"),
        stable=stable,
        candidate=candidate,
        rollout=decision.rollout,
        history=history,
        rejected=rejected,
        replicas=stable.replicas if stable else 0,
        selector=",".join(f"{name}={value}" for name, value in serving.selector(service, "Stable").items()),
    )
    return with_conditions(service, status, conditions, now)


def _endpoints(base: str) -> Endpoints:
    return Endpoints(
        predict=f"{base}/predict", infer=f"{base}/infer", feedback=f"{base}/feedback", explain=f"{base}/explain"
    )


def _serving_conditions(
    version: str, state: ServiceState, pods: Readiness, rollout: RolloutStatus | None
) -> list[PendingCondition]:
    """Return Ready, for the pods that the spec and the rollout claim, and StableReady, for pods that answer at all."""
    if pods.wanted == 0:
        message = "scaled to 0 pods; no requests are answered"
        return [true("Ready", Reason.SCALED_TO_ZERO, message), false("StableReady", Reason.SCALED_TO_ZERO, message)]
    answering = pods.ready >= pods.wanted
    served = f"{version} is served by {count(pods.current)}"
    waiting = _waiting(state, pods)
    if version != state.stable_version and not (rollout and rollout.weight):
        waiting = f"{who_answers(state)}; {waiting}"
    stable_ready = (
        true("StableReady", Reason.REPLICAS_READY, "" if pods.runs else f"{count(pods.ready)} answer requests")
        if answering
        else false("StableReady", Reason.REPLICAS_NOT_READY, waiting)
    )
    if pods.runs:
        return [true("Ready", Reason.REPLICAS_READY, served), stable_ready]
    if rollout is not None and answering and not stable_problem(state):
        # The pods are being replaced one after the other, and enough of them answer at any time.
        return [true("Ready", Reason.REPLICAS_READY, f"{count(pods.ready)} answer requests; {waiting}"), stable_ready]
    return [false("Ready", Reason.REPLICAS_NOT_READY, waiting), stable_ready]


def _waiting(state: ServiceState, pods: Readiness) -> str:
    """Return what the stable pods wait for."""
    done = f"{pods.current} of {count(pods.wanted)} {'is' if pods.wanted == 1 else 'are'} ready"
    if pods.outdated or not pods.observed:
        done += " with the current spec"
    problem = stable_problem(state)
    return f"{done}: {problem}" if problem else done


def count(pods: int) -> str:
    """Return a number of pods in words.

    >>> count(1), count(2)
    ('1 pod', '2 pods')
    """
    return quantity(pods, "pod")


def _stable(state: ServiceState, weight: int) -> Serving | None:
    """Return the version that the stable pods answer with, which is the previous one while they are being replaced."""
    if state.stable is None:
        return None
    answering, name = answering_versions(state), version_in_service(state)
    return _serving(state, state.stable, name, answering.get(name, 0), weight if answering else 0)


def _candidate(state: ServiceState, rollout: RolloutStatus | None, weight: int) -> Serving | None:
    if state.candidate is None or rollout is None:
        return None
    name = state.candidate_version
    return _serving(state, state.candidate, name, ready_candidates(state, name), weight)


def _serving(state: ServiceState, deployment: Manifest, name: str, ready: int, weight: int) -> Serving:
    version = state.version(name)
    return Serving(
        version=name,
        digest=version.spec.artifact.digest if version else "",
        replicas=get_path(deployment, "spec", "replicas") or 0,
        ready=ready,
        weight=weight,
    )


def _conditions(
    service: InferenceService,
    state: ServiceState,
    selection: Selection,
    decision: RolloutDecision,
    stable: Serving | None,
    now: datetime,
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
    assert state.stable is not None, "a stable version is read from its Deployment"
    pods = readiness(state.stable, state.of_role("stable"))
    conditions = _serving_conditions(stable.version, state, pods, rollout := decision.rollout)
    was_complete = service.status.condition("RolloutComplete")
    if rollout is not None:
        undone = "rolling back: " if rollout.phase == "RollingBack" else ""
        message = f"{rollout.version}: {undone}{rollout.message}"
        conditions.append(
            false(
                "RolloutComplete",
                rollout.reason or (Reason.PAUSED if rollout.phase == "Paused" else Reason.ROLLING_OUT),
                message,
            )
        )
        conditions.append(true("Reconciling", Reason.ROLLING_OUT, message))
    elif pods.wanted and pods.runs:
        conditions.append(true("RolloutComplete", Reason.ROLLOUT_COMPLETE, f"{stable.version} serves all requests"))
    elif not pods.outdated and was_complete is not None and was_complete.status == "True":
        # A pod that fails later, or a scale to zero, does not undo a rollout.
        conditions.append(true("RolloutComplete", Reason.ROLLOUT_COMPLETE, f"{state.stable_version} is rolled out"))
    else:
        message = f"{state.stable_version}: {_waiting(state, pods)}"
        conditions.append(false("RolloutComplete", Reason.ROLLING_OUT, message))
    if rollout is None and not pods.runs:
        conditions.append(true("Reconciling", Reason.REPLICAS_NOT_READY, _waiting(state, pods)))
    if service.spec.suspend:
        conditions.append(
            true(
                "Suspended",
                Reason.SUSPENDED,
                "spec.suspend is true: new versions are not rolled out; set it to false to roll them out",
            )
        )
    if selection.version is None and rollout is None:
        conditions.append(true("VersionUnavailable", selection.reason, selection.message))
    if left := withdrawal(state):
        stays = (
            ""
            if rollout or (selection.version and selection.version.name != state.stable_version)
            else "; its pods still answer requests"
        )
        conditions.append(true("StableVersionWithdrawn", left.reason, left.message + stays))
    history = service.status.history
    if history and history[0].outcome == "RolledBack":
        message = f"{history[0].version}: {history[0].message}{_next_try(service, state, history[0], now)}"
        conditions.append(true("RolledBack", Reason.ROLLED_BACK, message))
    elif selection.passed_over and rollout is None:
        conditions.append(true("VersionPassedOver", Reason.ROLLED_BACK, selection.passed_over))
    return conditions


def _next_try(service: InferenceService, state: ServiceState, ended: Outcome, now: datetime) -> str:
    """Return when a version that was rolled back is tried again, or how a person lets it be."""
    version = state.version(ended.version)
    if version is None or version.name == state.stable_version:
        return ""
    against = verdicts.objection(service, version, now)
    if against is None:
        return ""
    return f"; {against.message}" if against.until else f"; run kubectl tidemill retry {service.name} to try it again"
