"""How the world is kept true."""

from __future__ import annotations

from typing import Any

from tidemill.engine.cache import ClusterCache
from tidemill.plan.world import Key, Manifest, World, key_of

IRIS = Key("Dataset", "science", "iris")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def dataset(
    version: int, *, uid: str = "u1", name: str = "iris", namespace: str = "science", **metadata: Any
) -> Manifest:
    return {
        "apiVersion": "tidemill.dev/v1alpha1",
        "kind": "Dataset",
        "metadata": {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": str(version), **metadata},
    }


def pod(version: int, owner: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "p",
            "namespace": "science",
            "uid": "p1",
            "resourceVersion": str(version),
            "labels": {"owner": owner},
        },
    }


def owners(manifest: Manifest, world: World) -> set[Key]:
    if manifest["kind"] != "Pod":
        return {key_of(manifest)}
    return {Key("Dataset", "science", manifest["metadata"]["labels"]["owner"]), Key("Forged", "science", "kind")}


def make() -> tuple[ClusterCache, Clock]:
    clock = Clock()
    return ClusterCache(World(), owners, clock), clock


def known_version(store: ClusterCache, key: Key = IRIS) -> str | None:
    manifest = store.world.get(*key)
    return manifest["metadata"]["resourceVersion"] if manifest else None


def test_a_new_object_concerns_itself() -> None:
    store, _ = make()

    assert {IRIS} == store.apply_event("ADDED", dataset(1))


def test_the_world_never_goes_back() -> None:
    store, _ = make()
    store.apply_event("MODIFIED", dataset(5))

    assert set() == store.apply_event("MODIFIED", dataset(4))
    assert known_version(store) == "5"


def test_the_echo_of_our_own_write_is_no_news() -> None:
    store, _ = make()
    store.apply_event("ADDED", dataset(1))
    assert {IRIS} == store.confirm(dataset(2))

    assert set() == store.apply_event("MODIFIED", dataset(2))


def test_versions_are_compared_as_numbers() -> None:
    store, _ = make()
    store.apply_event("ADDED", dataset(9))

    assert {IRIS} == store.apply_event("MODIFIED", dataset(10))


def test_a_deleted_object_never_comes_back() -> None:
    store, _ = make()
    store.apply_event("ADDED", dataset(1))
    assert {IRIS} == store.apply_event("DELETED", dataset(3))

    assert set() == store.confirm(dataset(2))
    assert set() == store.apply_event("MODIFIED", dataset(4))
    assert None is known_version(store)


def test_an_object_that_left_the_selection_is_seen_again_when_it_is_back() -> None:
    store, _ = make()
    pod_key = Key("Pod", "science", "p")
    store.apply_event("ADDED", pod(1, "iris"))
    # Without our label it leaves the watch, which says the same as of a deletion.
    store.apply_event("DELETED", pod(2, "iris"))

    assert set() == store.apply_event("MODIFIED", pod(2, "iris"))
    assert {IRIS} == store.confirm(pod(3, "iris"))
    assert {IRIS, Key("Dataset", "science", "wine")} == store.apply_event("MODIFIED", pod(4, "wine"))
    assert store.world.get(*pod_key) is not None


def test_what_the_api_server_says_is_gone_is_gone_whatever_selects_it() -> None:
    store, _ = make()
    store.apply_event("ADDED", pod(1, "iris"))
    store.remove(Key("Pod", "science", "p"), "p1")

    assert set() == store.apply_event("MODIFIED", pod(9, "iris"))


def test_another_object_of_the_same_name_is_another_object() -> None:
    store, _ = make()
    store.apply_event("ADDED", dataset(1))
    store.apply_event("ADDED", dataset(4, uid="u2"))

    assert set() == store.apply_event("DELETED", dataset(3, uid="u1"))
    assert known_version(store) == "4"


def test_what_no_planner_reads_is_not_kept() -> None:
    store, _ = make()
    store.apply_event(
        "ADDED",
        dataset(
            1, managedFields=[{}], annotations={"kubectl.kubernetes.io/last-applied-configuration": "{}", "kept": "yes"}
        ),
    )

    kept = store.world.get(*IRIS)
    assert kept is not None
    assert "managedFields" not in kept["metadata"]
    assert kept["metadata"]["annotations"] == {"kept": "yes"}


def test_a_child_that_changes_hands_concerns_both_owners() -> None:
    store, _ = make()
    store.apply_event("ADDED", pod(1, "iris"))

    assert {IRIS, Key("Dataset", "science", "wine")} == store.apply_event("MODIFIED", pod(2, "wine"))


def test_a_label_that_names_a_kind_we_do_not_have_concerns_nobody() -> None:
    store, _ = make()

    assert {IRIS} == store.apply_event("ADDED", pod(1, "iris"))


def test_a_full_list_finds_missed_deletions_and_counts_them() -> None:
    store, _ = make()
    store.apply_event("ADDED", dataset(1))
    listing = store.begin("Dataset", None)
    store.listed(listing, [], expected=False)

    assert {IRIS} == store.end(listing)
    assert store.missed_deletions == 1
    assert None is known_version(store)


def test_a_list_of_one_namespace_says_nothing_of_another() -> None:
    store, _ = make()
    store.apply_event("ADDED", dataset(1))
    listing = store.begin("Dataset", "elsewhere")

    assert set() == store.end(listing)
    assert known_version(store) == "1"


def test_what_an_event_touches_while_a_list_runs_is_left_to_the_event() -> None:
    store, _ = make()
    listing = store.begin("Dataset", None)
    store.apply_event("ADDED", dataset(7))

    assert set() == store.end(listing)
    assert known_version(store) == "7"


def test_an_object_deleted_while_a_list_runs_stays_deleted() -> None:
    store, _ = make()
    store.apply_event("ADDED", dataset(1))
    listing = store.begin("Dataset", None)
    store.apply_event("DELETED", dataset(2))
    store.listed(listing, [dataset(1)], expected=False)
    store.end(listing)

    assert None is known_version(store)


def test_our_own_creation_while_a_list_runs_is_no_ghost() -> None:
    store, _ = make()
    listing = store.begin("Dataset", None)
    store.listed(listing, [], expected=False)
    store.confirm(dataset(5))

    assert set() == store.end(listing)
    assert known_version(store) == "5"


def test_objects_in_a_list_are_given_their_kind() -> None:
    store, _ = make()
    bare = dataset(1)
    del bare["kind"], bare["apiVersion"]
    store.listed(store.begin("Dataset", None), [bare], expected=True)

    assert known_version(store) == "1"


def test_a_watch_that_owes_a_change_for_too_long_is_stale() -> None:
    store, clock = make()
    listing = store.begin("Dataset", None)
    store.listed(listing, [dataset(3)], expected=False)
    store.end(listing)
    clock.now = 179.0
    assert store.stale_kinds(180.0) == []
    clock.now = 181.0

    assert store.stale_kinds(180.0) == ["Dataset"]


def test_a_watch_that_delivers_late_is_not_stale() -> None:
    store, clock = make()
    store.listed(store.begin("Dataset", None), [dataset(3)], expected=False)
    store.apply_event("MODIFIED", dataset(3))
    clock.now = 1000.0

    assert store.stale_kinds(180.0) == []


def test_the_first_list_is_no_reproach_to_a_watch_that_has_not_begun() -> None:
    store, clock = make()
    store.listed(store.begin("Dataset", None), [dataset(3)], expected=True)
    clock.now = 1000.0

    assert store.stale_kinds(180.0) == []


def test_an_object_that_went_is_lost_until_another_of_its_name_is_there() -> None:
    store, _ = make()
    store.apply_event("ADDED", dataset(1))
    assert not store.has_lost(IRIS)

    store.apply_event("DELETED", dataset(2))
    assert store.has_lost(IRIS)
    store.apply_event("MODIFIED", dataset(1))
    assert store.has_lost(IRIS), "an echo of the one that went"

    store.apply_event("ADDED", dataset(3, uid="u2"))
    assert not store.has_lost(IRIS)
