"""What a monitor keeps, and what it lets go, when it watches something else than before."""

from __future__ import annotations

from typing import Any

import pytest

from stories import script
from stories.fake_cluster import FakeCluster
from stories.openings import in_service

ELSEWHERE = {"target": {"inferenceService": "nowhere"}}


def watched(cluster: FakeCluster, **spec: Any) -> FakeCluster:
    """A service with a monitor that has found drift once."""
    in_service(cluster)
    cluster.reports["Check"] = script.checks("Failing")
    cluster.apply(script.monitor(**spec))
    cluster.run(minutes=1, seconds=30)
    return cluster


def status(cluster: FakeCluster) -> dict[str, Any]:
    result: dict[str, Any] = cluster.get("DriftMonitor", "fraud")["status"]
    return result


SEEN = ("reference", "lastRun", "firedAt", "attempt", "health", "nextCheck")


def test_a_monitor_of_a_service_that_is_not_there_speaks_of_none() -> None:
    cluster = watched(FakeCluster())
    assert [] == [name for name in SEEN if not status(cluster).get(name)]

    cluster.apply(script.monitor(**ELSEWHERE))
    cluster.run(seconds=10)

    assert [] == [name for name in SEEN if status(cluster).get(name)]
    assert "nowhere" == status(cluster)["target"]


def test_what_was_found_of_one_service_does_not_count_for_another_with_the_same_version() -> None:
    cluster = watched(FakeCluster())
    other = script.service()
    cluster.apply({**other, "metadata": {"name": "other"}})
    cluster.run(seconds=5)
    before = {check["name"]: check["consecutive"] for check in status(cluster)["checks"]}

    cluster.apply(script.monitor(target={"inferenceService": "other"}))
    cluster.run(seconds=1)

    assert 1 == before["inputs"]
    assert [] == status(cluster)["checks"]
    assert "other" == status(cluster)["target"]


@pytest.mark.parametrize("change", [ELSEWHERE, {"suspend": True}])
def test_a_receiver_that_nothing_asks_for_goes_whatever_else_the_monitor_waits_for(change: dict[str, Any]) -> None:
    external = {"name": "alerts", "type": "External", "secretRef": {"name": "alerts"}}
    cluster = watched(FakeCluster(), checks=[*script.monitor()["spec"]["checks"], external])
    assert "fraud-receiver" in cluster.named("Deployment")

    cluster.apply(script.monitor(**change))
    cluster.run(seconds=10)

    assert "fraud-receiver" not in cluster.named("Deployment")
