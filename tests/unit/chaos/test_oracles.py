"""The oracles: blind to what differs between two lives, and to nothing else."""

from __future__ import annotations

from typing import Any

from chaos import oracles
from tidemill.api import API_VERSION
from tidemill.children import names

UID = "0a1b2c3d-0000-4000-8000-00000000000{}"


def job(number: int, **more: Any) -> dict[str, Any]:
    """The same Job as it is in the n-th life."""
    metadata = {
        "name": f"fraud-{number}a1b2c3d-1",
        "namespace": f"chaos-{number}",
        "uid": UID.format(number),
        "resourceVersion": str(number),
        "creationTimestamp": f"2026-01-0{number}T00:00:00Z",
        **more,
    }
    spec = {"uri": f"s3://bucket/chaos-{number}/x", "digest": "sha256:" + str(number) * 64}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def end(number: int, *objects: dict[str, Any], deeds: Any = ()) -> oracles.Ending:
    return oracles.ending(objects, deeds, f"chaos-{number}")


def test_two_lives_that_differ_in_identity_and_time_end_the_same() -> None:
    assert [] == oracles.same_end(end(1, job(1)), end(2, job(2)))


def test_a_field_that_differs_is_another_end() -> None:
    other = job(2)
    other["spec"]["parallelism"] = 2

    [problem] = oracles.same_end(end(1, job(1)), end(2, other))

    assert '+  "parallelism": 2,' in problem


def test_an_object_too_many_is_another_end() -> None:
    assert oracles.same_end(end(1, job(1)), end(2, job(2), job(2, name="fraud-ffff0000-2")))


def test_what_is_made_twice_is_told_by_its_name() -> None:
    once = end(1, deeds=[("create", "jobs", "fraud-1a1b2c3d-1")])
    twice = end(2, deeds=[("create", "jobs", "fraud-2a1b2c3d-1"), ("create", "jobs", "fraud-2a1b2c3d-2")])

    assert ["O2: create jobs fraud-#: 2 times, 1 without faults"] == oracles.made_once(once, twice)


def test_how_many_windows_were_checked_does_not_matter() -> None:
    monitor = {
        "apiVersion": API_VERSION,
        "kind": "DriftMonitor",
        "metadata": {"name": "fraud", "namespace": "chaos-1"},
        "status": {"lastRun": {"samples": 3}},
    }
    few = end(1, monitor, deeds=[("create", "jobs", "fraud-1a1b2c3d-1")])
    none = end(1, {**monitor, "status": {}})

    assert [] == oracles.same_end(few, none) + oracles.made_once(few, none)


def test_a_child_whose_owner_is_gone_is_an_orphan() -> None:
    child = job(1, ownerReferences=[{"name": "fraud", "uid": UID.format(7)}])

    assert ["O4: Job fraud-1a1b2c3d-1 outlived its owner fraud"] == oracles.no_orphans([child])
    assert [] == oracles.no_orphans([child, job(1, name="fraud", uid=UID.format(7))])


def test_two_trainings_for_one_window_are_one_too_many() -> None:
    def run(name: str, cause: str) -> dict[str, Any]:
        metadata = {"name": name, "labels": {names.MONITOR: "fraud"}, "annotations": {names.CAUSE: cause}}
        return {"kind": "TrainingJob", "metadata": metadata}

    assert [] == oracles.one_run_per_window([run("a", "window 1"), run("b", "window 2")])
    assert ["O2: 2 TrainingJobs for one window: window 1"] == oracles.one_run_per_window(
        [run("a", "window 1"), run("b", "window 1")]
    )


def test_a_status_of_an_older_spec_is_not_up_to_date() -> None:
    dataset = {"apiVersion": API_VERSION, "kind": "Dataset", "metadata": {"name": "iris", "generation": 2}}

    assert [] == oracles.up_to_date([{**dataset, "status": {"observedGeneration": 2}}])
    assert oracles.up_to_date([{**dataset, "status": {"observedGeneration": 1}}])
    assert oracles.up_to_date(
        [{**dataset, "status": {"observedGeneration": 2, "conditions": [{"observedGeneration": 1}]}}]
    )


def test_a_server_that_died_may_have_done_more_than_its_log_says_but_never_less() -> None:
    once = end(1, deeds=[("create", "jobs", "fraud-1a1b2c3d-1")])
    never, twice = end(2), end(2, deeds=[("create", "jobs", "fraud-2a1b2c3d-1")] * 2)

    assert [] == oracles.made_once(once, never, log_may_lack=True)
    assert oracles.made_once(once, twice, log_may_lack=True)


def test_a_write_that_changed_nothing_is_told() -> None:
    assert ["O2: a write that changed nothing: PATCH /a"] == oracles.nothing_said_twice(["PATCH /a"])


def test_more_than_five_refused_requests_a_second_for_one_object_are_a_hurry() -> None:
    steady = [(0.25 * number, "/a") for number in range(100)]
    hasty = [(0.1 * number, "/a") for number in range(30)]

    assert [] == oracles.not_in_a_hurry(steady)
    assert oracles.not_in_a_hurry(hasty)


def test_a_child_made_once_more_for_an_owner_that_was_gone_is_forgiven_only_if_it_is_gone_too() -> None:
    once = end(1, deeds=[("create", "jobs", "fraud-1a1b2c3d-1")])
    gone = end(2, deeds=[("create", "jobs", "fraud-2a1b2c3d-1")] * 2)
    left = end(2, job(2), deeds=[("create", "jobs", "fraud-2a1b2c3d-1")] * 2)

    assert [] == oracles.made_once(once, gone, owner_may_be_unseen=True)
    assert oracles.made_once(once, left, owner_may_be_unseen=True)


def test_what_has_to_wait_for_the_operator_before_it_may_go_is_held() -> None:
    assert [] == oracles.nothing_held([job(1)])
    assert oracles.nothing_held([job(1, finalizers=["tidemill.dev/kopf"])])
    assert oracles.nothing_held([job(1, annotations={"kopf.zalando.org/last-handled-configuration": "{}"})])


def looked_at(end: int, hits: int) -> dict[str, Any]:
    """The status of a monitor that has looked at the window of this minute."""
    return {"lastRun": {"end": f"2026-01-01T00:0{end}:00Z"}, "checks": [{"name": "inputs", "consecutive": hits}]}


def test_windows_that_follow_one_another_are_counted_once_each() -> None:
    assert [] == oracles.each_run_counted_once([{}, looked_at(1, 1), looked_at(1, 1), looked_at(2, 2), looked_at(3, 0)])


def test_a_window_that_is_counted_again_is_told() -> None:
    [problem] = oracles.each_run_counted_once([looked_at(1, 1), looked_at(1, 2)])

    assert "counted again: {'inputs': 1}, then {'inputs': 2}" in problem


def test_a_window_that_is_forgotten_is_told() -> None:
    [problem] = oracles.each_run_counted_once([looked_at(2, 2), looked_at(1, 1)])

    assert "forgotten" in problem
