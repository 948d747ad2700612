from typing import Any

import pytest

from tidemill.plan.world import Key, World


def job(name: str, *, owner: str = "u1", labels: dict[str, str] | None = None) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", "labels": labels or {}, "ownerReferences": [{"uid": owner}]}
    return {"kind": "Job", "metadata": metadata}


def monitor(name: str, service: str) -> dict[str, Any]:
    return {
        "kind": "DriftMonitor",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"target": {"inferenceService": service}},
    }


def names(result: list[dict[str, Any]]) -> list[str]:
    return [manifest["metadata"]["name"] for manifest in result]


def test_objects_are_found_by_owner_label_and_reference() -> None:
    labelled = job("b", labels={"tidemill.dev/model": "fraud"})
    world = World([job("c"), labelled, job("a", owner="u2"), monitor("m", "fraud")])

    assert ["b", "c"] == names(world.owned("Job", "u1"))
    assert ["b"] == names(world.labelled("Job", "shop", "tidemill.dev/model", "fraud"))
    assert ["m"] == names(world.referring("DriftMonitor", "shop", ("spec", "target", "inferenceService"), "fraud"))


def test_a_changed_object_is_no_longer_found_by_what_it_was() -> None:
    world = World([monitor("m", "fraud")])
    world.put(monitor("m", "churn"))

    assert [] == world.referring("DriftMonitor", "shop", ("spec", "target", "inferenceService"), "fraud")
    assert ["m"] == names(world.referring("DriftMonitor", "shop", ("spec", "target", "inferenceService"), "churn"))


def test_a_world_that_was_emptied_holds_nothing_at_all() -> None:
    world = World([job("a", labels={"tidemill.dev/model": "fraud"}), monitor("m", "fraud")])
    world.remove(Key("Job", "shop", "a"))
    world.remove(Key("DriftMonitor", "shop", "m"))

    assert [] == [name for name, held in vars(world).items() if held]


def test_a_lookup_without_an_index_is_refused_and_says_what_to_add() -> None:
    with pytest.raises(KeyError, match="INDEXED_LABELS"):
        World().labelled("Job", "shop", "colour", "red")
    with pytest.raises(KeyError, match="INDEXED_REFERENCES"):
        World().referring("Job", "shop", ("spec", "colour"), "red")
