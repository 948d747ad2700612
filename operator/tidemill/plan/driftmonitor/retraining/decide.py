"""Decide about a retraining in one visit: what became of the earlier ones, what triggers one, what holds it back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from tidemill.api import Dataset, DriftMonitor, InferenceService, ModelVersion, TrainingJob
from tidemill.api.conditions import PendingCondition, Reason, false, true
from tidemill.api.durations import delta
from tidemill.api.monitorstatus import DriftMonitorStatus, Reference, RetrainingOutcome, RetrainingStatus
from tidemill.api.retraining import Retraining
from tidemill.children import names, versions
from tidemill.plan.driftmonitor.retraining import guards
from tidemill.plan.driftmonitor.retraining import history as outcomes
from tidemill.plan.driftmonitor.retraining.guards import Hold
from tidemill.plan.driftmonitor.retraining.inputs import RetrainingInput
from tidemill.plan.driftmonitor.retraining.triggers import Trigger, triggers
from tidemill.plan.inferenceservice.observed import observe
from tidemill.plan.inferenceservice.selection import select
from tidemill.plan.lookup import all_of, get_by_name
from tidemill.plan.runs.schedules import UnusableScheduleError, next_tick
from tidemill.plan.types import Notice
from tidemill.plan.world import Manifest, World

NAME_COLLISION_WAIT: Final = timedelta(seconds=2)
"""How long monitors of one service tell each other that they are about to order a retraining before the first of them does."""


@dataclass(frozen=True, slots=True)
class RetrainingDecision:
    """The decision about retraining in this visit."""

    status: RetrainingStatus
    history: tuple[RetrainingOutcome, ...]
    holds: tuple[Hold, ...] = ()
    ensure: tuple[Manifest, ...] = ()
    notices: tuple[Notice, ...] = ()
    wake: datetime | None = None


def undecided(status: DriftMonitorStatus) -> RetrainingDecision:
    """Return the decision for a service that is not Tidemill's, which cannot be retrained."""
    return RetrainingDecision(RetrainingStatus(), status.history)


def decide(
    monitor: DriftMonitor,
    status: DriftMonitorStatus,
    service: InferenceService,
    version: ModelVersion,
    world: World,
    now: datetime,
) -> RetrainingDecision:
    """Decide whether a retraining is ordered now; raises UnusableScheduleError if its schedule is invalid."""
    policy = monitor.spec.retraining
    if policy is None or status.reference is None:
        return RetrainingDecision(RetrainingStatus(), status.history)
    inputs = _gather(monitor, policy, status.reference, status, service, version, world, now)
    history = inputs.history
    fired = triggers(inputs)
    holds = guards.holds(inputs)
    active = outcomes.live(history)
    base = RetrainingStatus(
        active=active.training_job if active else "",
        last_time=history[0].at if history else None,
        next_eligible=guards.eligible_at(policy, history),
        runs_in_budget=guards.in_budget(policy, history, now),
        consecutive_rejected=outcomes.consecutive_rejected(history, guards.reset_at(monitor)),
        blocked=tuple(dict.fromkeys(str(hold.reason) for hold in holds)) if status.last_run else (),
        due=tuple(trigger.cause for trigger in fired),
        due_since=(monitor.status.retraining.due_since or now.replace(microsecond=0)) if fired else None,
        would_have=_observed(policy, history),
    )
    decision = RetrainingDecision(base, history, holds, wake=_next_schedule_tick(policy, now))
    trigger, own_holds = _first_free(inputs, fired)
    if trigger is None:
        # Each trigger has guards of its own; a hold with a known end is worth waking for.
        return replace(decision, holds=holds or own_holds)
    order_at = (base.due_since or now) + NAME_COLLISION_WAIT
    if now < order_at and _has_neighbours(inputs, world):
        return replace(decision, wake=min(order_at, decision.wake or order_at))
    return _order(inputs, service, trigger, decision)


def _first_free(inputs: RetrainingInput, fired: tuple[Trigger, ...]) -> tuple[Trigger | None, tuple[Hold, ...]]:
    """Return the first trigger that nothing holds back, or what holds back the first of them."""
    own_holds: tuple[Hold, ...] = ()
    for trigger in fired:
        holds = guards.holds(inputs, trigger.cause)
        if not holds:
            return trigger, ()
        own_holds = own_holds or holds
    return None, own_holds


def _gather(
    monitor: DriftMonitor,
    policy: Retraining,
    reference: Reference,
    status: DriftMonitorStatus,
    service: InferenceService,
    version: ModelVersion,
    world: World,
    now: datetime,
) -> RetrainingInput:
    state = observe(service, world)
    newest = select(service, state, now).version
    runs = all_of(
        TrainingJob, world, world.labelled(TrainingJob.kind_name, monitor.namespace, names.MONITOR, monitor.name)
    )
    of_model = all_of(
        TrainingJob,
        world,
        world.labelled(TrainingJob.kind_name, service.namespace, names.MODEL, service.spec.model.name),
    )
    others = [run for run in of_model if run.metadata.labels.get(names.MONITOR, monitor.name) != monitor.name]
    elsewhere = outcomes.elsewhere(others, state.versions, service, now)
    template = get_by_name(TrainingJob, world, monitor.namespace, policy.template.training_job)
    return RetrainingInput(
        monitor=monitor,
        policy=policy,
        reference=reference,
        service=service,
        version=version,
        template=template,
        dataset=get_by_name(Dataset, world, monitor.namespace, template.spec.dataset.name) if template else None,
        last_run=status.last_run,
        checks=status.checks,
        history=outcomes.outcomes(monitor, runs, state.versions, service, now),
        newest_version=newest.name if newest else "",
        elsewhere=elsewhere,
        yields_to=_neighbour_first(monitor, service, world),
        now=now,
    )


def _neighbours(monitor: DriftMonitor, service: InferenceService, world: World) -> list[DriftMonitor]:
    """Return the other monitors of the same service that may order a retraining."""
    path = ("spec", "target", "inferenceService")
    watching = all_of(
        DriftMonitor, world, world.referring(DriftMonitor.kind_name, monitor.namespace, path, service.name)
    )
    return [
        other
        for other in watching
        if other.name != monitor.name
        and other.spec.retraining is not None
        and other.spec.retraining.mode == "Act"
        and not other.spec.suspend
    ]


def _has_neighbours(inputs: RetrainingInput, world: World) -> bool:
    return inputs.policy.mode == "Act" and bool(_neighbours(inputs.monitor, inputs.service, world))


def _neighbour_first(monitor: DriftMonitor, service: InferenceService, world: World) -> str:
    """Return the neighbour that is about to order a retraining and comes first by name; empty if there is none."""
    ready = [
        other.name
        for other in _neighbours(monitor, service, world)
        if other.status.retraining.due and not other.status.retraining.blocked
    ]
    return next((name for name in sorted(ready) if name < monitor.name), "")


def _order(
    inputs: RetrainingInput, service: InferenceService, trigger: Trigger, decision: RetrainingDecision
) -> RetrainingDecision:
    """Order the retraining, or in Observe mode record that it would have been ordered."""
    policy, run, now = inputs.policy, inputs.last_run, inputs.now
    observing = policy.mode == "Observe"
    ordered = RetrainingOutcome(
        training_job=trigger.name,
        outcome="Observed" if observing else "Running",
        at=now.replace(microsecond=0),
        ended_at=now.replace(microsecond=0) if observing else None,
        cause=trigger.cause,
        checks=trigger.checks,
        since=trigger.since,
    )
    # Recorded at once: until the new TrainingJob is seen, the record is what keeps a second one from being made.
    history = (ordered, *inputs.history)[: outcomes.KEPT]
    status = decision.status.model_copy(
        update={
            "active": "" if observing else trigger.name,
            "last_time": ordered.at,
            "next_eligible": guards.eligible_at(policy, history),
            "runs_in_budget": guards.in_budget(policy, history, now),
            "would_have": trigger.name if observing else "",
        }
    )
    if observing:
        notice = Notice("RetrainingObserved", f"in mode Act, {trigger.name} would have been created: {trigger.message}")
        return replace(decision, status=status, history=history, notices=(notice,), wake=now)
    assert inputs.template is not None, "a guard holds a retraining without a template"
    end = run.end if run is not None and trigger.cause == "Drift" else now.replace(microsecond=0)
    born = service.metadata.creation_timestamp or trigger.since
    start = max(end - delta(policy.template.data.predictions.window), min(born, end - timedelta(seconds=1)))
    manifest = versions.retraining(
        inputs.monitor,
        inputs.template,
        inputs.version,
        trigger.name,
        window=versions.ServedWindow(
            start=min(start, run.start) if run is not None and trigger.cause == "Drift" else start,
            recent=trigger.since if trigger.cause == "Drift" else start,
            end=end,
        ),
        trigger=trigger.cause,
        since=trigger.since,
        checks=trigger.checks,
    )
    notice = Notice("RetrainingOrdered", f"{trigger.name}: {trigger.message}")
    return replace(decision, status=status, history=history, ensure=(manifest,), notices=(notice,))


def conditions_of(monitor: DriftMonitor, decision: RetrainingDecision) -> list[PendingCondition]:
    """Return RetrainingAllowed, and CircuitOpen while the circuit is open."""
    if monitor.spec.retraining is None:
        return []
    conditions = []
    observed = decision.status.would_have
    if decision.holds:
        first = decision.holds[0]
        conditions.append(false("RetrainingAllowed", first.reason, "; ".join(hold.message for hold in decision.holds)))
    elif observed:
        message = f"in mode Act, {observed} would have been created"
        conditions.append(false("RetrainingAllowed", Reason.OBSERVING, message))
    else:
        conditions.append(true("RetrainingAllowed", Reason.ALLOWED))
    opened = next((hold for hold in decision.holds if hold.reason == Reason.CIRCUIT_OPEN), None)
    if opened is not None:
        conditions.append(true("CircuitOpen", Reason.CIRCUIT_OPEN, opened.message))
    return conditions


def seconds_until_eligible(decision: RetrainingDecision, now: datetime) -> float | None:
    """Return the seconds until the last hold with a known end is over."""
    ends = [(hold.until - now).total_seconds() for hold in decision.holds if hold.until is not None]
    return max(ends) + 0.5 if ends else None


def _observed(policy: Retraining, history: tuple[RetrainingOutcome, ...]) -> str:
    if policy.mode != "Observe" or not history or history[0].outcome != "Observed":
        return ""
    return history[0].training_job


def _next_schedule_tick(policy: Retraining, now: datetime) -> datetime | None:
    try:
        return next_tick(policy.schedule, now) if policy.schedule is not None else None
    except UnusableScheduleError:
        raise UnusableScheduleError(
            f"spec.retraining.schedule {policy.schedule!r} is invalid or never fires; set a valid cron schedule, such as 0 2 * * *"
        ) from None
