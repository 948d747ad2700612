"""What is worth telling between two statuses of a monitor, in which words, and how a call is carried on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from support import monitors as make
from support.monitors import NOW, ago
from tidemill.api import DriftMonitor
from tidemill.api.monitorstatus import DriftMonitorStatus, RetrainingStatus
from tidemill.api.notifications import Delivery
from tidemill.children import names
from tidemill.children.installation import Installation
from tidemill.plan.driftmonitor.notifications import KEPT, Deliveries, deliver, events
from tidemill.plan.driftmonitor.planner import plan
from tidemill.plan.world import World

HERE = Installation(workload_image="w:1", server_image="s:1")
AT = "2026-01-05T12:00:00Z"
GAINED: dict[str, Any] = {"model_version": "fraud-2", "gain": {"roc_auc": 0.031}}


def status(verdict: str = "", **fields: Any) -> DriftMonitorStatus:
    """A monitor's status, whose newest window has this verdict."""
    if verdict:
        fields = {"last_run": make.run(verdict=verdict), "checks": (make.check(verdict=verdict),), **fields}
    return DriftMonitorStatus().model_copy(update=fields)


def retraining(*blocked: str, due: tuple[str, ...] = ("Drift",), rejected: int = 0) -> DriftMonitorStatus:
    """A status that says what asks for a retraining, and what holds it back."""
    body = {"blocked": blocked, "due": due, "consecutiveRejected": rejected}
    return status(retraining=RetrainingStatus.model_validate(body))


def became(outcome: str, **fields: Any) -> DriftMonitorStatus:
    return status(history=(make.past(outcome, "fraud-retrain-1", **fields),))


ROLLED_BACK = ({"version": "fraud-2", "outcome": "RolledBack", "startedAt": AT, "at": AT},)

HAPPENED: dict[str, tuple[DriftMonitorStatus, DriftMonitorStatus, list[tuple[str, str, str]]]] = {
    "a check begins to fail": (
        status("Passing"),
        status("Failing"),
        [("Fired", AT, f"featuredrift failed in the window that ended at {AT}")],
    ),
    "the first window fails": (
        status(),
        status("Failing"),
        [("Fired", AT, f"featuredrift failed in the window that ended at {AT}")],
    ),
    "a failing check passes": (
        status("Failing"),
        status("Passing"),
        [("Recovered", AT, f"no check failed in the window that ended at {AT}")],
    ),
    "a failing check only warns": (
        status("Failing"),
        status("Warning"),
        [("Recovered", AT, f"no check failed in the window that ended at {AT}")],
    ),
    "it is over, where nothing was known in between": (
        status("NoData", fired_at=ago(hours=2)),
        status("Passing"),
        [("Recovered", AT, f"no check failed in the window that ended at {AT}")],
    ),
    "it is over, where the first window of another version is in order": (
        status(fired_at=ago(hours=2)),
        status("Passing"),
        [("Recovered", AT, f"no check failed in the window that ended at {AT}")],
    ),
    "bad data hold a retraining back": (
        retraining(due=()),
        retraining("DataQuality", "TooFewLabels"),
        [("Blocked", "fraud", "a retraining is due and held back: DataQuality, TooFewLabels")],
    ),
    "a retraining makes a version": (
        became("Running"),
        became("Waiting", **GAINED),
        [("Retrained", "fraud-2", "fraud-retrain-1 published fraud-2 (roc_auc +0.031 on recent labelled rows)")],
    ),
    "a retraining fails": (
        became("Running"),
        became("Failed"),
        [("Failed", "fraud-retrain-1", "fraud-retrain-1 failed")],
    ),
    "the version is promoted": (
        became("Waiting", **GAINED),
        became("Promoted", **GAINED),
        [("Promoted", "fraud-2", "fraud-2 is in service (roc_auc +0.031 on recent labelled rows)")],
    ),
    "the version does not pass its gates": (
        became("Waiting", model_version="fraud-3"),
        became("Rejected", model_version="fraud-3"),
        [("Rejected", "fraud-3", "fraud-3 was rejected")],
    ),
    "the version is rolled back": (
        became("Waiting", model_version="fraud-2"),
        became("Rejected", model_version="fraud-2"),
        [("RolledBack", "fraud-2", "fraud-2 was rolled back")],
    ),
    "a version is made and rejected between two looks": (
        became("Running"),
        became("Rejected", model_version="fraud-3"),
        [
            ("Retrained", "fraud-3", "fraud-retrain-1 published fraud-3"),
            ("Rejected", "fraud-3", "fraud-3 was rejected"),
        ],
    ),
    "too many versions in a row were rejected": (
        retraining(due=(), rejected=2),
        retraining("CircuitOpen", due=(), rejected=3),
        [("CircuitOpened", "fraud", "3 retrainings in a row were rejected or failed")],
    ),
}
SILENT: dict[str, tuple[DriftMonitorStatus, DriftMonitorStatus]] = {
    "a check goes on failing": (status("Failing"), status("Failing")),
    "a check goes on passing": (status("Passing"), status("Passing")),
    "a check begins to warn": (status("Passing"), status("Warning")),
    "nobody asks, so that nothing is known": (status("Failing"), status("NoData")),
    "a check that fails on after a gap": (status("NoData", fired_at=ago(hours=2)), status("Failing")),
    "another version, of which no result yet": (status("Failing", fired_at=ago(hours=2)), status()),
    "another version, which fails as well": (status(fired_at=ago(hours=2)), status("Failing")),
    "what holds a retraining back that nothing asks for": (retraining(due=()), retraining("DataQuality", due=())),
    "a brake that lets go by itself": (retraining(due=()), retraining("CoolingDown", "RolloutInProgress")),
    "another brake beside the first": (retraining("DataQuality"), retraining("DataQuality", "TooFewLabels")),
    "a circuit that stays open": (retraining("CircuitOpen", due=()), retraining("CircuitOpen", due=())),
    "a retraining that begins": (status(), became("Running")),
    "an old retraining, as it was": (became("Promoted", **GAINED), became("Promoted", **GAINED)),
}


def announced(before: DriftMonitorStatus, after: DriftMonitorStatus) -> list[tuple[str, str, str]]:
    result = events(before, after, make.service(history=ROLLED_BACK))
    return [(event.type, event.subject, event.message) for event in result]


@pytest.mark.parametrize("what", HAPPENED)
def test_it_is_told_that(what: str) -> None:
    before, after, expected = HAPPENED[what]

    assert expected == announced(before, after)


@pytest.mark.parametrize("what", SILENT)
def test_nothing_is_told_of(what: str) -> None:
    before, after = SILENT[what]

    assert [] == announced(before, after)


@pytest.mark.parametrize("what", HAPPENED)
def test_it_is_told_once(what: str) -> None:
    _, after, _ = HAPPENED[what]

    assert [] == announced(after, after)


def test_every_event_that_can_be_asked_for_can_happen() -> None:
    [field] = [field for name, field in Delivery.model_fields.items() if name == "event"]
    assert field.annotation is not None

    assert set(field.annotation.__args__) == {type_ for _, _, result in HAPPENED.values() for type_, _, _ in result}


def test_of_a_service_that_is_not_ours_only_windows_are_told() -> None:
    before, after = status("Passing"), status("Failing", history=became("Failed").history)

    assert ["Fired"] == [event.type for event in events(before, after, None)]


CHAT = {"name": "chat", "webhook": {"url": "https://chat.example.com/x", "secretRef": {"name": "chat"}}}


def monitor(before: DriftMonitorStatus, *notify: dict[str, Any]) -> DriftMonitor:
    return make.monitor(notify=list(notify or (CHAT,))).model_copy(update={"status": before})


def delivered(watched: DriftMonitor, after: DriftMonitorStatus, world: World | None = None) -> Deliveries:
    return deliver(watched, after, make.service(history=ROLLED_BACK), world or World(), HERE, NOW)


PENDING = Delivery(notification="chat", event="Fired", at=ago(minutes=1), subject="earlier", text="it failed")


def test_only_who_asked_for_an_event_is_called() -> None:
    deaf = {**CHAT, "name": "deaf", "events": ["Promoted"]}
    eager = {**CHAT, "name": "eager", "events": ["Fired", "Recovered"]}

    result = delivered(monitor(status("Passing"), CHAT, deaf, eager), status("Failing"))

    assert {"chat", "eager"} == {delivery.notification for delivery in result.deliveries}
    assert 2 == len(result.ensure)


def test_a_call_is_recorded_in_the_write_that_it_is_read_from_with_the_report_of_its_window() -> None:
    failing = status("Failing")
    assert failing.last_run is not None
    report = failing.last_run.model_copy(update={"report_uri": "s3://tidemill/report.html"})

    result = delivered(monitor(status("Passing")), failing.model_copy(update={"last_run": report}))

    [delivery] = result.deliveries
    assert ("Fired", "Pending", NOW, AT) == (delivery.event, delivery.outcome, delivery.at, delivery.subject)
    assert "s3://tidemill/report.html" == delivery.report_uri
    assert f"featuredrift failed in the window that ended at {AT}" == delivery.text


def test_the_run_that_calls_is_told_what_happened_and_given_the_secret_as_files() -> None:
    [job] = delivered(monitor(status("Passing")), status("Failing")).ensure

    pod = job["spec"]["template"]
    order = json.loads(pod["metadata"]["annotations"][names.ORDER])
    assert ("Notify", "Fired", AT, AT) == (order["task"], order["event"], order["at"], order["subject"])
    assert {"name": "credentials", "secret": {"secretName": "chat", "optional": True}} in pod["spec"]["volumes"]


@pytest.mark.parametrize("allowed", [False, True])
def test_private_addresses_are_called_where_the_installation_allows_it(allowed: bool) -> None:
    here = replace(HERE, allow_private_webhooks=allowed)
    result = deliver(monitor(status("Passing")), status("Failing"), make.service(), World(), here, NOW)

    order = json.loads(result.ensure[0]["spec"]["template"]["metadata"]["annotations"][names.ORDER])
    assert allowed is order["allowPrivate"]


def test_a_call_under_way_is_carried_on_beside_a_new_one() -> None:
    before = status("Passing", deliveries=(PENDING,))

    result = delivered(monitor(before), status("Failing", deliveries=(PENDING,)))

    assert [(NOW, "Pending"), (PENDING.at, "Pending")] == [
        (delivery.at, delivery.outcome) for delivery in result.deliveries
    ]
    assert 2 == len({job["metadata"]["name"] for job in result.ensure})


def test_a_call_under_way_keeps_its_run_when_it_is_looked_at_again() -> None:
    first = delivered(monitor(status("Passing")), status("Failing"))
    job = {**first.ensure[0], "metadata": {**first.ensure[0]["metadata"], "uid": "u-9"}}

    again = delivered(monitor(status("Failing", deliveries=first.deliveries)), status("Failing"), World([job]))

    assert () == again.ensure
    assert [("Pending", 1)] == [(delivery.outcome, delivery.attempts) for delivery in again.deliveries]


def test_a_call_under_way_outlives_a_service_that_goes() -> None:
    watched = monitor(status("Failing", deliveries=(PENDING,)))

    result = plan(watched, World(), HERE, NOW).status

    assert isinstance(result, DriftMonitorStatus)
    assert ((PENDING,), None) == (result.deliveries, result.last_run)


def test_a_call_to_who_is_not_named_any_more_is_given_up() -> None:
    other = {**CHAT, "name": "other"}

    result = delivered(monitor(status("Passing", deliveries=(PENDING,)), other), status("Passing"))

    assert ["Failed"] == [delivery.outcome for delivery in result.deliveries]
    assert "was removed from spec.notify" in result.deliveries[0].message
    assert () == result.ensure


def test_the_newest_calls_are_remembered() -> None:
    done = tuple(PENDING.model_copy(update={"outcome": "Delivered", "subject": str(n)}) for n in range(KEPT))

    result = delivered(monitor(status("Passing", deliveries=done)), status("Failing"))

    assert KEPT == len(result.deliveries)
    assert [AT, "0", str(KEPT - 2)] == [result.deliveries[index].subject for index in (0, 1, -1)]
