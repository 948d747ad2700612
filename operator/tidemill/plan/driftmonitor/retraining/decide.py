"""What is decided about retraining in one visit: what became of the earlier ones, what asks for one, what holds it back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from tidemill.api import Dataset, DriftMonitor, InferenceService, ModelVersion, TrainingJob
from tidemill.api.conditions import PendingCondition, Reason, false, true
from tidemill.api.durations import delta
from tidemill.api.monitorstatus import DriftMonitorStatus, RetrainingOutcome, RetrainingStatus
from tidemill.api.retraining import Retraining
from tidemill.children import names, versions
from tidemill.plan.driftmonitor.retraining import guards
from tidemill.plan.driftmonitor.retraining import history as outcomes
from tidemill.plan.driftmonitor.retraining.guards import Case, Hold
from tidemill.plan.driftmonitor.retraining.triggers import Situation, Trigger, triggers
from tidemill.plan.driftmonitor.windows import UnusableScheduleError, next_tick
from tidemill.plan.inferenceservice.observed import ServiceState, observe
from tidemill.plan.inferenceservice.selection import select
from tidemill.plan.lookup import all_of, get_by_name
from tidemill.plan.types import Notice
from tidemill.plan.world import Manifest, World

NAME_COLLISION_WAIT: Final = timedelta(seconds=2)
"""How long monitors of one service tell each other that they are about to order a retraining before the first of them does."""


@dataclass(frozen=True, slots=True)
class RetrainingDecision:
    """What is decided about retraining in this visit."""

    status: RetrainingStatus
    history: tuple[RetrainingOutcome, ...]
    blocks: tuple[Hold, ...] = ()
    ensure: tuple[Manifest, ...] = ()
    notices: tuple[Notice, ...] = ()
    wake: datetime | None = None


def undecided(status: DriftMonitorStatus) -> RetrainingDecision:
    """Where nothing can be retrained, because what is watched is not Tidemill's."""
    return RetrainingDecision(RetrainingStatus(), status.history)


def decide(
    monitor: DriftMonitor,
    status: DriftMonitorStatus,
    service: InferenceService,
    version: ModelVersion,
    world: World,
    now: datetime,
) -> RetrainingDecision:
    """Whether a retraining is ordered now; raises UnusableScheduleError where its schedule is none."""
    policy = monitor.spec.retraining
    if policy is None or status.reference is None:
        return RetrainingDecision(RetrainingStatus(), status.history)
    seen = observe(service, world)
    own = all_of(
        TrainingJob, world, world.labelled(TrainingJob.kind_name, monitor.namespace, names.MONITOR, monitor.name)
    )
    history = outcomes.outcomes(monitor, own, seen.versions, service, now)
    template = get_by_name(TrainingJob, world, monitor.namespace, policy.template.training_job)
    situation = Situation(
        monitor=monitor,
        policy=policy,
        reference=status.reference,
        version=version,
        template=template,
        dataset=get_by_name(Dataset, world, monitor.namespace, template.spec.dataset.name) if template else None,
        last_run=status.last_run,
        checks=status.checks,
        history=history,
        now=now,
    )
    asking = triggers(situation)
    case = _case(situation, service, seen, world)
    held = guards.holds(case)
    active = outcomes.live(history)
    base = RetrainingStatus(
        active=active.training_job if active else "",
        last_time=history[0].at if history else None,
        next_eligible=guards.eligible_at(policy, history),
        runs_in_budget=guards.in_budget(policy, history, now),
        consecutive_rejected=outcomes.consecutive_rejected(history, guards.reset_at(monitor)),
        blocked=tuple(dict.fromkeys(str(block.reason) for block in held)) if status.last_run else (),
        due=tuple(occasion.cause for occasion in asking),
        due_since=(monitor.status.retraining.due_since or now.replace(microsecond=0)) if asking else None,
        would_have=_observed(policy, history),
    )
    decision = RetrainingDecision(base, history, held if status.last_run else (), wake=_tick(policy, now))
    occasion, waits = _answered(case, asking)
    if occasion is None:
        # What asks is held back by brakes of its own; those that know their end are worth waking for.
        own_blocks = held or waits
        return replace(decision, blocks=own_blocks if status.last_run or asking else ())
    turn = (base.due_since or now) + NAME_COLLISION_WAIT
    if now < turn and _shares(case, world):
        return replace(decision, wake=min(turn, decision.wake or turn))
    return _order(situation, service, occasion, decision)


def _answered(case: Case, asking: tuple[Trigger, ...]) -> tuple[Trigger | None, tuple[Hold, ...]]:
    """The first occasion that nothing holds back, or what holds back the first of them."""
    waits: tuple[Hold, ...] = ()
    for occasion in asking:
        blocks = guards.holds(case, occasion.cause)
        if not blocks:
            return occasion, ()
        waits = waits or blocks
    return None, waits


def _case(situation: Situation, service: InferenceService, seen: ServiceState, world: World) -> Case:
    newest = select(service, seen).version
    model = world.labelled(TrainingJob.kind_name, service.namespace, names.MODEL, service.spec.model.name)
    others = [
        run
        for run in all_of(TrainingJob, world, model)
        if run.metadata.labels.get(names.MONITOR, situation.monitor.name) != situation.monitor.name
    ]
    elsewhere = outcomes.elsewhere(others, seen.versions, service, situation.now)
    return Case(
        monitor=situation.monitor,
        policy=situation.policy,
        service=service,
        template=situation.template,
        last_run=situation.last_run,
        checks=situation.checks,
        history=situation.history,
        newest_version=newest.name if newest else "",
        elsewhere=elsewhere.training_job if elsewhere else "",
        yields_to=_first_in_turn(situation.monitor, service, world),
        now=situation.now,
    )


def _neighbours(monitor: DriftMonitor, service: InferenceService, world: World) -> list[DriftMonitor]:
    """Other monitors of the same service that may order a retraining."""
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


def _shares(case: Case, world: World) -> bool:
    return case.policy.mode == "Act" and bool(_neighbours(case.monitor, case.service, world))


def _first_in_turn(monitor: DriftMonitor, service: InferenceService, world: World) -> str:
    """A neighbour that has said that it is about to order a retraining, and comes first by name."""
    ready = [
        other.name
        for other in _neighbours(monitor, service, world)
        if other.status.retraining.due and not other.status.retraining.blocked
    ]
    return next((name for name in sorted(ready) if name < monitor.name), "")


def _order(
    situation: Situation, service: InferenceService, occasion: Trigger, decision: RetrainingDecision
) -> RetrainingDecision:
    """Order the retraining, or in Observe mode record that it would have been ordered."""
    policy, run, now = situation.policy, situation.last_run, situation.now
    observing = policy.mode == "Observe"
    ordered = RetrainingOutcome(
        training_job=occasion.name,
        outcome="Observed" if observing else "Running",
        at=now.replace(microsecond=0),
        ended_at=now.replace(microsecond=0) if observing else None,
        cause=occasion.cause,
        checks=occasion.checks,
        since=occasion.since,
    )
    # Recorded at once: until the new TrainingJob is seen, the record is what keeps a second one from being made.
    history = (ordered, *situation.history)[: outcomes.KEPT]
    status = decision.status.model_copy(
        update={
            "active": "" if observing else occasion.name,
            "last_time": ordered.at,
            "next_eligible": guards.eligible_at(policy, history),
            "runs_in_budget": guards.in_budget(policy, history, now),
            "would_have": occasion.name if observing else "",
        }
    )
    if observing:
        notice = Notice("RetrainingObserved", f"in mode Act, {occasion.name} would have been made: {occasion.message}")
        return replace(decision, status=status, history=history, notices=(notice,), wake=now)
    assert situation.template is not None, "a missing template is a brake"
    end = run.end if run is not None and occasion.cause == "Drift" else now.replace(microsecond=0)
    born = service.metadata.creation_timestamp or occasion.since
    start = max(end - delta(policy.template.data.predictions.window), min(born, end - timedelta(seconds=1)))
    manifest = versions.retraining(
        situation.monitor,
        situation.template,
        situation.version,
        occasion.name,
        window=versions.ServedWindow(
            start=min(start, run.start) if run is not None and occasion.cause == "Drift" else start,
            recent=occasion.since if occasion.cause == "Drift" else start,
            end=end,
        ),
        trigger=occasion.cause,
        since=occasion.since,
        checks=occasion.checks,
    )
    notice = Notice("RetrainingOrdered", f"{occasion.name}: {occasion.message}")
    return replace(decision, status=status, history=history, ensure=(manifest,), notices=(notice,))


def say(monitor: DriftMonitor, decision: RetrainingDecision) -> list[PendingCondition]:
    """RetrainingAllowed, and CircuitOpen while it is."""
    if monitor.spec.retraining is None:
        return []
    said = []
    observed = decision.status.would_have
    if decision.blocks:
        first = decision.blocks[0]
        said.append(false("RetrainingAllowed", first.reason, "; ".join(block.message for block in decision.blocks)))
    elif observed:
        message = f"in mode Act, {observed} would have been made"
        said.append(false("RetrainingAllowed", Reason.OBSERVING, message))
    else:
        said.append(true("RetrainingAllowed", Reason.ALLOWED))
    opened = next((block for block in decision.blocks if block.reason == Reason.CIRCUIT_OPEN), None)
    if opened is not None:
        said.append(true("CircuitOpen", Reason.CIRCUIT_OPEN, opened.message))
    return said


def until_eligible(decision: RetrainingDecision, now: datetime) -> float | None:
    """Seconds until the last brake that knows its end lets go."""
    ends = [(block.until - now).total_seconds() for block in decision.blocks if block.until is not None]
    return max(ends) + 0.5 if ends else None


def _observed(policy: Retraining, history: tuple[RetrainingOutcome, ...]) -> str:
    if policy.mode != "Observe" or not history or history[0].outcome != "Observed":
        return ""
    return history[0].training_job


def _tick(policy: Retraining, now: datetime) -> datetime | None:
    try:
        return next_tick(policy.schedule, now) if policy.schedule is not None else None
    except UnusableScheduleError:
        raise UnusableScheduleError(f"spec.retraining.schedule: {policy.schedule!r} cannot be kept") from None
