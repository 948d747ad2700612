"""TrainingJob: one run that trains on a Dataset revision and makes a ModelVersion."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from tidemill.api.base import (
    ColumnName,
    Digest,
    Duration,
    MetricName,
    Name,
    Parameter,
    Percent,
    PrinterColumn,
    Quantities,
    Resource,
    Rule,
    Scalar,
    Timestamp,
    WireModel,
    at_least_a_second,
    unchanged,
)
from tidemill.api.conditions import Status
from tidemill.api.dataset import Attempt
from tidemill.api.feedback import PinnedLabels
from tidemill.api.modelversion import Approval, Card, Exports, Gate, User
from tidemill.api.retraining import RetrainingCause
from tidemill.api.tuning import Automl, Trainer, Tuning

Task = Literal["Classification", "Regression"]


class DatasetReference(WireModel):
    """A Dataset and its revision."""

    name: Name
    """Name of the Dataset."""
    revision: str = Field(default="Latest", pattern="^(Latest|sha256:[0-9a-f]{64})$", max_length=71)
    """`Latest` when the run starts, or a digest; the status records the pinned revision."""


_A_DAY: Final = {"inferenceService": "fraud", "start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}


class ServedRows(WireModel):
    """Rows that a service has predicted, joined with the labels that were received for them."""

    inference_service: Name
    """InferenceService whose prediction log is read."""
    start: Timestamp
    """Start of the window."""
    end: Timestamp
    """End of the window; it contains earlier rows only."""
    recent_start: Timestamp | None = None
    """Start of the recent rows: they become the reference profile of the version and the rows of RecentLabelled
    gates. All rows of the window if empty."""
    combine: Literal["Append", "Replace"] = "Append"
    """Append adds the rows to those of the Dataset; Replace trains on them alone. The hold-out of the Dataset stays
    as it is."""
    balance: Literal["None", "Sources", "Classes"] = "None"
    """Sources gives served rows and Dataset rows the same total weight; Classes gives each class the same total
    weight."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.start < self.end",
            "start must be before end",
            accepts=_A_DAY,
            rejects={"inferenceService": "fraud", "start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"},
        ),
        Rule(
            "!has(self.recentStart) || (self.start <= self.recentStart && self.recentStart <= self.end)",
            "recentStart must lie between start and end",
            accepts={**_A_DAY, "recentStart": "2026-01-01T12:00:00Z"},
            rejects={**_A_DAY, "recentStart": "2026-01-03T00:00:00Z"},
        ),
    )


class PreprocessingStep(WireModel):
    """A scikit-learn transformer of some columns."""

    name: str = Field(min_length=1, max_length=256)
    """Import path, such as `sklearn.preprocessing.StandardScaler`."""
    parameters: dict[str, Scalar] = Field(default_factory=dict, max_length=64)
    """Constructor arguments of the transformer."""
    columns: tuple[ColumnName, ...] = Field(default=(), max_length=256)
    """Columns that are transformed; all remaining columns if empty."""


class Fairness(WireModel):
    """Comparison of the predictions for the groups of a column."""

    list_key: ClassVar[str] = "column"

    column: ColumnName
    """Column with the groups, of role Protected."""
    metrics: tuple[Literal["DemographicParityDifference", "EqualizedOddsDifference"], ...] = Field(
        min_length=1, max_length=8
    )
    """Fairness metrics that are computed."""
    favorable: str = Field(min_length=1, max_length=256)
    """Prediction that is favorable for the person."""


class Estimator(WireModel):
    """A scikit-learn estimator by import path."""

    name: str = Field(min_length=1, max_length=256)
    """Import path, such as `sklearn.ensemble.HistGradientBoostingClassifier`. An unsupported one fails the run; the
    message lists the supported ones."""
    parameters: dict[str, Parameter] = Field(default_factory=dict, max_length=64)
    """Constructor arguments, as in scikit-learn's documentation. Each is a string, number, boolean, or a list or map of
    these, such as `hidden_layer_sizes: [64, 32]`; the keys of `class_weight` are labels."""
    preprocessing: Literal["Auto", "None"] = "Auto"
    """Auto imputes, encodes and scales columns by type, as the estimator needs it; None passes them unchanged."""
    steps: tuple[PreprocessingStep, ...] | None = Field(default=None, min_length=1, max_length=16)
    """Transformers that are applied in this order before the estimator, instead of `preprocessing`."""


class Evaluation(WireModel):
    """Evaluation on the hold-out."""

    metrics: tuple[MetricName, ...] = Field(default=(), max_length=32)
    """Scorer names of scikit-learn, such as `roc_auc`; the usual metrics of the task if empty."""
    slices: tuple[ColumnName, ...] = Field(default=(), max_length=32)
    """Columns for whose values the metrics are also computed."""
    fairness: tuple[Fairness, ...] = Field(default=(), max_length=8)
    """Fairness metrics that are computed."""
    explain: Literal["Importance", "Shap"] = "Importance"
    """Importance computes permutation importance per feature; Shap also computes signed contributions per row."""


class VersionTemplate(WireModel):
    """Template of the resulting ModelVersion."""

    gates: tuple[Gate, ...] = Field(default=(), max_length=32)
    """Bounds that the version must keep before it may be served."""
    approval: Approval = Approval()
    """Approval that is required."""
    card: Card | None = None
    """Model card; copied into the version."""
    exports: Exports | None = None
    """Registries that the version is published to."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.approval) || !has(self.approval.decisions) || size(self.approval.decisions) == 0",
            "a version cannot be approved before it exists; write decisions to the ModelVersion",
            accepts={"approval": {"policy": "Manual", "requiredApprovals": 2}},
            rejects={"approval": {"policy": "Manual", "decisions": [{"user": "mallory", "verdict": "Approved"}]}},
        ),
    )


_TUNING = {
    "objective": {"metric": "roc_auc"},
    "parameters": [{"name": "C", "searchSpace": {"logUniform": {"min": 0.01, "max": 10}}}],
}


class TrainingJobSpec(WireModel):
    """Desired state of the TrainingJob: the data and the estimator. They can be corrected until the run has pinned its
    Dataset revision, and are immutable after that."""

    model_name: Name
    """Name of the model that the run makes a version of."""
    dataset: DatasetReference
    """Dataset that the model is trained on."""
    served_rows: ServedRows | None = None
    """Newer labelled rows from the prediction log of a service; DriftMonitors set this when they retrain."""
    task: Literal["Auto", "Classification", "Regression"] = "Auto"
    """Task; Auto decides by the estimator."""
    estimator: Estimator | None = None
    """Estimator that is trained. Set exactly one of estimator, automl and trainer."""
    automl: Automl | None = None
    """Search over several kinds of models. Set exactly one of estimator, automl and trainer."""
    trainer: Trainer | None = None
    """Training image of your own. Set exactly one of estimator, automl and trainer."""
    tuning: Tuning | None = None
    """Search for the best parameters of the estimator; parameters are used as given if empty."""
    evaluation: Evaluation = Evaluation()
    """Evaluation on the hold-out."""
    version: VersionTemplate = VersionTemplate()
    """Gates, approval and card of the resulting ModelVersion."""
    started_by: User | None = None
    """User who starts the run; the API server rejects the name of another user. Required for separation of duties."""
    resources: Quantities | None = None
    """Compute resources of the training pod."""
    seed: int = Field(default=7, ge=0, le=2147483647)
    """Random seed of the run."""
    backoff_limit: int = Field(default=2, ge=0, le=10)
    """Maximum number of retries of a failed run, where a retry can help."""
    active_deadline: Duration = "1h"
    """Maximum duration of one attempt."""
    ttl_after_finished: Duration = "24h"
    """Time for which the finished child Job is kept; the TrainingJob stays."""
    suspend: bool = False
    """Hold the run back, or stop it; setting it to false starts it again."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            unchanged("startedBy"),
            "startedBy is immutable; create another TrainingJob",
            accepts={
                "modelName": "fraud",
                "dataset": {"name": "fraud"},
                "estimator": {"name": "sklearn.linear_model.LogisticRegression"},
            },
            rejects={
                "modelName": "fraud",
                "dataset": {"name": "fraud"},
                "estimator": {"name": "sklearn.linear_model.LogisticRegression"},
                "startedBy": "tidemill-administrator",
            },
        ),
        Rule(
            "[has(self.estimator), has(self.automl), has(self.trainer)].filter(is_set, is_set).size() == 1",
            "set exactly one of estimator, automl and trainer",
            accepts={
                "modelName": "fraud",
                "dataset": {"name": "fraud"},
                "estimator": {"name": "sklearn.linear_model.LogisticRegression"},
            },
            rejects={
                "modelName": "fraud",
                "dataset": {"name": "fraud"},
                "estimator": {"name": "sklearn.linear_model.LogisticRegression"},
                "automl": {"timeBudget": "30m"},
            },
        ),
        Rule(
            "!self.?version.approval.separationOfDuties.orValue(false) || has(self.startedBy)",
            "separationOfDuties requires startedBy; set it to your user name",
            accepts={
                "modelName": "fraud",
                "dataset": {"name": "fraud"},
                "estimator": {"name": "sklearn.linear_model.LogisticRegression"},
                "startedBy": "tidemill-administrator",
                "version": {"approval": {"policy": "Manual", "separationOfDuties": True}},
            },
            rejects={
                "modelName": "fraud",
                "dataset": {"name": "fraud"},
                "estimator": {"name": "sklearn.linear_model.LogisticRegression"},
                "version": {"approval": {"policy": "Manual", "separationOfDuties": True}},
            },
        ),
        Rule(
            "!has(self.tuning) || has(self.estimator)",
            "tuning requires an estimator; set estimator or remove tuning",
            accepts={
                "modelName": "fraud",
                "dataset": {"name": "fraud"},
                "estimator": {"name": "sklearn.linear_model.LogisticRegression"},
                "tuning": _TUNING,
            },
            rejects={
                "modelName": "fraud",
                "dataset": {"name": "fraud"},
                "automl": {"timeBudget": "30m"},
                "tuning": _TUNING,
            },
        ),
        at_least_a_second(
            "activeDeadline",
            {
                "modelName": "fraud",
                "dataset": {"name": "fraud"},
                "estimator": {"name": "sklearn.linear_model.LogisticRegression"},
                "activeDeadline": "90s",
            },
            {
                "modelName": "fraud",
                "dataset": {"name": "fraud"},
                "estimator": {"name": "sklearn.linear_model.LogisticRegression"},
                "activeDeadline": "0h",
            },
        ),
    )


class PinnedRevision(WireModel):
    """The Dataset revision of this run."""

    name: str
    """Name of the Dataset."""
    digest: Digest
    """Digest of the revision."""
    uri: str = ""
    """Folder of the revision in the object store."""


MAX_WARNINGS: Final = 16
WARNING_LENGTH: Final = 512
WarningText = Annotated[str, Field(max_length=WARNING_LENGTH)]


class PinnedVersion(WireModel):
    """A ModelVersion, pinned by digest."""

    name: str
    """Name of the ModelVersion."""
    digest: Digest
    """Digest of the model artifact."""
    uri: str = ""
    """Folder of the artifact in the object store."""
    dataset_digest: str = Field(default="", max_length=71)
    """Digest of the Dataset revision that it was trained on; empty if it is not known."""


class RunProgress(WireModel):
    """Progress of the run."""

    percentage: Percent = 0
    """Progress in percent, from 0, when the pod runs, to 100."""
    trials_completed: int = Field(default=0, ge=0)
    """Number of completed trials."""
    trials_pruned: int = Field(default=0, ge=0)
    """Number of trials that were stopped early."""
    trials_failed: int = Field(default=0, ge=0)
    """Number of failed trials."""


class Best(WireModel):
    """The selected parameters and their result."""

    trial: int = Field(default=1, ge=1)
    """Number of the selected trial, from 1."""
    parameters: dict[str, Parameter] = Field(default_factory=dict, max_length=64)
    """Parameters of the selected trial."""
    objective: float | None = None
    """Value of the objective: the mean over the folds of the cross-validation; empty without a search."""
    metrics: dict[str, float] = Field(default_factory=dict, max_length=64)
    """Metrics on the hold-out."""


class Cause(WireModel):
    """Cause of this run."""

    kind: str
    """Kind of the cause: DriftMonitor or User."""
    name: str = ""
    """Name of the DriftMonitor."""
    checks: tuple[str, ...] = Field(default=(), max_length=32)
    """Checks that failed."""
    at: Timestamp | None = None
    """End of the window that triggered the run."""
    trigger: RetrainingCause | None = None
    """Trigger that started the run."""
    since: Timestamp | None = None
    """Time when the drift, the schedule or the new revision began."""


class TrainingJobStatus(Status):
    """Observed state of the TrainingJob."""

    dataset: PinnedRevision | None = None
    """Dataset revision that the model is trained on."""
    labels: PinnedLabels | None = None
    """Dataset revision whose labels are joined with the served rows."""
    compared_with: PinnedVersion | None = None
    """Version in service when the run started; it is evaluated on the same rows."""
    cause: Cause | None = None
    """Cause of the run."""
    attempt: Attempt | None = None
    """Newest attempt at the run."""
    progress: RunProgress | None = None
    """Progress of the run."""
    best: Best | None = None
    """Selected parameters and their result."""
    score: float | None = None
    """First metric on the hold-out."""
    metrics: dict[str, float] = Field(default_factory=dict, max_length=64)
    """Metrics on the hold-out."""
    model_version: str = ""
    """Name of the resulting ModelVersion."""
    report_uri: str = Field(default="", max_length=1024)
    """URI of the HTML report."""
    warnings: tuple[WarningText, ...] = Field(default=(), max_length=MAX_WARNINGS)
    """Warnings of the run, such as labels that were left out; at most 16, and all of them in the report."""
    started_at: Timestamp | None = None
    """Time when the first attempt was started."""
    completed_at: Timestamp | None = None
    """Time when the run ended."""


class TrainingJob(Resource[TrainingJobSpec, TrainingJobStatus]):
    """One training run: trains an estimator on a Dataset revision and makes a ModelVersion, evaluated on the
    hold-out."""

    kind_name: ClassVar[str] = "TrainingJob"
    plural: ClassVar[str] = "trainingjobs"
    short_name: ClassVar[str] = "ttj"
    columns: ClassVar[tuple[PrinterColumn, ...]] = (
        PrinterColumn("Model", ".spec.modelName"),
        PrinterColumn(
            "Progress", ".status.progress.percentage", "integer", description="From 0, when the pod runs, to 100."
        ),
        PrinterColumn("Score", ".status.score", "number"),
        PrinterColumn("Version", ".status.modelVersion"),
        PrinterColumn("Cause", ".status.cause.kind"),
        PrinterColumn("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        PrinterColumn("Status", ".status.conditions[?(@.type=='Ready')].reason"),
        PrinterColumn("Age", ".metadata.creationTimestamp", "date"),
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        # Where duties are separated, an edit by another user would make startedBy untrue.
        Rule(
            "!has(self.spec.startedBy) && (!has(oldSelf.status) || !has(oldSelf.status.dataset))"
            " || "
            + " && ".join(
                f"self.spec.{field} == oldSelf.spec.{field}"
                for field in ("modelName", "dataset", "seed", "task", "evaluation")
            )
            + " && "
            + unchanged(*(f"spec.{field}" for field in ("servedRows", "estimator", "automl", "trainer", "tuning"))),
            "a run that has started, or that sets startedBy, is immutable; create another TrainingJob",
            accepts={
                "spec": {
                    "modelName": "fraud",
                    "dataset": {"name": "fraud"},
                    "estimator": {"name": "sklearn.linear_model.LogisticRegression"},
                },
                "status": {"observedGeneration": 1, "dataset": {"name": "fraud", "digest": "sha256:" + "0" * 64}},
            },
            rejects={
                "spec": {
                    "modelName": "other",
                    "dataset": {"name": "fraud"},
                    "estimator": {"name": "sklearn.linear_model.LogisticRegression"},
                },
            },
        ),
    )

    kind: str = "TrainingJob"
    spec: TrainingJobSpec
    """Desired state."""
    status: TrainingJobStatus = TrainingJobStatus()
    """Observed state."""
