"""Record the verdicts of a window, counted on from the windows before, and report them as conditions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from tidemill.api.checks import KINDS, Family, too_many_unknown
from tidemill.api.conditions import PendingCondition, Reason, false, true
from tidemill.api.monitorstatus import CheckStatus, DriftMonitorStatus, WindowRun
from tidemill.contract.numbers import quantity
from tidemill.contract.orders import CheckOrder
from tidemill.contract.reports import Checked, CheckOutcome
from tidemill.contract.serving import VersionOrder
from tidemill.plan.types import Notice

_CONDITIONS: Final[Mapping[Family, tuple[str, Reason]]] = {
    "Drift": ("DriftDetected", Reason.DRIFT_DETECTED),
    "Performance": ("PerformanceDegraded", Reason.DRIFT_DETECTED),
    "Fairness": ("FairnessViolated", Reason.FAIRNESS),
    "DataQuality": ("DataQualityFailed", Reason.DATA_QUALITY),
    "Timeliness": ("DataLate", Reason.DATA_LATE),
}
"""The condition that reports failed checks, by their family."""


def record(
    status: DriftMonitorStatus, order: CheckOrder, version: VersionOrder, checked: Checked, *, on_demand: bool = False
) -> tuple[DriftMonitorStatus, tuple[Notice, ...]]:
    """Record the verdicts of a window, and count the failed windows in a row.

    A window without data neither adds to the count nor ends it. A window that a user requested between two ticks is
    reported and does not add to the count: frequent requests must not bring a retraining nearer.
    """
    before = {check.name: check for check in status.checks}
    previous_end = status.last_run.end if status.last_run else order.start
    checks = tuple(_count(outcome, before.get(outcome.name), previous_end, on_demand) for outcome in checked.checks)
    run = WindowRun(
        start=order.start,
        end=order.end,
        version=version.name,
        samples=checked.samples,
        labelled=checked.labelled,
        unknown_labels=checked.unknown_labels,
        verdict=checked.verdict,
        report_uri=checked.report_uri,
    )
    notices: tuple[Notice, ...] = ()
    if checked.verdict == "Failing" and not has_fired(status):
        failing = ", ".join(check.name for check in checks if check.verdict == "Failing")
        report = f"; see the report {checked.report_uri}" if checked.report_uri else ""
        notices = (Notice(_reason(checks), f"checks failed: {failing}{report}", "Warning"),)
    if labels_unknown(run) and (status.last_run is None or not labels_unknown(status.last_run)):
        notices = (*notices, Notice(Reason.LABELS_UNKNOWN, describe_unknown_labels(run), "Warning"))
    fired_at = _fired_at(status, run)
    return status.model_copy(update={"checks": checks[:32], "last_run": run, "fired_at": fired_at}), notices


def _reason(checks: Iterable[CheckStatus]) -> Reason:
    """Return the reason of the Event of failed checks: data that are broken or late have not drifted."""
    failing = {KINDS[check.type].family for check in checks if check.verdict == "Failing"}
    return next((reason for family, (_, reason) in _CONDITIONS.items() if family in failing), Reason.DRIFT_DETECTED)


def has_fired(status: DriftMonitorStatus) -> bool:
    """Return whether a failed window was reported, and its recovery was not.

    Not only by the window before: another version may be in service since, or there were no requests.
    """
    return status.fired_at is not None or (status.last_run is not None and status.last_run.verdict == "Failing")


def labels_unknown(run: WindowRun) -> bool:
    """Return whether so many labels of a window are not classes of the model that none of them is believed."""
    return too_many_unknown(run.unknown_labels, run.labelled)


def describe_unknown_labels(run: WindowRun) -> str:
    """Return what is wrong with the labels of a window, and what to do."""
    return (
        f"{run.unknown_labels} of {run.labelled} labels in the window are not classes of {run.version}; send the names of the classes,"
        " not their indices (the response of /feedback lists them)"
    )


def _fired_at(before: DriftMonitorStatus, run: WindowRun) -> datetime | None:
    """Return the end of the first window that failed, until one passes; a window without data changes nothing."""
    match run.verdict:
        case "Failing":
            return before.fired_at or run.end
        case "NoData":
            return before.fired_at
        case _:
            return None


def _rows(run: WindowRun) -> str:
    labelled = "" if run.labelled is None else f", {run.labelled} with labels"
    return f"{quantity(run.samples, 'row')}{labelled}"


def _count(outcome: CheckOutcome, earlier: CheckStatus | None, previous_end: datetime, on_demand: bool) -> CheckStatus:
    before = earlier.consecutive if earlier else 0
    since = earlier.failing_since if earlier else None
    match outcome.verdict:
        case "Failing":
            consecutive = before if on_demand else before + 1
            since = since or previous_end
        case "NoData":
            consecutive = before
        case _:
            consecutive, since = 0, None
    return CheckStatus(
        name=outcome.name,
        type=outcome.type,
        verdict=outcome.verdict,
        value=outcome.value,
        threshold=outcome.threshold,
        lower=outcome.lower,
        upper=outcome.upper,
        consecutive=consecutive,
        failing_since=since,
        worst=outcome.worst[:5],
        message=outcome.message,
    )


def _named(check: CheckStatus) -> str:
    return f"{check.name}: {check.message}" if check.message else f"{check.name} failed"


def conditions_of(status: DriftMonitorStatus, minimum_samples: int) -> list[PendingCondition]:
    """Return the conditions of the service by the newest window."""
    conditions = []
    run = status.last_run
    failing = [check for check in status.checks if check.verdict == "Failing"]
    for family, (condition, reason) in _CONDITIONS.items():
        matching = [check for check in failing if KINDS[check.type].family == family]
        if matching:
            conditions.append(true(condition, reason, "; ".join(map(_named, matching))))
    if run is not None and labels_unknown(run):
        conditions.append(true("LabelsUnknown", Reason.LABELS_UNKNOWN, describe_unknown_labels(run)))
    if run is not None and run.verdict == "NoData" and run.samples >= minimum_samples and labels_unknown(run):
        conditions.append(false("DataAvailable", Reason.LABELS_UNKNOWN, describe_unknown_labels(run)))
    elif run is not None and run.verdict == "NoData":
        message = f"{quantity(run.samples, 'row')} in the window, {minimum_samples} needed; wait for more requests, or lower spec.window.minimumSamples"
        conditions.append(false("DataAvailable", Reason.NO_DATA, message))
    elif run is not None:
        conditions.append(true("DataAvailable", Reason.SUCCEEDED, _rows(run)))
    return conditions
