"""Who owns the number of pods, by a real API server's account of the fields."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tidemill.api import API_VERSION, InferenceService, ModelVersion
from tidemill.children import scaling, serving
from tidemill.children.installation import Installation

from .conftest import Kube

pytestmark = [pytest.mark.api, pytest.mark.timeout(300)]
INSTALLATION = Installation(workload_image="w:1", server_image="s:1")


def service(namespace: str) -> InferenceService:
    return InferenceService.model_validate(
        {
            "apiVersion": API_VERSION,
            "kind": "InferenceService",
            "metadata": {"name": "fraud", "namespace": namespace, "uid": "0a1b2c3d-0000-4000-8000-000000000000"},
            "spec": {"model": {"name": "fraud"}, "autoscaling": {"minReplicas": 2, "maxReplicas": 6}},
        }
    )


def version(name: str) -> ModelVersion:
    return ModelVersion.model_validate(
        {
            "apiVersion": API_VERSION,
            "kind": "ModelVersion",
            "metadata": {"name": name},
            "spec": {"modelName": "fraud", "artifact": {"uri": "s3://b/m", "digest": "sha256:" + "1" * 64}},
        }
    )


def apply(http: httpx.Client, path: str, manifest: dict[str, Any]) -> dict[str, Any]:
    headers = {"Content-Type": "application/apply-patch+yaml"}
    answer = http.patch(f"{path}?fieldManager=tidemill&force=true", content=json.dumps(manifest), headers=headers)
    assert answer.is_success, answer.text
    return dict(answer.json())


def deploy(kube: Kube, of: str, replicas: int | None) -> dict[str, Any]:
    manifest = serving.deployment(service(kube.namespace), version(of), "Stable", INSTALLATION, replicas)
    return apply(kube.http, f"/apis/apps/v1/namespaces/{kube.namespace}/deployments/fraud-stable", manifest)


def scale(kube: Kube, replicas: int) -> None:
    """What the autoscaler does."""
    path = f"/apis/apps/v1/namespaces/{kube.namespace}/deployments/fraud-stable/scale"
    current = kube.http.get(path).raise_for_status().json()
    current["spec"]["replicas"] = replicas
    kube.http.put(f"{path}?fieldManager=kube-controller-manager", json=current).raise_for_status()


def test_a_number_that_the_autoscaler_wrote_stays_when_ours_is_no_longer_applied(kube: Kube) -> None:
    deploy(kube, "fraud-1", 2)
    scale(kube, 5)

    assert 5 == deploy(kube, "fraud-2", None)["spec"]["replicas"]


def test_a_number_that_nobody_else_wrote_would_be_lost_which_is_why_it_is_applied_until_then(kube: Kube) -> None:
    deploy(kube, "fraud-1", 3)

    assert 1 == deploy(kube, "fraud-2", None)["spec"]["replicas"]


def test_applying_the_live_number_before_takes_nothing_from_the_autoscaler(kube: Kube) -> None:
    deploy(kube, "fraud-1", 2)
    scale(kube, 5)
    deploy(kube, "fraud-2", 5)

    assert 5 == deploy(kube, "fraud-3", None)["spec"]["replicas"]


@pytest.mark.parametrize("metric", ["CPU", "RequestsInFlight"])
def test_the_api_server_takes_the_autoscaler_and_the_budget_as_they_are(kube: Kube, metric: str) -> None:
    wanted = service(kube.namespace)
    assert wanted.spec.autoscaling is not None
    wish = wanted.spec.autoscaling.model_copy(update={"metric": metric})
    root = f"/apis/autoscaling/v2/namespaces/{kube.namespace}/horizontalpodautoscalers/fraud-stable"
    manifest = scaling.autoscaler(wanted, wish)

    made = apply(kube.http, root, manifest)
    again = apply(kube.http, root, manifest)

    assert made["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]
    budget = scaling.disruption_budget(wanted)
    apply(kube.http, f"/apis/policy/v1/namespaces/{kube.namespace}/poddisruptionbudgets/fraud-stable", budget)
