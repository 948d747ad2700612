"""A sweep that is killed, or that meets a publication, leaves nothing half deleted."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, settings, strategies

from support.sweeps import WRITTEN, A, Watch, fill, keys, references
from tidemill.runtime.failures import StoreUnreachable
from tidemill.runtime.store import manifest
from tidemill.runtime.store.objects import ObjectStore

FILES = {"data-00000.parquet": b"rows", "schema.json": b"{}"}
DERIVED = {"report.html": b"<html>"}
REVISION = f"shop/datasets/transactions/{A}"


class Died(Exception):
    """The process was killed."""


class Interrupted(ObjectStore):
    """A store in which something happens before its n-th request."""

    def during(self, number: int, event: Callable[[], None]) -> Interrupted:
        object.__setattr__(self, "_left", number)
        object.__setattr__(self, "_event", event)
        return self

    def __getattribute__(self, name: str) -> Any:
        if name in ("get", "head", "put", "create", "delete", "delete_many", "stream", "folders"):
            left = object.__getattribute__(self, "_left")
            object.__setattr__(self, "_left", left - 1)
            if left == 0:
                object.__getattribute__(self, "_event")()
        return object.__getattribute__(self, name)


def interrupted(store: ObjectStore, number: int, event: Callable[[], None]) -> Interrupted:
    return Interrupted(store.uri, store.endpoint, store.objects, store.sibling).during(number, event)


def publish(store: ObjectStore) -> bool:
    """Publish the revision as an ingest run does, and return whether it succeeded."""
    try:
        store.publish(REVISION, FILES, DERIVED)
    except StoreUnreachable as error:
        assert "is being deleted, because no object used it" in str(error)
        return False
    return True


def assert_whole(store: ObjectStore, folder: Path) -> None:
    digest = manifest.digest_of(store.get(f"{REVISION}/{manifest.FILE}"))
    store.fetch(store.uri_of(REVISION), digest, folder)
    assert store.head(f"{REVISION}/report.html") is not None


@given(
    at=strategies.integers(0, 30),
    dies=strategies.integers(0, 30),
    begins_with=strategies.sampled_from(["everything", "half of it", "nothing"]),
    inner=strategies.sampled_from(["publish within sweep", "sweep within publish"]),
)
@settings(max_examples=250, deadline=None)
def test_a_revision_that_is_published_while_it_is_deleted_is_whole_or_published_again(
    at: int, dies: int, begins_with: str, inner: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = ObjectStore.open(f"file://{folder}/store")
        if begins_with != "nothing":
            store.publish(REVISION, FILES, DERIVED)
        if begins_with == "half of it":
            store.delete(f"{REVISION}/schema.json")
        watch = Watch(store)
        watch.turn()
        time.sleep(0.01)  # times of files are some milliseconds coarse
        watch.days = 8.0
        published: list[bool] = []

        def die() -> None:
            raise Died

        def sweep() -> None:
            watch.store = interrupted(store, dies, die)
            with contextlib.suppress(Died):
                watch.turn()
            watch.store = store

        if inner == "publish within sweep":
            watch.store = interrupted(store, at, lambda: published.append(publish(store)))
            watch.turn()
        else:
            published.append(publish(interrupted(store, at, sweep)))
        watch.store = store
        if published == [True]:
            watch.used = references(namespaces=("shop",), digests=(A,))
        watch.turn()

        if published == [True]:
            assert_whole(store, Path(folder) / "fetched")
        else:
            # An ingest run that failed is repeated, at the latest when the sweep is over.
            assert publish(store)
            assert_whole(store, Path(folder) / "fetched")


def test_a_killed_sweep_is_finished_by_the_next_one(tmp_path: Path) -> None:
    store = ObjectStore.open(f"file://{tmp_path}")
    for dies in range(40):
        fill(store, *WRITTEN)
        watch = Watch(store)
        watch.turn()
        watch.days = 8.0

        def die() -> None:
            raise Died

        watch.store = interrupted(store, dies, die)
        try:
            watch.turn()
        except Died:
            watch.store = store
            watch.turn()

        assert [] == keys(store), dies
