"""The triggers of a retraining: a manual request, a drift that lasted, new data, a schedule. Each fires once.

A trigger is a timestamp or a digest, and the retraining is named after it: what was ordered for a trigger is found by
name, in the history or in the world, and is not ordered again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tidemill.api.base import to_rfc3339
from tidemill.api.checks import SOUNDNESS_TYPES
from tidemill.api.monitorstatus import CheckStatus, WindowRun
from tidemill.api.retraining import Retraining, RetrainingCause
from tidemill.children import names
from tidemill.contract.numbers import quantity
from tidemill.plan.driftmonitor.retraining.inputs import RetrainingInput
from tidemill.plan.requests import requested_at
from tidemill.plan.runs.schedules import newest_tick


@dataclass(frozen=True, slots=True)
class Trigger:
    """A cause for a retraining, and the name of the TrainingJob that answers it."""

    cause: RetrainingCause
    name: str
    since: datetime
    """When it began; for a drift, the end of the last window that did not fail."""
    message: str
    checks: tuple[str, ...] = ()


def firing(policy: Retraining, checks: Sequence[CheckStatus]) -> tuple[CheckStatus, ...]:
    """Return the checks that have failed for long enough to retrain; empty if the trigger is not met."""
    chosen = policy.trigger.checks
    judging = [check for check in checks if check.type not in SOUNDNESS_TYPES and (not chosen or check.name in chosen)]
    failing = tuple(
        check for check in judging if check.verdict == "Failing" and check.consecutive >= policy.trigger.consecutive
    )
    if policy.trigger.failing == "All" and len(failing) < len(judging):
        return ()
    return failing


def onset(firing_checks: Sequence[CheckStatus], run: WindowRun) -> datetime:
    """Return when the drift began: the end of the last window in which none of the firing checks failed."""
    return min((check.failing_since for check in firing_checks if check.failing_since is not None), default=run.start)


def manual_trigger(inputs: RetrainingInput) -> Trigger | None:
    """Return the request of the annotation `tidemill.dev/retrain`, whose value is the time of the request."""
    requested = requested_at(inputs.monitor.metadata.annotations, names.RETRAIN, inputs.now)
    if requested is None:
        return None
    name = inputs.name(f"manual/{to_rfc3339(requested)}")
    if any(outcome.at >= requested and outcome.cause == "Manual" for outcome in inputs.history):
        # It was answered for the version of that time; the version that came out must not answer it again.
        return None
    return Trigger("Manual", name, requested, f"requested manually at {to_rfc3339(requested)}")


def drift_trigger(inputs: RetrainingInput) -> Trigger | None:
    run = inputs.last_run
    fired = firing(inputs.policy, inputs.checks)
    if run is None or not fired:
        return None
    checks = tuple(check.name for check in fired)
    times = inputs.policy.trigger.consecutive
    message = f"{', '.join(checks)} failed {quantity(times, 'window', 'windows in a row')}"
    return Trigger("Drift", inputs.name(to_rfc3339(run.end)), onset(fired, run), message, checks)


def data_trigger(inputs: RetrainingInput) -> Trigger | None:
    """Return a trigger if the Dataset has another revision than the one the served version was trained on."""
    if not inputs.policy.on_data_change or inputs.template is None or inputs.dataset is None:
        return None
    current = inputs.dataset.status.revision
    trained_on = {used.digest for used in inputs.version.spec.lineage.datasets if used.name == inputs.dataset.name}
    if current is None or not trained_on or current.digest in trained_on:
        return None
    name = inputs.name(f"data/{current.digest}")
    return Trigger(
        "DataChange",
        name,
        current.created_at,
        f"Dataset {inputs.dataset.name!r} has revision {current.digest[:19]}, on which the served version was not trained",
    )


def schedule_trigger(inputs: RetrainingInput) -> Trigger | None:
    """Return the newest tick of the schedule if nothing was ordered since; raises UnusableScheduleError."""
    if inputs.policy.schedule is None:
        return None
    tick = newest_tick(inputs.policy.schedule, inputs.now)
    newer = [inputs.reference.since, *(outcome.at for outcome in inputs.history)]
    if tick <= max(newer):
        return None
    return Trigger(
        "Schedule", inputs.name(f"schedule/{to_rfc3339(tick)}"), tick, f"the schedule was due at {to_rfc3339(tick)}"
    )


TRIGGERS: Final[tuple[Callable[[RetrainingInput], Trigger | None], ...]] = (
    manual_trigger,
    drift_trigger,
    data_trigger,
    schedule_trigger,
)
"""In the order in which they are answered: one retraining may answer several."""


def triggers(inputs: RetrainingInput) -> tuple[Trigger, ...]:
    """Return the triggers that have fired and are not answered yet."""
    answered = {outcome.training_job for outcome in inputs.history}
    candidates = (cause(inputs) for cause in TRIGGERS)
    return tuple(trigger for trigger in candidates if trigger is not None and trigger.name not in answered)
