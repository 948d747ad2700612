"""An upgrade from a release whose Jobs did not name their task: a run that is under way or over is not run twice."""

from __future__ import annotations

from typing import Any

import pytest

from stories import script
from stories.fake_cluster import FakeCluster
from tidemill.children import names


def before_the_upgrade(monkeypatch: pytest.MonkeyPatch, *, seconds: float) -> FakeCluster:
    """Return a cluster in which the earlier release ran for some seconds; each run takes a minute."""
    cluster = FakeCluster(reports={"Ingest": script.ingests, "Train": script.trains()}, run_seconds=60)
    with monkeypatch.context() as earlier:
        earlier.setattr(names, "run", lambda owner, _, digest, attempt: names.run_before_tasks(owner, digest, attempt))
        cluster.apply(script.dataset())
        cluster.apply(script.training_job())
        cluster.run(seconds=seconds)
    return cluster


def jobs_made(cluster: FakeCluster) -> list[str]:
    return [line for line in cluster.lines if "+ Job" in line]


def condition(manifest: dict[str, Any], type_: str) -> str:
    return next((c["status"] for c in manifest["status"]["conditions"] if c["type"] == type_), "")


def test_a_run_that_is_under_way_is_carried_on(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = before_the_upgrade(monkeypatch, seconds=30)
    [job] = cluster.named("Job")
    assert "-ingest-" not in job

    cluster.run(seconds=40)

    assert job in cluster.named("Job")
    assert "True" == condition(cluster.get("Dataset", "payments"), "Ready")
    assert not [name for name in cluster.named("Job") if "-ingest-" in name]


def test_a_run_that_is_over_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = before_the_upgrade(monkeypatch, seconds=150)
    made = jobs_made(cluster)
    assert "True" == condition(cluster.get("TrainingJob", "fraud-first"), "Complete")

    for key in list(cluster.objects):
        cluster.revisit(key)
    cluster.run(minutes=10)

    assert made == jobs_made(cluster)


def test_a_job_that_waits_on_old_terms_is_replaced_under_its_new_name(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = before_the_upgrade(monkeypatch, seconds=30)
    [job] = cluster.named("Job")

    cluster.apply(script.dataset(resources={"limits": {"memory": "2Gi"}}))
    cluster.run(seconds=2)

    assert job not in cluster.named("Job")
    assert 1 == len(cluster.named("Job"))
    assert "-ingest-" in cluster.named("Job")[0]


def test_the_jobs_of_one_owner_show_what_they_do() -> None:
    cluster = FakeCluster(reports={"Ingest": script.ingests, "Train": script.trains(), "Check": script.checks()})
    for manifest in (script.dataset(), script.training_job(), script.service(), script.monitor()):
        cluster.apply(manifest)
    cluster.run(minutes=3)
    tasks = {name.rsplit("-", 3)[1] for name in cluster.named("Job")}

    assert {"ingest", "train", "check"} == tasks
