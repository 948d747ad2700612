"""What a ModelVersion says of the services that have it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tidemill import plan
from tidemill.api.modelversion import ModelVersionStatus
from tidemill.children.installation import Installation
from tidemill.plan.world import Key, World

INSTALLATION = Installation(workload_image="tidemill/workload:1", server_image="tidemill/server:1")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
DIGEST = "sha256:" + "1" * 64


def named(kind: str, name: str, spec: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "science", "uid": name, "generation": 1, "resourceVersion": "1"}
    return {
        "apiVersion": "tidemill.dev/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
        "status": status,
    }


def test_a_version_that_more_services_have_than_its_status_can_name_may_still_be_served() -> None:
    spec = {"modelName": "iris", "artifact": {"uri": "s3://tidemill/iris", "digest": DIGEST}}
    serving = {"version": "iris-1", "digest": DIGEST, "replicas": 1, "ready": 1, "weight": 100}
    services = (
        named("InferenceService", f"service-{number:02}", {"model": {"name": "iris"}}, {"stable": serving})
        for number in range(40)
    )
    world = World([named("ModelVersion", "iris-1", spec, {}), *services])

    decided = plan.visit(Key("ModelVersion", "science", "iris-1"), world, INSTALLATION, NOW)

    assert decided is not None
    assert isinstance(decided.status, ModelVersionStatus)
    assert decided.status.is_true("Ready")
    assert ("Stable", 32) == (decided.status.role, len(decided.status.served_by))
