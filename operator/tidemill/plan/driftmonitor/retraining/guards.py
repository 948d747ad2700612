"""Retrain now? Triage first, then the brakes.

Drift alone is no reason to retrain: bad data, too few rows or a rollout in progress make the answer of a new model
meaningless. Each brake is a small function that returns what it blocks with, and the list of them is the policy. What
a person asks for by hand passes those brakes that only pace the operator, never those that protect the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tidemill.api import DriftMonitor, InferenceService, TrainingJob
from tidemill.api.base import to_rfc3339
from tidemill.api.conditions import Reason
from tidemill.api.durations import delta
from tidemill.api.monitorstatus import CheckStatus, RetrainingOutcome, WindowRun
from tidemill.api.retraining import Retraining, RetrainingCause
from tidemill.children import names
from tidemill.plan import unsupported
from tidemill.plan.driftmonitor.retraining.history import consecutive_rejected, live


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that the decision rests on."""

    monitor: DriftMonitor
    policy: Retraining
    service: InferenceService
    template: TrainingJob | None
    last_run: WindowRun | None
    checks: tuple[CheckStatus, ...]
    history: tuple[RetrainingOutcome, ...]
    newest_version: str
    """The newest version that may be served; another one than the stable one is about to be rolled out."""
    elsewhere: str
    """The TrainingJob that another monitor of the same model ordered and that is not over; empty where there is none."""
    yields_to: str
    """Another monitor of the same service that is about to order a retraining and goes first; empty where there is none."""
    now: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """What holds a retraining back, and until when where that is known."""

    reason: Reason
    message: str
    until: datetime | None = None


def counted(policy: Retraining, history: Sequence[RetrainingOutcome]) -> tuple[RetrainingOutcome, ...]:
    """The retrainings that pace the next one: those that were made, or in Observe mode those that would have been."""
    return tuple(one for one in history if (one.outcome == "Observed") == (policy.mode == "Observe"))


def in_budget(policy: Retraining, history: Sequence[RetrainingOutcome], now: datetime) -> int:
    since = now - delta(policy.budget.per)
    return sum(outcome.at > since for outcome in counted(policy, history))


def eligible_at(policy: Retraining, history: Sequence[RetrainingOutcome]) -> datetime | None:
    """When the cooldown after the newest retraining ends."""
    paced = counted(policy, history)
    return paced[0].at + delta(policy.minimum_interval) if paced else None


def reset_at(monitor: DriftMonitor) -> datetime | None:
    """When a person closed the circuit again, from the annotation `tidemill.dev/reset-circuit`."""
    text = monitor.metadata.annotations.get(names.RESET, "")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def bad_data(case: Case) -> Hold | None:
    broken = [check for check in case.checks if check.type == "DataQuality" and check.verdict == "Failing"]
    if not broken:
        return None
    return Hold(
        Reason.DATA_QUALITY,
        f"{broken[0].name}: {broken[0].message}; mend the source, a model trained on this would learn the fault",
    )


def late_data(case: Case) -> Hold | None:
    late = [check for check in case.checks if check.type == "Timeliness" and check.verdict == "Failing"]
    return Hold(Reason.DATA_LATE, f"{late[0].name}: {late[0].message}; find out where they stay") if late else None


def too_few_samples(case: Case) -> Hold | None:
    needed = case.monitor.spec.window.minimum_samples
    if case.last_run is None or case.last_run.samples >= needed:
        return None
    return Hold(Reason.TOO_FEW_SAMPLES, f"{case.last_run.samples} rows in the window, {needed} needed")


def too_few_labels(case: Case) -> Hold | None:
    needed = case.monitor.spec.window.minimum_labels
    if case.last_run is None or (case.last_run.labelled or 0) >= needed:
        return None
    return Hold(
        Reason.TOO_FEW_LABELS,
        f"{case.last_run.labelled or 0} labelled rows in the window, {needed} needed; send labels to /feedback",
    )


def too_few_labels_to_replace(case: Case) -> Hold | None:
    """A retraining that learns from served rows alone cannot do without them, whatever asked for it."""
    return too_few_labels(case) if case.policy.template.data.combine == "Replace" else None


def rollout_in_progress(case: Case) -> Hold | None:
    if case.service.status.rollout is not None:
        return Hold(Reason.ROLLOUT_IN_PROGRESS, f"{case.service.status.rollout.version} is being rolled out")
    stable = case.service.status.stable
    if case.newest_version and stable and case.newest_version != stable.version and not case.service.spec.model.version:
        return Hold(Reason.ROLLOUT_IN_PROGRESS, f"{case.newest_version} is about to be rolled out")
    return None


def retraining_active(case: Case) -> Hold | None:
    active = live(case.history)
    if active is None:
        if case.elsewhere:
            return Hold(Reason.RETRAINING_ACTIVE, f"{case.elsewhere}, which another monitor ordered, is not over yet")
        if case.yields_to:
            return Hold(
                Reason.RETRAINING_ACTIVE, f"DriftMonitor {case.yields_to!r} of the same service is about to order one"
            )
        return None
    doing = (
        "is running"
        if active.outcome == "Running"
        else f"made {active.model_version}, which is neither promoted nor rejected yet"
    )
    return Hold(Reason.RETRAINING_ACTIVE, f"{active.training_job} {doing}")


def cooling_down(case: Case) -> Hold | None:
    eligible = eligible_at(case.policy, case.history)
    if eligible is None or case.now >= eligible:
        return None
    # The end as a moment, not as time left: a status must not change because time passes.
    message = f"the last retraining was ordered less than {case.policy.minimum_interval} ago; not before {to_rfc3339(eligible)}"
    return Hold(Reason.COOLING_DOWN, message, eligible)


def budget_spent(case: Case) -> Hold | None:
    used, budget = in_budget(case.policy, case.history, case.now), case.policy.budget
    if used < budget.runs:
        return None
    paced = counted(case.policy, case.history)
    # The oldest of the newest `runs` must leave the budget's time before another fits in; the history is bounded.
    leaves = paced[min(budget.runs, len(paced)) - 1].at + delta(budget.per)
    return Hold(Reason.BUDGET_SPENT, f"{used} retrainings within {budget.per}, {budget.runs} are allowed", until=leaves)


def circuit_open(case: Case) -> Hold | None:
    rejected = consecutive_rejected(case.history, reset_at(case.monitor))
    if rejected < case.policy.circuit_breaker.rejected:
        return None
    return Hold(
        Reason.CIRCUIT_OPEN,
        f"{rejected} retrainings in a row were not taken into service; find out why, then run kubectl tidemill reset "
        f"{case.monitor.name}, or annotate the monitor with {names.RESET}=<the time now, as 2026-01-31T12:00:00Z>",
    )


def no_template(case: Case) -> Hold | None:
    if case.template is not None:
        refused = unsupported.refusal(case.template)
        return (
            Hold(Reason.UNSUPPORTED, f"TrainingJob {case.template.name!r}: {refused[0].message}") if refused else None
        )
    return Hold(
        Reason.DEPENDENCY_NOT_READY,
        f"there is no TrainingJob {case.policy.template.training_job!r} to take the spec from",
    )


def nothing_to_tune(case: Case) -> Hold | None:
    if case.policy.strategy != "Retune" or case.template is None or case.template.spec.tuning is not None:
        return None
    return Hold(
        Reason.INVALID_SPEC,
        f"strategy Retune needs spec.tuning in TrainingJob {case.template.name!r}; add it, or take SameParameters",
    )


def switched_off(case: Case) -> Hold | None:
    return Hold(Reason.RETRAINING_OFF, "spec.retraining.mode is Off") if case.policy.mode == "Off" else None


Brake = Callable[[Case], Hold | None]

_GUARDS: Final[tuple[Brake, ...]] = (rollout_in_progress, retraining_active, circuit_open)
_PACE: Final[tuple[Brake, ...]] = (cooling_down, budget_spent)
_MEANS: Final[tuple[Brake, ...]] = (no_template, nothing_to_tune, switched_off)

BRAKES: Final[dict[RetrainingCause, tuple[Brake, ...]]] = {
    "Drift": (bad_data, late_data, too_few_samples, too_few_labels, *_GUARDS, *_PACE, *_MEANS),
    "DataChange": (bad_data, too_few_labels_to_replace, *_GUARDS, *_PACE, *_MEANS),
    "Schedule": (bad_data, too_few_labels_to_replace, *_GUARDS, *_PACE, *_MEANS),
    "Manual": (bad_data, too_few_labels_to_replace, *_GUARDS, *_MEANS),
}
"""What holds a retraining back, by what asks for it."""


def holds(case: Case, cause: RetrainingCause = "Drift") -> tuple[Hold, ...]:
    """Everything that holds a retraining back now."""
    return tuple(block for brake in BRAKES[cause] if (block := brake(case)) is not None)
