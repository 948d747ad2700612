from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from tidemill.runtime.failures import StoreUnreachable
from tidemill.runtime.log.writer import Log

HOUR = 3600.0


class Row(NamedTuple):
    text: str
    time: float = 0.0
    rows: int = 1


class Flaky:
    """A store that fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.held: dict[str, bytes] = {}

    def put(self, key: str, content: bytes) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreUnreachable("nothing answers there")
        self.held[key] = content


def encode(records: Sequence[Row]) -> bytes:
    if any(record.text == "poison" for record in records):
        raise ValueError("cannot be written")
    return ",".join(record.text for record in records).encode()


def log(store: Any, max_bytes: int = 1000) -> Log:
    made = Log("folder", "pod-boot", encode, every=60, max_bytes=max_bytes)
    made.use(store)
    return made


async def test_records_are_written_together_one_part_per_hour() -> None:
    store = Flaky()
    written = log(store)
    for row in (Row("a", 1.0), Row("b", HOUR + 1), Row("c", 2.0)):
        written.append(row, 1, 10)

    assert await written.flush()
    assert {
        "folder/date=1970-01-01/hour=00/pod-boot-000001.parquet": b"a,c",
        "folder/date=1970-01-01/hour=01/pod-boot-000002.parquet": b"b",
    } == store.held
    assert (3, 0, 0) == (written.state.written, written.backlog, written.backlog_bytes)


async def test_nothing_is_written_where_nothing_waits() -> None:
    store = Flaky()

    assert await log(store).flush()
    assert {} == store.held


async def test_what_the_store_did_not_take_is_tried_again_under_the_same_name() -> None:
    store = Flaky(failures=2)
    written = log(store)
    written.append(Row("a"), 1, 10)

    tries = [await written.flush() for _ in range(3)]

    assert [False, False, True] == tries
    assert ["folder/date=1970-01-01/hour=00/pod-boot-000001.parquet"] == list(store.held)
    assert (2, 1, "") == (written.state.failures, written.state.written, written.state.error)


async def test_past_its_bound_new_records_are_dropped_and_counted() -> None:
    store = Flaky(failures=1)
    written = log(store, max_bytes=25)
    taken = [written.append(Row(text), 1, 10) for text in "abc"]
    await written.flush()

    assert [True, True, False] == taken
    assert 1 == written.state.dropped
    assert 2 == written.backlog  # encoded they are smaller, so that there is room again
    assert written.append(Row("d"), 1, 10)


async def test_a_record_that_cannot_be_encoded_is_dropped_and_the_log_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    store = Flaky()
    written = log(store)
    written.append(Row("poison"), 1, 10)
    await written.flush()
    written.append(Row("a"), 1, 10)
    await written.flush()

    assert [b"a"] == list(store.held.values())
    assert (1, 1) == (written.state.dropped, written.state.written)
    assert "cannot be written" in caplog.text


class Hanging(Flaky):
    """A store that keeps silent until it is released, and remembers how many asked it at once."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.released = threading.Event(), threading.Event()
        self.at_once = self.max_at_once = 0

    def put(self, key: str, content: bytes) -> None:
        self.at_once += 1
        self.max_at_once = max(self.max_at_once, self.at_once)
        self.asked.set()
        self.released.wait()
        super().put(key, content)
        self.at_once -= 1


async def test_a_write_that_was_given_up_goes_on_and_no_other_one_starts_beside_it() -> None:
    store = Hanging()
    written = log(store)
    written.append(Row("a"), 1, 10)
    given_up = asyncio.create_task(written.flush())
    await asyncio.to_thread(store.asked.wait)
    given_up.cancel()
    written.append(Row("b"), 1, 10)

    second = asyncio.create_task(written.flush())
    await asyncio.sleep(0)
    store.released.set()

    assert await second
    assert 1 == store.max_at_once
    assert [b"a", b"b"] == list(store.held.values())
    assert (2, 0, 0) == (written.state.written, written.backlog, written.backlog_bytes)


async def test_rows_that_are_being_written_are_counted_once_as_waiting() -> None:
    store = Hanging()
    written = log(store)
    written.append(Row("a"), 1, 10)
    writing = asyncio.create_task(written.flush())
    await asyncio.to_thread(store.asked.wait)

    assert 1 == written.backlog
    store.released.set()
    await writing
    assert 0 == written.backlog
