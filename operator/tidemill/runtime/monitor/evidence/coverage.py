"""When rows of a window were served: how many, the newest, and the longest time without any."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import pyarrow as pa

from tidemill.contract.layout import LogColumn
from tidemill.runtime.log.layout import SLOT
from tidemill.runtime.monitor.evidence.evidence import Coverage

SLOTS: Final = 48
"""Stretches of a window in which rows are looked for; a gap of a quarter of them is a warning."""
_MICROSECOND: Final = timedelta(microseconds=1)


class CoverageCounter:
    """Counts the rows of a window by stretches of its time."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self._rows = 0
        self._newest: int | None = None
        self._start, self._end = start, end
        self._slots = np.zeros(SLOTS, np.int64)

    def add(self, table: pa.Table) -> None:
        """Count rows of the log, of which there must be some."""
        times = table.column(LogColumn.TIME).cast(pa.int64()).to_numpy()
        slots, counts = np.unique(times // (SLOT * 1_000_000) * SLOT, return_counts=True)
        self.add_counts(table.num_rows, int(times.max()), dict(zip(slots.tolist(), counts.tolist(), strict=True)))

    def add_counts(self, rows: int, newest: int, slots: Mapping[int, int]) -> None:
        """Count rows by when the slot in which pods count begins, and the time of the newest in microseconds since 1970.

        When within its slot a row was served does not matter: no part of the slot is a gap.
        """
        self._rows += rows
        self._newest = max(newest, self._newest or 0)
        first = self._start.timestamp()
        width = max(1e-6, (self._end - self._start).total_seconds() / SLOTS)
        for slot, count in slots.items():
            begin, end = int((slot - first) // width), int((slot + SLOT - first - 1e-6) // width)
            self._slots[max(0, begin) : min(SLOTS, end + 1)] += count

    def coverage(self) -> Coverage:
        """Return how many rows were counted, and when the newest was served."""
        return Coverage(self._rows, None if self._newest is None else timestamp(self._newest))

    def gap(self) -> str:
        """Describe the longest time without rows, where it is long; empty otherwise."""
        empty = np.concatenate(([0], (self._slots == 0).astype(np.int8), [0]))
        starts, ends = np.flatnonzero(np.diff(empty) == 1), np.flatnonzero(np.diff(empty) == -1)
        if not self._rows or not len(starts):
            return ""
        longest = int(np.argmax(ends - starts))
        if ends[longest] - starts[longest] < SLOTS / 4 or self._rows < 4 * SLOTS:
            return ""
        slot = (self._end - self._start) / SLOTS
        first, last = (self._start + slot * int(slots_at[longest]) for slots_at in (starts, ends))
        return f"no rows were served from {first:%Y-%m-%d %H:%M} to {last:%H:%M}; drift in that time is not known"


def timestamp(microseconds: int) -> datetime:
    """Return a time that is given in microseconds since 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + microseconds * _MICROSECOND
