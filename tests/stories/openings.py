"""How many stories begin, and what several of them say."""

from __future__ import annotations

from typing import Any

from stories import script
from stories.fake_cluster import FakeCluster


def in_service(cluster: FakeCluster) -> None:
    cluster.reports |= {"Ingest": script.ingests, "Train": script.trains(), "Check": script.checks()}
    for manifest in (script.dataset(), script.training_job(), script.service()):
        cluster.apply(manifest)
    cluster.run(minutes=1)


def second_version(cluster: FakeCluster, right: int = 97, replicas: int = 2, **rollout: Any) -> dict[str, Any]:
    """A service with this rollout, and another version that has just been trained."""
    cluster.reports |= {"Ingest": script.ingests, "Train": script.trains(), "Check": script.checks()}
    service = script.rolled_out(**rollout)
    service["spec"]["replicas"] = replicas
    for manifest in (script.dataset(), script.training_job(), service):
        cluster.apply(manifest)
    cluster.run(minutes=1)
    cluster.apply(script.training_job("fraud-second"))
    cluster.run(seconds=8)
    cluster.measurements = script.measures(newest(cluster), right=right)
    return service


def policy(**changes: Any) -> dict[str, Any]:
    return {"template": {"trainingJob": "fraud-first"}, "minimumInterval": "10m", **changes}


def annotated(manifest: dict[str, Any], name: str, value: str) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": {name: value}}}


def newest(cluster: FakeCluster) -> str:
    versions = [manifest for key, manifest in cluster.objects.items() if key.kind == "ModelVersion"]
    if not versions:
        return ""
    return str(max(versions, key=lambda manifest: manifest["metadata"]["creationTimestamp"])["metadata"]["name"])
