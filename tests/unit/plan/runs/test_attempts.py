"""A spec that is corrected after it could not work: the run that waits or failed is not held against it."""

from __future__ import annotations

import copy
from typing import Any

from stories import script
from stories.fake_cluster import FakeCluster

ROOMY = {"requests": {"cpu": "1"}, "limits": {"memory": "2Gi"}}


def cluster(**spec: Any) -> FakeCluster:
    """A Dataset whose pods find no node: none ever runs."""
    made = FakeCluster(run_seconds=10_000)
    made.reports["Ingest"] = script.ingests
    made.apply(script.dataset(**spec))
    made.run(seconds=1)
    return made


def jobs(made: FakeCluster) -> list[str]:
    return made.named("Job")


def uid(made: FakeCluster, kind: str, name: str) -> str:
    return str(made.get(kind, name)["metadata"]["uid"])


def test_a_run_that_no_node_has_room_for_is_begun_anew_when_less_is_asked_for() -> None:
    made = cluster(resources={"requests": {"cpu": "1e9"}})
    [name] = jobs(made)
    before = uid(made, "Job", name)

    made.apply(script.dataset(resources=ROOMY))
    made.run(seconds=1)

    assert [name] == jobs(made)
    assert before != uid(made, "Job", name)
    template = made.get("Job", name)["spec"]["template"]
    assert ROOMY == template["spec"]["containers"][0]["resources"]


def test_a_run_that_has_begun_goes_on_with_what_it_has() -> None:
    made = cluster()
    [name] = jobs(made)
    before = uid(made, "Job", name)
    pod = copy.deepcopy(next(server for key, server in made.objects.items() if key.kind == "Pod"))
    pod["status"] = {"phase": "Running"}
    made.objects[next(key for key in made.objects if key.kind == "Pod")] = pod
    made.nudge(pod)

    made.apply(script.dataset(resources=ROOMY))
    made.run(seconds=1)

    assert before == uid(made, "Job", name)


def test_a_run_that_was_out_of_memory_is_tried_again_when_it_is_given_more() -> None:
    made = FakeCluster()
    made.reports["Ingest"] = lambda _: "OOMKilled"
    made.apply(script.dataset(resources={"limits": {"memory": "1Mi"}}))
    made.run(minutes=20)
    assert ["1Mi"] == [
        made.get("Job", name)["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
        for name in jobs(made)
    ]

    made.reports["Ingest"] = script.ingests
    made.apply(script.dataset(resources=ROOMY))
    made.run(minutes=1)

    ready = next(
        condition
        for condition in made.get("Dataset", "payments")["status"]["conditions"]
        if condition["type"] == "Ready"
    )
    assert "True" == ready["status"], ready


def test_more_memory_that_comes_while_a_run_dies_for_want_of_it_is_tried_too() -> None:
    made = FakeCluster(run_seconds=5)
    made.reports["Ingest"] = lambda _: "OOMKilled"
    made.apply(script.dataset(resources={"limits": {"memory": "1Mi"}}))
    made.run(seconds=1)
    pod = next(condition for key, condition in made.objects.items() if key.kind == "Pod")
    pod["status"] = {"phase": "Running"}
    made.nudge(pod)
    made.apply(script.dataset(resources=ROOMY))
    made.run(seconds=3)

    made.reports["Ingest"] = lambda order: "OOMKilled" if len(jobs(made)) == 1 else script.ingests(order)
    made.run(minutes=1)

    ready = next(
        condition
        for condition in made.get("Dataset", "payments")["status"]["conditions"]
        if condition["type"] == "Ready"
    )
    assert "True" == ready["status"], ready
