"""The requests of a person to a monitor, with a kubectl that is a script on the PATH."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from unit.cli.kubectl_script import FakeKubectl

AT = "2026-01-05T09:00:00Z"
REQUESTS = {
    "check": "tidemill.dev/check",
    "retrain": "tidemill.dev/retrain",
    "reset": "tidemill.dev/reset-circuit",
}
RETRAINING = {"template": {"trainingJob": "fraud"}}
OPEN = {"retraining": {"consecutiveRejected": 3}}


def condition(type_: str, status: str, reason: str, message: str = "", generation: int = 2) -> dict[str, Any]:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": AT,
        "observedGeneration": generation,
    }


def monitor(
    kubectl: FakeKubectl,
    *,
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    conditions: tuple[dict[str, Any], ...] = (),
    **metadata: Any,
) -> None:
    least: dict[str, Any] = {
        "target": {"inferenceService": "fraud"},
        "checks": [{"name": "inputs", "type": "FeatureDrift", "failing": 0.2}],
        "retraining": RETRAINING,
    }
    wanted = {name: value for name, value in (least | (spec or {})).items() if value is not None}
    kubectl.know("DriftMonitor", "fraud", wanted, {"conditions": list(conditions), **(status or {})}, **metadata)


@pytest.fixture
def kubectl(tmp_path: Path) -> FakeKubectl:
    made = FakeKubectl(tmp_path)
    monitor(made)
    estimator = {"name": "sklearn.linear_model.LogisticRegression"}
    made.know("TrainingJob", "fraud", {"modelName": "fraud", "dataset": {"name": "fraud"}, "estimator": estimator}, {})
    return made


@pytest.mark.parametrize("command", REQUESTS)
def test_a_request_is_an_annotation_with_the_time(command: str, kubectl: FakeKubectl) -> None:
    if command == "reset":
        monitor(kubectl, status=OPEN)
    before = datetime.now(UTC).replace(microsecond=0)

    done = kubectl.run(command, "fraud", "-n", "shop", "--context", "test")

    assert 0 == done.returncode, done.stderr
    assert done.stdout.startswith("requested")
    [words] = kubectl.annotated
    where = ["--context", "test", "--namespace", "shop", "annotate", "driftmonitors.tidemill.dev/fraud"]
    assert where == words[:6]
    annotation, _, timestamp = words[6].partition("=")
    assert REQUESTS[command] == annotation
    assert before <= datetime.fromisoformat(timestamp) <= datetime.now(UTC)
    assert "--overwrite" in words


WAITING = condition("Ready", "False", "DependencyNotReady", "InferenceService 'fraud' has no stable version yet")
STALLED = condition("Stalled", "True", "InvalidSpec", "spec.schedule: never fires")
BROKEN = condition("RetrainingAllowed", "False", "InvalidSpec", "strategy Retune needs spec.tuning")
WITHOUT_EFFECT: dict[str, tuple[str, dict[str, Any], str]] = {
    "check a suspended monitor": ("check", {"spec": {"suspend": True}}, "is suspended"),
    "check a monitor that is stalled": ("check", {"conditions": (STALLED,)}, "spec.schedule: never fires"),
    "check a monitor without a version to watch": ("check", {"conditions": (WAITING,)}, "no stable version yet"),
    "check a monitor that is being deleted": ("check", {"deletionTimestamp": AT}, "is being deleted"),
    "retrain for a suspended monitor": ("retrain", {"spec": {"suspend": True}}, "is suspended"),
    "retrain without spec.retraining": ("retrain", {"spec": {"retraining": None}}, "has no spec.retraining"),
    "retrain in mode Off": ("retrain", {"spec": {"retraining": {**RETRAINING, "mode": "Off"}}}, "'Off'"),
    "retrain in mode Observe": ("retrain", {"spec": {"retraining": {**RETRAINING, "mode": "Observe"}}}, "'Observe'"),
    "retrain by a template that is not there": (
        "retrain",
        {"spec": {"retraining": {"template": {"trainingJob": "other"}}}},
        "NotFound",
    ),
    "retrain with an open circuit": ("retrain", {"status": OPEN}, "kubectl tidemill reset fraud first"),
    "retrain where only an edit helps": ("retrain", {"conditions": (BROKEN,)}, "strategy Retune needs spec.tuning"),
    "reset a circuit that is closed": (
        "reset",
        {"status": {"retraining": {"consecutiveRejected": 2}}},
        "is not open: 2 of 3",
    ),
    "reset without spec.retraining": ("reset", {"spec": {"retraining": None}}, "has no spec.retraining"),
}


@pytest.mark.parametrize("case", WITHOUT_EFFECT)
def test_a_request_that_changes_nothing_is_refused(kubectl: FakeKubectl, case: str) -> None:
    command, state, reason = WITHOUT_EFFECT[case]
    monitor(kubectl, **state)

    done = kubectl.run(command, "fraud")

    assert (1, "", []) == (done.returncode, done.stdout, kubectl.annotated)
    assert reason in done.stderr


WITH_EFFECT: dict[str, tuple[str, dict[str, Any]]] = {
    "a condition of an earlier spec": (
        "check",
        {"conditions": (condition("Stalled", "True", "InvalidSpec", "was so", generation=1),)},
    ),
    "a retraining that waits for a rollout": (
        "retrain",
        {"conditions": (condition("RetrainingAllowed", "False", "RolloutInProgress"),)},
    ),
    "a retraining whose cooldown is passed by hand": (
        "retrain",
        {"conditions": (condition("RetrainingAllowed", "False", "CoolingDown"),)},
    ),
    "a monitor that the operator has not seen yet": ("check", {}),
}


@pytest.mark.parametrize("case", WITH_EFFECT)
def test_what_passes_by_itself_is_no_reason_to_refuse(kubectl: FakeKubectl, case: str) -> None:
    command, state = WITH_EFFECT[case]
    monitor(kubectl, **state)

    done = kubectl.run(command, "fraud")

    assert 0 == done.returncode, done.stderr
    assert 1 == len(kubectl.annotated)


@pytest.mark.parametrize("command", REQUESTS)
def test_a_monitor_that_does_not_exist_is_refused_in_kubectls_words(command: str, kubectl: FakeKubectl) -> None:
    done = kubectl.run(command, "other")

    assert (1, []) == (done.returncode, kubectl.annotated)
    assert "NotFound" in done.stderr
