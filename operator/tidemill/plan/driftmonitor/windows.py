"""Compute when a window is due, and its range: a function of the schedule, the requests and the time.

Windows end at multiples of the interval since the epoch, or at the ticks of the cron schedule, so that every visit and
every replica means the same ones. A user's request ends one more window. A window is due a little later than it ends, once
the rows that were served in it are in the store: the next one may begin where this one ends, and late rows would be in
neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from tidemill.api import DriftMonitor
from tidemill.api.dataset import Attempt
from tidemill.api.durations import delta, seconds
from tidemill.children import names
from tidemill.contract.orders import TimeRange
from tidemill.plan.requests import requested_at
from tidemill.plan.runs.schedules import newest_tick, next_tick

MAX_RUN_SECONDS: Final = 900.0
"""Seconds after which a check run is given up."""
SETTLING: Final = timedelta(seconds=4)
"""How long after its end a window is due: serving pods write their log every two seconds."""
_SPARE: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Due:
    """The newest window to check, and when the next one is due."""

    end: datetime
    next_at: datetime
    period: float
    """Seconds from one tick to the next."""


def due(monitor: DriftMonitor, now: datetime) -> Due:
    """Return the newest window whose rows are in the store by now; raises UnusableScheduleError."""
    settled = now - SETTLING
    if monitor.spec.schedule is not None:
        tick, following = newest_tick(monitor.spec.schedule, settled), next_tick(monitor.spec.schedule, settled)
    else:
        period = max(seconds(monitor.spec.effective_interval), 1.0)
        tick = datetime.fromtimestamp(settled.timestamp() // period * period, UTC)
        following = tick + timedelta(seconds=period)
    apart = (following - tick).total_seconds()
    asked = requested_at(monitor.metadata.annotations, names.CHECK, now)
    if asked is not None and asked > settled:
        return Due(tick, min(asked, following) + SETTLING, apart)
    return Due(max(tick, asked or tick), following + SETTLING, apart)


def is_on_demand(monitor: DriftMonitor, end: datetime, now: datetime) -> bool:
    """Return whether a user requested the window that ended at `end`, and it is not one of the schedule."""
    if requested_at(monitor.metadata.annotations, names.CHECK, now) != end:
        return False
    if monitor.spec.schedule is not None:
        return newest_tick(monitor.spec.schedule, end) != end
    return end.timestamp() % max(seconds(monitor.spec.effective_interval), 1.0) != 0


def end_of(attempt: Attempt | None, latest: Due, now: datetime) -> datetime:
    """Return the end of the window to check: a running attempt is carried on before a newer window starts."""
    if attempt is None or attempt.at is None:
        return latest.end
    if attempt.outcome == "Running" and (now - attempt.at).total_seconds() < MAX_RUN_SECONDS + max(latest.period, 1.0):
        return attempt.at
    return max(latest.end, attempt.at)


def window_of(monitor: DriftMonitor, end: datetime, since: datetime) -> TimeRange:
    """Return the window that ends at `end`; it does not start before `since`."""
    return TimeRange(start=max(end - delta(monitor.spec.window.size), since), end=end)


def log_retention(monitor: DriftMonitor) -> timedelta:
    """Return how long the monitor's own log is kept: as far back as a check reads, and some days more."""
    size, source = delta(monitor.spec.window.size), monitor.spec.reference.window
    if source is None:
        return size + _SPARE
    if source.offset is not None:
        return size + delta(source.offset) + _SPARE
    return size + timedelta(days=source.periods * (1 if source.seasonal == "SameHour" else 7)) + _SPARE


def labelled(monitor: DriftMonitor, end: datetime, since: datetime) -> TimeRange | None:
    """Return the window whose labels have arrived, if labels are delayed; it may be empty at first."""
    wait = delta(monitor.spec.window.label_delay)
    if not wait:
        return None
    earlier = end - wait
    start = max(earlier - delta(monitor.spec.window.size), since)
    return TimeRange(start=min(start, earlier), end=earlier) if earlier > since else TimeRange(start=since, end=since)


def earlier(monitor: DriftMonitor, window: TimeRange) -> tuple[TimeRange, ...]:
    """Return the earlier windows that `window` is compared with, newest first; empty if the reference is not a window."""
    source = monitor.spec.reference.window
    if source is None:
        return ()
    if source.offset is not None:
        shifts = [delta(source.offset)]
    else:
        step = timedelta(days=1 if source.seasonal == "SameHour" else 7)
        shifts = [step * count for count in range(1, source.periods + 1)]
    return tuple(TimeRange(start=window.start - shift, end=window.end - shift) for shift in shifts)
