"""What a window was found to be, counted on from the windows before it, and what is said of it in conditions."""

from __future__ import annotations

from datetime import datetime

from tidemill.api.checks import DRIFT_TYPES
from tidemill.api.conditions import PendingCondition, Reason, false, true
from tidemill.api.monitorstatus import CheckStatus, DriftMonitorStatus, WindowRun
from tidemill.contract.orders import CheckOrder
from tidemill.contract.reports import Checked, CheckOutcome
from tidemill.contract.serving import VersionOrder
from tidemill.plan.types import Notice


def record(
    status: DriftMonitorStatus, order: CheckOrder, version: VersionOrder, checked: Checked, *, on_demand: bool = False
) -> tuple[DriftMonitorStatus, tuple[Notice, ...]]:
    """The verdicts of a window, with the windows in a row that failed counted on.

    A window without data neither adds to the count nor ends it: a gap is no answer. One that a person asked for between
    two ticks tells what it found and does not add either: asking often must not bring a retraining nearer.
    """
    before = {check.name: check for check in status.checks}
    previous_end = status.last_run.end if status.last_run else order.start
    checks = tuple(_count(found, before.get(found.name), previous_end, on_demand) for found in checked.checks)
    run = WindowRun(
        start=order.start,
        end=order.end,
        version=version.name,
        samples=checked.samples,
        labelled=checked.labelled,
        verdict=checked.verdict,
        report_uri=checked.report_uri,
    )
    notices: tuple[Notice, ...] = ()
    if checked.verdict == "Failing" and not has_fired(status):
        failing = ", ".join(check.name for check in checks if check.verdict == "Failing")
        notices = (Notice(Reason.DRIFT_DETECTED, f"failing: {failing}; report {checked.report_uri}", "Warning"),)
    fired_at = _fired_at(status, run)
    return status.model_copy(update={"checks": checks[:32], "last_run": run, "fired_at": fired_at}), notices


def has_fired(status: DriftMonitorStatus) -> bool:
    """Whether it was told that a window failed, and not yet that one is in order again.

    Not only by the window before: another version may answer since, or nobody may have asked.
    """
    return status.fired_at is not None or (status.last_run is not None and status.last_run.verdict == "Failing")


def _fired_at(before: DriftMonitorStatus, run: WindowRun) -> datetime | None:
    """End of the first window that failed, until one is in order again; a gap is no answer here either."""
    match run.verdict:
        case "Failing":
            return before.fired_at or run.end
        case "NoData":
            return before.fired_at
        case _:
            return None


def _rows(run: WindowRun) -> str:
    labelled = "" if run.labelled is None else f", {run.labelled} with labels"
    return f"{run.samples} rows{labelled}"


def _count(found: CheckOutcome, earlier: CheckStatus | None, previous_end: datetime, on_demand: bool) -> CheckStatus:
    before = earlier.consecutive if earlier else 0
    since = earlier.failing_since if earlier else None
    match found.verdict:
        case "Failing":
            consecutive = before if on_demand else before + 1
            since = since or previous_end
        case "NoData":
            consecutive = before
        case _:
            consecutive, since = 0, None
    return CheckStatus(
        name=found.name,
        type=found.type,
        verdict=found.verdict,
        value=found.value,
        threshold=found.threshold,
        lower=found.lower,
        upper=found.upper,
        consecutive=consecutive,
        failing_since=since,
        worst=found.worst[:5],
        message=found.message,
    )


def conditions_of(status: DriftMonitorStatus, minimum_samples: int) -> list[PendingCondition]:
    """What the newest window says about the service: only what is true of it now."""
    conditions = []
    run = status.last_run
    failing = [check for check in status.checks if check.verdict == "Failing"]
    for condition, reason, types in (
        ("DriftDetected", Reason.DRIFT_DETECTED, (*DRIFT_TYPES, "OutlierShare")),
        ("PerformanceDegraded", Reason.DRIFT_DETECTED, ("Performance", "EstimatedPerformance", "External")),
        ("FairnessViolated", Reason.FAIRNESS, ("Fairness",)),
        ("DataQualityFailed", Reason.DATA_QUALITY, ("DataQuality",)),
        ("DataLate", Reason.DATA_LATE, ("Timeliness",)),
    ):
        found = [check for check in failing if check.type in types]
        if found:
            conditions.append(true(condition, reason, "; ".join(f"{check.name}: {check.message}" for check in found)))
    if run is not None and run.verdict == "NoData":
        message = f"{run.samples} rows in the window, {minimum_samples} needed"
        conditions.append(false("DataAvailable", Reason.NO_DATA, message))
    elif run is not None:
        conditions.append(true("DataAvailable", Reason.SUCCEEDED, _rows(run)))
    return conditions
