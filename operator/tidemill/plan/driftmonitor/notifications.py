"""Notify webhooks: events are derived from one status to the next, and each call is a run of its own.

An event is recorded in the same write as the change it is derived from, so that a crash cannot lose or repeat it; the Job
of a call is named after the event, so that it is created once. Nothing waits for a call: a receiver that does not answer
delays neither checks nor retraining.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tidemill.api import DriftMonitor, InferenceService
from tidemill.api.base import to_rfc3339
from tidemill.api.conditions import Reason
from tidemill.api.monitorstatus import DriftMonitorStatus, RetrainingOutcome
from tidemill.api.notifications import Delivery, MonitorEvent, Notification
from tidemill.children import jobs
from tidemill.children.installation import Installation
from tidemill.contract.numbers import quantity
from tidemill.contract.orders import NotifyOrder, digest_of
from tidemill.plan.driftmonitor.verdicts import has_fired
from tidemill.plan.runs.attempts import advance
from tidemill.plan.types import Notice
from tidemill.plan.world import Manifest, World

KEPT: Final = 32
MAX_ATTEMPTS: Final = 5
_TRIAGE: Final = frozenset(
    {
        Reason.DATA_QUALITY,
        Reason.DATA_LATE,
        Reason.TOO_FEW_SAMPLES,
        Reason.TOO_FEW_LABELS,
        Reason.BUDGET_SPENT,
        Reason.DEPENDENCY_NOT_READY,
        Reason.INVALID_SPEC,
    }
)
"""Holds that need a person; the others end without one."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something to notify about."""

    type: MonitorEvent
    subject: str
    message: str


@dataclass(frozen=True, slots=True)
class Deliveries:
    """The deliveries after this visit, and their Jobs."""

    deliveries: tuple[Delivery, ...]
    ensure: tuple[Manifest, ...] = ()
    notices: tuple[Notice, ...] = ()
    wake: float | None = None


def events(before: DriftMonitorStatus, after: DriftMonitorStatus, service: InferenceService | None) -> Iterator[Event]:
    """Yield what happened between two statuses of a monitor of `service`; None for an external service, which is not retrained."""
    fired = has_fired(before)
    run = after.last_run
    if run is not None and run.verdict == "Failing" and not fired:
        failing = ", ".join(check.name for check in after.checks if check.verdict == "Failing")
        yield Event("Fired", to_rfc3339(run.end), f"{failing} failed in the window that ended at {to_rfc3339(run.end)}")
    if run is not None and fired and run.verdict in {"Passing", "Warning"}:
        yield Event(
            "Recovered", to_rfc3339(run.end), f"no check failed in the window that ended at {to_rfc3339(run.end)}"
        )
    if service is None:
        return
    before_reasons, reasons = _triage_reasons(before), _triage_reasons(after)
    if reasons and not before_reasons:
        yield Event("Blocked", service.name, f"a retraining is due and held back: {', '.join(reasons)}")
    known = {outcome.training_job: outcome.outcome for outcome in before.history}
    rolled_back = {ended.version for ended in service.status.history if ended.outcome == "RolledBack"}
    for outcome in reversed(after.history):
        earlier, now = known.get(outcome.training_job, "Running"), outcome.outcome
        if earlier == now:
            continue
        version = outcome.model_version
        if earlier == "Running" and version and now != "Failed":
            yield Event("Retrained", version, f"{outcome.training_job} published {version}{_gain(outcome)}")
        if now == "Failed":
            yield Event("Failed", outcome.training_job, f"{outcome.training_job} failed")
        if now == "Promoted":
            yield Event("Promoted", version, f"{version} is in service{_gain(outcome)}")
        if now == "Rejected":
            if version in rolled_back:
                yield Event("RolledBack", version, f"{version} was rolled back")
            else:
                yield Event("Rejected", version, f"{version} was rejected")
    opened = Reason.CIRCUIT_OPEN
    if opened in after.retraining.blocked and opened not in before.retraining.blocked:
        count = after.retraining.consecutive_rejected
        yield Event(
            "CircuitOpened",
            service.name,
            f"{quantity(count, 'retraining was', 'retrainings in a row were')} rejected or failed",
        )


def deliver(
    monitor: DriftMonitor,
    status: DriftMonitorStatus,
    service: InferenceService | None,
    world: World,
    installation: Installation,
    now: datetime,
) -> Deliveries:
    """Record the events of this visit, and carry on every call that is not over."""
    at = now.replace(microsecond=0)
    report_uri = status.last_run.report_uri if status.last_run else ""
    fresh = [
        Delivery(
            notification=notification.name,
            event=event.type,
            at=at,
            subject=event.subject[:256],
            text=event.message[:1024],
            report_uri=report_uri,
        )
        for event in events(monitor.status, status, service)
        for notification in monitor.spec.notify
        if event.type in notification.events
    ]
    entries = {notification.name: notification for notification in monitor.spec.notify}
    results = [
        _carry_on(monitor, delivery, entries.get(delivery.notification), world, installation, now)
        for delivery in (*reversed(fresh), *monitor.status.deliveries)
    ]
    wakes = [result.wake for result in results if result.wake is not None]
    return Deliveries(
        tuple(delivery for result in results for delivery in result.deliveries)[:KEPT],
        tuple(manifest for result in results for manifest in result.ensure),
        tuple(notice for result in results for notice in result.notices),
        min(wakes, default=None),
    )


def _carry_on(
    monitor: DriftMonitor,
    delivery: Delivery,
    notification: Notification | None,
    world: World,
    installation: Installation,
    now: datetime,
) -> Deliveries:
    if delivery.outcome != "Pending":
        return Deliveries((delivery,))
    if notification is None:
        return Deliveries((_over(delivery, "Failed", "the receiver was removed from spec.notify"),))
    order = NotifyOrder(
        namespace=monitor.namespace,
        monitor=monitor.name,
        service=monitor.log,
        webhook=notification.webhook,
        event=delivery.event,
        at=delivery.at,
        subject=delivery.subject,
        text=delivery.text,
        report_uri=delivery.report_uri,
        allow_private=installation.allow_private_webhooks,
    )
    progress = advance(
        monitor, order.task, digest_of(order), delivery.attempt, world, now, at=delivery.at, limit=MAX_ATTEMPTS
    )
    delivery = delivery.model_copy(update={"attempt": progress.attempt, "attempts": progress.attempt.number})
    if progress.order_job:
        secret = notification.webhook.secret_ref
        job = jobs.run(
            monitor,
            order,
            installation,
            attempt=progress.attempt.number,
            deadline=120,
            ttl=600,
            credentials=secret.name if secret else "",
        )
        return Deliveries((delivery,), ensure=(job,))
    if progress.attempt.outcome == "Succeeded":
        return Deliveries((_over(delivery, "Delivered", ""),))
    if progress.attempt.outcome == "Failed" and progress.wake is None:
        message = progress.attempt.message
        notice = Notice("NotificationFailed", f"{delivery.notification}: {message}", "Warning")
        return Deliveries((_over(delivery, "Failed", message),), notices=(notice,))
    return Deliveries((delivery,), wake=progress.wake)


def _over(delivery: Delivery, outcome: str, message: str) -> Delivery:
    return delivery.model_copy(update={"outcome": outcome, "message": message[:512], "attempt": None})


def _triage_reasons(status: DriftMonitorStatus) -> tuple[str, ...]:
    """Return the holds that need a person, while a retraining is due."""
    if not status.retraining.due:
        return ()
    return tuple(reason for reason in status.retraining.blocked if reason in _TRIAGE)


def _gain(outcome: RetrainingOutcome) -> str:
    """Return the gain in the metric that was asked for first, for the end of a message."""
    metric = outcome.counterfactual.metric if outcome.counterfactual else min(outcome.gain, default="")
    if metric not in outcome.gain:
        return ""
    return f" ({metric} {outcome.gain[metric]:+.3g} on recent labelled rows)"
