"""The store through the life of a service, from its first run to the end of its namespace: what objects use stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from stories import script
from stories.fake_cluster import FakeCluster
from stories.openings import in_service
from tidemill.plan.references import in_use
from tidemill.plan.world import World
from tidemill.runtime.retention.sweeper import Sweeper
from tidemill.runtime.store.objects import ObjectStore


def kinds(store: ObjectStore) -> set[str]:
    return {entry.key.split("/")[1] for entry in store.list("shop")}


def test_data_ends_some_days_after_the_last_object_that_uses_it(tmp_path: Path) -> None:
    store, cluster, day = ObjectStore.open(f"file://{tmp_path}"), FakeCluster(), 0
    in_service(cluster)
    cluster.apply(script.monitor())
    cluster.run(minutes=4)
    [revision] = [cluster.get("Dataset", name)["status"]["revision"] for name in cluster.named("Dataset")]
    [version] = [cluster.get("ModelVersion", name) for name in cluster.named("ModelVersion")]
    published = [
        f"shop/datasets/payments/{revision['digest'].removeprefix('sha256:')}/manifest.json",
        "/".join((*version["spec"]["artifact"]["uri"].split("/")[-4:], "manifest.json")),
    ]
    log = [f"shop/{kind}/fraud/date=2026-01-05/hour=09/a.parquet" for kind in ("predictions", "labels", "counts")]
    for key in (*published, *log, "shop/monitors/fraud/2026-01-05T09-05-00Z/report.html"):
        store.put(key, b"tide")

    def days_pass() -> set[str]:
        """Three sweeps, five days apart, for what the cluster holds now."""
        nonlocal day
        for _ in range(3):
            now = datetime.now(UTC) + timedelta(days=day)
            sweeper = Sweeper(
                store,
                lambda: in_use(World(cluster.objects.values())),
                release="tidemill-system/tidemill",
                is_only_user=True,
                grace=timedelta(days=7),
                clock=lambda now=now: now,
            )
            sweeper.turn()
            day += 5
        return kinds(store)

    everything = {"datasets", "models", "predictions", "labels", "counts", "monitors"}
    assert everything == days_pass()

    cluster.delete("DriftMonitor", "fraud")
    cluster.run(minutes=1)
    assert everything - {"monitors"} == days_pass()

    # The version in service is deleted; its pods still name it.
    cluster.delete("ModelVersion", version["metadata"]["name"])
    for name in cluster.named("TrainingJob"):
        cluster.delete("TrainingJob", name)
    cluster.run(minutes=1)
    assert everything - {"monitors"} == days_pass()

    cluster.delete("InferenceService", "fraud")
    cluster.run(minutes=1)
    assert {"datasets"} == days_pass()

    for name in cluster.named("Dataset"):
        cluster.delete("Dataset", name)
    cluster.run(minutes=1)
    assert set() == days_pass()
