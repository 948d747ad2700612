"""When a cron schedule fires; that it ticks as a monitor's windows do is in test_windows."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tidemill.plan.runs.schedules import NeverFiresError, UnusableScheduleError, newest_tick, next_tick

NONSENSE = ["61 * * * *", "* * * * * *", "a b c d e", "R * * * *", "H/5 * * * *", "* *", "*/0 * * * *", "0 0 0 * *"]
NOW = datetime(2026, 1, 5, 9, 44, 59, 999_999, tzinfo=UTC)


@pytest.mark.parametrize("schedule", NONSENSE)
def test_what_is_no_schedule_is_refused_and_none_is_left_to_chance(schedule: str) -> None:
    with pytest.raises(UnusableScheduleError):
        newest_tick(schedule, NOW)


def test_a_date_that_does_not_exist_is_told_apart_from_nonsense() -> None:
    with pytest.raises(NeverFiresError, match="schedule '0 0 30 2 \\*' never fires; set a date that exists"):
        newest_tick("0 0 30 2 *", NOW)


@pytest.mark.parametrize(
    ("schedule", "newest", "following"),
    [
        ("0 2 * * *", "2026-01-05T02:00", "2026-01-06T02:00"),
        ("44 9 * * *", "2026-01-05T09:44", "2026-01-06T09:44"),
        ("45 9 * * *", "2026-01-04T09:45", "2026-01-05T09:45"),
        ("@weekly", "2026-01-04T00:00", "2026-01-11T00:00"),
        ("0 0 29 2 *", "2024-02-29T00:00", "2028-02-29T00:00"),
    ],
)
def test_times_are_those_of_the_calendar_in_utc(schedule: str, newest: str, following: str) -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=14)))

    assert [f"{newest}:00+00:00"] * 2 == [newest_tick(schedule, now).isoformat() for now in (NOW, elsewhere)]
    assert [f"{following}:00+00:00"] * 2 == [next_tick(schedule, now).isoformat() for now in (NOW, elsewhere)]
