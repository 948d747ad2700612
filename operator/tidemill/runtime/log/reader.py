"""A window of a service's log: which partitions hold it, what is in them, and which labels belong to its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.contract.layout import LogColumn
from tidemill.contract.numbers import quantity
from tidemill.runtime.log import part
from tidemill.runtime.log.layout import SLOT, hour_end_of, hours_between, is_part, slot_of
from tidemill.runtime.log.newest import NewestRows
from tidemill.runtime.protocol.feedback import CLOCK_SKEW_SECONDS
from tidemill.runtime.store.objects import TooLargeError

MAX_LABELS: Final = 1_000_000
"""Labels that are held at a time, some hundred bytes each; a client that may send labels could send any number."""
_AT_ONCE = 16
"""Parts fetched ahead; each is some thousand rows."""
_BATCH_ROWS = 1 << 16
"""Parts are small; so many rows are counted in one go."""
_SLOT = timedelta(seconds=SLOT)
_CLOCK_SKEW = int(CLOCK_SKEW_SECONDS * 1e6)


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


class Matched(NamedTuple):
    """Rows with their labels."""

    labelled: np.ndarray[Any, np.dtype[np.bool_]]
    """Which rows have labels."""
    values: pa.Array
    """These labels in the order of the rows."""
    times: Any
    """When they came, in microseconds since 1970."""
    early: int
    """Labels that are left out because they are dated before their row was answered."""


@dataclass(frozen=True, slots=True)
class LabelIndex:
    """Labels by request and row, the newest one where there are several."""

    keys: pa.Array
    values: pa.Array
    times: np.ndarray[Any, np.dtype[np.int64]]
    """When each came, in microseconds since 1970."""
    contradicted: int
    """Rows that were given different labels."""
    left_out: int = 0
    """The oldest ones, where there were too many."""
    ahead: int = 0
    """Labels dated after they came, which are left out: the newest label counts, and these would outlast every other one."""

    def warnings(self) -> tuple[str, ...]:
        """Return the warnings about the labels.

        >>> from dataclasses import replace
        >>> replace(NO_LABELS, left_out=5_000).warnings()
        ('5000 labels were beyond the limit; only the newest count',)
        """
        warnings: tuple[str, ...] = ()
        if self.contradicted:
            rows = quantity(self.contradicted, "row has", "rows have")
            warnings += (f"{rows} contradictory labels; the newest counts",)
        if self.left_out:
            warnings += (
                f"{quantity(self.left_out, 'label was', 'labels were')} beyond the limit; only the newest count",
            )
        if self.ahead:
            warnings += (
                f"{quantity(self.ahead, 'label is', 'labels are')} dated in the future and left out; correct the clock of the sender",
            )
        return warnings

    def match(self, table: pa.Table) -> Matched:
        """Return the rows of `table` that have labels; a label from well before its row was answered is not one of its labels."""
        indexes = pc.index_in(_row_keys(table), value_set=self.keys)
        labelled = indexes.is_valid().to_numpy(zero_copy_only=False)
        known = indexes.drop_null()
        times = self.times[known.to_numpy(zero_copy_only=False)]
        answered = table.column(LogColumn.TIME).cast(pa.int64()).to_numpy()[labelled]
        early = times < answered - _CLOCK_SKEW
        if early.any():
            labelled = labelled.copy()
            labelled[np.flatnonzero(labelled)[early]] = False
            known, times = known.filter(pa.array(~early)), times[~early]
        return Matched(labelled, self.values.take(known), times, int(early.sum()))


NO_LABELS = LabelIndex(pa.array([], pa.string()), pa.array([], pa.string()), np.zeros(0, np.int64), 0)


def _row_keys(table: pa.Table) -> Any:
    request = pc.cast(table.column(LogColumn.REQUEST), pa.string())
    row = pc.cast(pc.cast(table.column(LogColumn.ROW), pa.int64()), pa.string())
    joined = pc.binary_join_element_wise(request, row, "/")
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def labels(store: PartSource, parts: Sequence[str], skipped: Skipped, most: int = MAX_LABELS) -> LabelIndex:
    """All labels in the parts, or the newest where there are more than `most`; of several for one row the newest counts.

    Labels dated after the hour of the newest part came by a clock that was wrong, or are forged, and are left out.
    """
    latest = max((end for key in parts if (end := hour_end_of(key)) is not None), default=None)
    ahead = 0
    wanted = (LogColumn.REQUEST, LogColumn.ROW, LogColumn.TIME, LogColumn.LABEL)
    newest_labels = NewestRows(most, "time")
    for batch in rows(store, parts, lambda names: [name for name in wanted if name in names], skipped):
        if LogColumn.LABEL in batch.schema.names:
            given = {
                "key": _row_keys(batch),
                "time": batch.column(LogColumn.TIME),
                "label": batch.column(LogColumn.LABEL),
            }
            table = pa.table(given).drop_null()
            if latest is not None:
                sound = pc.less_equal(table.column("time").cast(pa.int64()), latest * 1_000_000 + _CLOCK_SKEW)
                ahead += table.num_rows - (table := table.filter(sound)).num_rows
            newest_labels.add(table)
    table = newest_labels.table()
    if table is None:
        return replace(NO_LABELS, ahead=ahead)
    # By time, then by spelling: the same labels in another order of parts must not give another answer.
    table = table.take(pc.sort_indices(table, [("time", "ascending"), ("label", "ascending")]))
    encoded = table.column("key").combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy()
    newest = np.zeros(len(encoded.dictionary), np.int64)
    newest[codes] = np.arange(len(codes))  # the last one written stays
    values = table.column("label").combine_chunks().take(pa.array(newest))
    differs = pc.not_equal(table.column("label"), values.take(pa.array(codes.astype(np.int64))))
    contradicted = len(np.unique(codes[differs.to_numpy()]))
    times = table.column("time").cast(pa.int64()).to_numpy()[newest]
    return LabelIndex(encoded.dictionary, values, times, contradicted, newest_labels.left_out, ahead)
