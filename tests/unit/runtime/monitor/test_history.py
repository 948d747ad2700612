"""What runs leave behind: the newest are remembered in short, and the oldest go."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings, strategies

from tidemill.api.checks import Check
from tidemill.contract.layout import window_name
from tidemill.contract.orders import CheckOrder
from tidemill.contract.reports import CheckOutcome
from tidemill.contract.serving import VersionOrder
from tidemill.runtime.failures import StoreUnreachable
from tidemill.runtime.monitor import history
from tidemill.runtime.store.objects import ObjectStore

GENEROUS = history.ReportBounds(timedelta(days=3650), 1 << 40)
FOLDER = "ns/monitors/watch"
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
CHECK = Check(name="inputs", type="FeatureDrift", failing=0.2)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore.open(f"file://{tmp_path}")


def order_of(end: datetime) -> CheckOrder:
    return CheckOrder(
        namespace="ns",
        monitor="watch",
        service="fraud",
        start=end - timedelta(minutes=1),
        end=end,
        version=VersionOrder(name="fraud-1", uri="u", digest="sha256:" + "1" * 64),
        checks=(CHECK,),
        minimum_samples=1,
        minimum_labels=1,
    )


def outcome(value: float = 0.1) -> CheckOutcome:
    return CheckOutcome(name="inputs", type="FeatureDrift", verdict="Passing", value=value, threshold=0.2)


def leave(store: ObjectStore, runs: int) -> None:
    """What so many runs left, ten seconds apart."""
    for index in range(runs):
        end = FIRST + timedelta(seconds=10 * index)
        result = {"order": order_of(end).to_wire(), "checks": [outcome(index / 1e4).to_wire()]}
        store.put(f"{FOLDER}/{window_name(end)}/result.json", orjson.dumps(result))
        store.put(f"{FOLDER}/{window_name(end)}/report.html", b"<html>")


def left(store: ObjectStore) -> list[str]:
    return sorted({entry.key.split("/")[3] for entry in store.list(FOLDER) if entry.key.endswith("result.json")})


def test_of_thousands_of_runs_the_newest_stay_with_their_reports(store: ObjectStore) -> None:
    leave(store, 2500)
    store.put(f"{FOLDER}/signals/alerts/20260301T000000.000000-00000000.json", b"{}")

    newest = FIRST + timedelta(seconds=24_990)
    more = [history.sweep(store, FOLDER, GENEROUS, newest, most=1000).more for _ in range(2)]

    assert [True, False] == more
    assert (1000, window_name(FIRST + timedelta(seconds=24_990))) == (len(left(store)), left(store)[-1])
    assert 2001 == len(list(store.list(FOLDER)))


def test_fewer_runs_than_are_kept_all_stay(store: ObjectStore) -> None:
    leave(store, 5)

    swept = history.sweep(store, FOLDER, GENEROUS, FIRST, most=10)

    assert (False, 0, window_name(FIRST), 5) == (swept.more, swept.deleted, swept.oldest, len(left(store)))


def test_what_runs_left_before_there_was_a_timeline_is_in_it(store: ObjectStore) -> None:
    leave(store, 50)

    read_back = history.read(store, FOLDER)

    assert (history.SHOWN, 0.0049) == (len(read_back.runs), read_back.runs[-1].checks["inputs"].value)


def test_the_timeline_is_read_from_one_object_however_many_results_there_are(store: ObjectStore) -> None:
    history.write(store, FOLDER, history.History(since=0).with_run(order_of(FIRST), [outcome(0.5)]), GENEROUS)
    leave(store, 50)

    assert [0.5] == [run.checks["inputs"].value for run in history.read(store, FOLDER).runs]


def test_a_window_that_is_checked_again_takes_the_place_of_its_first_check(store: ObjectStore) -> None:
    later = FIRST + timedelta(minutes=1)
    read_back = history.History().with_run(order_of(later), [outcome(0.2)])
    for value in (0.3, 0.4):
        read_back = read_back.with_run(order_of(FIRST), [outcome(value)])
    history.write(store, FOLDER, read_back, GENEROUS)

    read = history.read(store, FOLDER)

    assert [0.4, 0.2] == [run.checks["inputs"].value for run in read.runs]
    assert [FIRST] == [run.end for run in read.before(later)]


def test_a_window_has_as_many_before_it_when_it_is_checked_again() -> None:
    read_back = history.History()
    for index in range(60):
        read_back = read_back.with_run(order_of(FIRST + timedelta(minutes=index)), [outcome()])

    ends = [[run.end for run in read_back.before(FIRST + timedelta(minutes=last))] for last in (59, 60)]

    assert [history.SHOWN] * 2 == [len(of_one) for of_one in ends]


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"[]",
        b'{"format": "another"}',
        b'{"format": "tidemill.dev/timeline/v1", "since": 0, "runs": [{"end": 7}]}',
    ],
)
def test_a_timeline_that_was_spoilt_is_made_again_from_the_results(store: ObjectStore, content: bytes) -> None:
    leave(store, 3)
    store.put(f"{FOLDER}/{history.FILE}", content)

    assert 3 == len(history.read(store, FOLDER).runs)


def test_old_runs_are_looked_for_once_in_some_hundred_runs(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    sweep = history.sweep
    monkeypatch.setattr(history, "sweep", lambda *given: looks.append(given[1]) or sweep(*given))
    for index in range(history.SWEEP_INTERVAL_RUNS + 1):
        read_back = history.read(store, FOLDER)
        history.write(
            store, FOLDER, read_back.with_run(order_of(FIRST + timedelta(minutes=index)), [outcome()]), GENEROUS
        )

    assert 2 == len(looks)


def test_a_store_that_lets_nothing_be_removed_lets_the_run_go_on(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> bool:
        raise StoreUnreachable("it denies access")

    monkeypatch.setattr(history, "sweep", refuse)
    history.write(store, FOLDER, history.History().with_run(order_of(FIRST), [outcome()]), GENEROUS)

    assert 1 == len(history.read(store, FOLDER).runs)


REPORT = b"<html>" + b" " * 994
DAY = timedelta(days=1)


def checked(store: ObjectStore, end: datetime, bounds: history.ReportBounds, *, dies: str = "") -> None:
    """One check run, as the job does it; or one that dies before its report, or before it could delete."""
    folder = f"{FOLDER}/{window_name(end)}"
    store.put(f"{folder}/result.json", b"{}")
    past = history.read(store, FOLDER)
    if dies != "before its report":
        store.put(f"{folder}/report.html", REPORT)
    if not dies:
        history.write(store, FOLDER, past.with_run(order_of(end), [outcome()], 2 + len(REPORT)), bounds)


def stored(store: ObjectStore) -> int:
    """Bytes of all results and reports."""
    return sum(entry.size for entry in store.list(FOLDER) if not entry.key.endswith(history.FILE))


def test_reports_older_than_their_age_go_and_the_newest_stays_however_old_it_is(store: ObjectStore) -> None:
    bounds = history.ReportBounds(10 * DAY, 1 << 30)
    for day in range(30):
        checked(store, FIRST + day * DAY, bounds)

    assert [window_name(FIRST + day * DAY) for day in range(19, 30)] == left(store)

    history.sweep(store, FOLDER, bounds, FIRST + 400 * DAY)

    assert [window_name(FIRST + 29 * DAY)] == left(store)


def test_reports_beyond_their_size_go_the_oldest_first(store: ObjectStore) -> None:
    bounds = history.ReportBounds(3650 * DAY, 20 * 1002)
    sizes = []
    for minute in range(100):
        checked(store, FIRST + timedelta(minutes=minute), bounds)
        sizes.append(stored(store))

    assert bounds.bytes >= max(sizes) > bounds.bytes * 0.9
    assert window_name(FIRST + timedelta(minutes=99)) == left(store)[-1]


def test_a_report_that_a_status_refers_to_stays_whatever_its_age_and_size(store: ObjectStore) -> None:
    kept = window_name(FIRST + timedelta(minutes=3))
    bounds = history.ReportBounds(DAY, 5 * 1002, frozenset({kept}))
    for minute in range(50):
        checked(store, FIRST + timedelta(minutes=minute), bounds)
    checked(store, FIRST + 9 * DAY, bounds)
    history.sweep(store, FOLDER, bounds, FIRST + 9 * DAY)

    assert [kept, window_name(FIRST + 9 * DAY)] == left(store)


def test_a_sweep_that_could_not_delete_all_is_continued_by_the_next_run(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_REMOVED", 10)
    leave(store, 50)
    bounds = history.ReportBounds(3650 * DAY, 500)
    counts = []
    for minute in range(1, 16):
        checked(store, FIRST + DAY + timedelta(minutes=minute), bounds)
        counts.append(len(left(store)))

    assert counts == sorted(counts, reverse=True)
    assert (1, [window_name(FIRST + DAY + timedelta(minutes=15))]) == (counts[-1], left(store))


def test_a_timeline_of_an_earlier_release_is_taken_up_with_a_list_of_all_runs(store: ObjectStore) -> None:
    leave(store, 3)
    store.put(f"{FOLDER}/{history.FILE}", orjson.dumps({"format": history.FORMAT, "since": 7, "runs": []}))

    assert history.SWEEP_INTERVAL_RUNS == history.read(store, FOLDER).since


@pytest.mark.parametrize(("text", "expected"), [("1Mi", 1 << 20), ("1Gi", 1 << 30), ("2Ti", 1 << 41)])
def test_a_size_is_a_quantity_of_kubernetes(text: str, expected: int) -> None:
    assert expected == history.size_of(text)


RUNS = strategies.lists(
    strategies.tuples(
        strategies.integers(1, 40),
        strategies.sampled_from(["", "", "", "before its report", "before it deletes"]),
        strategies.booleans(),
    ),
    min_size=1,
    max_size=40,
)


@given(RUNS, strategies.integers(1, 8), strategies.integers(1, 10))
@settings(max_examples=60, deadline=None)
def test_after_any_runs_and_deaths_the_bounds_hold_and_no_report_in_use_is_missing(
    runs: list[tuple[int, str, bool]], days: int, reports: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store, end, kept = ObjectStore.open(f"file://{folder}"), FIRST, set[str]()
        for hours, dies, is_referred_to in runs:
            end += timedelta(hours=hours)
            bounds = history.ReportBounds(days * DAY, reports * 1002, frozenset(kept))
            checked(store, end, bounds, dies=dies)
            if is_referred_to and dies != "before its report":
                kept.add(window_name(end))
        bounds = history.ReportBounds(days * DAY, reports * 1002, frozenset(kept))
        history.sweep(store, FOLDER, bounds, end)

        result = left(store)
        assert kept | {window_name(end)} <= set(result)
        free = [name for name in result[:-1] if name not in kept]
        assert all(name >= window_name(end - days * DAY) for name in free)
        assert not free or stored(store) <= reports * 1002
