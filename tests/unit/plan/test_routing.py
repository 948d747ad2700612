"""Who gets which requests."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tidemill.api import API_VERSION, InferenceService, ModelVersion
from tidemill.api.inferenceservice import Rollout, RolloutStatus
from tidemill.api.rollout import Step
from tidemill.children import names
from tidemill.children.installation import Installation
from tidemill.plan.inferenceservice import routing
from tidemill.plan.inferenceservice.canary import restored
from tidemill.plan.inferenceservice.lifecycle import RolloutDecision
from tidemill.plan.inferenceservice.observed import ServiceState
from tidemill.plan.world import Manifest

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
INSTALLATION = Installation(workload_image="w:1", server_image="s:1")
GATEWAY = {"traffic": {"provider": "GatewayAPI", "parentRefs": [{"name": "edge"}]}}
LABELLED = {"name": "quality", "type": "Labelled", "metric": "accuracy", "maximumRegression": 0.01}


def service(**spec: Any) -> InferenceService:
    return InferenceService.model_validate(
        {
            "apiVersion": API_VERSION,
            "kind": "InferenceService",
            "metadata": {"name": "fraud", "namespace": "shop", "uid": "u"},
            "spec": {"model": {"name": "fraud"}, **spec},
        }
    )


def judged(*metrics: dict[str, Any]) -> dict[str, Any]:
    return {"rollout": {"analysis": {"metrics": list(metrics)}}}


VERSION = ModelVersion.model_validate(
    {
        "apiVersion": API_VERSION,
        "kind": "ModelVersion",
        "metadata": {"name": "v2", "namespace": "shop"},
        "spec": {"modelName": "fraud", "artifact": {"uri": "s3://b/m", "digest": "sha256:" + "2" * 64}},
    }
)


def pod(role: str, version: str) -> Manifest:
    return {
        "metadata": {"name": f"{role}-1", "labels": {names.ROLE: role, names.MODEL_VERSION: version}},
        "status": {"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def seen(settled: int = 1) -> ServiceState:
    candidate = {"metadata": {"name": "c"}, "spec": {"replicas": 1}, "status": {"availableReplicas": settled}}
    return ServiceState(
        {"metadata": {"name": "s"}}, candidate, (pod("stable", "v1"), pod("candidate", "v2")), (VERSION,)
    )


def course(weight: int = 25, shadow: int = 0) -> RolloutDecision:
    status = RolloutStatus(
        phase="Progressing", version="v2", weight=weight, shadow=shadow, started_at=NOW, step_started_at=NOW
    )
    return RolloutDecision(None, rollout=status)


def table(wanted: InferenceService, sight: ServiceState, decided: RolloutDecision) -> dict[str, Any]:
    [mark] = routing.tables(wanted, sight, decided, INSTALLATION) or [None]
    return {} if mark is None else dict(json.loads(mark.annotations[names.ROUTES] or "{}"))


@pytest.mark.parametrize(("weight", "shadow"), [(25, 0), (0, 50), (100, 0)])
def test_the_stable_pods_split_and_copy_as_the_rollout_says(weight: int, shadow: int) -> None:
    result = table(service(), seen(), course(weight, shadow))

    assert (weight, shadow) == (result.get("weight", 0), result.get("shadow", 0))
    assert "v2" == result["candidate"]["name"]


def test_a_candidate_that_has_not_settled_gets_neither_requests_nor_copies() -> None:
    assert {} == table(service(), seen(settled=0), course(25, 50))


def test_where_a_gateway_splits_the_stable_pods_do_not_split_again() -> None:
    assert 0 == table(service(**GATEWAY), seen(), course(25)).get("weight", 0)


def test_where_a_gateway_splits_versions_are_compared_on_copies() -> None:
    with_labels = service(**GATEWAY, **judged(LABELLED))
    without = service(**GATEWAY, **judged({"name": "errors", "type": "ErrorRate", "maximum": 0.1}))

    assert 25 == table(with_labels, seen(), course(25))["shadow"]
    assert 0 == table(without, seen(), course(25)).get("shadow", 0)


def in_force(sight: ServiceState, decided: RolloutDecision, **spec: Any) -> RolloutStatus:
    rollout = routing.in_force(service(**spec), sight, decided).rollout
    assert rollout is not None
    return rollout


def test_a_candidate_without_a_ready_pod_has_no_share_and_the_step_is_remembered() -> None:
    lost = in_force(seen(settled=0), course(25, 50))

    assert (0, 0, 25, 50) == (lost.weight, lost.shadow, lost.desired_weight, lost.desired_shadow)
    assert "v1 answers all requests: no pod of the candidate is ready" == lost.message

    steps = Rollout(steps=(Step(weight=25, pause="1m"),))
    back = in_force(seen(), RolloutDecision(None, rollout=restored(steps, lost)))
    assert (25, 50, None, None) == (back.weight, back.shadow, back.desired_weight, back.desired_shadow)
    assert (lost.step_started_at, "step 1 of 1: 25% of requests") == (back.step_started_at, back.message)


@pytest.mark.parametrize(
    ("weight", "stable", "who"),
    [
        (100, ("v1",), "v2 answers all requests"),
        (0, ("v1",), "v1 answers all requests"),
        (0, ("v1", "v2"), "v1 and v2 answer requests"),
        (0, (), "no pod answers requests"),
        (100, (), "no pod answers requests"),
    ],
)
def test_a_promotion_says_who_answers_meanwhile(weight: int, stable: tuple[str, ...], who: str) -> None:
    pods = (*(pod("stable", version) for version in stable), pod("candidate", "v2"))
    decided = course(weight)
    assert decided.rollout is not None
    promoting = decided.rollout.model_copy(update={"phase": "Promoting", "message": "replacing the stable pods"})

    result = in_force(replace(seen(), pods=pods), replace(decided, rollout=promoting))

    assert f"{who}; replacing the stable pods" == result.message
    assert weight == result.weight


def backends(wanted: InferenceService, sight: ServiceState, decided: RolloutDecision) -> list[tuple[str, int]]:
    [route] = routing.at_the_gateway(wanted, sight, decided)
    return [(backend["name"], backend["weight"]) for backend in route["spec"]["rules"][-1]["backendRefs"]]


def test_the_route_follows_the_rollout_and_names_only_a_candidate_that_answers() -> None:
    wanted = service(**GATEWAY)

    assert [("fraud", 75), ("fraud-candidate", 25)] == backends(wanted, seen(), course(25))
    assert [("fraud", 1)] == backends(wanted, seen(settled=0), course(25))
    assert [("fraud", 1)] == backends(wanted, seen(), RolloutDecision(None))


@pytest.mark.parametrize(("gateway", "remedy"), [("Off", "traffic.gatewayAPI.enabled"), ("Absent", "CRDs")])
def test_a_gateway_that_cannot_be_is_refused_with_the_remedy(gateway: Any, remedy: str) -> None:
    installation = Installation(workload_image="w:1", server_image="s:1", gateway=gateway)

    ready, stalled = routing.refusal(service(**GATEWAY), installation)

    assert ("Ready", "False", "Stalled", "True") == (ready.type, ready.status, stalled.type, stalled.status)
    assert remedy in stalled.message
    assert () == routing.refusal(service(), installation)
