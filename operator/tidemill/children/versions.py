"""The objects that outlive who made them: ModelVersions of a run, TrainingJobs of a monitor. They are labelled, not owned."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from tidemill.api import API_VERSION, DriftMonitor, ModelVersion, TrainingJob
from tidemill.api.base import to_rfc3339
from tidemill.api.modelversion import Artifact, DatasetUsed, Lineage, ModelVersionSpec
from tidemill.api.trainingjob import Cause, ServedRows
from tidemill.children import names
from tidemill.contract import Trained


def model_version(job: TrainingJob, name: str, trained: Trained, image: str) -> dict[str, Any]:
    """The ModelVersion that a run published."""
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
            parameters=estimator.parameters if estimator else {},
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
    if monitor := job.metadata.labels.get(names.MONITOR):
        metadata["labels"][names.MONITOR] = monitor
    return {"apiVersion": API_VERSION, "kind": ModelVersion.kind_name, "metadata": metadata, "spec": spec.to_wire()}


def retraining(
    monitor: DriftMonitor,
    template: TrainingJob,
    name: str,
    *,
    start: datetime,
    recent: datetime,
    end: datetime,
    checks: tuple[str, ...],
) -> dict[str, Any]:
    """The TrainingJob that answers a drift: the template's spec, with the rows served between `start` and `end`.

    Those from `recent` on are the ones that drifted: they become the new version's reference.
    """
    policy = monitor.spec.retraining
    assert policy is not None, "only a monitor with a retraining policy retrains"
    served = ServedRows(
        inference_service=monitor.spec.target.inference_service,
        start=start,
        end=end,
        recent_start=max(start, recent),
        combine=policy.template.served_rows.combine,
    )
    spec = template.spec.model_copy(update={"served_rows": served, "suspend": False})
    cause = Cause(kind=DriftMonitor.kind_name, name=monitor.name, checks=checks, at=end)
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


def moment(when: datetime) -> str:
    """A moment as part of a name's digest."""
    return to_rfc3339(when)
