"""The process as a whole: what it writes, and what a crash, a restart or a second replica changes (nothing)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from cluster import Plane
from tidemill.engine.events import DEDUPLICATION_SECONDS

from .conftest import Kube, Ledger, Operator, children, eventually

pytestmark = [pytest.mark.api, pytest.mark.slow, pytest.mark.timeout(300)]

Operators = Callable[..., Operator]

FIRST_WRITES = [
    "patch services/iris-0 201",
    "patch jobs/iris-0 201",
    "patch datasets/status/iris 200",
    "patch datasets/status/iris 200",
]


def test_a_new_object_costs_one_write_for_each_child_and_one_for_each_status(
    kube: Kube, operators: Operators, ledger: Ledger
) -> None:
    operators().start().wait_ready()
    kube.dataset("iris", services=1, jobs=1)
    eventually(lambda: kube.is_ready("iris"))

    writes = [write for write in ledger.settled(kube.namespace) if "events" not in write]

    assert sorted(FIRST_WRITES) == sorted(writes)


def test_a_restart_with_nothing_to_do_writes_nothing(kube: Kube, operators: Operators, ledger: Ledger) -> None:
    operator = operators().start().wait_ready()
    kube.dataset("iris", services=2, jobs=2)
    eventually(lambda: kube.is_ready("iris"))
    ledger.settled(kube.namespace)
    operator.kill()
    ledger.open()

    operator.start().wait_ready()

    assert ledger.settled(kube.namespace, quiet=3) == []
    assert 'tidemill_reconcile_seconds_count{kind="Dataset",result="unchanged"}' in operator.metrics()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("write", range(1, len(FIRST_WRITES) + 1))
def test_a_crash_around_any_write_changes_nothing_about_the_end(
    when: str, write: int, kube: Kube, operators: Operators, ledger: Ledger
) -> None:
    operator = operators().start(TOY_DIE=f"{when}:{write}")
    kube.dataset("iris", services=1, jobs=1)
    eventually(lambda: operator.ended)

    operator.start().wait_ready()
    eventually(lambda: kube.is_ready("iris"))

    made = [line for line in ledger.settled(kube.namespace) if line.endswith(" 201") and "events" not in line]
    assert sorted(made) == ["patch jobs/iris-0 201", "patch services/iris-0 201"]
    assert children(kube) == {("Service", "iris-0"), ("Job", "iris-0")}


def test_events_are_said_once_even_by_two_operators_in_a_row(kube: Kube, operators: Operators) -> None:
    operator = operators().start().wait_ready()
    kube.dataset("iris", services=1)
    eventually(lambda: [event for event in kube.list("Event") if event["reason"] == "Settled"])
    operator.kill()
    operator.start().wait_ready()
    kube.delete("Service", "iris-0")
    eventually(lambda: kube.is_ready("iris") and children(kube))

    # Once in each ten minutes of the clock: a test that runs across a boundary sees the next ten minutes' Event too.
    events = [event for event in kube.list("Event") if event["reason"] == "Settled"]
    assert len(
        {int(datetime.fromisoformat(event["eventTime"]).timestamp()) // DEDUPLICATION_SECONDS for event in events}
    ) == len(events)


def test_the_operator_outlives_a_crash_of_the_api_server(plane: Plane, kube: Kube, operators: Operators) -> None:
    operator = operators().start().wait_ready()
    kube.dataset("iris", services=1)
    eventually(lambda: kube.is_ready("iris"))

    plane.apiserver.kill()
    plane.apiserver.start()
    plane.wait_ready()
    kube.dataset("wine", services=1)
    kube.delete("Service", "iris-0")

    eventually(
        lambda: kube.is_ready("wine") and children(kube) == {("Service", "iris-0"), ("Service", "wine-0")}, seconds=60
    )
    assert not operator.ended


def test_only_the_namespaces_that_were_named_are_touched(kube: Kube, operators: Operators, ledger: Ledger) -> None:
    operators(TOY_NAMESPACES="elsewhere").start().wait_ready()
    kube.dataset("iris", services=1)

    assert ledger.settled(kube.namespace, quiet=3) == []


def test_told_to_stop_it_ends_in_good_order(kube: Kube, operators: Operators) -> None:
    operator = operators().start().wait_ready()
    kube.dataset("iris", services=1)
    eventually(lambda: kube.is_ready("iris"))

    assert operator.stop() == 0
    assert "Traceback" not in operator.log.read_text()


def test_a_second_replica_stands_by_and_takes_over_when_the_first_ends(kube: Kube, operators: Operators) -> None:
    first, second = operators(), operators()
    first.start(TOY_LEASE="first").wait_ready()
    second.start(TOY_LEASE="second").wait_ready()
    eventually(lambda: "tidemill_leader 1.0" in first.metrics())
    assert "tidemill_leader 0.0" in second.metrics()

    first.stop()
    kube.dataset("iris", services=1)

    eventually(lambda: kube.is_ready("iris"))
    assert "tidemill_leader 1.0" in second.metrics()
