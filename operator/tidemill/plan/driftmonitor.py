"""What a DriftMonitor needs: a check run for each window that is due, verdicts counted, and a retraining when the tide has turned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from tidemill.api import DriftMonitor, InferenceService, ModelVersion
from tidemill.api.checks import LABELLED_TYPES
from tidemill.api.conditions import Reason, Said, false, settle, true, unknown
from tidemill.api.dataset import Revision
from tidemill.api.driftmonitor import DriftMonitorStatus
from tidemill.children import jobs, names, receiving, versions
from tidemill.children.installation import Installation
from tidemill.contract import CheckOrder, VersionOrder, digest_of
from tidemill.contract_health import health
from tidemill.plan import notifying, policy, references, unsupported, verdicts, windows
from tidemill.plan.attempts import Progress, advance, outdated
from tidemill.plan.plan import Notice, Plan, Retirement
from tidemill.plan.reading import find, is_leaving, is_ours
from tidemill.plan.references import MissingReferenceError
from tidemill.plan.windows import Due, NeverFiresError, UnusableScheduleError
from tidemill.plan.world import Manifest, World, key_of


@dataclass(frozen=True, slots=True)
class Checking:
    """What this visit did about the window that is due."""

    status: DriftMonitorStatus
    progress: Progress | None = None
    ensure: tuple[Manifest, ...] = ()
    retire: tuple[Retirement, ...] = ()
    notices: tuple[Notice, ...] = ()


def plan(monitor: DriftMonitor, world: World, installation: Installation, now: datetime) -> Plan:
    """Check the window that is due, and decide what its verdict calls for."""
    if refused := unsupported.refusal(monitor):
        return Plan(
            _settled(monitor, monitor.status, [*refused], now), notices=unsupported.notices(monitor.status, refused)
        )
    if monitor.spec.suspend:
        return Plan(_settled(monitor, monitor.status, [false("Ready", Reason.SUSPENDED, "spec.suspend is set")], now))
    if monitor.spec.target.cloud_events is not None:
        return _guarded(monitor, None, None, world, installation, now)
    service = find(InferenceService, world, monitor.namespace, monitor.log)
    if service is None:
        # What was seen of another service, or of one that is gone, says nothing about the next.
        forgotten = {"reference": None, "checks": (), "last_run": None, "attempt": None}
        monitor = monitor.model_copy(update={"status": monitor.status.model_copy(update=forgotten)})
        return _waiting(monitor, f"there is no InferenceService {monitor.log!r} in this namespace", now)
    version = (
        find(ModelVersion, world, monitor.namespace, service.status.stable.version) if service.status.stable else None
    )
    if version is None:
        return _waiting(monitor, f"InferenceService {service.name!r} has no stable version yet", now)
    return _guarded(monitor, service, version, world, installation, now)


def _guarded(
    monitor: DriftMonitor,
    service: InferenceService | None,
    version: ModelVersion | None,
    world: World,
    installation: Installation,
    now: datetime,
) -> Plan:
    """Watch a service, or without one the payloads of one that is not Tidemill's; what only the user can mend is said."""
    try:
        return _watch(monitor, service, version, world, installation, now)
    except MissingReferenceError as missing:
        # Payloads that nobody takes are lost: their receiver does not wait for what they are compared with.
        receiver = _receiver(monitor, world, installation)[0] if monitor.spec.target.cloud_events else ()
        return replace(_waiting(monitor, str(missing), now), ensure=receiver)
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
    checking = _check(monitor, status, pinned, revision, due, world, installation, now)
    status, progress = checking.status, checking.progress
    decision = (
        policy.decide(monitor, status, service, version, world, now)
        if service is not None and version is not None
        else policy.undecided(status)
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
    told = notifying.deliver(monitor, status, service, world, installation, now)
    status = status.model_copy(update={"deliveries": told.deliveries})
    said = [
        *_about_checks(status, progress),
        *verdicts.say(status, monitor.spec.window.minimum_samples),
        *policy.say(monitor, decision),
    ]
    wakes = [
        (due.next_at - now).total_seconds(),
        progress.wake if progress else None,
        policy.until_eligible(decision, now),
        (decision.wake - now).total_seconds() if decision.wake else None,
        told.wake,
    ]
    receiver, retired = _receiver(monitor, world, installation)
    return Plan(
        _settled(monitor, status, said, now),
        ensure=(*receiver, *checking.ensure, *decision.ensure, *told.ensure),
        retire=(*retired, *checking.retire),
        notices=(*notices, *checking.notices, *decision.notices, *told.notices),
        wake=max(min(wake for wake in wakes if wake is not None), 0.0),
    )


def _check(
    monitor: DriftMonitor,
    status: DriftMonitorStatus,
    version: VersionOrder,
    revision: Revision | None,
    due: Due,
    world: World,
    installation: Installation,
    now: datetime,
) -> Checking:
    """Carry the run of the newest window on, and record what it found."""
    assert status.reference is not None, "a monitor with a stable version has a reference"
    end = windows.end_of(status.attempt, due, now)
    if end <= status.reference.since:
        return Checking(status)
    order = _order(monitor, status.reference.since, version, revision, end)
    # A change of the checks is another order, so that an edit is answered with the window at hand.
    digest = digest_of(order)
    progress = advance(monitor, digest, status.attempt, world, now, at=end, limit=2)
    status = status.model_copy(update={"attempt": progress.attempt})
    period = (due.next_at - due.end).total_seconds()
    job = jobs.run(
        monitor,
        order,
        installation,
        attempt=progress.attempt.number,
        digest=digest,
        resources=monitor.spec.resources,
        deadline=int(windows.LONGEST_RUN),
        ttl=min(int(max(600.0, 4 * period)), 3600),
    )
    if progress.order_job:
        return Checking(status, progress, ensure=(job,), retire=outdated(job, progress, world))
    if progress.just_ended and progress.report and progress.report.checked:
        on_demand = windows.is_on_demand(monitor, end, now)
        status, notices = verdicts.record(status, order, version, progress.report.checked, on_demand=on_demand)
        return Checking(status, progress, notices=notices)
    if progress.just_ended and progress.failure:
        notice = Notice(str(progress.failure.reason), progress.failure.message, "Warning")
        return Checking(status, progress, notices=(notice,))
    return Checking(status, progress, retire=outdated(job, progress, world))


def _order(
    monitor: DriftMonitor, since: datetime, version: VersionOrder, revision: Revision | None, end: datetime
) -> CheckOrder:
    window = windows.held(monitor, end, since)
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
        labels=None if rests_on_labels(monitor) else False,
    )


def rests_on_labels(monitor: DriftMonitor) -> bool:
    """Whether a check or a brake of the retraining rests on how many rows have labels."""
    spec = monitor.spec
    return spec.retraining is not None or any(
        check.type in LABELLED_TYPES or (check.type == "Timeliness" and check.subject == "Labels")
        for check in spec.checks
    )


def _receiver(
    monitor: DriftMonitor, world: World, installation: Installation
) -> tuple[tuple[Manifest, ...], tuple[Retirement, ...]]:
    """The pod that takes what other systems say, while a check asks for it; one that no check asks for any more goes."""
    if receiving.is_needed(monitor):
        return (receiving.service(monitor), receiving.deployment(monitor, installation, windows.reach(monitor))), ()
    name = names.receiver(monitor.name)
    found = [world.get(kind, monitor.namespace, name) for kind in ("Deployment", "Service")]
    ours = [manifest for manifest in found if manifest is not None and is_ours(manifest, monitor.metadata.uid)]
    reason = "no check of type External is left"
    return (), tuple(
        Retirement(key_of(manifest), manifest["metadata"]["uid"], reason)
        for manifest in ours
        if not is_leaving(manifest)
    )


def _waiting(monitor: DriftMonitor, message: str, now: datetime) -> Plan:
    said = [
        false("Ready", Reason.DEPENDENCY_NOT_READY, message),
        true("Reconciling", Reason.DEPENDENCY_NOT_READY, message),
    ]
    return Plan(_settled(monitor, monitor.status, said, now))


def _stalled(monitor: DriftMonitor, reason: Reason, message: str, now: datetime) -> Plan:
    """Nothing but an edit can help: no check and no retraining is begun."""
    said = [false("Ready", reason, message), true("Stalled", reason, message)]
    return Plan(_settled(monitor, monitor.status, said, now))


def _about_checks(status: DriftMonitorStatus, progress: Progress | None) -> list[Said]:
    """Ready is about the watching, not about what is seen: drift does not make a monitor unready."""
    if progress is not None and progress.failure is not None:
        return [
            false("Ready", progress.failure.reason, progress.failure.message),
            true("Reconciling", Reason.RETRYING, progress.failure.message),
        ]
    if status.last_run is None:
        return [unknown("Ready", Reason.PROGRESSING, "the first window has not been checked yet")]
    run = status.last_run
    return [
        true(
            "Ready",
            Reason.SUCCEEDED,
            f"{run.verdict}: {run.samples} rows up to {versions.moment(run.end)}, compared with {run.version}",
        )
    ]


def _settled(monitor: DriftMonitor, status: DriftMonitorStatus, said: list[Said], now: datetime) -> DriftMonitorStatus:
    generation = monitor.metadata.generation
    return status.model_copy(
        update={
            "observed_generation": generation,
            "conditions": settle(monitor.status.conditions, said, generation=generation, now=now),
        }
    )
