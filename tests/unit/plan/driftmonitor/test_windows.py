"""When windows are due and what they hold."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stories import script
from stories.fake_cluster import FakeCluster
from stories.openings import in_service
from support import monitors as make
from support.monitors import NOW, ago
from tidemill.api.dataset import Attempt
from tidemill.contract.orders import TimeRange
from tidemill.plan.driftmonitor import windows
from tidemill.plan.driftmonitor.windows import SETTLING, due
from tidemill.plan.runs import schedules
from tidemill.plan.runs.schedules import NeverFiresError
from tidemill.runtime.receive.events import WRITE_INTERVAL_SECONDS
from tidemill.runtime.serve.server import ServerSettings

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
NEVER = ["0 0 30 2 *", "0 0 31 4 *", "0 0 31 2,4,6,9,11 *"]


@given(MOMENTS, st.integers(1, 10**7))
def test_windows_end_at_multiples_of_the_interval_and_the_next_one_is_one_interval_on(
    now: datetime, period: int
) -> None:
    result = due(make.monitor(interval=f"{period}s"), now)

    assert result.end <= now - SETTLING < result.next_at - SETTLING
    assert timedelta(seconds=period) == result.next_at - SETTLING - result.end
    assert 0 == result.end.timestamp() % period


@given(
    MOMENTS,
    st.sampled_from(
        ["*/15 * * * *", "0 2 * * *", "30 4 1 * *", "0 0 29 2 *", "* * * * *", "@daily", "0 9 * * MON-FRI"]
    ),
)
def test_a_tick_is_the_newest_and_none_lies_between_it_and_the_next(now: datetime, schedule: str) -> None:
    result = due(make.monitor(schedule=schedule), now)
    following = result.next_at - SETTLING

    assert result.end <= now - SETTLING < following
    assert following == schedules.next_tick(schedule, result.end)
    assert result.end == schedules.newest_tick(schedule, following - timedelta(seconds=1))
    assert result.end == schedules.newest_tick(schedule, result.end)
    assert (following - result.end).total_seconds() == result.period


@pytest.mark.parametrize("when", [{"interval": "10s"}, {"schedule": "* * * * *"}])
def test_a_window_is_due_once_pods_have_written_what_was_served_in_it(when: dict[str, str]) -> None:
    watched = make.monitor(**when)

    assert NOW > due(watched, NOW).end
    assert (NOW + SETTLING) == due(watched, NOW).next_at
    assert NOW == due(watched, NOW + SETTLING).end


def test_pods_write_their_log_well_before() -> None:
    written = max(ServerSettings().log_seconds, WRITE_INTERVAL_SECONDS)

    assert timedelta(seconds=2 * written) <= SETTLING
    assert timedelta(seconds=10) > SETTLING


def test_every_window_of_ten_seconds_has_its_turn() -> None:
    watched, ends, now = make.monitor(interval="10s"), [], NOW + SETTLING
    for _ in range(4):
        result = due(watched, now)
        ends.append(result.end)
        now = result.next_at

    assert [NOW + timedelta(seconds=10 * turn) for turn in range(4)] == ends


@pytest.mark.parametrize("schedule", NEVER)
def test_a_schedule_that_never_fires_is_told_apart(schedule: str) -> None:
    with pytest.raises(NeverFiresError, match="never fires"):
        due(make.monitor(schedule=schedule), NOW)


def test_a_person_can_ask_for_a_window_between_two_ticks() -> None:
    asked = NOW + timedelta(minutes=7)
    watched = make.monitor(interval="15m", annotations={"tidemill.dev/check": asked.isoformat()})
    now = NOW + timedelta(minutes=8)

    result = due(watched, now)

    assert (asked, NOW + timedelta(minutes=15) + SETTLING) == (result.end, result.next_at)
    assert windows.is_on_demand(watched, asked, now)
    assert not windows.is_on_demand(watched, NOW, now)


def test_a_request_older_than_the_newest_tick_was_answered_by_it() -> None:
    watched = make.monitor(interval="15m", annotations={"tidemill.dev/check": ago(minutes=3).isoformat()})

    assert due(watched, NOW + SETTLING).end == NOW


@pytest.mark.parametrize("second", [-2, 0, 2])
def test_a_request_right_beside_a_tick_waits_for_its_rows_and_takes_no_turn_from_the_tick(second: int) -> None:
    asked = NOW + timedelta(seconds=second)
    watched = make.monitor(interval="15m", annotations={"tidemill.dev/check": asked.isoformat()})
    looks = sorted({asked, asked + SETTLING, NOW + SETTLING})

    ends = [due(watched, look).end for look in looks if look >= asked]
    wakes = [due(watched, look).next_at for look in looks]

    assert ends[0] == ago(minutes=15)
    assert {asked, NOW} <= set(ends)
    assert wakes[0] == min(asked, NOW) + SETTLING


def test_a_run_under_way_is_carried_on_before_a_newer_window_is_begun() -> None:
    running = Attempt(order="o", number=1, outcome="Running", at=ago(minutes=20))
    given_up = running.model_copy(update={"at": ago(hours=1)})
    ended = running.model_copy(update={"outcome": "Succeeded"})
    latest = due(make.monitor(interval="15m"), NOW + SETTLING)

    assert ago(minutes=20) == windows.end_of(running, latest, NOW)
    assert [NOW, NOW, NOW] == [windows.end_of(attempt, latest, NOW) for attempt in (given_up, ended, None)]


def test_a_window_holds_nothing_from_before_its_reference() -> None:
    watched = make.monitor(window={"size": "24h"})

    assert TimeRange(start=ago(hours=2), end=NOW) == windows.window_of(watched, NOW, since=ago(hours=2))
    assert TimeRange(start=ago(hours=24), end=NOW) == windows.window_of(watched, NOW, since=ago(days=9))


def test_labels_that_take_time_are_looked_for_in_an_earlier_window() -> None:
    watched = make.monitor(window={"size": "24h", "labelDelay": "48h"})

    assert TimeRange(start=ago(hours=72), end=ago(hours=48)) == windows.labelled(watched, NOW, since=ago(days=9))
    assert TimeRange(start=ago(hours=50), end=ago(hours=48)) == windows.labelled(watched, NOW, since=ago(hours=50))
    assert windows.labelled(make.monitor(), NOW, since=ago(days=9)) is None


def test_while_everything_is_younger_than_its_labels_their_window_is_empty() -> None:
    watched = make.monitor(window={"size": "24h", "labelDelay": "48h"})

    result = windows.labelled(watched, NOW, since=ago(hours=1))

    assert result is not None
    assert result.start == result.end


REFERENCES = {
    "the week before": ({"offset": "7d"}, [7]),
    "the same hour of the three days before": ({"seasonal": "SameHour", "periods": 3}, [1, 2, 3]),
    "the same weekday of the two weeks before": ({"seasonal": "SameWeekday", "periods": 2}, [7, 14]),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_window_can_be_compared_with(name: str) -> None:
    source, days = REFERENCES[name]
    watched = make.monitor(reference={"type": "Window", "window": source})
    window = TimeRange(start=ago(hours=1), end=NOW)

    expected = tuple(TimeRange(start=ago(days=day, hours=1), end=ago(days=day)) for day in days)

    assert expected == windows.earlier(watched, window)


def test_a_monitor_whose_schedule_is_broken_has_no_next_check() -> None:
    cluster = FakeCluster()
    in_service(cluster)
    cluster.apply(script.monitor())
    cluster.run(minutes=5)
    before = cluster.get("DriftMonitor", "fraud")["status"]

    broken = script.monitor()
    del broken["spec"]["interval"]
    broken["spec"]["schedule"] = "0 0 30 2 *"
    cluster.apply(broken)
    cluster.run(minutes=1)

    after = cluster.get("DriftMonitor", "fraud")["status"]
    assert before["nextCheck"]
    assert ("ScheduleNeverFires", None) == (after["conditions"][0]["reason"], after.get("nextCheck"))
