"""The lag of labels: the time from an answer that this process gave to the label that came back for it.

Labels take minutes or weeks, and a pod cannot remember every row until then. It remembers a fair sample: rows whose hash
ends in `level` zero bits. When there are too many, the level rises and about half of them go, whatever their age; a row
that stayed counts for all those it was drawn from, so that the histogram estimates that of all rows. A label whose row
another pod answered, or that was not drawn, is not known here: as requests and labels come to pods at random, what is
left is fair too.

Nothing of this happens on the way of a request: rows are taken when the log writes them, in the thread that writes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from zlib import crc32

if TYPE_CHECKING:
    from tidemill.runtime.log.records import Logged
    from tidemill.runtime.protocol.feedback import Label

BOUNDS: Final = (1.0, 10.0, 60.0, 600.0, 3600.0, 21600.0, 86400.0, 259200.0, 604800.0, 2592000.0)
"""Upper bounds of the buckets, in seconds: up to 30 days."""
MAX_ROWS: Final = 50_000
MAX_LABELS_PER_REQUEST: Final = 1_000
"""Requests of one part of the log; where there are more, every second, third … of them: a row takes some microseconds."""
PARTS: Final = 4
"""Rows of one request, in the same way: the first of each quarter."""
MAX_WAITING: Final = 100_000
MAX_VERSIONS: Final = 20
OTHER: Final = "(other)"


@dataclass(slots=True)
class Lag:
    """The histogram of one version."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0

    def add(self, seconds: float, rows: int) -> None:
        """Count rows whose label came after `seconds`."""
        self.buckets[bisect_left(BOUNDS, seconds)] += rows
        self.seconds += seconds * rows


@dataclass(slots=True)
class Drawn:
    """A row that is remembered."""

    time: float
    version: str
    level: int
    passed_over: int = 1
    """Rows that it stands for, divided by 2 ** level."""
    labelled: bool = False
    """A label that is sent again changes nothing."""
    identity: int = 0
    """A longer hash than that which the row is found by: two rows of equal short hashes are told apart."""


class Lags:
    """The lag of this process's labels, by version."""

    def __init__(self, max_rows: int = MAX_ROWS) -> None:
        self.of: dict[str, Lag] = {}
        """By version."""
        self.level = 0
        self._max_rows = max_rows
        self._rows: dict[int, Drawn] = {}
        self._arrived: list[Label] = []
        self._unknown: list[Label] = []

    def __len__(self) -> int:
        return len(self._rows)

    def came(self, labels: Iterable[Label]) -> None:
        """Labels came in; they are matched when the log is written next, since their rows may wait there too."""
        room = MAX_WAITING - len(self._arrived)
        if room > 0:
            self._arrived.extend(list(labels)[:room])

    def answered_at(self, request: str, row: int) -> float | None:
        """Return when a row was answered, in seconds since 1970; None where it is not known here."""
        drawn = self._rows.get(_hash(request, row))
        return None if drawn is None or drawn.identity != hash((request, row)) else drawn.time

    def written(self, records: Sequence[Logged]) -> None:
        """The log has taken `records`, perhaps none: remember a sample of them, and match the labels that wait."""
        for name, row, time, version, passed_over in _looked_at(records):
            self._draw(name, row, time, version, passed_over)
        if len(self._rows) < self._max_rows // 4 and self.level:
            self.level -= 1
        arrived, self._arrived = self._arrived, []
        # What was not known the last time is looked for once more: the row may have been written just now.
        again, self._unknown = self._unknown, []
        for label in again:
            self._match(label)
        self._unknown = [label for label in arrived if not self._match(label)]

    def _draw(self, name: str, row: int, time: float, version: str, passed_over: int) -> None:
        key = _hash(name, row)
        if key & ((1 << self.level) - 1):
            return
        self._rows[key] = Drawn(time, version, self.level, passed_over, identity=hash((name, row)))
        while len(self._rows) > self._max_rows:
            self.level += 1
            self._rows = {
                key: drawn
                for key, drawn in self._rows.items()
                if drawn.level >= self.level or not key & ((1 << self.level) - 1)
            }
            for drawn in self._rows.values():
                drawn.level = max(drawn.level, self.level)

    def _match(self, label: Label) -> bool:
        drawn = self._rows.get(_hash(label.request, label.row))
        if drawn is None:
            return False
        if not drawn.labelled:
            drawn.labelled = True
            version = drawn.version if drawn.version in self.of or len(self.of) < MAX_VERSIONS else OTHER
            # Clients say when a label became known, by clocks of their own.
            self.of.setdefault(version, Lag()).add(max(0.0, label.time - drawn.time), drawn.passed_over << drawn.level)
        return True


def _looked_at(records: Sequence[Logged]) -> Iterator[tuple[str, int, float, str, int]]:
    """A sample of rows: request, place in it, when it was answered, by which version, and how many rows it stands for."""
    step = 1 + sum(record.requests for record in records) // MAX_LABELS_PER_REQUEST
    passed = 0
    for record in records:
        author, first = record.author.version, -passed % step
        passed += record.requests
        if record.requests > 1:
            for row in range(first, record.requests, step):
                yield record.keys[row], 0, record.times[row], author, step
        elif not first:
            rows, row = record.rows, 0
            for part in range(1, PARTS + 1):
                end = rows * part // PARTS
                if end > row:
                    name, index = (record.keys[row], 0) if record.keys else (record.request, row)
                    yield name, index, record.time, author, step * (end - row)
                row = end


def _hash(name: str, row: int) -> int:
    """Return a hash of the row in 32 bits: enough to draw by, with too few collisions to matter."""
    return crc32(f"{name}/{row}".encode())
