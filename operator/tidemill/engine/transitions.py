"""Find what ended between one status and the next: rollouts, retrainings, trainings, each counted once, when it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tidemill.plan.world import Key


class Transition(NamedTuple):
    """Something that ended, as a counter and its labels."""

    name: str
    labels: tuple[str, ...]


def transitions(key: Key, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Transition]:
    """Yield what ended on the object at `key` when its status changed from `before` to `after`."""
    match key.kind:
        case "InferenceService":
            known = {(entry.get("version"), entry.get("at")) for entry in before.get("history") or ()}
            for entry in after.get("history") or ():
                if (entry.get("version"), entry.get("at")) not in known:
                    yield Transition("rollouts_total", (key.namespace, key.name, str(entry.get("outcome"))))
        case "DriftMonitor":
            ended = {entry.get("trainingJob") for entry in before.get("history") or () if _ended(entry)}
            for entry in after.get("history") or ():
                if _ended(entry) and entry.get("trainingJob") not in ended:
                    cause = next(iter(entry.get("checks") or ()), "") or entry.get("cause") or ""
                    yield Transition(
                        "retrainings_total", (key.namespace, key.name, str(cause), str(entry.get("outcome")))
                    )
            earlier = _blocked(before)
            for reason in _blocked(after):
                if reason not in earlier:
                    yield Transition("retrainings_blocked_total", (key.namespace, key.name, reason))
        case "TrainingJob":
            if after.get("completedAt") and not before.get("completedAt"):
                cause = str((after.get("cause") or {}).get("kind") or "User")
                outcome = "Succeeded" if after.get("modelVersion") else "Failed"
                yield Transition("trainings_total", (key.namespace, cause, outcome))
        case _:
            return


def _ended(outcome: Mapping[str, Any]) -> bool:
    return outcome.get("outcome") not in ("Running", "Waiting", "Observed")


def _blocked(status: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the reasons that block a requested retraining."""
    retraining = status.get("retraining")
    if not isinstance(retraining, Mapping) or not retraining.get("due"):
        return ()
    return tuple(map(str, retraining.get("blocked") or ()))
