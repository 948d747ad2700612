"""Monitors, services and retrainings as the policy sees them, with only what a claim is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tidemill.api import API_VERSION, Dataset, DriftMonitor, InferenceService, ModelVersion, TrainingJob
from tidemill.api.monitorstatus import CheckStatus, Reference, RetrainingOutcome, WindowRun
from tidemill.plan.driftmonitor.retraining.inputs import RetrainingInput

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
DIGEST = "sha256:" + "d" * 64


def ago(**duration: float) -> datetime:
    return NOW - timedelta(**duration)


def monitor(
    annotations: dict[str, str] | None = None, retraining: dict[str, Any] | None = None, **spec: Any
) -> DriftMonitor:
    base: dict[str, Any] = {
        "target": {"inferenceService": "fraud"},
        "checks": [{"name": "inputs", "type": "FeatureDrift", "failing": 0.2}],
        "retraining": {"template": {"trainingJob": "fraud-first"}, **(retraining or {})},
    }
    return DriftMonitor.model_validate(
        {
            "metadata": {"name": "fraud", "namespace": "shop", "uid": "u-1", "annotations": annotations or {}},
            "spec": {**base, **spec},
        }
    )


def service(rollout: str = "", stable: str = "fraud-1", history: tuple[dict[str, Any], ...] = ()) -> InferenceService:
    status: dict[str, Any] = {
        "stable": {"version": stable, "digest": DIGEST, "replicas": 2, "ready": 2},
        "history": list(history),
    }
    if rollout:
        moment = "2026-01-05T11:00:00Z"
        status["rollout"] = {"phase": "Progressing", "version": rollout, "startedAt": moment, "stepStartedAt": moment}
    return InferenceService.model_validate(
        {
            "metadata": {"name": "fraud", "namespace": "shop", "uid": "u-2"},
            "spec": {"model": {"name": "fraud"}},
            "status": status,
        }
    )


def training_job(name: str = "fraud-first", **extra: Any) -> TrainingJob:
    return TrainingJob.model_validate(
        {
            "metadata": {"name": name, "namespace": "shop", "creationTimestamp": "2026-01-05T10:00:00Z", **extra},
            "spec": {
                "modelName": "fraud",
                "dataset": {"name": "payments"},
                "estimator": {"name": "sklearn.linear_model.LogisticRegression"},
            },
        }
    )


def version(name: str = "fraud-1", *, trained_on: str = "a", hour: int = 1, **spec: Any) -> ModelVersion:
    return ModelVersion.model_validate(
        {
            "apiVersion": API_VERSION,
            "kind": "ModelVersion",
            "metadata": {"name": name, "namespace": "shop", "creationTimestamp": f"2026-01-05T{hour:02}:00:00Z"},
            "spec": {
                "modelName": "fraud",
                "artifact": {"uri": "s3://b/m", "digest": DIGEST},
                "lineage": {"datasets": [{"name": "payments", "digest": "sha256:" + trained_on * 64}]},
                **spec,
            },
        }
    )


def dataset(revision: str = "a", **spec: Any) -> Dataset:
    return Dataset.model_validate(
        {
            "metadata": {"name": "payments", "namespace": "shop"},
            "spec": {"source": {"uri": "s3://lake/p.parquet"}, **spec},
            "status": {
                "revision": {
                    "digest": "sha256:" + revision * 64,
                    "uri": f"s3://tidemill/shop/datasets/payments/{revision}",
                    "rows": 10,
                    "bytes": 10,
                    "columns": 2,
                    "createdAt": "2026-01-05T11:30:00Z",
                }
            },
        }
    )


def run(
    samples: int = 500, labelled: int = 400, verdict: str = "Failing", unknown_labels: int | None = None
) -> WindowRun:
    return WindowRun.model_validate(
        {
            "start": ago(hours=1),
            "end": NOW,
            "version": "fraud-1",
            "samples": samples,
            "labelled": labelled,
            "unknownLabels": unknown_labels,
            "verdict": verdict,
        }
    )


def check(
    type_: str = "FeatureDrift", verdict: str = "Failing", *, name: str = "", hits: int = 2, **extra: Any
) -> CheckStatus:
    return CheckStatus.model_validate(
        {"name": name or type_.lower(), "type": type_, "verdict": verdict, "consecutive": hits, "message": "m", **extra}
    )


def past(outcome: str, name: str = "r", *, at: datetime | None = None, **extra: Any) -> RetrainingOutcome:
    return RetrainingOutcome.model_validate({"trainingJob": name, "outcome": outcome, "at": at or ago(days=3), **extra})


def retraining_input(**changes: Any) -> RetrainingInput:
    """Return inputs in which a drift has lasted and nothing holds a retraining back."""
    watched = changes.pop("monitor", monitor())
    policy = watched.spec.retraining
    assert policy is not None
    clear = RetrainingInput(
        monitor=watched,
        policy=policy,
        reference=Reference(version="fraud-1", digest=DIGEST, since=ago(days=2)),
        service=service(),
        version=version(),
        template=training_job(),
        dataset=dataset(),
        last_run=run(),
        checks=(check(),),
        history=(),
        newest_version="fraud-1",
        elsewhere=None,
        yields_to="",
        now=NOW,
    )
    return replace(clear, **changes)


def quiet_input(**changes: Any) -> RetrainingInput:
    """Return inputs in which nothing triggers a retraining."""
    passing: dict[str, Any] = {"last_run": run(verdict="Passing"), "checks": (check(verdict="Passing", hits=0),)}
    return retraining_input(**{**passing, **changes})
