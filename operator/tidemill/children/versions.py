"""Build the objects that outlive their creator: ModelVersions of a run, TrainingJobs of a monitor. They are labelled, not owned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidemill.api import API_VERSION, DriftMonitor, ModelVersion, TrainingJob
from tidemill.api.base import Parameter
from tidemill.api.modelversion import Artifact, DatasetUsed, Lineage, ModelVersionSpec
from tidemill.api.retraining import Retraining, RetrainingCause
from tidemill.api.trainingjob import Cause, ServedRows
from tidemill.children import names
from tidemill.contract.reports import Trained


def model_version(job: TrainingJob, name: str, trained: Trained, image: str) -> dict[str, Any]:
    """Return the ModelVersion that a run published."""
    pinned = job.status.dataset
    assert pinned is not None, "a run that published has pinned its revision"
    estimator = job.spec.estimator
    cause = job.status.cause
    spec = ModelVersionSpec(
        model_name=job.spec.model_name,
        artifact=Artifact(uri=trained.uri, digest=trained.digest, format=trained.format),
        evaluation=trained.evaluation,
        lineage=Lineage(
            training_job=job.name,
            datasets=(DatasetUsed(name=pinned.name, digest=pinned.digest),),
            estimator=estimator.name if estimator else "",
            parameters=parameters(job, trained),
            seed=job.spec.seed,
            image=image,
            parents=(job.status.compared_with.name,) if job.status.compared_with else (),
            monitor=cause.name if cause and cause.kind == DriftMonitor.kind_name else "",
            started_by=job.spec.started_by,
        ),
        gates=job.spec.version.gates,
        approval=job.spec.version.approval,
        card=job.spec.version.card,
        exports=job.spec.version.exports,
    )
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": job.namespace,
        "labels": {
            names.MANAGED_BY: names.MANAGER,
            names.MODEL: job.spec.model_name,
            names.TRAINING_JOB: job.name[:63],
        },
    }
    if job.spec.evaluation.metrics:
        metadata["annotations"] = {names.METRICS: ",".join(job.spec.evaluation.metrics)}
    if monitor := job.metadata.labels.get(names.MONITOR):
        metadata["labels"][names.MONITOR] = monitor
    return {"apiVersion": API_VERSION, "kind": ModelVersion.kind_name, "metadata": metadata, "spec": spec.to_wire()}


def parameters(job: TrainingJob, trained: Trained) -> dict[str, Parameter]:
    """Return the parameters of a run's estimator: those of the spec, with those that a search chose."""
    estimator, search = job.spec.estimator, trained.search
    return {**(estimator.parameters if estimator else {}), **(search.parameters if search else {})}


@dataclass(frozen=True, slots=True)
class ServedWindow:
    """The served rows of a retraining; those from `recent` on are what the new version will meet."""

    start: datetime
    recent: datetime
    end: datetime


def retraining(
    monitor: DriftMonitor,
    template: TrainingJob,
    version: ModelVersion,
    name: str,
    *,
    window: ServedWindow,
    trigger: RetrainingCause,
    since: datetime,
    checks: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the TrainingJob that answers a trigger: the template's spec, with the rows served in `window`.

    The recent rows are those that drifted: they become the new version's reference. `version` is the one in service.
    """
    policy = monitor.spec.retraining
    assert policy is not None, "only a monitor with a retraining policy retrains"
    data = policy.template.data
    served = ServedRows(
        inference_service=monitor.log,
        start=window.start,
        end=window.end,
        recent_start=max(window.start, min(window.recent, window.end)),
        combine=data.combine,
        balance=data.balance,
    )
    spec = template.spec.model_copy(
        update={"served_rows": served, "suspend": False, **_parameters(policy, template, version)}
    )
    cause = Cause(
        kind=DriftMonitor.kind_name, name=monitor.name, checks=checks, at=window.end, trigger=trigger, since=since
    )
    queue = {
        label: template.metadata.labels[label] for label in names.QUEUE_LABELS if label in template.metadata.labels
    }
    return {
        "apiVersion": API_VERSION,
        "kind": TrainingJob.kind_name,
        "metadata": {
            "name": name,
            "namespace": monitor.namespace,
            "labels": {
                names.MANAGED_BY: names.MANAGER,
                names.MODEL: template.spec.model_name,
                names.MONITOR: monitor.name,
                **queue,
            },
            "annotations": {names.CAUSE: cause.model_dump_json(by_alias=True, exclude_none=True)},
        },
        "spec": spec.to_wire(),
    }


def _parameters(policy: Retraining, template: TrainingJob, version: ModelVersion) -> dict[str, Any]:
    """Return the changes to a template with a search: SameParameters uses the parameters of the version in service."""
    lineage = version.spec.lineage
    if (
        policy.strategy == "Retune"
        or template.spec.tuning is None
        or template.spec.estimator is None
        or lineage.estimator != template.spec.estimator.name
    ):
        return {}
    return {"tuning": None, "estimator": template.spec.estimator.model_copy(update={"parameters": lineage.parameters})}
