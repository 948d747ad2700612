"""The fields that the schemas accept and this version does not act on yet.

The planners answer such an object with a `Stalled` condition, and the reference names each field as not supported yet:
both read this one table. A feature that arrives takes its row out of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from tidemill.api import Dataset, DriftMonitor, InferenceService, ModelVersion, TrainingJob
from tidemill.api.dataset import DatasetSpec
from tidemill.api.modelversion import Gate


@dataclass(frozen=True, slots=True)
class Limit:
    """One field, or one value of it, that is accepted and not acted on yet."""

    path: str
    """The field as a user writes it; `[]` follows the name of a list."""
    is_set: Callable[[Any], bool]
    """Return whether a spec asks for it."""
    remedy: str
    """What to do instead, in the imperative; completes the sentence `… is not supported yet; …`."""
    example: dict[str, Any] = field(default_factory=dict)
    """Fields of a spec that ask for it, laid over any that does not; None takes a field away."""
    values: str = ""
    """Which values of the field are meant, in words; empty where it is the whole field."""

    @property
    def message(self) -> str:
        """Return the sentence for a condition, without a stop."""
        return f"{self.path}{f' {self.values}' if self.values else ''} is not supported yet; {self.remedy}"

    @property
    def note(self) -> str:
        """Return the sentence for the field's own description."""
        return f"Not supported yet{f' ({self.values})' if self.values else ''}: {self.remedy}."


_S3 = "copy the rows to S3 and set spec.source.uri"
_ESTIMATOR = "set spec.estimator"
_SEARCH = {
    "objective": {"metric": "roc_auc"},
    "parameters": [{"name": "C", "searchSpace": {"uniform": {"min": 0.1, "max": 10}}}],
}
_REGISTRY = {"mlflow": {"trackingUri": "https://mlflow.example", "registeredModel": "fraud"}}
_GATE = "remove the gate and check the report"


def _source(name: str) -> Callable[[DatasetSpec], bool]:
    return lambda spec: getattr(spec.source, name) is not None


def _judges_latency(gates: Iterable[Gate]) -> bool:
    return any(gate.metric.startswith("Latency") for gate in gates)


DATASET: Final[tuple[Limit, ...]] = (
    Limit(
        "spec.source.uri",
        lambda spec: spec.source.uri is not None and spec.source.uri.startswith("oci://"),
        "copy the rows to S3",
        {"source": {"uri": "oci://registry.example/payments:1"}},
        "beginning with oci://",
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
        "read its S3 gateway with spec.source.uri and spec.credentials",
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
        "spec.transform.image",
        lambda spec: spec.transform is not None and spec.transform.image is not None,
        "use spec.transform.sql",
        {"transform": {"image": "registry/prepare@sha256:" + "0" * 64}},
    ),
    Limit(
        "spec.splits.strategy",
        lambda spec: spec.splits.strategy == "Time",
        "use Random, Stratified or Group",
        {"splits": {"strategy": "Time", "column": "bought"}},
        "'Time'",
    ),
)
TRAINING_JOB: Final[tuple[Limit, ...]] = (
    Limit(
        "spec.automl",
        lambda spec: spec.automl is not None,
        f"{_ESTIMATOR}",
        {"estimator": None, "automl": {"timeBudget": "30m"}},
    ),
    Limit(
        "spec.trainer",
        lambda spec: spec.trainer is not None,
        f"{_ESTIMATOR}, or import the model as a ModelVersion",
        {"estimator": None, "trainer": {"image": "registry/train@sha256:" + "0" * 64}},
    ),
    Limit(
        "spec.tuning.algorithm",
        lambda spec: spec.tuning is not None and spec.tuning.algorithm in ("CMAES", "Hyperopt"),
        "use TPE, Random or Grid",
        {"tuning": {**_SEARCH, "algorithm": "CMAES"}},
        "'CMAES' or 'Hyperopt'",
    ),
    Limit(
        "spec.tuning.parallelTrials",
        lambda spec: spec.tuning is not None and spec.tuning.parallel_trials > 1,
        "remove it (many estimators use all processors through n_jobs)",
        {"tuning": {**_SEARCH, "parallelTrials": 2}},
    ),
    Limit(
        "spec.tuning.workers",
        lambda spec: spec.tuning is not None and spec.tuning.workers > 1,
        "remove it and raise spec.resources (one pod runs all trials)",
        {"tuning": {**_SEARCH, "workers": 2}},
    ),
    Limit(
        "spec.tuning.earlyStopping",
        lambda spec: spec.tuning is not None and spec.tuning.early_stopping != "None",
        "remove it and limit the search with numTrials and timeout",
        {"tuning": {**_SEARCH, "earlyStopping": "MedianStop"}},
    ),
    Limit(
        "spec.estimator.steps",
        lambda spec: spec.estimator is not None and spec.estimator.steps is not None,
        "use spec.estimator.preprocessing",
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
        "remove it",
        {"evaluation": {"slices": ["country"]}},
    ),
    Limit(
        "spec.evaluation.fairness",
        lambda spec: bool(spec.evaluation.fairness),
        "remove it",
        {
            "evaluation": {
                "fairness": [{"column": "gender", "metrics": ["EqualizedOddsDifference"], "favorable": "no"}],
            }
        },
    ),
    Limit(
        "spec.evaluation.explain",
        lambda spec: spec.evaluation.explain == "Shap",
        "use Importance",
        {"evaluation": {"explain": "Shap"}},
        "'Shap'",
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
        "spec.version.gates[].metric",
        lambda spec: _judges_latency(spec.version.gates),
        "check the latency during the rollout with spec.rollout.analysis of the InferenceService",
        {"version": {"gates": [{"metric": "LatencyP95", "maximum": 0.05}]}},
        "'LatencyP95'",
    ),
    Limit(
        "spec.version.exports",
        lambda spec: spec.version.exports is not None,
        "register the version manually",
        {"version": {"exports": _REGISTRY}},
    ),
)
MODEL_VERSION: Final[tuple[Limit, ...]] = (
    Limit(
        "spec.artifact.digest",
        lambda spec: not spec.artifact.digest,
        "set the digest of the artifact's manifest in another ModelVersion",
        {"artifact": {"uri": "s3://lake/models/fraud"}},
        "left empty",
    ),
    Limit(
        "spec.artifact.uri",
        lambda spec: not spec.artifact.uri.startswith(("s3://", "file://")),
        "copy the artifact to S3 and create another ModelVersion",
        {"artifact": {"uri": "models:/fraud@champion", "digest": "sha256:" + "0" * 64}},
        "other than s3://",
    ),
    Limit(
        "spec.artifact.format",
        lambda spec: spec.artifact.format == "MLflow",
        "import the model as Skops or ONNX in another ModelVersion",
        {"artifact": {"uri": "s3://lake/models/fraud", "digest": "sha256:" + "0" * 64, "format": "MLflow"}},
        "'MLflow'",
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
        "spec.gates[].metric",
        lambda spec: _judges_latency(spec.gates),
        "check the latency during the rollout with spec.rollout.analysis of the InferenceService",
        {"gates": [{"metric": "LatencyP95", "maximum": 0.05}]},
        "'LatencyP95'",
    ),
    Limit(
        "spec.exports",
        lambda spec: spec.exports is not None,
        "register the version manually",
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
