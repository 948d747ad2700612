"""Retrain now? First what became of earlier retrainings, then triage, then the brakes.

Drift alone is no reason to retrain: bad data, too few rows or a rollout in progress make the answer of a new model
meaningless. Each brake is a small function that returns what it blocks with, and the list of them is the policy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tidemill.api import DriftMonitor, InferenceService, ModelVersion, TrainingJob
from tidemill.api.base import to_rfc3339
from tidemill.api.conditions import Reason
from tidemill.api.driftmonitor import CheckStatus, Retraining, RetrainingOutcome, WindowRun
from tidemill.api.durations import delta
from tidemill.children import names
from tidemill.plan import unsupported

UNSEEN_FOR = timedelta(seconds=120)


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that the decision rests on."""

    monitor: DriftMonitor
    policy: Retraining
    service: InferenceService
    template: TrainingJob | None
    last_run: WindowRun
    checks: tuple[CheckStatus, ...]
    history: tuple[RetrainingOutcome, ...]
    newest_version: str
    """The newest version that may be served; another one than the stable one is about to be rolled out."""
    now: datetime


@dataclass(frozen=True, slots=True)
class Block:
    """What holds a retraining back, and until when where that is known."""

    reason: Reason
    message: str
    until: datetime | None = None


def firing(policy: Retraining, checks: Sequence[CheckStatus]) -> tuple[CheckStatus, ...]:
    """The checks that have failed for long enough to call for a retraining; empty where the trigger is not met."""
    judging = [check for check in checks if check.type != "DataQuality"]
    failing = tuple(
        check for check in judging if check.verdict == "Failing" and check.consecutive >= policy.trigger.consecutive
    )
    if policy.trigger.failing == "All" and len(failing) < len(judging):
        return ()
    return failing


def outcomes(
    monitor: DriftMonitor,
    runs: Sequence[TrainingJob],
    versions: Sequence[ModelVersion],
    service: InferenceService | None,
    now: datetime,
) -> tuple[RetrainingOutcome, ...]:
    """What became of each retraining, newest first; one whose TrainingJob is gone keeps its last outcome."""
    by_name = {version.name: version for version in versions}
    current = {run.name: _outcome(run, by_name, service) for run in runs}
    kept = [
        # Nothing can come of a run that somebody deleted before it had an outcome; a new one may not be seen yet.
        earlier.model_copy(update={"outcome": "Failed"})
        if earlier.outcome == "Running" and now - earlier.at > UNSEEN_FOR
        else _follow_up(earlier, by_name, service)
        for earlier in monitor.status.history
        if earlier.training_job not in current
    ]
    every = sorted([*current.values(), *kept], key=lambda outcome: (outcome.at, outcome.training_job), reverse=True)
    return tuple(every[:20])


def consecutive_rejected(history: Sequence[RetrainingOutcome], reset: datetime | None) -> int:
    """How many retrainings in a row, newest first, did not make it into service; a reset forgets what was before it."""
    count = 0
    for outcome in history:
        if outcome.outcome == "Promoted" or (reset is not None and outcome.at <= reset):
            break
        count += outcome.outcome in {"Rejected", "Failed"}
    return count


def in_budget(policy: Retraining, history: Sequence[RetrainingOutcome], now: datetime) -> int:
    since = now - delta(policy.budget.per)
    return sum(outcome.at > since for outcome in history)


def reset_at(monitor: DriftMonitor) -> datetime | None:
    """When a person closed the circuit again, from the annotation `tidemill.dev/reset-circuit`."""
    text = monitor.metadata.annotations.get(names.RESET, "")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def bad_data(case: Case) -> Block | None:
    broken = [check for check in case.checks if check.type == "DataQuality" and check.verdict == "Failing"]
    if not broken:
        return None
    return Block(
        Reason.DATA_QUALITY,
        f"{broken[0].name}: {broken[0].message}; mend the source, a model trained on this would learn the fault",
    )


def too_few_samples(case: Case) -> Block | None:
    needed = case.monitor.spec.window.minimum_samples
    if case.last_run.samples >= needed:
        return None
    return Block(Reason.TOO_FEW_SAMPLES, f"{case.last_run.samples} rows in the window, {needed} needed")


def too_few_labels(case: Case) -> Block | None:
    needed = case.monitor.spec.window.minimum_labels
    if case.last_run.labelled >= needed:
        return None
    return Block(
        Reason.TOO_FEW_LABELS,
        f"{case.last_run.labelled} labelled rows in the window, {needed} needed; send labels to /feedback",
    )


def rollout_in_progress(case: Case) -> Block | None:
    if case.service.status.rollout is not None:
        return Block(Reason.ROLLOUT_IN_PROGRESS, f"{case.service.status.rollout.version} is being rolled out")
    stable = case.service.status.stable
    if case.newest_version and stable and case.newest_version != stable.version and not case.service.spec.model.version:
        return Block(Reason.ROLLOUT_IN_PROGRESS, f"{case.newest_version} is about to be rolled out")
    return None


def retraining_active(case: Case) -> Block | None:
    active = [outcome for outcome in case.history if outcome.outcome in {"Running", "Waiting"}]
    if not active:
        return None
    doing = (
        "is running"
        if active[0].outcome == "Running"
        else f"made {active[0].model_version}, which is neither promoted nor rejected yet"
    )
    return Block(Reason.RETRAINING_ACTIVE, f"{active[0].training_job} {doing}")


def cooling_down(case: Case) -> Block | None:
    if not case.history:
        return None
    eligible = case.history[0].at + delta(case.policy.minimum_interval)
    if case.now >= eligible:
        return None
    # The end as a moment, not as time left: a status must not change because time passes.
    message = f"the last retraining was ordered less than {case.policy.minimum_interval} ago; not before {to_rfc3339(eligible)}"
    return Block(Reason.COOLING_DOWN, message, eligible)


def budget_spent(case: Case) -> Block | None:
    used, budget = in_budget(case.policy, case.history, case.now), case.policy.budget
    return (
        Block(Reason.BUDGET_SPENT, f"{used} retrainings within {budget.per}, {budget.runs} are allowed")
        if used >= budget.runs
        else None
    )


def circuit_open(case: Case) -> Block | None:
    rejected = consecutive_rejected(case.history, reset_at(case.monitor))
    if rejected < case.policy.circuit_breaker.rejected:
        return None
    return Block(
        Reason.CIRCUIT_OPEN,
        f"{rejected} retrainings in a row were not taken into service; find out why, then annotate the monitor with "
        f"{names.RESET}=<the time now, as 2026-01-31T12:00:00Z>",
    )


def no_template(case: Case) -> Block | None:
    if case.template is not None:
        refused = unsupported.refusal(case.template)
        return (
            Block(Reason.UNSUPPORTED, f"TrainingJob {case.template.name!r}: {refused[0].message}") if refused else None
        )
    return Block(
        Reason.DEPENDENCY_NOT_READY,
        f"there is no TrainingJob {case.policy.template.training_job!r} to take the spec from",
    )


def switched_off(case: Case) -> Block | None:
    return Block(Reason.RETRAINING_OFF, "spec.retraining.mode is Off") if case.policy.mode == "Off" else None


BRAKES: tuple[Callable[[Case], Block | None], ...] = (
    bad_data,
    too_few_samples,
    too_few_labels,
    rollout_in_progress,
    retraining_active,
    circuit_open,
    cooling_down,
    budget_spent,
    no_template,
    switched_off,
)


def blocks(case: Case) -> tuple[Block, ...]:
    """Everything that holds a retraining back now."""
    return tuple(block for brake in BRAKES if (block := brake(case)) is not None)


def _outcome(
    run: TrainingJob, versions: dict[str, ModelVersion], service: InferenceService | None
) -> RetrainingOutcome:
    cause = run.status.cause
    base = RetrainingOutcome(
        training_job=run.name,
        model_version=run.status.model_version,
        outcome="Running",
        at=run.metadata.creation_timestamp or datetime.min,
        checks=cause.checks if cause else (),
    )
    if run.status.is_true("Failed"):
        return base.model_copy(update={"outcome": "Failed"})
    if not run.status.is_true("Complete"):
        return base
    return _follow_up(base.model_copy(update={"outcome": "Waiting"}), versions, service)


def _follow_up(
    outcome: RetrainingOutcome, versions: dict[str, ModelVersion], service: InferenceService | None
) -> RetrainingOutcome:
    """What became of the version that a retraining made."""
    if outcome.outcome != "Waiting":
        return outcome
    if service is not None:
        if (
            service.status.stable
            and service.status.stable.version == outcome.model_version
            and service.status.rollout is None
        ):
            return outcome.model_copy(update={"outcome": "Promoted"})
        for ended in service.status.history:
            if ended.version == outcome.model_version and ended.outcome in {"Promoted", "RolledBack"}:
                return outcome.model_copy(update={"outcome": "Promoted" if ended.outcome == "Promoted" else "Rejected"})
    version = versions.get(outcome.model_version)
    if version is not None and version.status.is_true("Stalled"):
        return outcome.model_copy(update={"outcome": "Rejected"})
    return outcome


def eligible_at(policy: Retraining, history: Sequence[RetrainingOutcome]) -> datetime | None:
    """When the cooldown after the newest retraining ends."""
    return history[0].at + delta(policy.minimum_interval) if history else None


def onset(firing_checks: Sequence[CheckStatus], run: WindowRun) -> datetime:
    """The moment after which the tide came in: the end of the last window that none of the firing checks failed in."""
    return min((check.failing_since for check in firing_checks if check.failing_since is not None), default=run.start)
