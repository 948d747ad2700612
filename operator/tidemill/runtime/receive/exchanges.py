"""Requests and responses of a service that is not ours, joined by their event's id, as rows of the monitor's own log.

The two halves come in either order and either may be lost. What waits for its other half is bounded in number, size and
time: a request without a response is logged without a prediction, for a logger may send requests only; a response without
a request is dropped. An event that is delivered twice counts once, as long as its id is remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import pyarrow as pa

from tidemill.contract.layout import LogColumn
from tidemill.contract.orders import OUTSIDE_DIGEST
from tidemill.runtime.log.records import to_parquet
from tidemill.runtime.receive.inference import Answers, Value

WAITS: Final = 30.0
"""Seconds that a half waits for the other one."""
MAX_WAITING: Final = 10_000
MAX_BYTES: Final = 32 * 1024 * 1024
REMEMBERED: Final = 50_000
"""Ids of exchanges that are over, so that an event that comes again is known."""


class Exchange(NamedTuple):
    """Rows that were asked, with what was answered."""

    request: str
    time: float
    columns: Mapping[str, Sequence[Value]]
    answers: Answers | None
    version: str

    @property
    def rows(self) -> int:
        return len(next(iter(self.columns.values())))


@dataclass(slots=True)
class _Half:
    since: float
    size: int
    columns: Mapping[str, Sequence[Value]] | None = None
    answers: Answers | None = None
    version: str = ""


@dataclass(slots=True)
class Joining:
    """Halves of exchanges that wait for their other half."""

    dropped: int = 0
    """Responses without a request, and pairs that do not fit together."""
    _waiting: OrderedDict[str, _Half] = field(default_factory=OrderedDict)
    _bytes: int = 0
    _over: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def asked(
        self, request: str, columns: Mapping[str, Sequence[Value]], version: str, size: int, now: float
    ) -> list[Exchange]:
        """A request came; what is complete now."""
        return self._take(request, _Half(now, size, columns=columns, version=version), now)

    def answered(self, request: str, answers: Answers, version: str, size: int, now: float) -> list[Exchange]:
        """A response came; what is complete now."""
        return self._take(request, _Half(now, size, answers=answers, version=version), now)

    def lapsed(self, now: float, *, all_of_it: bool = False) -> list[Exchange]:
        """Return what is taken without its other half: it waited long enough, or too many wait."""
        exchanges: list[Exchange] = []
        while self._waiting:
            request, half = next(iter(self._waiting.items()))
            full = len(self._waiting) > MAX_WAITING or self._bytes > MAX_BYTES
            if not (all_of_it or full or now - half.since >= WAITS):
                break
            del self._waiting[request]
            self._bytes -= half.size
            exchanges += self._end(request, half)
        return exchanges

    def _take(self, request: str, half: _Half, now: float) -> list[Exchange]:
        if request in self._over:
            return self.lapsed(now)
        other = self._waiting.pop(request, None)
        if other is None:
            self._waiting[request] = half
            self._bytes += half.size
            return self.lapsed(now)
        self._bytes -= other.size
        both = _Half(
            min(half.since, other.since),
            0,
            half.columns or other.columns,
            half.answers or other.answers,
            half.version or other.version,
        )
        if both.columns is None or both.answers is None:  # the same half twice
            self._waiting[request] = other
            self._bytes += other.size
            return self.lapsed(now)
        return [*self._end(request, both), *self.lapsed(now)]

    def _end(self, request: str, half: _Half) -> list[Exchange]:
        self._over[request] = None
        if len(self._over) > REMEMBERED:
            self._over.popitem(last=False)
        if half.columns is None:
            self.dropped += 1
            return []
        exchange = Exchange(request, half.since, half.columns, half.answers, half.version)
        if half.answers is not None and len(half.answers.predictions) != exchange.rows:
            self.dropped += 1
            return [exchange._replace(answers=None)]
        return [exchange]


class ExchangeFile:
    """Exchanges as a part of a prediction log: columns that are all numbers are numbers, others texts."""

    def __call__(self, records: Sequence[Exchange]) -> bytes:
        rows = [record.rows for record in records]
        whose = [record for record, count in zip(records, rows, strict=True) for _ in range(count)]
        answers = [
            value
            for record in records
            for value in (record.answers.predictions if record.answers else [None] * record.rows)
        ]
        scores = [
            value for record in records for value in (record.answers.scores if record.answers else [None] * record.rows)
        ]
        times = pa.array([int(record.time * 1e6) for record in whose], pa.int64())
        columns: dict[str, Any] = {
            LogColumn.REQUEST: pa.array([record.request for record in whose], pa.string()),
            LogColumn.ROW: pa.array([row for count in rows for row in range(count)], pa.int32()),
            LogColumn.TIME: times.cast(pa.timestamp("us", tz="UTC")),
            LogColumn.VERSION: pa.array([record.version for record in whose], pa.string()),
            LogColumn.DIGEST: pa.array([OUTSIDE_DIGEST] * len(whose), pa.string()),
            LogColumn.ROLE: pa.array(["Stable"] * len(whose), pa.string()),
            LogColumn.PREDICTION: _predictions(answers),
            LogColumn.SCORE: pa.array(scores, pa.float64()),
        }
        for name in dict.fromkeys(name for record in records for name in record.columns):
            values = [value for record in records for value in record.columns.get(name) or [None] * record.rows]
            columns[LogColumn.FEATURE + name] = _column(values)
        return to_parquet(pa.table(columns))


def _predictions(values: Sequence[Value]) -> Any:
    """Whole numbers are classes, as in the logs of our own services; others are measures."""
    numbers = [value for value in values if isinstance(value, float)]
    if numbers and len(numbers) == len([value for value in values if value is not None]):
        if not all(number.is_integer() for number in numbers):
            return pa.array(values, pa.float64())
        return pa.array([None if value is None else str(int(value)) for value in values], pa.string())
    return pa.array([_text(value) for value in values], pa.string())


def _column(values: Sequence[Value]) -> Any:
    if all(value is None or isinstance(value, float) for value in values):
        return pa.array(values, pa.float64())
    return pa.array([_text(value) for value in values], pa.string())


def _text(value: Value) -> str | None:
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return value
