"""What is remembered of an object, and how."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.engine.pruning import Packed, pruned
from tidemill.plan.world import Key, World

KEY = Key("Pod", "science", "iris-1")


def pod(**labels: str) -> dict[str, Any]:
    container = {
        "name": "workload",
        "image": "tidemill/workload:1",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    metadata = {"name": "iris-1", "namespace": "science", "labels": labels, "managedFields": [{"manager": "kubelet"}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container], "volumes": []},
        "status": {},
    }


def test_a_pod_is_remembered_without_what_nobody_decides_by() -> None:
    kept = pruned(pod(**{"tidemill.dev/owner": "iris", "job-name": "iris-1", "controller-uid": "7"}))

    assert {"name": "iris-1", "namespace": "science", "labels": {"tidemill.dev/owner": "iris"}} == kept["metadata"]
    assert {"containers": [{"name": "workload", "image": "tidemill/workload:1"}]} == kept["spec"]


def test_pruning_leaves_the_object_itself_as_it_was() -> None:
    original = pod(**{"job-name": "iris-1"})

    pruned(original)

    assert pod(**{"job-name": "iris-1"}) == original


def test_what_somebody_does_with_an_object_changes_nothing_in_the_world() -> None:
    world = World()
    world.objects = Packed()
    world.put(pod())

    seen = world.get(*KEY)
    assert seen is not None
    seen["spec"]["containers"].clear()

    assert pod() == world.get(*KEY)


def test_a_packed_world_knows_what_is_there_and_what_is_gone() -> None:
    world = World()
    world.objects = Packed()
    world.put(pod())

    assert (1, [KEY], [KEY]) == (len(world), list(world), world.keys("Pod"))
    assert pod() == world.remove(KEY)
    assert (0, None, None) == (len(world), world.get(*KEY), world.remove(KEY))


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**30])
def test_a_whole_number_of_more_than_64_bits_is_kept_as_the_api_server_reads_it(number: int) -> None:
    kept, key = Packed(), Key("Dataset", "shop", "rows")

    kept[key] = {"spec": {"rules": [{"minimum": number, "maximum": 2**63}]}}

    assert {"spec": {"rules": [{"minimum": float(number), "maximum": 2**63}]}} == kept[key]
