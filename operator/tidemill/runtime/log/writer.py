"""The log of predictions and labels: Parquet partitions in the store, written a little later by a thread.

A record waits in a list (one append on the way of a request), is sealed into a part with its neighbours, encoded, and put
under a name of its own; a put that fails is repeated with the same name and bytes, so a part is there once however often
it was tried. What waits is bounded: past the bound new records are dropped and counted, and answers go on. What waits goes with a
process that is killed, which is what came since the last write; one that is told to stop writes it first.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from tidemill.runtime.log.layout import hour_folder, part_name, part_of_hour, part_of_slot
from tidemill.runtime.process.priority import LOW_PRIORITY, lower_priority

if TYPE_CHECKING:
    from tidemill.runtime.store.objects import ObjectStore

logger = logging.getLogger(__name__)

PART_ROWS: Final = 20_000
"""A part is sealed at this many rows even before its time."""
MAX_RETRY_SECONDS: Final = 30.0
"""Seconds between attempts while the store does not take parts."""

Encode = Callable[[Sequence[Any]], bytes]


class PartObserver(Protocol):
    """An observer of a log, called in its thread: rows of one slot of time share a part, and every part is reported."""

    def slot(self, timestamp: float) -> int:
        """When the slot of a timestamp begins, in seconds since 1970; no slot reaches over a full hour."""

    def sealed(self, number: int, slot: int) -> None:
        """Take note that the rows encoded last are the part of this number."""

    def put(self, store: ObjectStore) -> None:
        """All parts so far are in the store."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows that belong into one file."""

    path: str
    data: bytes
    rows: int


@dataclass(slots=True)
class LogState:
    """Counts of a log's rows by their fate so far."""

    written: int = 0
    dropped: int = 0
    failures: int = 0
    error: str = ""
    """Why the last attempt failed; empty while all is well."""


class Log:
    """One stream of records on its way to one folder of the store."""

    def __init__(
        self,
        folder: str,
        writer: str,
        encode: Encode,
        *,
        every: float,
        max_bytes: int,
        written: Callable[[Sequence[Any]], None] | None = None,
        clock: Callable[[], float] = time.time,
        observer: PartObserver | None = None,
    ) -> None:
        """Parts are named `<folder>/<partition>/<writer>-<number>.parquet`; `encode` turns records into a file's bytes.

        `written` is told of the records that were taken, each time and also of none, in the thread that writes.
        With an `observer`, the name tells the slot too: `<folder>/<partition>/<second of the hour>_<writer>-<number>.parquet`.
        """
        self.state = LogState()
        self._folder = folder
        self._writer = writer
        self._encode = encode
        self._written = written
        self._every = every
        self._max_bytes = max_bytes
        self._clock = clock
        self._observer = observer
        self._store: ObjectStore | None = None
        self._records: list[Any] = []
        self._rows = 0
        self._bytes = 0
        self._parts: deque[Part] = deque()
        self._parts_bytes = 0
        self._number = 0
        self._writing = asyncio.Lock()
        # Answers come first: at the same priority, who asks while a part is encoded would wait for it.
        self._thread = ThreadPoolExecutor(
            1, thread_name_prefix="log", initializer=partial(lower_priority, LOW_PRIORITY)
        )
        self._flushing: set[asyncio.Task[bool]] = set()
        self._due: asyncio.Event | None = None

    def append(self, record: Any, rows: int, size: int) -> bool:
        """Take a record in that holds `rows` rows and about `size` bytes; False where there is no room for it."""
        if not self.grow(rows, size):
            return False
        self._records.append(record)
        return True

    def grow(self, rows: int, size: int) -> bool:
        """Make room for so much more in the newest record; False where there is none."""
        if self._bytes + self._parts_bytes + size > self._max_bytes:
            self.state.dropped += rows
            return False
        self._bytes += size
        self._rows += rows
        if self._rows >= PART_ROWS and self._due is not None:
            self._due.set()
        return True

    @property
    def newest(self) -> Any:
        """The record that was appended last and still waits; None where none does."""
        return self._records[-1] if self._records else None

    @property
    def backlog(self) -> int:
        """Rows that wait."""
        return self._rows + sum(part.rows for part in tuple(self._parts))

    @property
    def backlog_bytes(self) -> int:
        return self._bytes + self._parts_bytes

    def report(self) -> dict[str, Any]:
        """Return how the log stands."""
        return {**asdict(self.state), "backlogRows": self.backlog, "backlogBytes": self.backlog_bytes}

    def use(self, store: ObjectStore) -> None:
        """Write to this store from now on."""
        self._store = store

    async def run(self) -> None:
        """Write every few seconds, until cancelled."""
        self._due = asyncio.Event()
        pause = self._every
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._due.wait()
            except TimeoutError:
                pass
            self._due.clear()
            if await self.flush():
                pause = self._every
            else:
                pause = min(max(pause * 2, self._every), MAX_RETRY_SECONDS)
                # A full list would wake this loop at once; the store needs a rest.
                await asyncio.sleep(min(pause, 1.0))

    async def flush(self) -> bool:
        """Write what waits; False where the store did not take it and it goes on waiting.

        A caller that gives up waiting does not end it: its thread cannot be stopped, and no second one may write at the same time.
        """
        flushing = asyncio.get_running_loop().create_task(self._flush())
        self._flushing.add(flushing)
        flushing.add_done_callback(self._flushing.discard)
        return await asyncio.shield(flushing)

    async def _flush(self) -> bool:
        loop = asyncio.get_running_loop()
        async with self._writing:
            # Only the event loop touches what waits as records; the thread has its own list.
            records, rows, size = self._records, self._rows, self._bytes
            self._records = []
            try:
                if records or self._written is not None:
                    await loop.run_in_executor(self._thread, self._seal_all, records)
            finally:  # an error must not leave room taken that nothing fills
                self._rows -= rows
                self._bytes -= size
            return await loop.run_in_executor(self._thread, self._put_all)

    def _seal_all(self, records: list[Any]) -> None:
        if self._observer is None:
            self._seal_hours(records)
        else:
            self._seal_slots(records, self._observer)
        if self._written is not None:
            try:
                self._written(records)
            except (
                Exception
            ):  # the rows are sealed, and are to be written whatever becomes of what is derived from them
                logger.exception("what is derived from %d logged rows is lost", sum(record.rows for record in records))

    def _seal_hours(self, records: list[Any]) -> None:
        hours: dict[str, list[Any]] = {}
        for record in records:
            hours.setdefault(hour_folder(record.time), []).append(record)
        for hour, together in hours.items():
            self._seal(together, partial(part_of_hour, hour))

    def _seal_slots(self, records: list[Any], observer: PartObserver) -> None:
        slots: dict[int, list[Any]] = {}
        for record in records:
            slots.setdefault(observer.slot(record.time), []).append(record)
        for slot, together in slots.items():
            number = self._seal(together, partial(part_of_slot, slot))
            if number:
                observer.sealed(number, slot)

    def _put_all(self) -> bool:
        while self._parts:
            part = self._parts[0]
            if not self._put(part):
                return False
            self._parts.popleft()
            self._parts_bytes -= len(part.data)
            self.state.written += part.rows
        if self._observer is not None and self._store is not None:
            self._observer.put(self._store)
        return True

    def _seal(self, records: list[Any], path: Callable[[str], str]) -> int:
        """Make a part; `path` places its name below the log. Return its number, or 0 where there is none."""
        rows = sum(record.rows for record in records)
        try:
            data = self._encode(records)
        except Exception:  # a row that Parquet cannot hold must not end the log
            logger.exception("%d rows cannot be written and are dropped", rows)
            self.state.dropped += rows
            return 0
        self._number += 1
        self._parts.append(Part(f"{self._folder}/{path(part_name(self._writer, self._number))}", data, rows))
        self._parts_bytes += len(data)
        return self._number

    def _put(self, part: Part) -> bool:
        if self._store is None:
            self.state.error = "there is no store to write to yet"
            return False
        try:
            self._store.put(part.path, part.data)
        except Exception as error:  # whatever is wrong with the store, answers go on and the part is tried again
            if not self.state.error:
                logger.warning("the log cannot be written and waits: %s", error)
            self.state.failures += 1
            self.state.error = f"{type(error).__name__}: {error}"[:500]
            return False
        if self.state.error:
            logger.info("the log is written again")
            self.state.error = ""
        return True


def boot_id() -> str:
    """A name for this start of this process, so that a pod that starts again overwrites nothing."""
    return os.urandom(5).hex()
