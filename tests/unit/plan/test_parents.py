"""Datasets that are made from others follow them, wait for them, and are refused where they are made from each other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stories import script
from stories.fake_cluster import FakeCluster
from tidemill.api.dataset import SourceParent
from tidemill.children import names
from tidemill.contract.reports import RunReport

OTHER = "sha256:" + "b" * 64
SQL = "SELECT * FROM payments"


def made_from(*parents: str, name: str = "joined", **spec: Any) -> dict[str, Any]:
    base = {"source": {"datasets": [{"name": parent} for parent in parents]}, "transform": {"sql": SQL}}
    return {"kind": "Dataset", "metadata": {"name": name}, "spec": base | spec}


def ingests(order: dict[str, Any]) -> RunReport:
    """Files are read as ever; what is made from others tells of them."""
    report = script.ingests(order)
    assert report.ingested is not None
    parents = tuple(SourceParent(name=p["name"], digest=p["digest"]) for p in order.get("parents") or ())
    return report.model_copy(update={"ingested": report.ingested.model_copy(update={"parents": parents})})


@pytest.fixture
def cluster() -> FakeCluster:
    made = FakeCluster()
    made.reports |= {"Ingest": ingests}
    return made


def orders(cluster: FakeCluster, dataset: str = "joined") -> list[dict[str, Any]]:
    given = [
        json.loads(job["spec"]["template"]["metadata"]["annotations"][names.ORDER])
        for key, job in cluster.objects.items()
        if key.kind == "Job"
    ]
    return [order for order in given if order["dataset"] == dataset]


def ready(cluster: FakeCluster, name: str = "joined") -> dict[str, Any]:
    conditions = cluster.get("Dataset", name)["status"]["conditions"]
    condition: dict[str, Any] = next(entry for entry in conditions if entry["type"] == "Ready")
    return condition


def moved(cluster: FakeCluster) -> None:
    """The Dataset `payments` gets another revision."""

    def of_another(order: dict[str, Any]) -> RunReport:
        report = ingests(order)
        assert report.ingested is not None
        if order["dataset"] != "payments":
            return report
        return report.model_copy(update={"ingested": report.ingested.model_copy(update={"digest": OTHER})})

    cluster.reports |= {"Ingest": of_another}
    cluster.apply(script.dataset(format="Parquet"))
    cluster.run(seconds=30)


def test_it_waits_for_a_dataset_that_is_not_there_and_then_reads_its_revision(cluster: FakeCluster) -> None:
    cluster.apply(made_from("payments"))
    cluster.run(seconds=10)
    assert ("DependencyNotReady", []) == (ready(cluster)["reason"], orders(cluster))
    assert ready(cluster)["message"].startswith(
        "Dataset 'payments' not found; create it, or correct spec.source.datasets"
    )

    cluster.apply(script.dataset())
    cluster.run(seconds=30)

    (order,) = orders(cluster)
    assert SQL == order["sql"]
    uri = "s3://tidemill/shop/datasets/payments/a"
    assert [{"name": "payments", "digest": script.REVISION, "uri": uri}] == order["parents"]
    assert [{"name": "payments", "digest": script.REVISION}] == cluster.get("Dataset", "joined")["status"]["revision"][
        "parents"
    ]


def test_it_follows_the_others_where_it_is_told_to(cluster: FakeCluster) -> None:
    cluster.apply(script.dataset())
    cluster.apply(made_from("payments", refresh={"onUpstreamChange": True}))
    cluster.run(seconds=30)

    moved(cluster)

    assert [script.REVISION, OTHER] == sorted(order["parents"][0]["digest"] for order in orders(cluster))


def test_otherwise_it_is_read_once(cluster: FakeCluster) -> None:
    cluster.apply(script.dataset())
    cluster.apply(made_from("payments"))
    cluster.run(seconds=30)

    moved(cluster)

    assert [script.REVISION] == [order["parents"][0]["digest"] for order in orders(cluster)]


def test_no_more_often_than_it_may(cluster: FakeCluster) -> None:
    cluster.apply(script.dataset())
    cluster.apply(made_from("payments", refresh={"onUpstreamChange": True, "rateLimit": "10m"}))
    cluster.run(seconds=30)

    moved(cluster)
    assert 1 == len(orders(cluster))
    cluster.run(minutes=8)
    assert 1 == len(orders(cluster))
    cluster.run(minutes=3)

    assert 2 == len(orders(cluster))


def test_an_interval_gives_way_to_the_rate_limit(cluster: FakeCluster) -> None:
    cluster.apply(script.dataset(refresh={"interval": "1m", "rateLimit": "5m"}))
    cluster.run(minutes=4)
    assert 1 == len(orders(cluster, "payments"))
    cluster.run(minutes=2)

    assert 2 == len(orders(cluster, "payments"))


def test_datasets_that_are_made_from_each_other_are_refused(cluster: FakeCluster) -> None:
    cluster.apply(made_from("second", name="first"))
    cluster.apply(made_from("third", name="second"))
    cluster.apply(made_from("first", name="third"))
    cluster.run(minutes=1)

    assert not any(key.kind == "Job" for key in cluster.objects)
    assert "InvalidSpec" == ready(cluster, "third")["reason"]
    wanted = "Datasets are made from each other: 'third' from 'first' from 'second' from 'third'; take one of them out"
    assert ready(cluster, "third")["message"].startswith(wanted)


def test_two_paths_to_one_dataset_are_not_a_circle(cluster: FakeCluster) -> None:
    cluster.apply(script.dataset())
    for name in ("left", "right"):
        cluster.apply(made_from("payments", name=name))
    cluster.apply(made_from("left", "right"))
    cluster.run(minutes=1)

    assert ["left", "right"] == [parent["name"] for parent in orders(cluster)[0]["parents"]]


def test_the_same_rows_from_newer_revisions_make_no_new_revision(cluster: FakeCluster) -> None:
    cluster.apply(script.dataset())
    cluster.apply(made_from("payments", refresh={"onUpstreamChange": True}))
    cluster.run(seconds=30)

    moved(cluster)

    status = cluster.get("Dataset", "joined")["status"]
    assert ([], OTHER) == (status.get("revisions", []), status["revision"]["parents"][0]["digest"])


def scored(**source: str) -> dict[str, Any]:
    spec = {"source": {"scored": {"dataset": "payments", **source}}, "refresh": {"onUpstreamChange": True}}
    return {"kind": "Dataset", "metadata": {"name": "joined"}, "spec": spec}


def test_predictions_wait_for_the_version_and_follow_the_one_in_service(cluster: FakeCluster) -> None:
    cluster.reports |= {"Train": script.trains()}
    cluster.apply(script.dataset())
    cluster.apply(scored(inferenceService="fraud"))
    cluster.run(seconds=20)
    assert "InferenceService 'fraud' not found" in ready(cluster)["message"]

    cluster.apply(script.training_job())
    cluster.apply(script.service(rollout={"strategy": "Recreate"}))
    cluster.run(minutes=1)
    (first,) = orders(cluster)
    stable = cluster.get("InferenceService", "fraud")["status"]["stable"]["version"]
    assert (stable, "payments") == (first["scored"]["version"]["name"], first["scored"]["rows"]["name"])

    cluster.apply(script.training_job("fraud-second"))
    cluster.run(minutes=2)

    assert 2 == len({order["scored"]["version"]["name"] for order in orders(cluster)})


def test_a_version_that_may_not_be_used_predicts_nothing(cluster: FakeCluster) -> None:
    cluster.reports |= {"Train": script.trains(accuracy=0.5)}
    cluster.apply(script.dataset())
    cluster.apply(script.training_job())
    cluster.run(seconds=30)
    (version,) = cluster.named("ModelVersion")

    cluster.apply(scored(modelVersion=version))
    cluster.run(seconds=30)

    assert f"ModelVersion {version!r} may not be used yet (GateFailed" in ready(cluster)["message"]
    assert [] == orders(cluster)
