"""What runs leave behind: the newest are remembered in short, and the oldest go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from tidemill.api.checks import Check
from tidemill.contract.orders import CheckOrder
from tidemill.contract.reports import CheckOutcome
from tidemill.contract.serving import VersionOrder
from tidemill.runtime.failures import StoreUnreachable
from tidemill.runtime.monitor import history
from tidemill.runtime.store.objects import ObjectStore

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
    for place in range(runs):
        end = FIRST + timedelta(seconds=10 * place)
        result = {"order": order_of(end).to_wire(), "checks": [outcome(place / 1e4).to_wire()]}
        store.put(f"{FOLDER}/{history.name_of(end)}/result.json", orjson.dumps(result))
        store.put(f"{FOLDER}/{history.name_of(end)}/report.html", b"<html>")


def left(store: ObjectStore) -> list[str]:
    return sorted({entry.key.split("/")[3] for entry in store.list(FOLDER) if entry.key.endswith("result.json")})


def test_of_thousands_of_runs_the_newest_stay_with_their_reports(store: ObjectStore) -> None:
    leave(store, 2500)
    store.put(f"{FOLDER}/signals/alerts/20260301T000000.000000-00000000.json", b"{}")

    more = [history.sweep(store, FOLDER, kept=1000) for _ in range(2)]

    assert [True, False] == more
    assert (1000, history.name_of(FIRST + timedelta(seconds=24_990))) == (len(left(store)), left(store)[-1])
    assert 2001 == len(list(store.list(FOLDER)))


def test_fewer_runs_than_are_kept_all_stay(store: ObjectStore) -> None:
    leave(store, 5)

    assert (False, 5) == (history.sweep(store, FOLDER, kept=10), len(left(store)))


def test_what_runs_left_before_there_was_a_timeline_is_in_it(store: ObjectStore) -> None:
    leave(store, 50)

    found = history.read(store, FOLDER)

    assert (history.SHOWN, 0.0049) == (len(found.runs), found.runs[-1].checks["inputs"].value)


def test_the_timeline_is_read_from_one_object_however_many_results_there_are(store: ObjectStore) -> None:
    history.write(store, FOLDER, history.History(since=0).with_run(order_of(FIRST), [outcome(0.5)]))
    leave(store, 50)

    assert [0.5] == [run.checks["inputs"].value for run in history.read(store, FOLDER).runs]


def test_a_window_that_is_checked_again_takes_the_place_of_its_first_check(store: ObjectStore) -> None:
    later = FIRST + timedelta(minutes=1)
    found = history.History().with_run(order_of(later), [outcome(0.2)])
    for value in (0.3, 0.4):
        found = found.with_run(order_of(FIRST), [outcome(value)])
    history.write(store, FOLDER, found)

    read = history.read(store, FOLDER)

    assert [0.4, 0.2] == [run.checks["inputs"].value for run in read.runs]
    assert [FIRST] == [run.end for run in read.before(later)]


def test_a_window_has_as_many_before_it_when_it_is_checked_again() -> None:
    found = history.History()
    for place in range(60):
        found = found.with_run(order_of(FIRST + timedelta(minutes=place)), [outcome()])

    ends = [[run.end for run in found.before(FIRST + timedelta(minutes=last))] for last in (59, 60)]

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
    monkeypatch.setattr(history, "sweep", lambda _, folder: bool(looks.append(folder)))
    for place in range(history.SWEEP_INTERVAL_RUNS + 1):
        found = history.read(store, FOLDER)
        history.write(store, FOLDER, found.with_run(order_of(FIRST + timedelta(minutes=place)), [outcome()]))

    assert 2 == len(looks)


def test_a_store_that_lets_nothing_be_removed_lets_the_run_go_on(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> bool:
        raise StoreUnreachable("it denies access")

    monkeypatch.setattr(history, "sweep", refuse)
    history.write(store, FOLDER, history.History().with_run(order_of(FIRST), [outcome()]))

    assert 1 == len(history.read(store, FOLDER).runs)
