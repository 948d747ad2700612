"""The runs of a monitor in the store: the newest of them in one object for the picture over time, and the end of
what is kept.

    monitors/<monitor>/timeline.json                   the newest runs in short
    monitors/<monitor>/<window's end>/result.json      every run in full
    monitors/<monitor>/<window's end>/report.html

A monitor that checks every ten seconds leaves 8,640 runs a day. So no run lists them all: the newest are read from one
object, and only every few hundred runs one of them looks for what is too old.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from tidemill.api.methods import CheckVerdict
from tidemill.contract.orders import CheckOrder
from tidemill.contract.reports import CheckOutcome
from tidemill.runtime.failures import RunFailed
from tidemill.runtime.monitor.report.timeline import PastRun, Point, point_of
from tidemill.runtime.store.objects import ObjectStore

logger = logging.getLogger(__name__)

FILE: Final = "timeline.json"
FORMAT: Final = "tidemill.dev/timeline/v1"
SHOWN: Final = 40
"""Runs in a picture over time."""
KEPT: Final = 10_000
"""Runs whose results and reports stay: a day of one every ten seconds, a year of one every hour."""
SWEEP_INTERVAL_RUNS: Final = 360
"""Runs from one look for what is too old to the next."""
MAX_REMOVED: Final = 2_000
"""Objects at a time; what is left over waits for the next run."""
_OF_RUN: Final = re.compile(r"/(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)/(?:result\.json|report\.html)$")


def folder_of(order: CheckOrder) -> str:
    """Return where a monitor's runs lie below the store's URI."""
    return f"{order.namespace}/monitors/{order.monitor}"


def name_of(end: datetime) -> str:
    """A run's own folder; names sort as moments do.

    >>> name_of(datetime(2026, 3, 1, 10, 10, tzinfo=UTC))
    '2026-03-01T10-10-00Z'
    """
    return f"{end.astimezone(UTC):%Y-%m-%dT%H-%M-%SZ}"


@dataclass(frozen=True, slots=True)
class History:
    """A monitor's newest runs, oldest first."""

    runs: tuple[PastRun, ...] = ()
    since: int = SWEEP_INTERVAL_RUNS
    """Runs since one looked for what is too old; it is time to look where nothing is known."""

    def before(self, end: datetime) -> list[PastRun]:
        """The runs of windows that ended earlier."""
        return [run for run in self.runs if run.end < end][-SHOWN:]

    def with_run(self, order: CheckOrder, outcomes: Sequence[CheckOutcome]) -> History:
        """With one more, in place of an earlier one of the same window."""
        checks = {outcome.name: point_of(outcome) for outcome in outcomes}
        others = [run for run in self.runs if run.end != order.end]
        runs = sorted([*others, PastRun(order.end, order.version.name, checks)], key=lambda run: run.end)
        # One more than is shown: a window that is checked again has as many before it.
        return replace(self, runs=tuple(runs[-SHOWN - 1 :]), since=self.since + 1)

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
        return orjson.dumps({"format": FORMAT, "since": self.since, "runs": runs})


def read(store: ObjectStore, folder: str) -> History:
    """Return the runs so far; where they are not in one object yet, or that cannot be read, from the newest results themselves."""
    try:
        wire = orjson.loads(store.get(f"{folder}/{FILE}"))
        if wire["format"] == FORMAT:
            return History(tuple(_run(run) for run in wire["runs"]), int(wire["since"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        pass
    runs = []
    for key in [key for key in _listed(store, folder) if key.endswith("/result.json")][-SHOWN:]:
        try:
            result = orjson.loads(store.get(key))
            points = {
                check["name"]: (check["verdict"], check.get("value"), check.get("threshold"))
                for check in result["checks"]
            }
            order = result["order"]
            runs.append(_run({"end": order["end"], "version": order["version"]["name"], "checks": points}))
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return History(tuple(runs))


def write(store: ObjectStore, folder: str, history: History) -> None:
    """Put the runs into the store and, once in a while, take away what is too old; a store that does not let us is tried again later."""
    if history.since >= SWEEP_INTERVAL_RUNS:
        try:
            if not sweep(store, folder):
                history = replace(history, since=0)
        except (RunFailed, OSError) as error:
            logger.warning("old runs of the monitor cannot be removed: %s", error)
            history = replace(history, since=0)
    store.put(f"{folder}/{FILE}", history.to_json())


def sweep(store: ObjectStore, folder: str, kept: int = KEPT) -> bool:
    """Remove what the oldest runs left, so that `kept` of them stay; whether there is more of it."""
    runs: dict[str, list[str]] = {}
    for key in _listed(store, folder):
        runs.setdefault(key.rpartition("/")[0], []).append(key)
    lapsed = [key for name in sorted(runs)[: max(0, len(runs) - kept)] for key in runs[name]]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(store.delete, lapsed[:MAX_REMOVED]))
    return len(lapsed) > MAX_REMOVED


def _listed(store: ObjectStore, folder: str) -> list[str]:
    return [entry.key for entry in store.list(folder) if _OF_RUN.search(entry.key)]


def _run(wire: Mapping[str, Any]) -> PastRun:
    checks = {str(name): _point(*point) for name, point in wire["checks"].items()}
    end = datetime.fromisoformat(wire["end"])
    return PastRun(end if end.tzinfo else end.replace(tzinfo=UTC), str(wire["version"]), checks)


def _point(verdict: CheckVerdict, value: float | None, threshold: float | None) -> Point:
    return Point(verdict, None if value is None else float(value), None if threshold is None else float(threshold))
