"""What is kept of the log, and what goes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tidemill.runtime.log import retention
from tidemill.runtime.log.retention import Retention
from tidemill.runtime.store.objects import ObjectStore

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC).timestamp()
DAY = 86400.0
FOLDERS = ("ns/predictions/houses", "ns/labels/houses")


def fill(store: ObjectStore, *days: str) -> None:
    for folder in FOLDERS:
        for day in days:
            store.put(f"{folder}/date={day}/hour=07/pod-000001.parquet", b"rows")


def left(store: ObjectStore) -> list[str]:
    return [entry.key for entry in store.list("ns")]


def keeping(seconds: float) -> Retention:
    return Retention(FOLDERS, seconds, clock=lambda: NOW, uniform=lambda: 0.0)


def test_whole_days_that_are_older_go_and_the_day_that_reaches_in_stays(store: ObjectStore) -> None:
    fill(store, "2026-03-01", "2026-03-02", "2026-03-03", "2026-03-10")

    more = keeping(8 * DAY).sweep(store)

    assert not more
    assert [f"{folder}/date={day}/hour=07/pod-000001.parquet" for folder in sorted(FOLDERS) for day in ("2026-03-02", "2026-03-03", "2026-03-10")] == left(store)  # fmt: skip


def test_nothing_is_touched_that_is_no_part_of_a_log(store: ObjectStore) -> None:
    others = [
        "ns/predictions/houses/notes.txt",
        "ns/predictions/houses/date=2020-01-01/hour=00/notes.txt",
        "ns/predictions/houses-of-others/date=2020-01-01/hour=00/pod-000001.parquet",
        "ns/models/house/date=2020-01-01/hour=00/x.parquet",
    ]
    for key in others:
        store.put(key, b"kept")

    keeping(DAY).sweep(store)

    assert sorted(others) == left(store)


def test_a_look_is_bounded_and_says_that_there_is_more(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "MAX_DELETED", 3)
    fill(store, "2026-01-01", "2026-01-02", "2026-01-03")
    kept = keeping(DAY)

    assert [True, False] == [kept.sweep(store), kept.sweep(store)]
    assert (6, []) == (kept.removed, left(store))


def test_two_pods_may_find_the_same_day(store: ObjectStore) -> None:
    fill(store, "2026-01-01")
    first, other = keeping(DAY), keeping(DAY)

    first.sweep(store)
    other.sweep(store)

    assert (0, 0) == (first.failures, other.failures)


def test_a_store_that_is_away_is_counted_and_ends_nothing(store: ObjectStore) -> None:
    class Away:
        def list(self, folder: str) -> object:
            raise ConnectionError("nobody answers")

    kept = keeping(DAY)

    assert kept.sweep(Away()) is False  # type: ignore[arg-type]
    assert 1 == kept.failures
