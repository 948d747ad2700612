"""The runs of a monitor in the store: the newest of them in one object for the picture over time, and the end of
what is kept.

    monitors/<monitor>/timeline.json                   the newest runs in short
    monitors/<monitor>/<window's end>/result.json      every run in full
    monitors/<monitor>/<window's end>/report.html

A monitor that checks every ten seconds leaves 8,640 runs a day. So no run lists them all: the newest are read from one
object, which also counts their size, and only where a bound is passed, or after some hundred runs, are all listed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from tidemill.api.driftmonitor import ReportRetention
from tidemill.api.durations import delta
from tidemill.api.methods import CheckVerdict
from tidemill.contract.layout import window_end, window_name
from tidemill.contract.orders import CheckOrder
from tidemill.contract.reports import CheckOutcome
from tidemill.runtime.failures import RunFailed
from tidemill.runtime.monitor.report.timeline import PastRun, Point, point_of
from tidemill.runtime.store.objects import ObjectEntry, ObjectStore

logger = logging.getLogger(__name__)

FILE: Final = "timeline.json"
FORMAT: Final = "tidemill.dev/timeline/v1"
SHOWN: Final = 40
"""Runs in a picture over time."""
MAX_KEPT: Final = 10_000
"""Runs whose results and reports stay: a day of one every ten seconds, a year of one every hour."""
SWEEP_INTERVAL_RUNS: Final = 360
"""Runs from one list of all runs to the next, where neither age nor size asks for one earlier."""
MAX_REMOVED: Final = 2_000
"""Objects at a time; what is left over waits for the next run."""
ROOM: Final = 0.05
"""Share of a bound by which a sweep goes below it, so that not every run has to sweep."""
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OF_RUN: Final = re.compile(r"/(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)/(?:result\.json|report\.html)$")


@dataclass(frozen=True, slots=True)
class ReportBounds:
    """How long and how many reports of a monitor are kept."""

    age: timedelta
    """Counted back from the newest window."""
    bytes: int
    kept: frozenset[str] = frozenset()
    """Names of runs that are kept whatever their age and size."""

    @classmethod
    def of(cls, order: CheckOrder) -> ReportBounds:
        """Return the bounds of an order; the defaults of the API where it has none."""
        retention = order.retention or ReportRetention()
        return cls(delta(retention.age), size_of(retention.bytes), frozenset(order.kept_reports or ()))


def size_of(quantity: str) -> int:
    """Return the number of bytes of a quantity.

    >>> size_of("500Mi")
    524288000
    """
    return int(quantity[:-2]) << {"Mi": 20, "Gi": 30, "Ti": 40}[quantity[-2:]]


@dataclass(frozen=True, slots=True)
class History:
    """A monitor's newest runs, oldest first."""

    runs: tuple[PastRun, ...] = ()
    since: int = SWEEP_INTERVAL_RUNS
    """Runs since all were listed; it is time to list them where nothing is known."""
    stored: int = 0
    """Size of all reports and results, counted since then."""
    oldest: str = ""
    """Name of the oldest run that may be deleted, as of then; empty where there was none."""

    def before(self, end: datetime) -> list[PastRun]:
        """The runs of windows that ended earlier."""
        return [run for run in self.runs if run.end < end][-SHOWN:]

    def with_run(self, order: CheckOrder, outcomes: Sequence[CheckOutcome], size: int = 0) -> History:
        """With one more of `size` bytes, in place of an earlier one of the same window."""
        checks = {outcome.name: point_of(outcome) for outcome in outcomes}
        others = [run for run in self.runs if run.end != order.end]
        runs = sorted([*others, PastRun(order.end, order.version.name, checks)], key=lambda run: run.end)
        # One more than is shown: a window that is checked again has as many before it.
        return replace(
            self,
            runs=tuple(runs[-SHOWN - 1 :]),
            since=self.since + 1,
            stored=self.stored + size,
            oldest=self.oldest or window_name(order.end),
        )

    def is_beyond(self, bounds: ReportBounds) -> bool:
        """Return whether all runs must be listed: some are too old or too large together, or it was not done for long."""
        if self.since >= SWEEP_INTERVAL_RUNS or self.stored > bounds.bytes:
            return True
        oldest = window_end(self.oldest)
        return bool(self.runs and oldest and self.runs[-1].end - oldest > bounds.age * (1 + ROOM))

    def to_json(self) -> bytes:
        """As it lies in the store."""
        runs = [
            {
                "end": run.end.isoformat(),
                "version": run.version,
                "checks": {name: tuple(point) for name, point in run.checks.items()},
            }
            for run in self.runs
        ]
        return orjson.dumps(
            {"format": FORMAT, "since": self.since, "bytes": self.stored, "oldest": self.oldest, "runs": runs}
        )


def read(store: ObjectStore, folder: str) -> History:
    """Return the runs so far; where they are not in one object yet, or that cannot be read, from the newest results themselves."""
    try:
        wire = orjson.loads(store.get(f"{folder}/{FILE}"))
        if wire["format"] == FORMAT:
            runs = tuple(_run(run) for run in wire["runs"])
            if "bytes" not in wire:
                return History(runs)  # written by a release that did not count them
            return History(runs, int(wire["since"]), int(wire["bytes"]), str(wire["oldest"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        pass
    past = []
    for key in sorted(entry.key for entry in _listed(store, folder) if entry.key.endswith("/result.json"))[-SHOWN:]:
        try:
            result = orjson.loads(store.get(key))
            points = {
                check["name"]: (check["verdict"], check.get("value"), check.get("threshold"))
                for check in result["checks"]
            }
            order = result["order"]
            past.append(_run({"end": order["end"], "version": order["version"]["name"], "checks": points}))
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return History(tuple(past))


def write(store: ObjectStore, folder: str, history: History, bounds: ReportBounds) -> None:
    """Put the runs into the store, and delete what is beyond the bounds.

    Where the store does not let us, or there is more than one run may delete, a later one goes on.
    """
    if history.is_beyond(bounds):
        newest = history.runs[-1].end if history.runs else _FIRST
        try:
            swept = sweep(store, folder, bounds, newest)
            since = SWEEP_INTERVAL_RUNS if swept.more else 0
            history = replace(history, since=since, stored=swept.bytes, oldest=swept.oldest)
        except (RunFailed, OSError) as error:
            logger.warning("old reports of the monitor cannot be deleted: %s", error)
            history = replace(history, since=0, stored=0, oldest="")
    store.put(f"{folder}/{FILE}", history.to_json())


@dataclass(frozen=True, slots=True)
class Swept:
    """What is left after a sweep."""

    bytes: int
    deleted: int
    """Objects."""
    oldest: str
    """Name of the oldest run that a later sweep may delete; empty if there is none."""
    more: bool
    """Whether some are left that are beyond the bounds."""


def sweep(store: ObjectStore, folder: str, bounds: ReportBounds, newest: datetime, *, most: int = MAX_KEPT) -> Swept:
    """Delete the oldest runs that are beyond a bound; never the newest one, nor one that is referred to.

    What a killed sweep has left is listed by the next one.
    """
    runs: dict[str, list[ObjectEntry]] = {}
    for entry in _listed(store, folder):
        runs.setdefault(entry.key.split("/")[-2], []).append(entry)
    names = sorted(runs)
    total, count = sum(entry.size for entries in runs.values() for entry in entries), len(runs)
    first_kept = window_name(max(newest - bounds.age, _FIRST))
    room = bounds.bytes if total <= bounds.bytes else bounds.bytes * (1 - ROOM)
    lapsed: list[ObjectEntry] = []
    oldest = ""
    for name in names[:-1]:
        if name in bounds.kept:
            continue
        if name >= first_kept and total <= room and count <= most:
            oldest = name
            break
        lapsed += runs[name]
        total, count = total - sum(entry.size for entry in runs[name]), count - 1
    left = lapsed[MAX_REMOVED:]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda entry: store.delete(entry.key), lapsed[:MAX_REMOVED]))
    if lapsed:
        logger.info("deleted %d objects of old reports below %s", len(lapsed) - len(left), folder)
    return Swept(total + sum(entry.size for entry in left), len(lapsed) - len(left), oldest, bool(left))


def _listed(store: ObjectStore, folder: str) -> Iterator[ObjectEntry]:
    return (entry for entry in store.stream(folder) if _OF_RUN.search(entry.key))


def _run(wire: Mapping[str, Any]) -> PastRun:
    checks = {str(name): _point(*point) for name, point in wire["checks"].items()}
    end = datetime.fromisoformat(wire["end"])
    return PastRun(end if end.tzinfo else end.replace(tzinfo=UTC), str(wire["version"]), checks)


def _point(verdict: CheckVerdict, value: float | None, threshold: float | None) -> Point:
    return Point(verdict, None if value is None else float(value), None if threshold is None else float(threshold))
