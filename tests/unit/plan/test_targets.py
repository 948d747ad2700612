"""What a monitor keeps, and what it lets go, when it watches something else than before."""

from __future__ import annotations

from typing import Any

import pytest

from stories import script
from stories.fake_cluster import FakeCluster
from stories.openings import in_service

ELSEWHERE = {"target": {"inferenceService": "nowhere"}}


def watched(theatre: FakeCluster, **spec: Any) -> FakeCluster:
    """A service with a monitor that has found drift once."""
    in_service(theatre)
    theatre.reports["Check"] = script.checks("Failing")
    theatre.apply(script.monitor(**spec))
    theatre.run(minutes=1, seconds=30)
    return theatre


def status(theatre: FakeCluster) -> dict[str, Any]:
    found: dict[str, Any] = theatre.get("DriftMonitor", "fraud")["status"]
    return found


SEEN = ("reference", "lastRun", "firedAt", "attempt", "health", "nextCheck")


def test_a_monitor_of_a_service_that_is_not_there_speaks_of_none() -> None:
    theatre = watched(FakeCluster())
    assert [] == [name for name in SEEN if not status(theatre).get(name)]

    theatre.apply(script.monitor(**ELSEWHERE))
    theatre.run(seconds=10)

    assert [] == [name for name in SEEN if status(theatre).get(name)]
    assert "nowhere" == status(theatre)["target"]


def test_what_was_found_of_one_service_does_not_count_for_another_with_the_same_version() -> None:
    theatre = watched(FakeCluster())
    other = script.service()
    theatre.apply({**other, "metadata": {"name": "other"}})
    theatre.run(seconds=5)
    before = {check["name"]: check["consecutive"] for check in status(theatre)["checks"]}

    theatre.apply(script.monitor(target={"inferenceService": "other"}))
    theatre.run(seconds=1)

    assert 1 == before["inputs"]
    assert [] == status(theatre)["checks"]
    assert "other" == status(theatre)["target"]


@pytest.mark.parametrize("change", [ELSEWHERE, {"suspend": True}])
def test_a_receiver_that_nothing_asks_for_goes_whatever_else_the_monitor_waits_for(change: dict[str, Any]) -> None:
    external = {"name": "alerts", "type": "External", "secretRef": {"name": "alerts"}}
    theatre = watched(FakeCluster(), checks=[*script.monitor()["spec"]["checks"], external])
    assert "fraud-receiver" in theatre.named("Deployment")

    theatre.apply(script.monitor(**change))
    theatre.run(seconds=10)

    assert "fraud-receiver" not in theatre.named("Deployment")
