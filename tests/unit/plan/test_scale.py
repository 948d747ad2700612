"""How many pods: numbers of the user's, numbers of the autoscaler's, and never a number taken from its owner."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tidemill.api import API_VERSION, InferenceService
from tidemill.api.inferenceservice import RolloutStatus
from tidemill.children import names
from tidemill.plan.inferenceservice.lifecycle import RolloutDecision
from tidemill.plan.inferenceservice.observed import ServiceState
from tidemill.plan.inferenceservice.replicas import Scale, scale
from tidemill.plan.world import Manifest, World

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
OWNED = {"ownerReferences": [{"uid": "u"}]}


def service(**spec: Any) -> InferenceService:
    return InferenceService.model_validate(
        {
            "apiVersion": API_VERSION,
            "kind": "InferenceService",
            "metadata": {"name": "fraud", "namespace": "shop", "uid": "u"},
            "spec": {"model": {"name": "fraud"}, **spec},
        }
    )


def deployment(replicas: int | None) -> Manifest | None:
    return None if replicas is None else {"metadata": {"name": "fraud", **OWNED}, "spec": {"replicas": replicas}}


def child(kind: str, **more: Any) -> Manifest:
    metadata = {"name": names.stable("fraud"), "namespace": "shop", "uid": f"uid-{kind}", **OWNED}
    return {"kind": kind, "metadata": metadata, **more}


def rollout(weight: int) -> RolloutStatus:
    return RolloutStatus(phase="Progressing", version="v2", weight=weight, started_at=NOW, step_started_at=NOW)


def scaled(
    wanted: InferenceService,
    *there: Manifest,
    stable: int | None = 2,
    candidate: int | None = None,
    weight: int | None = None,
) -> Scale:
    seen = ServiceState(deployment(stable), deployment(candidate), (), ())
    course = RolloutDecision(None, rollout=None if weight is None else rollout(weight))
    return scale(wanted, seen, course, World(there))


AUTO = {"autoscaling": {"minReplicas": 2, "maxReplicas": 6}}
ACTED = child("HorizontalPodAutoscaler", status={"lastScaleTime": "2026-01-05T09:00:00Z"})
IDLE = child("HorizontalPodAutoscaler", status={})


def kinds(result: Scale) -> list[str]:
    return [manifest["kind"] for manifest in result.ensure]


def autoscaler(result: Scale) -> Manifest:
    return next(manifest for manifest in result.ensure if manifest["kind"] == "HorizontalPodAutoscaler")


@pytest.mark.parametrize(("replicas", "budgets"), [(None, []), (1, []), (2, ["PodDisruptionBudget"])])
def test_a_budget_is_for_more_than_one_pod(replicas: int | None, budgets: list[str]) -> None:
    spec = {} if replicas is None else {"replicas": replicas}

    result = scaled(service(**spec))

    assert (replicas, budgets) == (result.stable, kinds(result))


def test_an_autoscaler_begins_with_the_smallest_number() -> None:
    result = scaled(service(**AUTO), stable=None)

    assert (2, []) == (result.stable, kinds(result)), "nothing is there yet to be scaled"


def test_until_the_autoscaler_has_acted_the_number_stays_as_it_is() -> None:
    assert 3 == scaled(service(**AUTO), IDLE, stable=3).stable
    assert 3 == scaled(service(**AUTO), stable=3).stable


def test_once_the_autoscaler_has_acted_no_number_is_applied() -> None:
    assert scaled(service(**AUTO), ACTED, stable=4).stable is None


def test_the_autoscaler_says_what_the_spec_says() -> None:
    spec = autoscaler(scaled(service(**AUTO)))["spec"]

    assert (2, 6) == (spec["minReplicas"], spec["maxReplicas"])
    assert {"kind": "Deployment", "name": "fraud-stable", "apiVersion": "apps/v1"} == spec["scaleTargetRef"]
    assert 70 == spec["metrics"][0]["resource"]["target"]["averageUtilization"]


def test_requests_in_flight_are_a_metric_of_the_pods() -> None:
    wish = {"autoscaling": {"maxReplicas": 6, "metric": "RequestsInFlight", "target": 8}}

    [metric] = autoscaler(scaled(service(**wish)))["spec"]["metrics"]

    assert ("Pods", "tidemill_predictions_in_flight", "8") == (
        metric["type"],
        metric["pods"]["metric"]["name"],
        metric["pods"]["target"]["averageValue"],
    )


def test_a_candidate_is_as_large_as_what_it_may_replace_and_does_not_shrink() -> None:
    assert 4 == scaled(service(**AUTO), ACTED, stable=4).candidate
    assert 4 == scaled(service(**AUTO), ACTED, stable=2, candidate=4, weight=100).candidate


def test_the_stable_pods_are_not_scaled_away_while_the_candidate_answers() -> None:
    """They have nothing to do then, and have to be enough at once when the share comes back."""
    held = autoscaler(scaled(service(**AUTO), ACTED, stable=4, candidate=4, weight=50))
    free = autoscaler(scaled(service(**AUTO), ACTED, stable=4, candidate=4, weight=0))

    assert (4, 2) == (held["spec"]["minReplicas"], free["spec"]["minReplicas"])


def test_what_the_spec_no_longer_asks_for_is_removed() -> None:
    result = scaled(service(replicas=1), ACTED, child("PodDisruptionBudget"))

    assert ["HorizontalPodAutoscaler", "PodDisruptionBudget"] == [retirement.key.kind for retirement in result.retire]


def test_an_autoscaler_of_somebody_else_is_left_alone() -> None:
    foreign = {**IDLE, "metadata": {**IDLE["metadata"], "ownerReferences": []}}

    assert () == scaled(service(replicas=1), foreign).retire


def test_an_autoscaler_that_cannot_scale_says_why() -> None:
    condition = {
        "type": "ScalingActive",
        "status": "False",
        "reason": "FailedGetResourceMetric",
        "message": "no metrics",
    }

    result = scaled(service(**AUTO), child("HorizontalPodAutoscaler", status={"conditions": [condition]}))

    assert "FailedGetResourceMetric: no metrics" == result.problem
