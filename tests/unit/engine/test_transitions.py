"""What ended between one status and the next."""

from __future__ import annotations

from typing import Any

from tidemill.engine.transitions import transitions
from tidemill.plan.world import Key


def ended(kind: str, before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    return [tuple(transition) for transition in transitions(Key(kind, "science", "iris"), before, after)]


PROMOTED = {"version": "iris-2", "outcome": "Promoted", "at": "2026-01-02T00:00:00Z"}
ROLLED_BACK = {"version": "iris-2", "outcome": "RolledBack", "at": "2026-01-03T00:00:00Z"}
RUNNING = {"trainingJob": "iris-retrain-1", "outcome": "Running", "checks": ["quality"]}
REJECTED = {**RUNNING, "outcome": "Rejected"}


def test_a_rollout_is_counted_when_it_enters_the_history() -> None:
    assert ended("InferenceService", {}, {"history": [PROMOTED]}) == [
        ("rollouts_total", ("science", "iris", "Promoted"))
    ]


def test_a_second_try_of_the_same_version_is_a_second_rollout() -> None:
    result = ended("InferenceService", {"history": [PROMOTED]}, {"history": [ROLLED_BACK, PROMOTED]})

    assert result == [("rollouts_total", ("science", "iris", "RolledBack"))]


def test_a_retraining_is_counted_when_it_ends_and_names_the_check_that_caused_it() -> None:
    assert ended("DriftMonitor", {}, {"history": [RUNNING]}) == []
    assert ended("DriftMonitor", {"history": [RUNNING]}, {"history": [REJECTED]}) == [
        ("retrainings_total", ("science", "iris", "quality", "Rejected"))
    ]


def test_nothing_is_counted_twice() -> None:
    assert ended("DriftMonitor", {"history": [REJECTED]}, {"history": [REJECTED]}) == []
    assert ended("InferenceService", {"history": [PROMOTED]}, {"history": [PROMOTED]}) == []


def test_a_training_is_counted_by_who_asked_for_it() -> None:
    after = {"completedAt": "2026-01-02T00:00:00Z", "modelVersion": "iris-2", "cause": {"kind": "DriftMonitor"}}

    assert ended("TrainingJob", {}, after) == [("trainings_total", ("science", "DriftMonitor", "Succeeded"))]
    assert ended("TrainingJob", {}, {"completedAt": "2026-01-02T00:00:00Z"}) == [
        ("trainings_total", ("science", "User", "Failed"))
    ]


def test_a_retraining_that_is_held_back_is_counted_when_it_begins_to_be_and_only_where_one_is_asked_for() -> None:
    key = Key("DriftMonitor", "science", "iris")
    idle = {"retraining": {"blocked": ["DataQuality"]}}
    held = {"retraining": {"due": ["Drift"], "blocked": ["DataQuality", "CoolingDown"]}}

    expected = {("science", "iris", "DataQuality"), ("science", "iris", "CoolingDown")}
    assert expected == {milestone.labels for milestone in transitions(key, idle, held)}
    assert [] == list(transitions(key, held, held))
    assert [] == list(transitions(key, {}, idle))
