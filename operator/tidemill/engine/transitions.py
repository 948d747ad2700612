"""What ended between one status and the next: rollouts, retrainings, trainings, each counted once, when it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tidemill.plan.world import Key


class Transition(NamedTuple):
    """Something that ended, as a counter and its labels."""

    name: str
    labels: tuple[str, ...]


def transitions(key: Key, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Transition]:
    """What ended on the object at `key` when its status went from `before` to `after`."""
    match key.kind:
        case "InferenceService":
            known = {(one.get("version"), one.get("at")) for one in before.get("history") or ()}
            for one in after.get("history") or ():
                if (one.get("version"), one.get("at")) not in known:
                    yield Transition("rollouts_total", (key.namespace, key.name, str(one.get("outcome"))))
        case "DriftMonitor":
            ended = {one.get("trainingJob") for one in before.get("history") or () if _ended(one)}
            for one in after.get("history") or ():
                if _ended(one) and one.get("trainingJob") not in ended:
                    cause = next(iter(one.get("checks") or ()), "") or one.get("cause") or ""
                    yield Transition(
                        "retrainings_total", (key.namespace, key.name, str(cause), str(one.get("outcome")))
                    )
            held = _held(before)
            for reason in _held(after):
                if reason not in held:
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


def _held(status: Mapping[str, Any]) -> tuple[str, ...]:
    """What holds back a retraining that is asked for."""
    retraining = status.get("retraining")
    if not isinstance(retraining, Mapping) or not retraining.get("due"):
        return ()
    return tuple(map(str, retraining.get("blocked") or ()))
