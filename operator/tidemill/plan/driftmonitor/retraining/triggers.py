"""What asks for a retraining now: a person, a drift that lasted, new data, a schedule. Each occasion asks once.

An occasion is a moment or a digest, and the retraining is named after it: what was ordered for an occasion is found by
name, in the history or in the world, and is not ordered again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tidemill.api import Dataset, DriftMonitor, ModelVersion, TrainingJob
from tidemill.api.base import to_rfc3339
from tidemill.api.checks import SOUNDNESS_TYPES
from tidemill.api.monitorstatus import CheckStatus, Reference, RetrainingOutcome, WindowRun
from tidemill.api.retraining import Retraining, RetrainingCause
from tidemill.children import names
from tidemill.plan.driftmonitor import windows


@dataclass(frozen=True, slots=True)
class Trigger:
    """One thing that asks for a retraining, and the name of the TrainingJob that answers it."""

    cause: RetrainingCause
    name: str
    since: datetime
    """When it began; for a drift, the end of the last window that did not fail."""
    message: str
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Situation:
    """What occasions are read from."""

    monitor: DriftMonitor
    policy: Retraining
    reference: Reference
    version: ModelVersion
    template: TrainingJob | None
    dataset: Dataset | None
    """The template's Dataset."""
    last_run: WindowRun | None
    checks: tuple[CheckStatus, ...]
    history: tuple[RetrainingOutcome, ...]
    now: datetime

    def name(self, occasion: str) -> str:
        return names.retraining(self.monitor.name, self.monitor.metadata.uid, occasion, self.reference.digest)


def firing(policy: Retraining, checks: Sequence[CheckStatus]) -> tuple[CheckStatus, ...]:
    """The checks that have failed for long enough to call for a retraining; empty where the trigger is not met."""
    chosen = policy.trigger.checks
    judging = [check for check in checks if check.type not in SOUNDNESS_TYPES and (not chosen or check.name in chosen)]
    failing = tuple(
        check for check in judging if check.verdict == "Failing" and check.consecutive >= policy.trigger.consecutive
    )
    if policy.trigger.failing == "All" and len(failing) < len(judging):
        return ()
    return failing


def onset(firing_checks: Sequence[CheckStatus], run: WindowRun) -> datetime:
    """The moment after which the tide came in: the end of the last window that none of the firing checks failed in."""
    return min((check.failing_since for check in firing_checks if check.failing_since is not None), default=run.start)


def by_hand(situation: Situation) -> Trigger | None:
    """The annotation `tidemill.dev/retrain`, with the moment at which somebody asked."""
    asked = windows.asked_at(situation.monitor.metadata.annotations, names.RETRAIN, situation.now)
    if asked is None:
        return None
    name = situation.name(f"manual/{to_rfc3339(asked)}")
    if any(outcome.at >= asked and outcome.cause == "Manual" for outcome in situation.history):
        # It was answered for the version of that time; the one that came out of it must not answer it again.
        return None
    return Trigger("Manual", name, asked, f"asked for by hand at {to_rfc3339(asked)}")


def by_drift(situation: Situation) -> Trigger | None:
    run = situation.last_run
    fired = firing(situation.policy, situation.checks)
    if run is None or not fired:
        return None
    checks = tuple(check.name for check in fired)
    times = situation.policy.trigger.consecutive
    message = f"{', '.join(checks)} failed {times} windows in a row"
    return Trigger("Drift", situation.name(to_rfc3339(run.end)), onset(fired, run), message, checks)


def by_data(situation: Situation) -> Trigger | None:
    """Another revision of the Dataset than the served version learnt from."""
    if not situation.policy.on_data_change or situation.template is None or situation.dataset is None:
        return None
    current = situation.dataset.status.revision
    learnt = {used.digest for used in situation.version.spec.lineage.datasets if used.name == situation.dataset.name}
    if current is None or not learnt or current.digest in learnt:
        return None
    name = situation.name(f"data/{current.digest}")
    return Trigger(
        "DataChange",
        name,
        current.created_at,
        f"Dataset {situation.dataset.name!r} has revision {current.digest[:19]}, which the served version did not learn from",
    )


def by_schedule(situation: Situation) -> Trigger | None:
    """The newest tick of the refresh schedule, where nothing was made since; raises UnusableScheduleError."""
    if situation.policy.schedule is None:
        return None
    tick = windows.newest_tick(situation.policy.schedule, situation.now)
    fresher = [situation.reference.since, *(outcome.at for outcome in situation.history)]
    if tick <= max(fresher):
        return None
    return Trigger("Schedule", situation.name(f"schedule/{to_rfc3339(tick)}"), tick, f"due at {to_rfc3339(tick)}")


CAUSES: Final[tuple[Callable[[Situation], Trigger | None], ...]] = (by_hand, by_drift, by_data, by_schedule)
"""In the order in which they are answered: one retraining may serve several."""


def triggers(situation: Situation) -> tuple[Trigger, ...]:
    """Everything that asks for a retraining and has none yet."""
    answered = {outcome.training_job for outcome in situation.history}
    found = (cause(situation) for cause in CAUSES)
    return tuple(occasion for occasion in found if occasion is not None and occasion.name not in answered)
