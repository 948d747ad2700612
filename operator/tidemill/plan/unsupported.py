"""What the schemas accept and this version does not do yet: said in a `Stalled` condition, never passed over in silence.

Every planner asks here before it decides anything. A hit starts nothing new and takes nothing away: revisions stay in
use, a service goes on answering, and without the field the object is planned as ever. A feature that arrives takes its
row out of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from tidemill.api import AnyResource, Dataset, DriftMonitor, InferenceService, ModelVersion, TrainingJob
from tidemill.api.conditions import PendingCondition, Reason, Status, false, true
from tidemill.api.dataset import DatasetSpec
from tidemill.api.modelversion import Gate
from tidemill.plan.types import Notice


@dataclass(frozen=True, slots=True)
class Limit:
    """One field that is accepted and not acted on yet."""

    path: str
    """Where it stands, as a user writes it."""
    is_asked: Callable[[Any], bool]
    """Whether a spec asks for it."""
    remedy: str
    """What to do instead; completes the sentence `this version does not act on the field yet; …`."""
    example: dict[str, Any] = field(default_factory=dict)
    """Fields of a spec that ask for it, laid over any that does not; None takes a field away."""


_S3 = "copy the rows to S3 and name them in spec.source.uri"
_ESTIMATOR = "name one in spec.estimator"
_SEARCH = {
    "objective": {"metric": "roc_auc"},
    "parameters": [{"name": "C", "searchSpace": {"uniform": {"min": 0.1, "max": 10}}}],
}
_REGISTRY = {"mlflow": {"trackingUri": "https://mlflow.example", "registeredModel": "fraud"}}
_GATE = "leave the gate out, and look at the report"


def _source(name: str) -> Callable[[DatasetSpec], bool]:
    return lambda spec: getattr(spec.source, name) is not None


def _judges_latency(gates: Iterable[Gate]) -> bool:
    return any(gate.metric.startswith("Latency") for gate in gates)


DATASET: Final[tuple[Limit, ...]] = (
    Limit(
        "spec.source.uri",
        lambda spec: spec.source.uri is not None and not spec.source.uri.startswith(("s3://", "sklearn://", "file://")),
        "only s3:// and sklearn:// are read; copy the rows to S3",
        {"source": {"uri": "gs://lake/payments.parquet"}},
    ),
    Limit(
        "spec.source.dvc",
        _source("dvc"),
        f"run dvc pull, then {_S3}",
        {"source": {"dvc": {"repo": "https://git.example/data.git", "path": "data/payments.parquet"}}},
    ),
    Limit(
        "spec.source.gitLfs",
        _source("git_lfs"),
        f"run git lfs pull, then {_S3}",
        {"source": {"gitLfs": {"repo": "https://git.example/data.git", "path": "payments.csv"}}},
    ),
    Limit(
        "spec.source.pachyderm",
        _source("pachyderm"),
        "read its S3 gateway by spec.source.uri, with spec.credentials",
        {"source": {"pachyderm": {"repo": "payments"}}},
    ),
    Limit(
        "spec.source.mlflow",
        _source("mlflow"),
        _S3,
        {"source": {"mlflow": {"runId": "0" * 32, "artifactPath": "payments.parquet"}}},
    ),
    Limit(
        "spec.source.feast",
        _source("feast"),
        f"write the historical features to a file, then {_S3}",
        {"source": {"feast": {"entities": {"name": "buyers"}, "featureService": "fraud"}}},
    ),
    Limit(
        "spec.source.datasets",
        _source("datasets"),
        f"put them together elsewhere, then {_S3}",
        {"source": {"datasets": [{"name": "raw"}]}},
    ),
    Limit(
        "spec.transform",
        lambda spec: spec.transform is not None,
        "make the rows as they should be before they are read",
        {"transform": {"sql": "SELECT * FROM source"}},
    ),
    Limit(
        "spec.splits.strategy Time",
        lambda spec: spec.splits.strategy == "Time",
        "use Random, Stratified or Group",
        {"splits": {"strategy": "Time", "column": "bought"}},
    ),
    Limit(
        "spec.refresh.schedule",
        lambda spec: spec.refresh.schedule is not None,
        "use spec.refresh.interval",
        {"refresh": {"schedule": "0 2 * * *"}},
    ),
    Limit(
        "spec.refresh.onUpstreamChange",
        lambda spec: spec.refresh.on_upstream_change,
        "use spec.refresh.interval: the same rows make no new revision",
        {"refresh": {"onUpstreamChange": True}},
    ),
    Limit(
        "spec.refresh.rateLimit",
        lambda spec: spec.refresh.rate_limit is not None,
        "only spec.refresh.interval asks for another look; make it longer",
        {"refresh": {"rateLimit": "6h"}},
    ),
)
TRAINING_JOB: Final[tuple[Limit, ...]] = (
    Limit(
        "spec.automl",
        lambda spec: spec.automl is not None,
        f"{_ESTIMATOR} of another TrainingJob",
        {"estimator": None, "automl": {"timeBudget": "30m"}},
    ),
    Limit(
        "spec.trainer",
        lambda spec: spec.trainer is not None,
        f"{_ESTIMATOR} of another TrainingJob, or bring the model as a ModelVersion",
        {"estimator": None, "trainer": {"image": "registry/train@sha256:" + "0" * 64}},
    ),
    Limit(
        "spec.tuning.algorithm CMAES and Hyperopt",
        lambda spec: spec.tuning is not None and spec.tuning.algorithm in ("CMAES", "Hyperopt"),
        "use TPE, Random or Grid in another TrainingJob",
        {"tuning": {**_SEARCH, "algorithm": "CMAES"}},
    ),
    Limit(
        "spec.tuning.parallelTrials",
        lambda spec: spec.tuning is not None and spec.tuning.parallel_trials > 1,
        "leave it out of another TrainingJob: trials follow one another, and many estimators use all processors by n_jobs",
        {"tuning": {**_SEARCH, "parallelTrials": 2}},
    ),
    Limit(
        "spec.tuning.workers",
        lambda spec: spec.tuning is not None and spec.tuning.workers > 1,
        "leave it out of another TrainingJob: one pod makes all trials; give it more by spec.resources",
        {"tuning": {**_SEARCH, "workers": 2}},
    ),
    Limit(
        "spec.tuning.earlyStopping",
        lambda spec: spec.tuning is not None and spec.tuning.early_stopping != "None",
        "leave it out of another TrainingJob, and bound the search by numTrials and timeout",
        {"tuning": {**_SEARCH, "earlyStopping": "MedianStop"}},
    ),
    Limit(
        "spec.estimator.steps",
        lambda spec: spec.estimator is not None and spec.estimator.steps is not None,
        "use spec.estimator.preprocessing of another TrainingJob",
        {
            "estimator": {
                "name": "sklearn.linear_model.LogisticRegression",
                "steps": [{"name": "sklearn.preprocessing.StandardScaler"}],
            }
        },
    ),
    Limit(
        "spec.evaluation.slices",
        lambda spec: bool(spec.evaluation.slices),
        "make another TrainingJob without it",
        {"evaluation": {"slices": ["country"]}},
    ),
    Limit(
        "spec.evaluation.fairness",
        lambda spec: bool(spec.evaluation.fairness),
        "make another TrainingJob without it",
        {
            "evaluation": {
                "fairness": [{"column": "gender", "metrics": ["EqualizedOddsDifference"], "favorable": "no"}],
            }
        },
    ),
    Limit(
        "spec.evaluation.explain Shap",
        lambda spec: spec.evaluation.explain == "Shap",
        "use Importance in another TrainingJob",
        {"evaluation": {"explain": "Shap"}},
    ),
    Limit(
        "spec.version.gates[].slices",
        lambda spec: any(gate.slices for gate in spec.version.gates),
        _GATE,
        {"version": {"gates": [{"metric": "accuracy", "minimum": 0.9, "slices": "country"}]}},
    ),
    Limit(
        "spec.version.gates[].column",
        lambda spec: any(gate.column for gate in spec.version.gates),
        _GATE,
        {"version": {"gates": [{"metric": "DemographicParityDifference", "column": "gender", "maximum": 0.1}]}},
    ),
    Limit(
        "spec.version.gates[].metric LatencyP95",
        lambda spec: _judges_latency(spec.version.gates),
        "judge it while the version is rolled out, by the service's spec.rollout.analysis",
        {"version": {"gates": [{"metric": "LatencyP95", "maximum": 0.05}]}},
    ),
    Limit(
        "spec.version.exports",
        lambda spec: spec.version.exports is not None,
        "register the version by hand",
        {"version": {"exports": _REGISTRY}},
    ),
)
MODEL_VERSION: Final[tuple[Limit, ...]] = (
    Limit(
        "spec.artifact.digest left out",
        lambda spec: not spec.artifact.digest,
        "name the digest of the artefact's manifest in another ModelVersion",
        {"artifact": {"uri": "s3://lake/models/fraud"}},
    ),
    Limit(
        "spec.artifact.uri",
        lambda spec: not spec.artifact.uri.startswith(("s3://", "file://")),
        "only s3:// is loaded; copy the artefact there, and make another ModelVersion",
        {"artifact": {"uri": "models:/fraud@champion", "digest": "sha256:" + "0" * 64}},
    ),
    Limit(
        "spec.artifact.format MLflow",
        lambda spec: spec.artifact.format == "MLflow",
        "bring the model as Skops or ONNX, in another ModelVersion",
        {"artifact": {"uri": "s3://lake/models/fraud", "digest": "sha256:" + "0" * 64, "format": "MLflow"}},
    ),
    Limit(
        "spec.gates[].slices",
        lambda spec: any(gate.slices for gate in spec.gates),
        _GATE,
        {"gates": [{"metric": "accuracy", "minimum": 0.9, "slices": "country"}]},
    ),
    Limit(
        "spec.gates[].column",
        lambda spec: any(gate.column for gate in spec.gates),
        _GATE,
        {"gates": [{"metric": "DemographicParityDifference", "column": "gender", "maximum": 0.1}]},
    ),
    Limit(
        "spec.gates[].metric LatencyP95",
        lambda spec: _judges_latency(spec.gates),
        "judge it while the version is rolled out, by the service's spec.rollout.analysis",
        {"gates": [{"metric": "LatencyP95", "maximum": 0.05}]},
    ),
    Limit(
        "spec.exports",
        lambda spec: spec.exports is not None,
        "register the version by hand",
        {"exports": _REGISTRY},
    ),
)
INFERENCE_SERVICE: Final[tuple[Limit, ...]] = ()
DRIFT_MONITOR: Final[tuple[Limit, ...]] = ()
LIMITS: Final[dict[str, tuple[Limit, ...]]] = {
    Dataset.kind_name: DATASET,
    TrainingJob.kind_name: TRAINING_JOB,
    ModelVersion.kind_name: MODEL_VERSION,
    InferenceService.kind_name: INFERENCE_SERVICE,
    DriftMonitor.kind_name: DRIFT_MONITOR,
}


def refusal(resource: AnyResource) -> tuple[PendingCondition, ...]:
    """What is said of an object that asks for something this version does not do; nothing where all of it is done."""
    hits = [limit for limit in LIMITS[resource.kind_name] if limit.is_asked(resource.spec)]
    if not hits:
        return ()
    message = "; ".join(f"this version does not act on {hit.path} yet: {hit.remedy}" for hit in hits)
    return false("Ready", Reason.UNSUPPORTED, message), true("Stalled", Reason.UNSUPPORTED, message)


def instead(refused: tuple[PendingCondition, ...], said: list[PendingCondition]) -> list[PendingCondition]:
    """What else is true of the object, with the refusal in place of whatever sums it up."""
    summary = {"Ready", "Reconciling", "Stalled"}
    return [*refused, *(statement for statement in said if statement.type not in summary)] if refused else said


def notices(before: Status, refused: tuple[PendingCondition, ...]) -> tuple[Notice, ...]:
    """An Event when the refusal is new."""
    ready = before.condition("Ready")
    if not refused or (ready is not None and ready.message == refused[0].message):
        return ()
    return (Notice(Reason.UNSUPPORTED, refused[0].message, "Warning"),)
