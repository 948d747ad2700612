"""Plan a DriftMonitor: a check run for each window that is due, counted verdicts, and a retraining when they call for one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from tidemill.api import DriftMonitor, InferenceService, ModelVersion
from tidemill.api.base import to_rfc3339
from tidemill.api.checks import LABELLED_TYPES
from tidemill.api.conditions import PendingCondition, Reason, false, true, unknown
from tidemill.api.dataset import Revision
from tidemill.api.feedback import PinnedLabels
from tidemill.api.monitorstatus import DriftMonitorStatus
from tidemill.children import jobs, names, worker
from tidemill.children.installation import Installation
from tidemill.contract.health import health
from tidemill.contract.numbers import quantity
from tidemill.contract.orders import CheckOrder, digest_of, to_text
from tidemill.contract.reports import RunReport
from tidemill.contract.serving import VersionOrder
from tidemill.plan import label_datasets, unsupported
from tidemill.plan.conditions import with_conditions
from tidemill.plan.driftmonitor import notifications, pods, references, reports, verdicts, warm_worker, windows
from tidemill.plan.driftmonitor.references import MissingReferenceError
from tidemill.plan.driftmonitor.retraining import decide
from tidemill.plan.driftmonitor.windows import Due
from tidemill.plan.lookup import MissingRevisionError, get_by_name
from tidemill.plan.runs.attempts import Progress, advance, ended, notices_of, outdated
from tidemill.plan.runs.job_state import JobState
from tidemill.plan.runs.schedules import NeverFiresError, UnusableScheduleError
from tidemill.plan.types import Answers, Notice, Plan, Question, Retirement
from tidemill.plan.world import Manifest, World

MAX_ATTEMPTS: Final = 2
"""How often the check of one window is tried."""


@dataclass(frozen=True, slots=True)
class CheckInputs:
    """Everything that a check of the window that is due rests on."""

    monitor: DriftMonitor
    version: VersionOrder
    revision: Revision | None
    """The reference, where that is a Dataset's revision."""
    labels: PinnedLabels | None
    """The revision of a Dataset of labels."""
    due: Due
    world: World
    installation: Installation
    now: datetime
    answers: Answers = ()


@dataclass(frozen=True, slots=True)
class Checking:
    """The state of the check after this visit."""

    status: DriftMonitorStatus
    progress: Progress | None = None
    ensure: tuple[Manifest, ...] = ()
    retire: tuple[Retirement, ...] = ()
    notices: tuple[Notice, ...] = ()


def questions(monitor: DriftMonitor, world: World) -> Question | None:
    """Return the check run to request from the warm worker, if the status has one pending."""
    attempt = monitor.status.attempt
    if not worker.is_needed(monitor) or monitor.status.worker is None:
        return None
    if attempt is None or attempt.outcome != "Running" or attempt.at is None:
        return None
    service, version = _served(monitor, world)
    if version is None and monitor.spec.target.cloud_events is None:
        return None
    try:
        revision = references.revision_of(monitor, world)
    except MissingReferenceError:
        return None
    pinned = references.pin(monitor, version)
    status = references.rebase(monitor, pinned, revision, attempt.at)
    if status.reference is None or status.attempt is None:
        return None
    pinned_labels, _ = _labels(monitor, service, world)
    order = _order(monitor, status.reference.since, pinned, revision, attempt.at, pinned_labels)
    run = names.run(monitor.name, order.task, digest_of(order), attempt.number)
    request = warm_worker.request(monitor, run, to_text(reports.keeping(order, monitor, world)), world)
    return Question(checks=(request,)) if request else None


def plan(monitor: DriftMonitor, world: World, installation: Installation, now: datetime, answers: Answers = ()) -> Plan:
    """Check the window that is due, and decide about a retraining."""
    if refused := unsupported.refusal(monitor):
        return Plan(
            with_conditions(monitor, monitor.status, [*refused], now),
            notices=unsupported.notices(monitor.status, refused),
        )
    monitor = _of_this_target(monitor)
    if monitor.spec.suspend:
        conditions = [false("Ready", Reason.SUSPENDED, "spec.suspend is true; set it to false to check windows again")]
        return Plan(
            with_conditions(monitor, monitor.status, conditions, now),
            retire=pods.unwanted(monitor, world, installation),
        )
    if monitor.spec.target.cloud_events is not None:
        return _watch_or_explain(monitor, None, None, world, installation, now, answers)
    service, version = _served(monitor, world)
    if service is None:
        # The history of a deleted service says nothing about the next service of its name.
        monitor = _forgetting(monitor)
        missing = f"InferenceService {monitor.log!r} not found; create it, or correct spec.target.inferenceService"
        return _waiting(monitor, missing, world, installation, now)
    if version is None:
        missing = (
            f"InferenceService {service.name!r} has no stable version yet; the first check follows its first version"
        )
        return _waiting(monitor, missing, world, installation, now)
    return _watch_or_explain(monitor, service, version, world, installation, now, answers)


def _of_this_target(monitor: DriftMonitor) -> DriftMonitor:
    """Return the monitor without the status of a former target."""
    if monitor.status.target == monitor.log:
        return monitor
    kept = _forgetting(monitor) if monitor.status.target else monitor
    return kept.model_copy(update={"status": kept.status.model_copy(update={"target": monitor.log})})


def _forgetting(monitor: DriftMonitor) -> DriftMonitor:
    """Return the monitor as if it had never checked its target."""
    forgotten = dict.fromkeys(("reference", "last_run", "fired_at", "attempt", "health", "next_check")) | {"checks": ()}
    return monitor.model_copy(update={"status": monitor.status.model_copy(update=forgotten)})


def _served(monitor: DriftMonitor, world: World) -> tuple[InferenceService | None, ModelVersion | None]:
    """Return the watched service and its version in service; None for what does not exist."""
    service = get_by_name(InferenceService, world, monitor.namespace, monitor.log)
    if service is None or service.status.stable is None:
        return service, None
    return service, get_by_name(ModelVersion, world, monitor.namespace, service.status.stable.version)


def _watch_or_explain(
    monitor: DriftMonitor,
    service: InferenceService | None,
    version: ModelVersion | None,
    world: World,
    installation: Installation,
    now: datetime,
    answers: Answers,
) -> Plan:
    """Watch a service, or the payloads of an external one; report what only the user can correct."""
    try:
        return _watch(monitor, service, version, world, installation, now, answers)
    except MissingReferenceError as missing:
        # Payloads that are not received are lost: their receiver does not wait for the reference.
        if not monitor.spec.target.cloud_events:
            return _waiting(monitor, str(missing), world, installation, now)
        waiting = _waiting(monitor, str(missing), world, installation, now, pods.conditions_of(monitor, world))
        return replace(waiting, ensure=pods.receiver(monitor, world, installation).ensure)
    except NeverFiresError as never:
        return _stalled(monitor, Reason.SCHEDULE_NEVER_FIRES, str(never), now)
    except UnusableScheduleError as unusable:
        return _stalled(monitor, Reason.INVALID_SPEC, str(unusable), now)


def _watch(
    monitor: DriftMonitor,
    service: InferenceService | None,
    version: ModelVersion | None,
    world: World,
    installation: Installation,
    now: datetime,
    answers: Answers,
) -> Plan:
    revision = references.revision_of(monitor, world)
    pinned = references.pin(monitor, version)
    status = references.rebase(monitor, pinned, revision, now)
    notices: tuple[Notice, ...] = ()
    before = monitor.status.reference
    if status.reference != before and before is not None:
        to = pinned.name if before.version != pinned.name else f"revision {(revision.digest if revision else '')[:19]}"
        notices = (Notice("ReferenceMoved", f"windows are now compared with {to}"),)
    due = windows.due(monitor, now)
    pinned_labels, unlabelled = _labels(monitor, service, world)
    inputs = CheckInputs(monitor, pinned, revision, pinned_labels, due, world, installation, now, answers)
    checking = _check(inputs, status)
    status, progress = checking.status, checking.progress
    decision = (
        decide.decide(monitor, status, service, version, world, now)
        if service is not None and version is not None
        else decide.undecided(status)
    )
    trouble = progress.failure.message if progress is not None and progress.failure is not None else ""
    stable = service.status.stable if service is not None else None
    status = status.model_copy(
        update={
            "retraining": decision.status,
            "history": decision.history,
            "next_check": due.next_at,
            "health": health(
                status.checks,
                status.last_run,
                wanted=stable.replicas if stable else 0,
                ready=stable.ready if stable else 0,
                trouble=trouble,
            ),
        }
    )
    deliveries = notifications.deliver(monitor, status, service, world, installation, now)
    status = status.model_copy(update={"deliveries": deliveries.deliveries})
    conditions = [
        *_about_checks(status, progress),
        *verdicts.conditions_of(status, monitor.spec.window.minimum_samples),
        *warm_worker.conditions_of(monitor, world),
        *pods.conditions_of(monitor, world),
        *unlabelled,
        *decide.conditions_of(monitor, decision),
    ]
    opened = [condition for condition in conditions if condition.type == "CircuitOpen"]
    if opened and not monitor.status.is_true("CircuitOpen"):
        notices = (*notices, Notice(opened[0].reason, opened[0].message, "Warning"))
    wakes = [
        (due.next_at - now).total_seconds(),
        progress.wake if progress else None,
        decide.seconds_until_eligible(decision, now),
        (decision.wake - now).total_seconds() if decision.wake else None,
        deliveries.wake,
    ]
    receiver, warm = pods.receiver(monitor, world, installation), pods.warm(monitor, world, installation)
    return Plan(
        with_conditions(monitor, status, conditions, now),
        ensure=(*receiver.ensure, *warm.ensure, *checking.ensure, *decision.ensure, *deliveries.ensure),
        retire=(*receiver.retire, *warm.retire, *checking.retire),
        notices=(*notices, *checking.notices, *decision.notices, *deliveries.notices),
        wake=max(min(wake for wake in wakes if wake is not None), 0.0),
    )


def _check(watch: CheckInputs, status: DriftMonitorStatus) -> Checking:
    """Carry the run of the newest window on, and record its verdicts."""
    monitor, now = watch.monitor, watch.now
    assert status.reference is not None, "a monitor with a stable version has a reference"
    end = windows.end_of(status.attempt, watch.due, now)
    if end <= status.reference.since:
        return Checking(status)
    order = _order(monitor, status.reference.since, watch.version, watch.revision, end, watch.labels)
    # A change of the checks is another order, so that an edit is answered with the window at hand.
    digest = digest_of(order)
    progress = advance(monitor, order.task, digest, status.attempt, watch.world, now, at=end, limit=MAX_ATTEMPTS)
    notices: tuple[Notice, ...] = ()
    if not worker.is_needed(monitor):
        status = status.model_copy(update={"worker": None})
    elif progress.order_job:
        run = names.run(monitor.name, order.task, digest, progress.attempt.number)
        asked = warm_worker.carry_on(monitor, run, watch.world, watch.answers, now)
        status, notices = status.model_copy(update={"worker": asked.status}), asked.notices
        if asked.report is not None:
            progress = ended(progress.attempt, _over(asked.report), now, limit=MAX_ATTEMPTS)
        elif not asked.by_job:
            progress = replace(progress, order_job=False, wake=asked.wake)
    status = status.model_copy(update={"attempt": progress.attempt})
    job = jobs.run(
        monitor,
        reports.keeping(order, monitor, watch.world),
        watch.installation,
        attempt=progress.attempt.number,
        digest=digest,
        resources=monitor.spec.resources,
        deadline=int(windows.MAX_RUN_SECONDS),
        ttl=min(int(max(600.0, 4 * watch.due.period)), 3600),
    )
    if progress.order_job:
        return Checking(status, progress, ensure=(job,), retire=outdated(job, progress), notices=notices)
    if progress.just_ended and progress.report and progress.report.checked:
        on_demand = windows.is_on_demand(monitor, end, now)
        status, notices = verdicts.record(status, order, watch.version, progress.report.checked, on_demand=on_demand)
        return Checking(status, progress, notices=notices)
    if progress.just_ended and progress.failure:
        return Checking(status, progress, notices=notices_of(progress))
    return Checking(status, progress, retire=outdated(job, progress), notices=notices_of(progress))


def _order(
    monitor: DriftMonitor,
    since: datetime,
    version: VersionOrder,
    revision: Revision | None,
    end: datetime,
    labels: PinnedLabels | None,
) -> CheckOrder:
    window = windows.window_of(monitor, end, since)
    return CheckOrder(
        namespace=monitor.namespace,
        monitor=monitor.name,
        service=monitor.log,
        start=window.start,
        end=window.end,
        version=version,
        checks=monitor.spec.checks,
        minimum_samples=monitor.spec.window.minimum_samples,
        minimum_labels=monitor.spec.window.minimum_labels,
        count=monitor.spec.window.count,
        labelled=windows.labelled(monitor, end, since),
        reference=references.order(monitor, window, revision),
        labels=None if needs_labels(monitor) else False,
        label_dataset=labels if needs_labels(monitor) else None,
        retention=reports.retention(monitor),
    )


def _labels(
    monitor: DriftMonitor, service: InferenceService | None, world: World
) -> tuple[PinnedLabels | None, tuple[PendingCondition, ...]]:
    """Return the revision of the Dataset of labels, and the condition LabelsReady where one is wanted; checks do not wait for it."""
    feedback = service.spec.feedback if service is not None else monitor.spec.feedback
    if feedback.dataset is None or not needs_labels(monitor):
        return None, ()
    try:
        pinned = label_datasets.pin(monitor.namespace, feedback, world)
    except MissingRevisionError as missing:
        message = f"{missing}; until then, checks have no labels of it"
        return None, (false("LabelsReady", Reason.DEPENDENCY_NOT_READY, message),)
    return pinned, (true("LabelsReady", Reason.SUCCEEDED),)


def _over(report: RunReport) -> JobState:
    """Return the state of a run that ended with this report."""
    return JobState("Failed" if report.failure else "Succeeded", report=report, failure=report.failure)


def needs_labels(monitor: DriftMonitor) -> bool:
    """Return whether a check, or a guard of the retraining, depends on the number of labelled rows."""
    spec = monitor.spec
    return spec.retraining is not None or any(
        check.type in LABELLED_TYPES or (check.type == "Timeliness" and check.subject == "Labels")
        for check in spec.checks
    )


def _waiting(
    monitor: DriftMonitor,
    message: str,
    world: World,
    installation: Installation,
    now: datetime,
    further: Sequence[PendingCondition] = (),
) -> Plan:
    conditions = [
        false("Ready", Reason.DEPENDENCY_NOT_READY, message),
        true("Reconciling", Reason.DEPENDENCY_NOT_READY, message),
        *further,
    ]
    status = monitor.status.model_copy(update={"next_check": None})
    return Plan(with_conditions(monitor, status, conditions, now), retire=pods.unwanted(monitor, world, installation))


def _stalled(monitor: DriftMonitor, reason: Reason, message: str, now: datetime) -> Plan:
    """Report what only an edit can correct: no check and no retraining is started."""
    conditions = [false("Ready", reason, message), true("Stalled", reason, message)]
    status = monitor.status.model_copy(update={"next_check": None})
    return Plan(with_conditions(monitor, status, conditions, now))


def _about_checks(status: DriftMonitorStatus, progress: Progress | None) -> list[PendingCondition]:
    """Return Ready, which is about the checks, not about their verdicts: drift does not make a monitor unready."""
    if progress is not None and progress.failure is not None:
        return [
            false("Ready", progress.failure.reason, progress.failure.message),
            true("Reconciling", Reason.RETRYING, progress.failure.message),
        ]
    if progress is not None and progress.run.blocked:
        return [
            unknown("Ready", progress.run.reason, progress.run.message),
            true("Reconciling", progress.run.reason, progress.run.message),
        ]
    if status.last_run is None:
        return [unknown("Ready", Reason.PROGRESSING, "the first window is not checked yet")]
    run = status.last_run
    return [
        true(
            "Ready",
            Reason.SUCCEEDED,
            f"{run.verdict}: {quantity(run.samples, 'row')} up to {to_rfc3339(run.end)}, compared with {run.version}",
        )
    ]
