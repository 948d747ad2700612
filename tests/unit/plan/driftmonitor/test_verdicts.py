"""What a window is counted on to: failures in a row, since when they last, and when the monitor fired."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from support import monitors as make
from support.monitors import NOW
from tidemill.api.checks import CheckType
from tidemill.api.methods import CheckVerdict
from tidemill.api.monitorstatus import DriftMonitorStatus
from tidemill.contract.orders import CheckOrder
from tidemill.contract.reports import Checked, CheckOutcome
from tidemill.contract.serving import VersionOrder
from tidemill.plan.driftmonitor.verdicts import conditions_of, record

VERSION = VersionOrder(name="fraud-1", uri="s3://b/m", digest=make.DIGEST)


def end(window: int) -> datetime:
    return NOW + timedelta(hours=window)


def order(window: int) -> CheckOrder:
    watched = make.monitor()
    return CheckOrder(
        namespace="shop",
        monitor="fraud",
        service="fraud",
        start=end(window - 1),
        end=end(window),
        version=VERSION,
        checks=watched.spec.checks,
        minimum_samples=1,
        minimum_labels=1,
    )


def after(*verdicts: CheckVerdict, asked_for: tuple[int, ...] = ()) -> DriftMonitorStatus:
    """The status after these windows, of which somebody asked for some between two ticks."""
    status, _ = judged(*verdicts, asked_for=asked_for)
    return status


def judged(*verdicts: CheckVerdict, asked_for: tuple[int, ...] = ()) -> tuple[DriftMonitorStatus, list[int]]:
    """The status after these windows, and for which of them there is a notice."""
    status, noticed = DriftMonitorStatus(), []
    for window, verdict in enumerate(verdicts, 1):
        result = CheckOutcome(name="inputs", type="FeatureDrift", verdict=verdict)
        checked = Checked(samples=500, verdict=verdict, checks=(result,))
        status, notices = record(status, order(window), VERSION, checked, on_demand=window in asked_for)
        noticed += [window] * len(notices)
    return status, noticed


COUNTED: dict[str, tuple[tuple[CheckVerdict, ...], int, int | None, int | None]] = {
    "one that passes": (("Passing",), 0, None, None),
    "one that fails": (("Passing", "Failing"), 1, 1, 2),
    "two that fail in a row": (("Passing", "Failing", "Failing"), 2, 1, 2),
    "one that warns after one that failed": (("Failing", "Warning"), 0, None, None),
    "one that fails after one that only warned": (("Failing", "Warning", "Failing"), 1, 2, 3),
    "any that only warn": (("Warning", "Warning", "Warning"), 0, None, None),
    "a gap, which is no answer": (("Passing", "Failing", "NoData"), 1, 1, 2),
    "one that fails after a gap": (("Passing", "Failing", "NoData", "Failing"), 2, 1, 2),
    "one that passes after a gap": (("Passing", "Failing", "NoData", "Passing"), 0, None, None),
}
"""The windows; how many in a row failed, up to which window none had, and in which the monitor fired."""


@pytest.mark.parametrize("what", COUNTED)
def test_it_is_counted_on_after(what: str) -> None:
    verdicts, consecutive, since, fired = COUNTED[what]

    status = after(*verdicts)

    [check] = status.checks
    assert (consecutive, None if since is None else end(since)) == (check.consecutive, check.failing_since)
    assert status.fired_at == (None if fired is None else end(fired))


NOTICED: dict[str, tuple[tuple[CheckVerdict, ...], list[int]]] = {
    "while it goes on": (("Passing", "Failing", "Failing"), [2]),
    "over a gap": (("Failing", "NoData", "Failing"), [1]),
    "anew after a window in order": (("Failing", "Passing", "Failing"), [1, 3]),
}


@pytest.mark.parametrize("how", NOTICED)
def test_drift_is_told_of_once(how: str) -> None:
    verdicts, expected = NOTICED[how]

    _, noticed = judged(*verdicts)

    assert expected == noticed


def with_labels(*unknown: int | None) -> tuple[DriftMonitorStatus, list[list[str]]]:
    """The status after windows of 100 labels, of which so many are not classes, and the reasons of the notices of each."""
    status, reasons = DriftMonitorStatus(), []
    for window, count in enumerate(unknown, 1):
        checked = Checked(samples=500, labelled=100, unknown_labels=count, verdict="NoData")
        status, notices = record(status, order(window), VERSION, checked)
        reasons.append([notice.reason for notice in notices])
    return status, reasons


def test_labels_that_are_not_classes_are_reported_once_until_they_are_right_again() -> None:
    _, reasons = with_labels(0, 5, 6, 100, 2, 6, None)

    assert [[], [], ["LabelsUnknown"], [], [], ["LabelsUnknown"], []] == reasons


def test_labels_that_are_not_classes_are_a_condition_with_the_remedy() -> None:
    unknown = {condition.type: condition for condition in conditions_of(with_labels(100)[0], 50)}
    known = {condition.type: condition for condition in conditions_of(with_labels(0)[0], 50)}

    assert ("True", "LabelsUnknown") == (unknown["LabelsUnknown"].status, unknown["LabelsUnknown"].reason)
    assert unknown["LabelsUnknown"].message.startswith(
        "100 of 100 labels in the window are not classes of fraud-1; send "
    )
    assert ("False", "LabelsUnknown") == (unknown["DataAvailable"].status, unknown["DataAvailable"].reason)
    assert "LabelsUnknown" not in known
    assert "NoData" == known["DataAvailable"].reason


def test_a_window_that_somebody_asked_for_brings_no_retraining_nearer() -> None:
    [check] = after("Failing", "Failing", "Failing", asked_for=(2, 3)).checks

    assert 1 == check.consecutive


FAILED: dict[str, tuple[tuple[CheckType, ...], str]] = {
    "broken data have not drifted": (("DataQuality",), "DataQuality"),
    "late data have not drifted": (("Timeliness",), "DataLate"),
    "unfair predictions have not drifted": (("Fairness",), "FairnessViolated"),
    "drift comes first": (("DataQuality", "FeatureDrift"), "DriftDetected"),
    "a worse performance": (("Performance",), "DriftDetected"),
}


@pytest.mark.parametrize("case", FAILED)
def test_the_event_has_the_reason_of_the_condition_that_it_announces(case: str) -> None:
    types, reason = FAILED[case]
    results = tuple(CheckOutcome(name=type_.lower(), type=type_, verdict="Failing") for type_ in types)
    checked = Checked(samples=500, verdict="Failing", checks=results)

    status, (notice,) = record(DriftMonitorStatus(), order(1), VERSION, checked)

    assert reason == notice.reason
    assert reason in {condition.reason for condition in conditions_of(status, 1)}
