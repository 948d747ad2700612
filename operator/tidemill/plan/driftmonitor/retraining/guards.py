"""Hold a retraining back: triage first, then the guards.

Drift alone does not justify a retraining: with bad data, too few rows or a rollout in progress, a new model proves
nothing. Each guard is a small function that returns a hold or None, and the list of guards is the policy. A manual request
skips the guards that only pace the operator, never those that protect the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tidemill.api import DriftMonitor
from tidemill.api.base import to_rfc3339
from tidemill.api.conditions import Reason
from tidemill.api.durations import delta
from tidemill.api.monitorstatus import RetrainingOutcome
from tidemill.api.retraining import Retraining, RetrainingCause
from tidemill.children import names
from tidemill.contract.numbers import quantity
from tidemill.plan import unsupported
from tidemill.plan.driftmonitor.retraining.history import consecutive_rejected, live
from tidemill.plan.driftmonitor.retraining.inputs import RetrainingInput
from tidemill.plan.driftmonitor.verdicts import describe_unknown_labels, labels_unknown


@dataclass(frozen=True, slots=True)
class Hold:
    """The reason why a retraining is held back, and its end where that is known."""

    reason: Reason
    message: str
    until: datetime | None = None


def pacing(policy: Retraining, history: Sequence[RetrainingOutcome]) -> tuple[RetrainingOutcome, ...]:
    """Return the retrainings that pace the next one: those that were ordered, or in Observe mode would have been."""
    return tuple(outcome for outcome in history if (outcome.outcome == "Observed") == (policy.mode == "Observe"))


def in_budget(policy: Retraining, history: Sequence[RetrainingOutcome], now: datetime) -> int:
    since = now - delta(policy.budget.per)
    return sum(outcome.at > since for outcome in pacing(policy, history))


def eligible_at(policy: Retraining, history: Sequence[RetrainingOutcome]) -> datetime | None:
    """Return when the cooldown after the newest retraining ends."""
    paced = pacing(policy, history)
    return paced[0].at + delta(policy.minimum_interval) if paced else None


def reset_at(monitor: DriftMonitor) -> datetime | None:
    """Return when the circuit was reset, from the annotation `tidemill.dev/reset-circuit`."""
    text = monitor.metadata.annotations.get(names.RESET, "")
    try:
        timestamp = datetime.fromisoformat(text)
    except ValueError:
        return None
    return timestamp if timestamp.tzinfo else None


def bad_data(inputs: RetrainingInput) -> Hold | None:
    broken = [check for check in inputs.checks if check.type == "DataQuality" and check.verdict == "Failing"]
    if not broken:
        return None
    return Hold(
        Reason.DATA_QUALITY,
        f"{broken[0].name}: {broken[0].message}; fix the source first: a model trained on this data would learn the error",
    )


def late_data(inputs: RetrainingInput) -> Hold | None:
    late = [check for check in inputs.checks if check.type == "Timeliness" and check.verdict == "Failing"]
    return (
        Hold(Reason.DATA_LATE, f"{late[0].name}: {late[0].message}; check why rows or labels arrive late")
        if late
        else None
    )


def unknown_labels(inputs: RetrainingInput) -> Hold | None:
    """Labels that are not classes are a defect of what sends them, and are left out of training."""
    run = inputs.last_run
    if run is None or not labels_unknown(run):
        return None
    return Hold(Reason.LABELS_UNKNOWN, describe_unknown_labels(run))


def too_few_samples(inputs: RetrainingInput) -> Hold | None:
    needed = inputs.monitor.spec.window.minimum_samples
    if inputs.last_run is None or inputs.last_run.samples >= needed:
        return None
    return Hold(
        Reason.TOO_FEW_SAMPLES,
        f"{quantity(inputs.last_run.samples, 'row')} in the window, {needed} needed; wait for more requests, or lower spec.window.minimumSamples",
    )


def too_few_labels(inputs: RetrainingInput) -> Hold | None:
    needed = inputs.monitor.spec.window.minimum_labels
    if inputs.last_run is None or (inputs.last_run.labelled or 0) >= needed:
        return None
    return Hold(
        Reason.TOO_FEW_LABELS,
        f"{quantity(inputs.last_run.labelled or 0, 'labelled row')} in the window, {needed} needed; send labels to /feedback",
    )


def too_few_labels_to_replace(inputs: RetrainingInput) -> Hold | None:
    """A retraining on served rows alone needs labels, whatever triggered it."""
    return too_few_labels(inputs) if inputs.policy.template.data.combine == "Replace" else None


def rollout_in_progress(inputs: RetrainingInput) -> Hold | None:
    if inputs.service.status.rollout is not None:
        return Hold(Reason.ROLLOUT_IN_PROGRESS, f"{inputs.service.status.rollout.version} is being rolled out")
    stable = inputs.service.status.stable
    if (
        inputs.newest_version
        and stable
        and inputs.newest_version != stable.version
        and not inputs.service.spec.model.version
    ):
        return Hold(Reason.ROLLOUT_IN_PROGRESS, f"{inputs.newest_version} is about to be rolled out")
    return None


def retraining_active(inputs: RetrainingInput) -> Hold | None:
    active = live(inputs.history)
    if active is None:
        if inputs.elsewhere:
            return Hold(Reason.RETRAINING_ACTIVE, f"{_state_of(inputs.elsewhere)}; another monitor ordered it")
        if inputs.yields_to:
            return Hold(
                Reason.RETRAINING_ACTIVE,
                f"DriftMonitor {inputs.yields_to!r} of the same service is about to order a retraining",
            )
        return None
    return Hold(Reason.RETRAINING_ACTIVE, _state_of(active))


def _state_of(active: RetrainingOutcome) -> str:
    if active.outcome == "Running":
        return f"{active.training_job} is running"
    return f"{active.training_job} published {active.model_version}, which is not promoted or rejected yet"


def cooling_down(inputs: RetrainingInput) -> Hold | None:
    eligible = eligible_at(inputs.policy, inputs.history)
    if eligible is None or inputs.now >= eligible:
        return None
    # The end as a moment, not as time left: a status must not change because time passes.
    ordered = "would have been ordered" if inputs.policy.mode == "Observe" else "was ordered"
    message = f"the last retraining {ordered} less than {inputs.policy.minimum_interval} ago; the next is allowed at {to_rfc3339(eligible)}"
    return Hold(Reason.COOLING_DOWN, message, eligible)


def budget_spent(inputs: RetrainingInput) -> Hold | None:
    used, budget = in_budget(inputs.policy, inputs.history, inputs.now), inputs.policy.budget
    if used < budget.runs:
        return None
    paced = pacing(inputs.policy, inputs.history)
    # The oldest of the newest `runs` must leave the budget's time before another fits in; the history is bounded.
    leaves = paced[min(budget.runs, len(paced)) - 1].at + delta(budget.per)
    return Hold(
        Reason.BUDGET_SPENT,
        f"the budget of {quantity(budget.runs, 'retraining')} in {budget.per} is spent; wait, or raise spec.retraining.budget",
        until=leaves,
    )


def circuit_open(inputs: RetrainingInput) -> Hold | None:
    rejected = consecutive_rejected(inputs.history, reset_at(inputs.monitor))
    if rejected < inputs.policy.circuit_breaker.rejected:
        return None
    return Hold(
        Reason.CIRCUIT_OPEN,
        f"{quantity(rejected, 'retraining was', 'retrainings in a row were')} rejected or failed; find the cause, then run kubectl tidemill reset "
        f"{inputs.monitor.name}, or annotate the monitor with {names.RESET}=<the current time, such as 2026-01-31T12:00:00Z>",
    )


def no_template(inputs: RetrainingInput) -> Hold | None:
    if inputs.template is not None:
        refused = unsupported.refusal(inputs.template)
        return (
            Hold(Reason.UNSUPPORTED, f"TrainingJob {inputs.template.name!r}: {refused[0].message}") if refused else None
        )
    return Hold(
        Reason.DEPENDENCY_NOT_READY,
        f"TrainingJob {inputs.policy.template.training_job!r} not found; create it, or correct spec.retraining.template.trainingJob",
    )


def nothing_to_tune(inputs: RetrainingInput) -> Hold | None:
    if inputs.policy.strategy != "Retune" or inputs.template is None or inputs.template.spec.tuning is not None:
        return None
    return Hold(
        Reason.INVALID_SPEC,
        f"strategy Retune needs spec.tuning in TrainingJob {inputs.template.name!r}; add it, or use strategy SameParameters",
    )


def switched_off(inputs: RetrainingInput) -> Hold | None:
    return (
        Hold(Reason.RETRAINING_OFF, "spec.retraining.mode is Off; set Act or Observe")
        if inputs.policy.mode == "Off"
        else None
    )


Guard = Callable[[RetrainingInput], Hold | None]

_PROTECTION: Final[tuple[Guard, ...]] = (rollout_in_progress, retraining_active, circuit_open)
_PACE: Final[tuple[Guard, ...]] = (cooling_down, budget_spent)
_MEANS: Final[tuple[Guard, ...]] = (no_template, nothing_to_tune, switched_off)

GUARDS: Final[dict[RetrainingCause, tuple[Guard, ...]]] = {
    "Drift": (bad_data, unknown_labels, late_data, too_few_samples, too_few_labels, *_PROTECTION, *_PACE, *_MEANS),
    "DataChange": (bad_data, unknown_labels, too_few_labels_to_replace, *_PROTECTION, *_PACE, *_MEANS),
    "Schedule": (bad_data, unknown_labels, too_few_labels_to_replace, *_PROTECTION, *_PACE, *_MEANS),
    "Manual": (bad_data, unknown_labels, too_few_labels_to_replace, *_PROTECTION, *_MEANS),
}
"""The guards of a retraining, by its trigger."""


def holds(inputs: RetrainingInput, cause: RetrainingCause = "Drift") -> tuple[Hold, ...]:
    """Return everything that holds a retraining back now."""
    return tuple(hold for guard in GUARDS[cause] if (hold := guard(inputs)) is not None)
