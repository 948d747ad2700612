"""What a DriftMonitor needs: a check run for each window that is due, verdicts counted, and a retraining when the tide has turned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tidemill.api import DriftMonitor, InferenceService, ModelVersion, TrainingJob
from tidemill.api.conditions import Reason, Said, false, settle, true, unknown
from tidemill.api.dataset import Attempt
from tidemill.api.driftmonitor import (
    CheckStatus,
    DriftMonitorStatus,
    Reference,
    RetrainingOutcome,
    RetrainingStatus,
    WindowRun,
)
from tidemill.api.durations import delta, seconds
from tidemill.children import jobs, names, serving, versions
from tidemill.children.installation import Installation
from tidemill.contract import Checked, CheckOrder, digest_of
from tidemill.plan import retraining, unsupported
from tidemill.plan.attempts import Progress, advance
from tidemill.plan.inference.choice import choose
from tidemill.plan.inference.sight import see
from tidemill.plan.plan import Notice, Plan
from tidemill.plan.reading import every, find
from tidemill.plan.retraining import Block, Case
from tidemill.plan.world import Manifest, World


@dataclass(frozen=True, slots=True)
class Decision:
    """What is decided about retraining in this visit."""

    status: RetrainingStatus
    history: tuple[RetrainingOutcome, ...]
    blocks: tuple[Block, ...] = ()
    ensure: tuple[Manifest, ...] = ()
    notices: tuple[Notice, ...] = ()


def plan(monitor: DriftMonitor, world: World, installation: Installation, now: datetime) -> Plan:
    """Check the window that is due, and decide what its verdict calls for."""
    if refused := unsupported.refusal(monitor):
        return Plan(
            _settled(monitor, monitor.status, [*refused], now), notices=unsupported.notices(monitor.status, refused)
        )
    service = find(InferenceService, world, monitor.namespace, monitor.spec.target.inference_service)
    if monitor.spec.suspend:
        return Plan(_settled(monitor, monitor.status, [false("Ready", Reason.SUSPENDED, "spec.suspend is set")], now))
    if service is None:
        return _waiting(
            monitor, f"there is no InferenceService {monitor.spec.target.inference_service!r} in this namespace", now
        )
    version = (
        find(ModelVersion, world, monitor.namespace, service.status.stable.version) if service.status.stable else None
    )
    if version is None:
        return _waiting(monitor, f"InferenceService {service.name!r} has no stable version yet", now)
    status = _rebase(monitor, version, now)
    notices: tuple[Notice, ...] = ()
    if status.reference != monitor.status.reference and monitor.status.reference is not None:
        notices = (Notice("ReferenceMoved", f"windows are now compared with {version.name}"),)
    order, digest, until_due = _due(monitor, status, version, now)
    ensure: tuple[Manifest, ...] = ()
    progress: Progress | None = None
    if order is not None:
        progress = advance(monitor, digest, status.attempt, world, now, at=order.end, limit=2)
        status = status.model_copy(update={"attempt": progress.attempt})
        if progress.order_job:
            ttl = int(max(600.0, 4 * seconds(monitor.spec.interval)))
            job = jobs.run(
                monitor,
                order,
                installation,
                attempt=progress.attempt.number,
                digest=digest,
                resources=monitor.spec.resources,
                deadline=900,
                ttl=min(ttl, 3600),
            )
            ensure = (job,)
        if progress.just_ended and progress.report and progress.report.checked:
            status, news = _record(status, order, version, progress.report.checked)
            notices += news
        elif progress.just_ended and progress.failure:
            notices += (Notice(str(progress.failure.reason), progress.failure.message, "Warning"),)
    decision = _decide(monitor, status, service, world, now)
    status = status.model_copy(update={"retraining": decision.status, "history": decision.history})
    said = _said(monitor, status, decision, progress)
    wakes = [
        wake
        for wake in (until_due, progress.wake if progress else None, _until_eligible(decision, now))
        if wake is not None
    ]
    return Plan(
        _settled(monitor, status, said, now),
        ensure=ensure + decision.ensure,
        notices=notices + decision.notices,
        wake=min(wakes, default=None),
    )


def _waiting(monitor: DriftMonitor, message: str, now: datetime) -> Plan:
    said = [
        false("Ready", Reason.DEPENDENCY_NOT_READY, message),
        true("Reconciling", Reason.DEPENDENCY_NOT_READY, message),
    ]
    return Plan(_settled(monitor, monitor.status, said, now))


def _rebase(monitor: DriftMonitor, version: ModelVersion, now: datetime) -> DriftMonitorStatus:
    """The status with the version in service as reference; counts that spoke of another version are forgotten."""
    status, digest = monitor.status, version.spec.artifact.digest
    if status.reference is not None and status.reference.digest == digest:
        return status
    return status.model_copy(
        update={
            "reference": Reference(version=version.name, digest=digest, since=now.replace(microsecond=0)),
            "checks": (),
            "last_run": None,
            "attempt": None,
        }
    )


def _due(
    monitor: DriftMonitor, status: DriftMonitorStatus, version: ModelVersion, now: datetime
) -> tuple[CheckOrder | None, str, float | None]:
    """The window to look at, the order's identity, and the seconds until the next one is due.

    Windows end at multiples of the interval since the epoch, so that every visit and every replica means the same ones.
    An attempt that runs is carried on before a newer window is begun.
    """
    period = max(seconds(monitor.spec.interval), 1.0)
    latest = datetime.fromtimestamp(now.timestamp() // period * period, UTC)
    next_due = (latest + timedelta(seconds=period) - now).total_seconds()
    reference, attempt = status.reference, status.attempt
    assert reference is not None, "a monitor with a stable version has a reference"
    end = _window_end(attempt, latest, period, now)
    if end <= reference.since:
        return None, "", next_due
    order = _order(monitor, status, version, end)
    # A change of the checks is another order, so that an edit is answered with the window at hand.
    return order, digest_of(order), next_due


def _window_end(attempt: Attempt | None, latest: datetime, period: float, now: datetime) -> datetime:
    if attempt is None or attempt.at is None:
        return latest
    if attempt.outcome == "Running" and (now - attempt.at).total_seconds() < 900 + period:
        return attempt.at
    return max(latest, attempt.at)


def _order(monitor: DriftMonitor, status: DriftMonitorStatus, version: ModelVersion, end: datetime) -> CheckOrder:
    reference = status.reference
    assert reference is not None, "a monitor with a stable version has a reference"
    return CheckOrder(
        namespace=monitor.namespace,
        monitor=monitor.name,
        service=monitor.spec.target.inference_service,
        start=max(end - delta(monitor.spec.window.size), reference.since),
        end=end,
        version=serving.pin(version),
        checks=monitor.spec.checks,
        minimum_samples=monitor.spec.window.minimum_samples,
        minimum_labels=monitor.spec.window.minimum_labels,
    )


def _record(
    status: DriftMonitorStatus, order: CheckOrder, version: ModelVersion, checked: Checked
) -> tuple[DriftMonitorStatus, tuple[Notice, ...]]:
    """The verdicts of a window, with the windows in a row that failed counted on."""
    before = {check.name: check for check in status.checks}
    previous_end = status.last_run.end if status.last_run else order.start
    checks = []
    for found in checked.checks:
        earlier = before.get(found.name)
        failing = found.verdict == "Failing"
        unknown_now = found.verdict == "NoData"
        consecutive = (
            (earlier.consecutive if earlier else 0) + 1
            if failing
            else (earlier.consecutive if earlier and unknown_now else 0)
        )
        since = (earlier.failing_since if earlier and earlier.consecutive else previous_end) if consecutive else None
        checks.append(
            CheckStatus(
                name=found.name,
                type=found.type,
                verdict=found.verdict,
                value=found.value,
                threshold=found.threshold,
                consecutive=consecutive,
                failing_since=since,
                worst=found.worst[:5],
                message=found.message,
            )
        )
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
    if checked.verdict == "Failing" and (status.last_run is None or status.last_run.verdict != "Failing"):
        failing_names = ", ".join(check.name for check in checks if check.verdict == "Failing")
        notices = (Notice(Reason.DRIFT_DETECTED, f"failing: {failing_names}; report {checked.report_uri}", "Warning"),)
    return status.model_copy(update={"checks": tuple(checks), "last_run": run}), notices


def _decide(
    monitor: DriftMonitor, status: DriftMonitorStatus, service: InferenceService, world: World, now: datetime
) -> Decision:
    policy = monitor.spec.retraining
    if policy is None:
        return Decision(RetrainingStatus(), status.history)
    runs = every(
        TrainingJob, world, world.labelled(TrainingJob.kind_name, monitor.namespace, names.MONITOR, monitor.name)
    )
    seen = see(service, world)
    history = retraining.outcomes(monitor, runs, seen.versions, service, now)
    active = next((outcome.training_job for outcome in history if outcome.outcome in {"Running", "Waiting"}), "")
    base = RetrainingStatus(
        active=active,
        last_time=history[0].at if history else None,
        next_eligible=retraining.eligible_at(policy, history),
        runs_in_budget=retraining.in_budget(policy, history, now),
        consecutive_rejected=retraining.consecutive_rejected(history, retraining.reset_at(monitor)),
    )
    if status.last_run is None or status.reference is None:
        return Decision(base, history)
    newest = choose(service, seen).version
    case = Case(
        monitor=monitor,
        policy=policy,
        service=service,
        template=find(TrainingJob, world, monitor.namespace, policy.template.training_job),
        last_run=status.last_run,
        checks=status.checks,
        history=history,
        newest_version=newest.name if newest else "",
        now=now,
    )
    blocks = retraining.blocks(case)
    base = base.model_copy(update={"blocked": tuple(str(block.reason) for block in blocks)})
    firing = retraining.firing(policy, status.checks)
    if not firing or blocks or case.template is None:
        return Decision(base, history, blocks)
    run = status.last_run
    name = names.retraining(monitor.name, monitor.metadata.uid, versions.moment(run.end), status.reference.digest)
    fired = tuple(check.name for check in firing)
    if policy.mode == "Observe":
        return Decision(base.model_copy(update={"would_have": name}), history, blocks)
    started = max(run.end - delta(policy.template.served_rows.window), service.metadata.creation_timestamp or run.start)
    manifest = versions.retraining(
        monitor,
        case.template,
        name,
        start=min(started, run.start),
        recent=retraining.onset(firing, run),
        end=run.end,
        checks=fired,
    )
    ordered = RetrainingOutcome(training_job=name, outcome="Running", at=now.replace(microsecond=0), checks=fired)
    notice = Notice(
        "RetrainingOrdered", f"{name}: {', '.join(fired)} failed {policy.trigger.consecutive} windows in a row"
    )
    # Recorded at once: until the new TrainingJob is seen, the record is what keeps a second one from being made.
    history = (ordered, *history)[:20]
    base = base.model_copy(
        update={"active": name, "last_time": ordered.at, "next_eligible": retraining.eligible_at(policy, history)}
    )
    return Decision(base, history, blocks, ensure=(manifest,), notices=(notice,))


def _until_eligible(decision: Decision, now: datetime) -> float | None:
    """Seconds until the last brake that knows its end lets go."""
    ends = [(block.until - now).total_seconds() for block in decision.blocks if block.until is not None]
    return max(ends) + 0.5 if ends else None


def _said(
    monitor: DriftMonitor, status: DriftMonitorStatus, decision: Decision, progress: Progress | None
) -> list[Said]:
    said = _about_checks(status, progress)
    policy, run = monitor.spec.retraining, status.last_run
    failing = [check for check in status.checks if check.verdict == "Failing"]
    drifting = [check for check in failing if check.type in {"FeatureDrift", "PredictionDrift"}]
    worse = [check for check in failing if check.type == "Performance"]
    broken = [check for check in failing if check.type == "DataQuality"]
    if drifting:
        said.append(
            true(
                "DriftDetected",
                Reason.DRIFT_DETECTED,
                "; ".join(f"{check.name}: {check.message}" for check in drifting),
            )
        )
    if worse:
        said.append(
            true(
                "PerformanceDegraded",
                Reason.DRIFT_DETECTED,
                "; ".join(f"{check.name}: {check.message}" for check in worse),
            )
        )
    if broken:
        said.append(
            true(
                "DataQualityFailed",
                Reason.DATA_QUALITY,
                "; ".join(f"{check.name}: {check.message}" for check in broken),
            )
        )
    if run is not None and run.verdict == "NoData":
        said.append(
            false(
                "DataAvailable",
                Reason.NO_DATA,
                f"{run.samples} rows in the window, {monitor.spec.window.minimum_samples} needed",
            )
        )
    elif run is not None:
        said.append(true("DataAvailable", Reason.SUCCEEDED, f"{run.samples} rows, {run.labelled} with labels"))
    if policy is None:
        return said
    if decision.blocks:
        first = decision.blocks[0]
        said.append(false("RetrainingAllowed", first.reason, "; ".join(block.message for block in decision.blocks)))
    elif status.retraining.would_have:
        said.append(
            false(
                "RetrainingAllowed",
                Reason.OBSERVING,
                f"in mode Act, {status.retraining.would_have} would have been made now",
            )
        )
    else:
        said.append(true("RetrainingAllowed", Reason.ALLOWED))
    if any(block.reason == Reason.CIRCUIT_OPEN for block in decision.blocks):
        message = next(block.message for block in decision.blocks if block.reason == Reason.CIRCUIT_OPEN)
        said.append(true("CircuitOpen", Reason.CIRCUIT_OPEN, message))
    return said


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
