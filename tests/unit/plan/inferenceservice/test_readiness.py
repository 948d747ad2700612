"""A service is ready by what its pods run, not by how many there are."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from support import monitors as make
from tidemill.api import InferenceService
from tidemill.api.conditions import Condition
from tidemill.api.inferenceservice import InferenceServiceStatus, RolloutStatus
from tidemill.children import names
from tidemill.plan.inferenceservice.lifecycle import RolloutDecision
from tidemill.plan.inferenceservice.observed import ServiceState
from tidemill.plan.inferenceservice.selection import Selection
from tidemill.plan.inferenceservice.status import report

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
ROLLED = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}


def deployment(version: str = "fraud-1", replicas: int = 2, **status: Any) -> dict[str, Any]:
    order = json.dumps({"version": {"name": version}})
    return {
        "metadata": {"name": "fraud-stable", "generation": 2},
        "spec": {"replicas": replicas, "template": {"metadata": {"annotations": {names.ORDER: order}}}},
        "status": {**ROLLED, **status},
    }


def pod(version: str = "fraud-1", *, ready: bool = True, problem: str = "") -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    if problem:
        conditions.append({"type": "PodScheduled", "status": "False", "message": problem})
    labels = {names.ROLE: "stable", names.MODEL_VERSION: version}
    return {"metadata": {"name": "p", "labels": labels}, "status": {"conditions": conditions}}


def status(
    stable: dict[str, Any],
    pods: list[dict[str, Any]],
    before: InferenceServiceStatus | None = None,
    promoting: str = "",
) -> InferenceServiceStatus:
    service: InferenceService = make.service()
    service = service.model_copy(update={"status": before or InferenceServiceStatus()})
    state = ServiceState(stable, None, tuple(pods), (make.version(),))
    rollout = (
        RolloutStatus(phase="Promoting", version=promoting, weight=100, started_at=NOW, step_started_at=NOW)
        if promoting
        else None
    )
    decision = RolloutDecision(make.version(), rollout=rollout)
    return report(service, state, Selection(make.version()), decision, NOW)


def condition(observed: InferenceServiceStatus, type_: str) -> Condition:
    result = observed.condition(type_)
    assert result is not None
    return result


def test_every_pod_runs_the_version_and_the_current_spec() -> None:
    result = status(deployment(), [pod(), pod()])

    assert ("True", "fraud-1 is served by 2 pods") == (
        condition(result, "Ready").status,
        condition(result, "Ready").message,
    )
    assert "True" == condition(result, "RolloutComplete").status
    assert result.condition("Reconciling") is None
    assert result.stable is not None
    assert 2 == result.stable.ready


def test_one_pod_is_told_in_the_singular() -> None:
    stable = deployment(replicas=1)
    stable["status"] |= dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)

    assert "fraud-1 is served by 1 pod" == condition(status(stable, [pod()]), "Ready").message


NO_ROOM = "0/1 nodes are available: 1 Insufficient cpu"
EDITED = {"replicas": 3, "updatedReplicas": 1}


def test_an_edit_whose_pod_finds_no_room_is_not_ready_though_the_old_pods_answer() -> None:
    stable = deployment()
    stable["status"] |= EDITED
    result = status(stable, [pod(), pod(), pod(ready=False, problem=NO_ROOM)])

    assert ("False", "ReplicasNotReady") == (condition(result, "Ready").status, condition(result, "Ready").reason)
    assert NO_ROOM in condition(result, "Ready").message
    assert "True" == condition(result, "StableReady").status
    assert "True" == condition(result, "Reconciling").status
    assert "False" == condition(result, "RolloutComplete").status
    assert result.stable is not None
    assert ("fraud-1", 2, 100) == (result.stable.version, result.stable.ready, result.stable.weight)


def test_a_template_that_its_controller_has_not_observed_is_not_ready() -> None:
    result = status(deployment(observedGeneration=1), [pod(), pod()])

    assert "False" == condition(result, "Ready").status


def test_the_version_of_the_pods_that_answer_is_the_one_in_service() -> None:
    stable = deployment("fraud-2")
    stable["status"] |= {"replicas": 3, "updatedReplicas": 1}
    old = [pod("fraud-1"), pod("fraud-1")]

    replacing = status(stable, [*old, pod("fraud-2", ready=False)], promoting="fraud-2")
    stuck = status(stable, [*old, pod("fraud-2", ready=False, problem=NO_ROOM)], promoting="fraud-2")

    assert "True" == condition(replacing, "Ready").status
    assert "0 of 2 pods are ready with the current spec" in condition(replacing, "Ready").message
    assert ("False", True) == (condition(stuck, "Ready").status, NO_ROOM in condition(stuck, "Ready").message)
    assert stuck.stable is not None
    assert ("fraud-1", 2) == (stuck.stable.version, stuck.stable.ready)

    mixed = status(stable, [pod("fraud-1"), pod("fraud-2")], promoting="fraud-2")
    assert mixed.stable is not None
    assert ("fraud-2", 1) == (mixed.stable.version, mixed.stable.ready)

    nothing = status(stable, [pod("fraud-1", ready=False)], promoting="fraud-2")
    assert nothing.stable is not None
    assert ("fraud-2", 0, 0) == (nothing.stable.version, nothing.stable.ready, nothing.stable.weight)


def test_zero_pods_answer_nothing() -> None:
    nothing = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 0)
    stable = deployment(replicas=0)
    stable["status"] |= nothing
    result = status(stable, [], before=status(deployment(), [pod(), pod()]))

    assert ("True", "ScaledToZero") == (condition(result, "Ready").status, condition(result, "Ready").reason)
    assert "no requests are answered" in condition(result, "Ready").message
    assert "False" == condition(result, "StableReady").status
    assert "True" == condition(result, "RolloutComplete").status
    assert "serves all requests" not in condition(result, "RolloutComplete").message


def test_a_rollout_is_complete_only_once_a_rollout_was_completed() -> None:
    refused = deployment()
    refused["status"] |= dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 0)
    refused["status"]["conditions"] = [
        {"type": "ReplicaFailure", "status": "True", "message": "maximum memory usage per Container is 600Mi"}
    ]
    result = status(refused, [])

    assert "False" == condition(result, "RolloutComplete").status
    assert "maximum memory usage per Container is 600Mi" in condition(result, "Ready").message


@pytest.mark.parametrize("ready", [0, 1])
def test_a_pod_that_fails_later_does_not_undo_a_rollout(ready: int) -> None:
    complete = status(deployment(), [pod(), pod()])
    pods = [pod(ready=index < ready) for index in range(2)]
    result = status(deployment(readyReplicas=ready), pods, before=complete)

    assert "True" == condition(result, "RolloutComplete").status
    assert "False" == condition(result, "Ready").status
    assert f"{ready} of 2 pods are ready" == condition(result, "Ready").message


def test_the_status_has_whole_urls_by_the_name_of_the_model() -> None:
    endpoints = status(deployment(ready=2), [pod(), pod()]).endpoints

    assert endpoints is not None
    assert "http://fraud.shop.svc/v2/models/fraud/predict" == endpoints.predict
    assert {
        endpoints.predict.replace("/predict", f"/{name}") for name in ("predict", "infer", "feedback", "explain")
    } == {*endpoints.model_dump().values()}
