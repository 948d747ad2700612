"""The layout of a service's log in the object store: the names of its parts, labels and counts are made and read here alone.

Below `predictions/`, `labels/` and `counts/` of a service (`contract.layout` names these folders):

    date=2026-01-02/hour=03/fraud-7-000012.parquet               a part: rows or labels of one hour
    date=2026-01-02/hour=03/0600_fraud-7-000012.parquet          a part whose rows are of the slot that begins at 03:10:00
    date=2026-01-02/hour=03/0600-0010-<version>-fraud-7.counts   counts of the rows of 10 seconds, on that version's bins

Names sort by time, so that a window is one range of keys.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

PART_SUFFIX: Final = ".parquet"
COUNTS_SUFFIX: Final = ".counts"
SUFFIXES: Final = (PART_SUFFIX, COUNTS_SUFFIX)
SLOT: Final = 10
"""Seconds of the shortest span; windows that begin and end at multiples of it need no row."""
SPANS: Final = (SLOT, 300, 3600)
"""Seconds that a file of counts may cover, each a multiple of the one before; the last divides a day."""
_HOUR: Final = "date=%Y-%m-%d/hour=%H"
_HOUR_PATTERN: Final = r"date=(\d{4}-\d\d-\d\d)/hour=(\d\d)/"
_SLOT_PATTERN: Final = r"(\d{4})_"
_DATE: Final = re.compile(r"/date=(\d{4}-\d\d-\d\d)/")
_HOUR_OF: Final = re.compile(rf"/{_HOUR_PATTERN}[^/]+{re.escape(PART_SUFFIX)}$")
_PART_OF_SLOT: Final = re.compile(rf"/{_HOUR_PATTERN}{_SLOT_PATTERN}[^/_]*-\d+{re.escape(PART_SUFFIX)}$")
_COUNTS: Final = re.compile(rf"{_HOUR_PATTERN}(\d{{4}})-(\d{{4}})-([0-9a-f]{{16}})-([^/]+){re.escape(COUNTS_SUFFIX)}$")


def hour_folder(seconds: float) -> str:
    """Return the folder of an hour, from seconds since 1970.

    >>> hour_folder(0.0)
    'date=1970-01-01/hour=00'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime(_HOUR)


def hours_between(folder: str, start: datetime, end: datetime | None) -> tuple[str, str | None]:
    """Return keys before the first and behind the last object of a window's hours below `folder`; no end, no last.

    >>> hours_between("log", datetime(2026, 1, 2, 3, 4, tzinfo=UTC), datetime(2026, 1, 2, 4, 5, tzinfo=UTC))
    ('log/date=2026-01-02/hour=03/', 'log/date=2026-01-02/hour=040')
    """
    first = f"{folder}/{hour_folder(start.timestamp())}/"
    return first, None if end is None else f"{folder}/{hour_folder(end.timestamp())}0"  # "0" comes right after "/"


def part_name(writer: str, number: int) -> str:
    """Return the name of a part, without its folder and slot.

    >>> part_name("fraud-7", 12)
    'fraud-7-000012.parquet'
    """
    return f"{writer}-{number:06d}{PART_SUFFIX}"


def part_of_hour(folder: str, name: str) -> str:
    """Return the name of a part below the folder of the log, in the folder of an hour."""
    return f"{folder}/{name}"


def part_of_slot(slot: int, name: str) -> str:
    """Return the name of a part below the folder of the log, where all its rows are of one slot.

    >>> part_of_slot(600, part_name("fraud-7", 12))
    'date=1970-01-01/hour=00/0600_fraud-7-000012.parquet'
    """
    return f"{hour_folder(slot)}/{slot % 3600:04d}_{name}"


def slot_of(key: str) -> int | None:
    """Return the start of the slot that the key of a part names, in seconds since 1970; None if it names none.

    >>> slot_of("ns/predictions/fraud/date=1970-01-01/hour=01/0600_fraud-7-000012.parquet")
    4200
    """
    match = _PART_OF_SLOT.search(key)
    return None if match is None else _seconds(match[1], match[2], match[3])


def hour_end_of(key: str) -> int | None:
    """Return the end of the hour whose folder holds a part, in seconds since 1970; None for any other key.

    >>> hour_end_of("ns/labels/fraud/date=1970-01-01/hour=01/fraud-7-000012.parquet")
    7200
    """
    match = _HOUR_OF.search(key)
    return None if match is None else _seconds(match[1], match[2], "3600")


def by_name(keys: Sequence[str]) -> dict[str, str]:
    """Return the keys of parts by their names without folder and slot.

    >>> by_name(["a/date=1970-01-01/hour=01/0600_fraud-7-000012.parquet"])
    {'fraud-7-000012.parquet': 'a/date=1970-01-01/hour=01/0600_fraud-7-000012.parquet'}
    """
    return {re.sub(f"^{_SLOT_PATTERN}", "", key.rpartition("/")[2]): key for key in keys}


def is_part(key: str) -> bool:
    """Return whether a key is that of a part."""
    return key.endswith(PART_SUFFIX)


def date_of(key: str) -> str | None:
    """Return the date of a part or of counts, such as `2026-01-02`; None for any other key.

    >>> date_of("ns/labels/fraud/date=2026-01-02/hour=01/fraud-7-000012.parquet")
    '2026-01-02'
    """
    match = _DATE.search(key)
    return match[1] if match and key.endswith(SUFFIXES) else None


class CountsName(NamedTuple):
    """The name of a file of counts: whose counts of which time on which version's bins."""

    start: int
    """In seconds since 1970."""
    span: int
    version: str
    """The first digits of the version's digest."""
    writer: str

    @property
    def end(self) -> int:
        return self.start + self.span

    def __str__(self) -> str:
        """The name below the folder of a service's counts.

        >>> str(CountsName(600, 10, "0" * 16, "pod-1"))
        'date=1970-01-01/hour=00/0600-0010-0000000000000000-pod-1.counts'
        """
        within_hour = f"{self.start % 3600:04d}-{self.span:04d}"
        return f"{hour_folder(self.start)}/{within_hour}-{self.version}-{self.writer}{COUNTS_SUFFIX}"

    @classmethod
    def parse(cls, key: str) -> CountsName | None:
        """Return what the key of counts names; None for any other key.

        >>> CountsName.parse("ns/counts/fraud/date=1970-01-01/hour=01/0600-0010-0000000000000000-pod-1.counts")
        CountsName(start=4200, span=10, version='0000000000000000', writer='pod-1')
        """
        match = _COUNTS.search(key)
        if match is None or int(match[4]) not in SPANS:
            return None
        start = _seconds(match[1], match[2], match[3])
        return None if start is None else cls(start, int(match[4]), match[5], match[6])


def _seconds(date: str, hour: str, second: str) -> int | None:
    """Return a time in seconds since 1970; None if there is no such date or hour."""
    try:
        return int(datetime.fromisoformat(f"{date}T{hour}:00:00+00:00").timestamp()) + int(second)
    except ValueError:
        return None
