"""Plan a TrainingJob: pin its inputs, order one run, and publish a ModelVersion from the run's report.

    pinned (status) → Job → report → ModelVersion → Complete
                        └─→ Failed

Pinning is a separate write before the Job is created: later revisions do not change what this run is trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tidemill.api import Dataset, InferenceService, ModelVersion, TrainingJob
from tidemill.api.conditions import PendingCondition, Reason, false, true, unknown
from tidemill.api.durations import seconds
from tidemill.api.trainingjob import (
    MAX_WARNINGS,
    WARNING_LENGTH,
    Best,
    PinnedRevision,
    PinnedVersion,
    RunProgress,
    TrainingJobStatus,
)
from tidemill.children import jobs, names, versions
from tidemill.children.installation import Installation
from tidemill.contract.orders import TrainOrder, digest_of
from tidemill.contract.reports import Trained
from tidemill.contract.serving import VersionOrder
from tidemill.plan import gates, label_datasets, unsupported
from tidemill.plan.conditions import with_conditions
from tidemill.plan.driftmonitor.retraining.history import cause_of
from tidemill.plan.lookup import MissingRevisionError, all_of, get_by_name, is_ours
from tidemill.plan.runs.attempts import Progress, advance, notices_of, outdated
from tidemill.plan.types import Notice, Plan, Retirement
from tidemill.plan.world import Key, World


def plan(job: TrainingJob, world: World, installation: Installation, now: datetime) -> Plan:
    """Carry the run on by one step."""
    status = job.status.model_copy(update={"cause": job.status.cause or cause_of(job)})
    # A published version is final, even if somebody removed the conditions.
    if status.model_version or status.is_true("Complete") or status.is_true("Failed"):
        return Plan(with_conditions(job, status, _final_conditions(status), now))
    if refused := unsupported.refusal(job):
        return Plan(with_conditions(job, status, [*refused], now), notices=unsupported.notices(job.status, refused))
    if job.spec.estimator is None:
        # A rule of the schema forbids it; without the rule, the reason must still be reported.
        message = "no estimator; set spec.estimator"
        conditions = [false("Ready", Reason.INVALID_SPEC, message), true("Stalled", Reason.INVALID_SPEC, message)]
        return Plan(with_conditions(job, status, conditions, now))
    if job.spec.suspend:
        conditions = [
            false("Ready", Reason.SUSPENDED, "spec.suspend is true; set it to false to start the run"),
            true("Suspended", Reason.SUSPENDED),
        ]
        return Plan(with_conditions(job, status, conditions, now), retire=_running(job, world))
    edited = status.attempt is None and status.observed_generation != job.metadata.generation
    if status.dataset is None or edited:
        # An edit may arrive while the pin of the spec before it is written.
        return _pin(job, status, world, now)
    order = _order(job, status)
    progress = advance(job, order.task, digest_of(order), status.attempt, world, now, limit=job.spec.backoff_limit + 1)
    status = status.model_copy(
        update={"attempt": progress.attempt, "started_at": status.started_at or now.replace(microsecond=0)}
    )
    trained = progress.report.trained if progress.report else None
    if progress.just_ended and trained:
        warned = status.model_copy(update={"warnings": _bounded(progress.report.warnings if progress.report else ())})
        return _complete(job, warned, order.version, trained, world, installation, now)
    run = jobs.run(
        job,
        order,
        installation,
        attempt=progress.attempt.number,
        resources=job.spec.resources,
        deadline=int(seconds(job.spec.active_deadline)),
        ttl=int(seconds(job.spec.ttl_after_finished)),
    )
    if progress.run.phase == "Running":
        status = status.model_copy(update={"progress": RunProgress()})
    if progress.run.phase == "Failed" and progress.wake is None:
        status = status.model_copy(update={"completed_at": status.completed_at or now.replace(microsecond=0)})
    return Plan(
        with_conditions(job, status, _conditions(job, progress), now),
        ensure=(run,) if progress.order_job else (),
        retire=outdated(run, progress),
        notices=notices_of(progress),
        wake=progress.wake,
    )


def _pin(job: TrainingJob, status: TrainingJobStatus, world: World, now: datetime) -> Plan:
    """Pin the revision, and the version in service to compare with."""
    reference = job.spec.dataset
    dataset = get_by_name(Dataset, world, job.namespace, reference.name)
    if dataset is None:
        message = f"Dataset {reference.name!r} not found; create it to start the run"
        return _waiting(job, status, message, now)
    revisions = ((dataset.status.revision,) if dataset.status.revision else ()) + dataset.status.revisions
    if not revisions:
        ready = dataset.status.condition("Ready")
        message = f"Dataset {reference.name!r} has no revision yet" + (
            f" ({ready.reason}: {ready.message})" if ready else ""
        )
        return _waiting(job, status, message, now)
    chosen = (
        revisions[0]
        if reference.revision == "Latest"
        else next((r for r in revisions if r.digest == reference.revision), None)
    )
    if chosen is None:
        message = f"Dataset {reference.name!r} has no revision {reference.revision!r}; use one of {', '.join(r.digest[:19] for r in revisions)}, or Latest"
        return _waiting(job, status, message, now)
    served = job.spec.served_rows
    try:
        pinned = label_datasets.of_service(job.namespace, served.inference_service, world) if served else None
    except MissingRevisionError as missing:
        return _waiting(job, status, f"the labels of the served rows are not known: {missing}", now)
    status = status.model_copy(
        update={
            "labels": pinned,
            "dataset": PinnedRevision(name=dataset.name, digest=chosen.digest, uri=chosen.uri),
            "compared_with": _stable(job, world),
        }
    )
    conditions = [
        unknown("Ready", Reason.PROGRESSING, "starting the run"),
        true("Reconciling", Reason.PROGRESSING),
    ]
    return Plan(with_conditions(job, status, conditions, now), wake=0.0)


def _waiting(job: TrainingJob, status: TrainingJobStatus, message: str, now: datetime) -> Plan:
    conditions = [
        false("Ready", Reason.DEPENDENCY_NOT_READY, message),
        true("Reconciling", Reason.DEPENDENCY_NOT_READY, message),
    ]
    return Plan(with_conditions(job, status, conditions, now))


def _stable(job: TrainingJob, world: World) -> PinnedVersion | None:
    """Return the version in service: of the service whose rows are used, or else of the first service by name."""
    named = world.referring(InferenceService.kind_name, job.namespace, ("spec", "model", "name"), job.spec.model_name)
    services = all_of(InferenceService, world, named)
    wanted = job.spec.served_rows.inference_service if job.spec.served_rows else ""
    services.sort(key=lambda service: (service.name != wanted, service.name))
    for service in services:
        if service.status.stable is None:
            continue
        version = get_by_name(ModelVersion, world, job.namespace, service.status.stable.version)
        if version is not None:
            lineage = version.spec.lineage
            return PinnedVersion(
                name=version.name,
                digest=version.spec.artifact.digest,
                uri=version.spec.artifact.uri,
                dataset_digest=lineage.datasets[0].digest if lineage.datasets else "",
            )
    return None


def _order(job: TrainingJob, status: TrainingJobStatus) -> TrainOrder:
    pinned, stable = status.dataset, status.compared_with
    assert pinned is not None, "the revision is pinned before a run is ordered"
    assert job.spec.estimator is not None, "automl and trainer are refused as unsupported"
    return TrainOrder(
        namespace=job.namespace,
        training_job=job.name,
        model=job.spec.model_name,
        version=names.version(job.spec.model_name, job.metadata.uid, pinned.digest),
        dataset=pinned.name,
        dataset_digest=pinned.digest,
        dataset_uri=pinned.uri,
        served_rows=job.spec.served_rows,
        learn=job.spec.task,
        estimator=job.spec.estimator,
        metrics=job.spec.evaluation.metrics,
        stable=VersionOrder(name=stable.name, uri=stable.uri, digest=stable.digest) if stable else None,
        tuning=job.spec.tuning,
        seed=job.spec.seed,
        label_dataset=status.labels,
        new_rows=_repeats(job, status) or None,
    )


def _repeats(job: TrainingJob, status: TrainingJobStatus) -> bool:
    """Return whether a retraining would only repeat the version in service, if no served rows were added."""
    retrains = job.spec.served_rows is not None and status.cause is not None and status.cause.kind == "DriftMonitor"
    pinned, stable = status.dataset, status.compared_with
    return retrains and pinned is not None and stable is not None and stable.dataset_digest == pinned.digest


def _complete(
    job: TrainingJob,
    status: TrainingJobStatus,
    version: str,
    trained: Trained,
    world: World,
    installation: Installation,
    now: datetime,
) -> Plan:
    """Publish the reported ModelVersion; its metrics stay in the status when the Job is gone."""
    holdout = next((measured.metrics for measured in trained.evaluation if measured.on == "Holdout"), {})
    status = status.model_copy(
        update={
            "metrics": holdout,
            "progress": _progress(trained),
            "best": _best(job, trained, holdout),
            "score": gates.score(trained.evaluation, tuple(dict.fromkeys((*job.spec.evaluation.metrics, *holdout)))),
            "model_version": version,
            "report_uri": trained.report_uri,
            "completed_at": now.replace(microsecond=0),
        }
    )
    conditions = _final_conditions(status.model_copy(update={"conditions": ()}), complete=True)
    # Created once: a version that a user deletes stays deleted.
    exists = world.get(ModelVersion.kind_name, job.namespace, version) is not None
    ensure = () if exists else (versions.model_version(job, version, trained, installation.workload_image),)
    scores = ", ".join(f"{name} {value:.3f}" for name, value in list(holdout.items())[:3])
    notice = Notice("ModelVersionPublished", f"{version}: {scores}{_search_result(trained)}")
    return Plan(with_conditions(job, status, conditions, now), ensure=ensure, notices=(notice,))


def _bounded(warnings: Sequence[str]) -> tuple[str, ...]:
    """Return warnings as a status holds them: the last one says how many more there are.

    >>> _bounded([str(number) for number in range(20)])[-2:]
    ('14', '5 more warnings; see the report')
    """
    texts = tuple(warning[:WARNING_LENGTH] for warning in warnings)
    if len(texts) <= MAX_WARNINGS:
        return texts
    return (*texts[: MAX_WARNINGS - 1], f"{len(texts) - MAX_WARNINGS + 1} more warnings; see the report")


def _progress(trained: Trained) -> RunProgress:
    """Return the final progress; a run without a search is a single trial."""
    if (search := trained.search) is None:
        return RunProgress(percentage=100, trials_completed=1)
    return RunProgress(
        percentage=100, trials_completed=search.completed, trials_failed=search.failed, trials_pruned=search.pruned
    )


def _search_result(trained: Trained) -> str:
    """Return the parameters that a search chose, for the end of a message."""
    if (search := trained.search) is None:
        return ""
    tried = search.completed + search.failed + search.pruned
    chosen = ", ".join(f"{name}={value}" for name, value in list(search.parameters.items())[:3])
    return f"; trial {search.trial} of {tried} was the best, with {chosen}"


def _best(job: TrainingJob, trained: Trained, holdout: dict[str, float]) -> Best:
    parameters = versions.parameters(job, trained)
    if (search := trained.search) is None:
        return Best(parameters=parameters, metrics=holdout)
    return Best(trial=search.trial, parameters=parameters, objective=search.score, metrics=holdout)


def _conditions(job: TrainingJob, progress: Progress) -> list[PendingCondition]:
    failure, run = progress.failure, progress.run
    if failure is None and run.queued:
        return [false("Ready", Reason.QUEUED, run.message), true("Suspended", Reason.QUEUED, run.message)]
    if failure is None:
        message = run.message or f"attempt {progress.attempt.number} is running"
        conditions = [unknown("Ready", run.reason, message), true("Reconciling", run.reason, message)]
        return [*conditions, true("Running", Reason.PROGRESSING)] if run.phase == "Running" else conditions
    if progress.wake is not None:
        message = f"{failure.message} (attempt {progress.attempt.number} failed; retrying)"
        return [false("Ready", failure.reason, message), true("Reconciling", Reason.RETRYING, message)]
    return [
        false("Ready", failure.reason, failure.message),
        true("Failed", failure.reason, failure.message),
        true("Stalled", failure.reason, failure.message),
    ]


def _final_conditions(status: TrainingJobStatus, *, complete: bool = False) -> list[PendingCondition]:
    """Return the conditions of a run that is over; they never change."""
    if complete or status.model_version or status.is_true("Complete"):
        message = f"published {status.model_version}"
        return [true("Ready", Reason.SUCCEEDED, message), true("Complete", Reason.SUCCEEDED, message)]
    return [
        PendingCondition(type=c.type, status=c.status, reason=c.reason, message=c.message) for c in status.conditions
    ]


def _running(job: TrainingJob, world: World) -> tuple[Retirement, ...]:
    """Return the unfinished Jobs of this run, to be stopped."""
    return tuple(
        Retirement(
            Key("Job", job.namespace, child["metadata"]["name"]), child["metadata"]["uid"], "spec.suspend is set"
        )
        for child in world.owned("Job", job.metadata.uid)
        if is_ours(child, job.metadata.uid) and not (child.get("status") or {}).get("completionTime")
    )
