"""Tell when a cron schedule fires: five fields or a macro such as `@daily`, always in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from croniter import CroniterBadDateError, CroniterError, croniter

# A hash or a random number in place of a value would not mean the same time twice.
_RANDOM_FIELD: Final = re.compile(r"(^|[ ,])[hHrR]([ ,/]|$)")


class UnusableScheduleError(ValueError):
    """A schedule that is invalid, or that never fires."""


class NeverFiresError(UnusableScheduleError):
    """A schedule that never fires, such as 30 February."""


def newest_tick(schedule: str, now: datetime) -> datetime:
    """Return the newest tick of a cron schedule up to `now`, in UTC; raises UnusableScheduleError.

    >>> newest_tick("*/15 * * * *", datetime(2026, 1, 5, 9, 44, 59, tzinfo=UTC)).isoformat()
    '2026-01-05T09:30:00+00:00'
    """
    whole = now.astimezone(UTC).replace(microsecond=0)
    # The iterator looks strictly before where it starts, and ticks are whole minutes.
    tick: datetime = _cron(schedule, whole + timedelta(seconds=1), forwards=False)
    return tick


def next_tick(schedule: str, now: datetime) -> datetime:
    """Return the first tick of a cron schedule after `now`, in UTC; raises UnusableScheduleError."""
    return _cron(schedule, now.astimezone(UTC), forwards=True)


def _cron(schedule: str, start: datetime, *, forwards: bool) -> datetime:
    if len(schedule.split()) != 5 and not schedule.startswith("@"):
        raise UnusableScheduleError(
            f"schedule {schedule!r} does not have five fields; set minute, hour, day, month and weekday, such as 0 2 * * *"
        )
    if _RANDOM_FIELD.search(schedule):
        raise UnusableScheduleError(f"schedule {schedule!r} has a random value; set numbers, such as 0 2 * * *")
    try:
        # Leap days are at most eight years apart; what fires less often is as good as never.
        ticks = croniter(schedule, start, ret_type=datetime, max_years_between_matches=9)
        tick: datetime = ticks.get_next() if forwards else ticks.get_prev()
    except CroniterBadDateError as error:
        raise NeverFiresError(f"schedule {schedule!r} never fires; set a date that exists") from error
    except (CroniterError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnusableScheduleError(
            f"schedule {schedule!r} is invalid ({error}); set minute, hour, day, month and weekday, such as 0 2 * * *"
        ) from error
    return tick
