"""Laws that every planner keeps, whatever the world looks like.

Worlds are made by playing a story for a while and then letting something other than Tidemill meddle with what is there:
fields vanish, change their type, or hold nonsense; objects disappear.
"""

from __future__ import annotations

import copy
import functools
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stories.fake_cluster import INSTALLATION, OURS, FakeCluster
from stories.test_stories import STORIES
from tidemill import plan
from tidemill.children import names
from tidemill.plan import Key, Manifest, Plan, World

Snapshot = tuple[list[Manifest], Any]


@functools.cache
def snapshots(story: str) -> tuple[Snapshot, ...]:
    """The worlds of a story, one after each visit."""
    taken: list[Snapshot] = []

    class Recorded(FakeCluster):
        def _look(self, key: Key) -> None:
            super()._look(key)
            taken.append((copy.deepcopy(list(self.objects.values())), self.now))

    STORIES[story](Recorded())
    return tuple(taken[:: max(len(taken) // 25, 1)])


@st.composite
def worlds(draw: st.DrawFn) -> Snapshot:
    story = draw(st.sampled_from(sorted(STORIES)))
    manifests, now = draw(st.sampled_from(snapshots(story)))
    return copy.deepcopy(manifests), now


NONSENSE = st.sampled_from([None, "", "nonsense", -1, 10**12, True, [], {}, [{}], {"": ""}, ["x"]])


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands below status and metadata.annotations: what others than the API server's schema decide."""
    results = [prefix] if prefix else []
    if isinstance(value, dict):
        for name, inner in value.items():
            results += paths(inner, (*prefix, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            results += paths(inner, (*prefix, index))
    return results


@st.composite
def meddled_worlds(draw: st.DrawFn) -> Snapshot:
    manifests, now = draw(worlds())
    for _ in range(draw(st.integers(1, 4))):
        victim = draw(st.sampled_from(manifests))
        if draw(st.integers(0, 4)) == 0 and len(manifests) > 1:
            manifests = [manifest for manifest in manifests if manifest is not victim]
            continue
        part = victim.get("status") if draw(st.booleans()) else victim["metadata"].get("annotations")
        if not part:
            continue
        path = draw(st.sampled_from(paths(part)))
        holder = part
        for step in path[:-1]:
            holder = holder[step]
        if victim["kind"] not in OURS:
            # Kubernetes' own kinds are typed by their API: fields vanish, but do not change their type.
            if isinstance(holder, dict):
                holder.pop(path[-1])
        else:
            holder[path[-1]] = draw(NONSENSE)
    return manifests, now


def plans(manifests: list[Manifest], now: Any) -> list[tuple[Manifest, Plan]]:
    """The plan of every object of ours; one that does not parse has none, and that is the only excuse."""
    world = World(copy.deepcopy(manifests))
    results = []
    for key in list(world):
        if key.kind not in OURS:
            continue
        try:
            decided = plan.visit(key, world, INSTALLATION, now)
        except plan.InvalidObjectError:
            continue
        if decided is not None:
            manifest = world.get(*key)
            assert manifest is not None
            results.append((manifest, decided))
    return results


SLOW = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@given(worlds())
@SLOW
def test_the_same_world_makes_the_same_plan(world: Snapshot) -> None:
    assert plans(*world) == plans(*world)


@given(meddled_worlds())
@SLOW
def test_no_world_makes_a_planner_raise(world: Snapshot) -> None:
    plans(*world)


@given(meddled_worlds())
@SLOW
def test_a_status_speaks_of_the_generation_that_was_planned(world: Snapshot) -> None:
    for manifest, decided in plans(*world):
        assert manifest["metadata"]["generation"] == decided.status.observed_generation
        ready = [condition for condition in decided.status.conditions if condition.type == "Ready"]
        assert len(ready) == 1


@given(meddled_worlds())
@SLOW
def test_every_child_can_be_traced_to_its_owner_and_has_a_legal_name(world: Snapshot) -> None:
    for manifest, decided in plans(*world):
        for child in decided.ensure:
            metadata = child["metadata"]
            assert len(metadata["name"]) <= names.LIMIT
            assert metadata["namespace"] == manifest["metadata"]["namespace"]
            assert metadata["labels"][names.MANAGED_BY] == names.MANAGER
            owned = any(owner["uid"] == manifest["metadata"]["uid"] for owner in metadata.get("ownerReferences", ()))
            assert owned or child["kind"] in {"ModelVersion", "TrainingJob"}
            assert all(len(value) <= 63 for value in metadata["labels"].values())


@given(meddled_worlds())
@SLOW
def test_nothing_is_deleted_that_does_not_belong_to_the_planned_object(world: Snapshot) -> None:
    manifests, now = world
    by_uid = {manifest["metadata"]["uid"]: manifest for manifest in manifests}
    for manifest, decided in plans(manifests, now):
        for retirement in decided.retire:
            owners = by_uid[retirement.uid]["metadata"].get("ownerReferences", ())
            assert any(owner["uid"] == manifest["metadata"]["uid"] for owner in owners)


@given(worlds())
@SLOW
def test_the_planned_status_is_a_fixed_point(world: Snapshot) -> None:
    """Writing a plan's status and planning again says the same: no status is written twice for one change."""
    manifests, now = world
    for manifest, decided in plans(manifests, now):
        if decided.ensure or decided.retire or decided.marks or decided.wake == 0.0:
            continue
        written = [
            {**m, "status": decided.status.to_wire()}
            if m is manifest or m["metadata"]["uid"] == manifest["metadata"]["uid"]
            else m
            for m in manifests
        ]
        again = next(p for m, p in plans(written, now) if m["metadata"]["uid"] == manifest["metadata"]["uid"])

        assert decided.status.to_wire() == again.status.to_wire()


@given(worlds())
@SLOW
def test_a_monitor_has_at_most_one_live_retraining(world: Snapshot) -> None:
    manifests, now = world
    live = [
        manifest
        for manifest in manifests
        if manifest["kind"] == "TrainingJob"
        and names.MONITOR in manifest["metadata"].get("labels", {})
        and not any(c["type"] in {"Complete", "Failed"} for c in (manifest.get("status") or {}).get("conditions", ()))
    ]
    ordered = [
        child for _, decided in plans(manifests, now) for child in decided.ensure if child["kind"] == "TrainingJob"
    ]

    assert len({child["metadata"]["name"] for child in [*live, *ordered]}) <= 1
