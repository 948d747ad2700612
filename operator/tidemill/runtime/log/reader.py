"""A window of a service's log: which partitions hold it, what is in them, and which labels belong to its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.contract.layout import LogColumn
from tidemill.contract.numbers import quantity
from tidemill.runtime.log import part
from tidemill.runtime.log.layout import SLOT, hours_between, is_part, slot_of
from tidemill.runtime.store.objects import TooLargeError

_AT_ONCE = 16
"""Parts fetched ahead; each is some thousand rows."""
_BATCH_ROWS = 1 << 16
"""Parts are small; so many rows are counted in one go."""
_SLOT = timedelta(seconds=SLOT)


class Listed(Protocol):
    """An object in the store."""

    @property
    def key(self) -> str: ...


class PartSource(Protocol):
    """The part of the object store that is used here."""

    def list(self, folder: str = "", *, after: str = "") -> Iterator[Listed]: ...
    def get(self, key: str, *, most: int | None = None) -> bytes: ...


@dataclass(slots=True)
class Skipped:
    """Parts that could not be read; the window goes on without them and says so."""

    parts: list[str]

    def warnings(self) -> tuple[str, ...]:
        """Return the warnings in words, with the first few parts by name.

        >>> Skipped(["a.parquet: not a Parquet file"]).warnings()
        ('1 part of the log could not be read and was left out: a.parquet: not a Parquet file',)
        """
        if not self.parts:
            return ()
        many = quantity(len(self.parts), "part", "parts")
        more = f"; and {len(self.parts) - 3} more" if len(self.parts) > 3 else ""
        return (
            f"{many} of the log could not be read and {'were' if len(self.parts) > 1 else 'was'} left out: {'; '.join(self.parts[:3])}{more}",
        )


def keys(store: PartSource, folder: str, start: datetime, end: datetime | None) -> list[str]:
    """Return the parts of the log whose hour reaches into the window; with no `end`, all since its start."""
    first, last = hours_between(folder, start, end)
    chosen = []
    for entry in store.list(folder, after=first):
        if last is not None and entry.key >= last:
            break
        if is_part(entry.key) and _reaches_into(entry.key, start, end):
            chosen.append(entry.key)
    return chosen


def _reaches_into(key: str, start: datetime, end: datetime | None) -> bool:
    """Return whether a part may hold rows of the window; where its name tells its slot of time, that decides."""
    seconds = slot_of(key)
    if seconds is None:
        return True
    slot = datetime.fromtimestamp(seconds, UTC)
    return slot + _SLOT > start and (end is None or slot < end)


def rows(
    store: PartSource, parts: Sequence[str], columns: Callable[[list[str]], list[str]], skipped: Skipped
) -> Iterator[pa.Table]:
    """The parts' rows in batches of some ten thousand; `columns` chooses among the names of a part.

    A part that is truncated, forged or gone is noted in `skipped`.
    """
    waiting: list[pa.Table] = []
    with ThreadPoolExecutor(4) as pool:
        for start in range(0, len(parts), _AT_ONCE):
            for key, read in pool.map(lambda key: _read(store, key, columns), parts[start : start + _AT_ONCE]):
                if isinstance(read, str):
                    skipped.parts.append(f"{'/'.join(key.split('/')[-3:])}: {read}")
                    continue
                if waiting and (
                    read.schema != waiting[0].schema or sum(table.num_rows for table in waiting) >= _BATCH_ROWS
                ):
                    yield pa.concat_tables(waiting).combine_chunks()
                    waiting = []
                waiting.append(read)
    if waiting:
        yield pa.concat_tables(waiting).combine_chunks()


def _read(store: PartSource, key: str, columns: Callable[[list[str]], list[str]]) -> tuple[str, pa.Table | str]:
    """A part's rows, or why there are none."""
    try:
        return key, part.decoded(store.get(key, most=part.MAX_BYTES), columns)
    except FileNotFoundError:
        return key, "it was deleted meanwhile"
    except (TooLargeError, part.UnusableError) as reason:
        return key, str(reason)


def start_of_newest(store: PartSource, parts: Sequence[str], start: datetime, end: datetime, count: int) -> datetime:
    """From when on the window holds its `count` newest rows; its start where it has no more than that.

    Only times are read, and no more than twice as many are kept.
    """
    newest = np.empty(0, np.int64)
    wanted = (LogColumn.REQUEST, LogColumn.ROW, LogColumn.TIME)
    for batch in rows(store, parts, lambda names: [name for name in names if name in wanted], Skipped([])):
        times = within(batch, start, end).column(LogColumn.TIME).cast(pa.int64()).to_numpy()
        newest = np.concatenate((newest, times))
        if len(newest) > 2 * count:
            newest = np.partition(newest, len(newest) - count)[-count:]
    if len(newest) <= count:
        return start
    oldest = int(np.partition(newest, len(newest) - count)[-count])
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=oldest)


def within(table: pa.Table, start: datetime, end: datetime) -> pa.Table:
    """The rows of `table` from `start` up to, and without, `end`."""
    time = table.column(LogColumn.TIME)
    low, high = pa.scalar(start, part.TIME), pa.scalar(end, part.TIME)
    return table.filter(pc.and_(pc.greater_equal(time, low), pc.less(time, high)))
