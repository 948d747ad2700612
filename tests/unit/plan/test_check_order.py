"""What a check run is told: the window, and of the spec whatever the run cannot know by itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stories import script
from stories.fake_cluster import FakeCluster
from stories.openings import in_service
from tidemill.api import DriftMonitor
from tidemill.api.monitorstatus import DriftMonitorStatus
from tidemill.children import names
from tidemill.contract.orders import CheckOrder, digest_of
from tidemill.plan.driftmonitor import reports
from tidemill.plan.world import World

UNSAID: dict[str, Any] = {"minimumSamples": 100, "minimumLabels": 50}


def order_of(minutes: int = 4, **spec: Any) -> dict[str, Any]:
    """The newest order of a check, once a monitor with this spec has watched since 09:01."""
    cluster = FakeCluster()
    in_service(cluster)
    cluster.apply(script.monitor(**spec))
    cluster.run(minutes=minutes, seconds=30)
    orders = [
        json.loads(job["spec"]["template"]["metadata"]["annotations"][names.ORDER])
        for key, job in cluster.objects.items()
        if key.kind == "Job" and job["metadata"]["labels"][names.COMPONENT] == "check"
    ]
    newest: dict[str, Any] = max(orders, key=lambda order: order["end"])
    return newest


def at(minute: int) -> str:
    return f"2026-01-05T09:{minute:02}:00Z"


def test_a_run_is_told_the_window_that_has_just_ended() -> None:
    order = order_of(window={"size": "2m"})

    assert (at(3), at(5)) == (order["start"], order["end"])
    assert ("shop", "fraud", "fraud") == (order["namespace"], order["monitor"], order["service"])


def test_it_is_told_how_much_it_needs() -> None:
    order = order_of(window={"minimumSamples": 7, "minimumLabels": 3})

    assert (7, 3) == (order["minimumSamples"], order["minimumLabels"])


def test_it_is_told_how_many_of_the_newest_rows_count() -> None:
    assert 4321 == order_of(window={"count": 4321})["count"]
    assert "count" not in order_of(window=UNSAID)


def test_where_labels_take_time_it_is_told_of_an_earlier_window_for_them() -> None:
    order = order_of(window={"size": "1m", "labelDelay": "2m"})

    assert {"start": at(2), "end": at(3)} == order["labelled"]
    assert "labelled" not in order_of(window=UNSAID)


EARLIER = {
    "the window that ended some time before": ({"offset": "2h"}, [("2026-01-05T07:04:00Z", "2026-01-05T07:05:00Z")]),
    "the same hour of the days before": (
        {"seasonal": "SameHour", "periods": 2},
        [("2026-01-04T09:04:00Z", "2026-01-04T09:05:00Z"), ("2026-01-03T09:04:00Z", "2026-01-03T09:05:00Z")],
    ),
    "the same weekday of the week before": (
        {"seasonal": "SameWeekday", "periods": 1},
        [("2025-12-29T09:04:00Z", "2025-12-29T09:05:00Z")],
    ),
}


@pytest.mark.parametrize("name", EARLIER)
def test_the_reference_it_is_told_of_is(name: str) -> None:
    source, expected = EARLIER[name]
    order = order_of(window={"size": "1m"}, reference={"type": "Window", "window": source})

    assert expected == [(hours["start"], hours["end"]) for hours in order["reference"]["ranges"]]


def test_the_reference_may_be_the_revision_of_a_dataset() -> None:
    order = order_of(reference={"type": "Dataset", "dataset": {"name": "payments"}})

    uri = "s3://tidemill/shop/datasets/payments/a"
    assert {"datasetUri": uri, "datasetDigest": script.REVISION, "ranges": []} == order["reference"]


def test_the_version_s_own_profile_needs_no_word() -> None:
    assert "reference" not in order_of()


def test_it_is_told_not_to_look_for_labels_that_nothing_rests_on() -> None:
    assert False is order_of(retraining=None)["labels"]
    assert "labels" not in order_of()


def test_it_is_told_how_long_reports_are_kept_where_that_is_not_the_default() -> None:
    order = order_of(reports={"retention": {"age": "7d", "bytes": "500Mi"}})

    assert {"age": "7d", "bytes": "500Mi"} == order["retention"]
    assert "retention" not in order_of(reports={"retention": {"age": "30d"}})


def test_it_is_told_which_reports_the_status_refers_to() -> None:
    assert ["2026-01-05T09-04-00Z"] == order_of()["keptReports"]


def test_which_reports_are_kept_makes_no_other_order() -> None:
    order = CheckOrder.model_validate(order_of())
    another = order.model_copy(update={"kept_reports": ("2026-01-05T09-01-00Z",)})

    assert digest_of(order.identity) == digest_of(another.identity)


def test_the_windows_that_a_status_and_retrainings_refer_to_are_kept_the_newest_first() -> None:
    report = "s3://tidemill/shop/monitors/fraud/{}/report.html"
    monitor = DriftMonitor.model_validate(script.monitor())
    status = {
        "lastRun": {
            "start": at(9), "end": at(10), "version": "fraud-1", "samples": 1, "verdict": "Failing",
            "reportUri": report.format("2026-01-05T09-10-00Z"),
        },
        "firedAt": at(8),
        "deliveries": [
            {"notification": "chat", "event": "Fired", "at": at(9), "reportUri": report.format("2026-01-05T09-07-00Z")},
            {"notification": "chat", "event": "Fired", "at": at(9), "reportUri": "s3://elsewhere/page.html"},
        ],
    }  # fmt: skip
    monitor = monitor.model_copy(update={"status": DriftMonitorStatus.model_validate(status)})
    run = script.training_job("fraud-retrain-1")
    run["metadata"] |= {
        "namespace": monitor.namespace,
        "labels": {names.MONITOR: monitor.name},
        "annotations": {names.CAUSE: json.dumps({"kind": "DriftMonitor", "at": at(5)})},
    }

    order = reports.keeping(CheckOrder.model_validate(order_of()), monitor, World([run]))

    assert tuple(f"2026-01-05T09-{minute}-00Z" for minute in ("10", "08", "07", "05")) == order.kept_reports
