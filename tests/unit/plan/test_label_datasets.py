"""Runs read labels from the current revision of the Dataset that the service names; a missing one holds up only what needs it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stories import script
from stories.fake_cluster import FakeCluster
from stories.openings import in_service
from tidemill.children import names

OUTCOMES = {"dataset": {"name": "outcomes", "id": "request", "label": "fraud", "time": "known"}}
RIGHT = {"name": "right", "type": "Performance", "metric": "accuracy", "minimum": 0.9}


def labels(name: str = "outcomes") -> dict[str, Any]:
    return {**script.dataset(source={"uri": "s3://lake/outcomes.csv"}), "metadata": {"name": name}}


def orders(cluster: FakeCluster, component: str) -> list[dict[str, Any]]:
    given = [
        json.loads(job["spec"]["template"]["metadata"]["annotations"][names.ORDER])
        for key, job in cluster.objects.items()
        if key.kind == "Job" and job["metadata"]["labels"][names.COMPONENT] == component
    ]
    return sorted(given, key=lambda order: str(order.get("end")))


def condition(cluster: FakeCluster, kind: str, name: str, type_: str) -> dict[str, Any] | None:
    status = cluster.get(kind, name)["status"]
    return next((entry for entry in status["conditions"] if entry["type"] == type_), None)


@pytest.fixture
def watched() -> FakeCluster:
    """A service that names a Dataset of labels, which does not exist yet, and its monitor."""
    cluster = FakeCluster()
    in_service(cluster)
    cluster.apply(script.service(feedback=OUTCOMES))
    cluster.apply(script.monitor(checks=[RIGHT], retraining=None))
    cluster.run(minutes=3, seconds=30)
    return cluster


def test_checks_go_on_without_the_dataset_and_say_what_is_missing(watched: FakeCluster) -> None:
    assert all("labelDataset" not in order for order in orders(watched, "check"))
    assert orders(watched, "check")
    lacking = condition(watched, "DriftMonitor", "fraud", "LabelsReady")
    assert lacking is not None
    assert ("False", "DependencyNotReady") == (lacking["status"], lacking["reason"])
    assert lacking["message"].startswith(
        "Dataset 'outcomes' not found; create it, or correct spec.feedback.dataset; until then"
    )


def test_once_it_has_a_revision_checks_read_it(watched: FakeCluster) -> None:
    watched.apply(labels())
    watched.run(minutes=2, seconds=30)

    pinned = orders(watched, "check")[-1]["labelDataset"]
    assert ("request", "fraud", "known") == (pinned["id"], pinned["label"], pinned["time"])
    assert ("s3://tidemill/shop/datasets/outcomes/a", script.REVISION) == (pinned["uri"], pinned["digest"])
    ready = condition(watched, "DriftMonitor", "fraud", "LabelsReady")
    assert ready is not None and ready["status"] == "True"


def test_a_monitor_without_labelled_checks_says_nothing_of_labels(watched: FakeCluster) -> None:
    watched.apply(script.monitor(checks=[{"name": "inputs", "type": "FeatureDrift", "failing": 0.2}], retraining=None))
    watched.run(minutes=2)

    assert condition(watched, "DriftMonitor", "fraud", "LabelsReady") is None


def test_a_watched_service_names_them_in_its_monitor(watched: FakeCluster) -> None:
    watched.apply(labels())
    outside = script.monitor(
        target={"cloudEvents": {}},
        reference={"type": "Window", "window": {"offset": "1m"}},
        feedback=OUTCOMES,
        checks=[RIGHT],
        retraining=None,
    )
    watched.apply({**outside, "metadata": {"name": "kserve"}})
    watched.run(minutes=4)

    (newest,) = [order for order in orders(watched, "check") if order["monitor"] == "kserve"][-1:]
    assert "request" == newest["labelDataset"]["id"]


def test_a_retraining_reads_them_too_and_waits_for_them(watched: FakeCluster) -> None:
    served = {"inferenceService": "fraud", "start": "2026-01-05T09:00:00Z", "end": "2026-01-05T09:10:00Z"}
    watched.apply(script.training_job("fraud-again", servedRows=served))
    watched.run(seconds=30)
    waiting = condition(watched, "TrainingJob", "fraud-again", "Ready")
    assert (
        waiting is not None and "the labels of the served rows are not known: Dataset 'outcomes'" in waiting["message"]
    )

    watched.apply(labels())
    watched.run(minutes=1)

    (order,) = [order for order in orders(watched, "train") if order["trainingJob"] == "fraud-again"]
    assert script.REVISION == order["labelDataset"]["digest"]


def test_a_dataset_of_predictions_reads_them_too_and_waits_for_them(watched: FakeCluster) -> None:
    source = {"predictions": {"inferenceServiceRef": {"name": "fraud"}}}
    watched.apply({**script.dataset(source=source), "metadata": {"name": "answered"}})
    watched.run(seconds=30)
    waiting = condition(watched, "Dataset", "answered", "Ready")
    assert waiting is not None and "the labels of InferenceService 'fraud' are not known" in waiting["message"]

    watched.apply(labels())
    watched.run(minutes=1)

    (order,) = [order for order in orders(watched, "ingest") if order["dataset"] == "answered"]
    assert script.REVISION == order["answered"]["labels"]["digest"]
