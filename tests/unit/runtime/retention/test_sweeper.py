"""What the sweeper deletes, keeps and remembers, on a folder and on a real S3 server."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from support.sweeps import DAY, GRACE, OF_PEOPLE, WRITTEN, A, B, Watch, fill, keys, references
from tidemill.contract.references import References
from tidemill.runtime.failures import StoreUnreachable
from tidemill.runtime.retention import record, sweeper
from tidemill.runtime.retention.sweeper import Sweeper
from tidemill.runtime.store.objects import ObjectEntry, ObjectStore


def test_data_of_deleted_objects_is_kept_for_the_grace_period_and_then_deleted(store: ObjectStore) -> None:
    fill(store, *WRITTEN)
    watch = Watch(store)

    watch.turn()
    watch.turn(6.9)
    before = keys(store)
    turn = watch.turn(0.2)

    assert sorted(WRITTEN) == before
    assert [] == keys(store)
    assert (len(WRITTEN), 4 * len(WRITTEN)) == (turn.deleted_objects, sum(size.bytes for size in turn.deleted.values()))


def test_a_namespace_without_data_leaves_no_record(store: ObjectStore) -> None:
    fill(store, WRITTEN[0], "raw/rows.csv")
    watch = Watch(store)
    watch.turn()
    watch.turn(8)

    assert ["_tidemill/retention/raw.json", "raw/rows.csv"] == [entry.key for entry in store.list()]


def test_what_people_put_into_the_store_is_never_deleted(store: ObjectStore) -> None:
    fill(store, *OF_PEOPLE)
    watch = Watch(store)
    for _ in range(4):
        watch.turn(30)

    assert sorted(OF_PEOPLE) == keys(store)


KEEPS: dict[str, tuple[dict[str, tuple[str, ...]], str]] = {
    "a service keeps its log, its labels and its counts": ({"logs": ("shop/fraud",)}, "/(predictions|labels|counts)/"),
    "a monitor keeps its reports and signals": ({"monitors": ("shop/fraud",)}, "/monitors/"),
    "a digest that is mentioned keeps the revision": ({"digests": (A,)}, "/datasets/"),
    "a URI of a revision keeps it": ({"folders": (f"shop/datasets/transactions/{A}",)}, "/datasets/"),
    "a URI of a version keeps it": ({"folders": ("shop/models/fraud/fraud-1a2b3c4d",)}, "/models/"),
    "what is used elsewhere keeps nothing": ({"logs": ("other/fraud",), "monitors": ("shop/other",), "digests": (B,)}, "$^"),
}  # fmt: skip


@pytest.mark.parametrize(("used", "kept"), KEEPS.values(), ids=KEEPS)
def test_what_an_object_uses_is_kept(used: dict[str, tuple[str, ...]], kept: str, tmp_path: Path) -> None:
    store = ObjectStore.open(f"file://{tmp_path}")
    fill(store, *WRITTEN)
    watch = Watch(store)
    watch.turn(**references().model_copy(update=used).model_dump(exclude={"format"}))
    watch.turn(8)

    assert sorted(key for key in WRITTEN if re.search(kept, key)) == keys(store)


def test_data_that_is_used_again_within_the_grace_period_begins_a_new_one(tmp_path: Path) -> None:
    store = ObjectStore.open(f"file://{tmp_path}")
    fill(store, *WRITTEN[4:7])
    watch = Watch(store)
    watch.turn()
    watch.turn(6, namespaces=("shop",), logs=("shop/fraud",))
    watch.turn(6, namespaces=("shop",), logs=())
    watch.turn(6)

    assert 3 == len(keys(store))

    watch.turn(2)

    assert [] == keys(store)


def test_data_that_is_still_written_begins_a_new_grace_period(tmp_path: Path) -> None:
    store = ObjectStore.open(f"file://{tmp_path}")
    fill(store, "shop/predictions/fraud/date=2026-01-02/hour=03/a.parquet")
    watch = Watch(store)
    watch.days = -20.0
    watch.turn()
    watch.turn(19)  # the file is younger than the mark

    assert 1 == len(keys(store))


def test_without_a_grace_period_the_store_is_only_measured(tmp_path: Path) -> None:
    store = ObjectStore.open(f"file://{tmp_path}")
    fill(store, *WRITTEN)
    watch = Watch(store, grace=None)
    watch.turn()
    turn = watch.turn(1000)

    assert (sorted(WRITTEN), 0) == (keys(store), turn.deleted_objects)


def test_a_store_is_measured_by_namespace_kind_and_use(tmp_path: Path) -> None:
    store = ObjectStore.open(f"file://{tmp_path}")
    fill(store, *WRITTEN, "other/predictions/iris/date=2026-01-02/hour=03/a.parquet", "shop/raw.csv")
    sizes = Watch(store).turn(namespaces=("shop",), logs=("shop/fraud",)).sizes

    assert {
        ("shop", "datasets", False): 8,
        ("shop", "models", False): 8,
        ("shop", "predictions", True): 4,
        ("shop", "labels", True): 4,
        ("shop", "counts", True): 4,
        ("shop", "monitors", False): 8,
        ("shop", "other", True): 4,
        ("other", "predictions", False): 4,
    } == {entry: size.bytes for entry, size in sizes.items()}


def test_in_a_shared_store_only_namespaces_are_swept_in_which_the_release_had_an_object(tmp_path: Path) -> None:
    store = ObjectStore.open(f"file://{tmp_path}")
    fill(store, "mine/predictions/a/x.parquet", "theirs/predictions/a/x.parquet", "lost/predictions/a/x.parquet")
    record.write(store, "theirs", record.Record("other/release"))
    watch = Watch(store, alone=False)
    watch.turn(namespaces=("mine", "theirs"))
    watch.turn(1, namespaces=())
    watch.turn(30)

    assert ["lost/predictions/a/x.parquet", "theirs/predictions/a/x.parquet"] == keys(store)


def test_an_operator_that_does_not_answer_ends_the_turn_before_anything_is_deleted(tmp_path: Path) -> None:
    store = ObjectStore.open(f"file://{tmp_path}")
    fill(store, *WRITTEN)
    watch = Watch(store)
    watch.turn()

    def refuse() -> References:
        raise OSError("503")

    with pytest.raises(OSError, match="503"):
        Sweeper(
            store, refuse, release="a/b", is_only_user=True, grace=GRACE, clock=lambda: datetime.now(UTC) + 30 * DAY
        ).turn()

    assert sorted(WRITTEN) == keys(store)


def test_one_turn_deletes_a_bounded_number_and_the_next_ones_go_on(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "MAX_DELETED", 7)
    fill(store, *(f"shop/predictions/fraud/date=2026-01-02/hour=03/{n}.parquet" for n in range(20)))
    fill(store, *(f"shop/models/fraud/v{n}/manifest.json" for n in range(5)))
    watch = Watch(store)
    watch.turn()
    turns = [watch.turn(8 if not n else 0) for n in range(4)]

    assert [7, 7, 7, 4] == [turn.deleted_objects for turn in turns]
    assert [True, True, True, False] == [turn.left for turn in turns]
    assert [] == keys(store)


class Counting:
    """A store that counts requests, and holds what a listing of so many keys would answer."""

    def __init__(self, store: ObjectStore, count: int) -> None:
        self._store, self.left = store, count
        self.calls: dict[str, int] = {}
        self.held = 0
        """The largest number of entries that were alive at a time."""

    def __getattr__(self, name: str) -> Any:
        self.calls[name] = self.calls.get(name, 0) + 1
        return getattr(self._store, name)

    def folders(self) -> tuple[str, ...]:
        return ("shop",)

    def stream(self, folder: str) -> Iterator[Any]:
        self.calls["list"] = self.calls.get("list", 0) + 1
        for number in range(self.left):
            if number and number % 1000 == 0:
                self.calls["list"] += 1  # one request for each thousand
            key = f"shop/predictions/fraud/date=2026-01-02/hour=03/{number:06d}.parquet"
            yield ObjectEntry(key, 10, datetime(2026, 1, 2, tzinfo=UTC), "")

    def delete_many(self, keys: list[str]) -> None:
        self.calls["delete"] = self.calls.get("delete", 0) + 1
        self.held = max(self.held, len(keys))
        # Those that are left have other names than the first of the batch before.
        self.left -= len(keys)

    def delete(self, *keys: str) -> None:
        return


def test_a_hundred_thousand_keys_take_few_requests_and_little_memory(tmp_path: Path) -> None:
    counting: Any = Counting(ObjectStore.open(f"file://{tmp_path}"), 100_000)
    watch = Watch(counting)
    tracemalloc.start()
    watch.turn()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 100 == counting.calls["list"]
    assert peak < 4 << 20


def test_deleting_takes_one_list_and_one_deletion_for_a_thousand_keys(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeper, "_BATCH", 10)
    fill(store, *(f"shop/predictions/fraud/date=2026-01-02/hour=03/{n:03}.parquet" for n in range(50)))
    watch = Watch(store)
    watch.turn()
    calls: list[str] = []
    for name in ("stream", "delete_many"):
        method = getattr(ObjectStore, name)
        monkeypatch.setattr(
            ObjectStore, name, lambda *given, _name=name, _method=method: calls.append(_name) or _method(*given)
        )
    watch.turn(8)

    # Once to measure, then in turns until nothing is left.
    assert ["stream", *("stream", "delete_many") * 5, "stream"] == calls
    assert [] == keys(store)


def test_a_store_that_keeps_what_was_deleted_ends_the_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ObjectStore.open(f"file://{tmp_path}")
    fill(store, *WRITTEN)
    watch = Watch(store)
    watch.turn()
    monkeypatch.setattr(ObjectStore, "delete_many", lambda *_: None)

    with pytest.raises(StoreUnreachable, match="still there after it was deleted; check the rights to delete"):
        watch.turn(8)


def test_a_record_that_is_spoilt_begins_again_and_deletes_nothing_at_once(tmp_path: Path) -> None:
    store = ObjectStore.open(f"file://{tmp_path}")
    fill(store, *WRITTEN)
    watch = Watch(store)
    watch.turn()
    store.put(f"{record.HOME}/shop.json", b"{")
    watch.turn(30)

    assert sorted(WRITTEN) == keys(store)
    assert record.read(store, "shop") is not None


def test_no_more_marks_are_remembered_than_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "MAX_MARKS", 2)
    store = ObjectStore.open(f"file://{tmp_path}")
    fill(store, *(f"shop/models/fraud/v{n}/manifest.json" for n in range(5)))
    watch = Watch(store)
    watch.turn()
    known = record.read(store, "shop")

    assert known is not None
    assert 2 == len(replace(known).unused)

    for _ in range(3):
        watch.turn(8)

    assert [] == keys(store)
