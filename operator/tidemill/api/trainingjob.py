"""TrainingJob: one run that turns a dataset revision into a model version."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tidemill.api.base import (
    Column,
    Digest,
    Duration,
    MetricName,
    Model,
    Moment,
    Name,
    Quantities,
    Resource,
    Rule,
    Scalar,
    at_least_a_second,
)
from tidemill.api.conditions import Status
from tidemill.api.dataset import Attempt
from tidemill.api.modelversion import Approval, Gate
from tidemill.api.retraining import RetrainingCause

Task = Literal["Classification", "Regression"]


class DatasetReference(Model):
    """A Dataset and which revision of it."""

    name: Name
    """The Dataset's name."""
    revision: str = Field(default="Latest", pattern="^(Latest|sha256:[0-9a-f]{64})$", max_length=71)
    """`Latest` when the run starts, or a digest; it is pinned in the status either way."""


class ServedRows(Model):
    """Rows that a service answered, joined with the labels that came back for them."""

    inference_service: Name
    """The InferenceService whose log is read."""
    start: Moment
    """The first moment of the window."""
    end: Moment
    """The first moment after it."""
    recent_start: Moment | None = None
    """Rows from here on are what the version will meet: they are its reference profile and the rows of RecentLabelled gates. All of them where left out."""
    combine: Literal["Append", "Replace"] = "Append"
    """Append adds the rows to the Dataset's; Replace trains on them alone. The Dataset's hold-out stays as it is."""
    balance: Literal["None", "Sources", "Classes"] = "None"
    """Sources weighs served rows as much as the Dataset's, whatever their numbers; Classes weighs every answer alike."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.start < self.end",
            "start must be before end",
            accepts={"inferenceService": "fraud", "start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"},
            rejects={"inferenceService": "fraud", "start": "2026-01-02T00:00:00Z", "end": "2026-01-01T00:00:00Z"},
        ),
    )


class Estimator(Model):
    """A scikit-learn estimator by name."""

    name: str = Field(min_length=1, max_length=256)
    """Its import path, such as `sklearn.ensemble.HistGradientBoostingClassifier`; an unknown one is refused with the list of known ones."""
    parameters: dict[str, Scalar] = Field(default_factory=dict, max_length=64)
    """Constructor arguments, as in scikit-learn's documentation."""
    preprocessing: Literal["Auto", "None"] = "Auto"
    """Auto imputes, encodes and scales by column type, as the estimator needs it."""


class Evaluation(Model):
    """What is measured on the rows that training never saw."""

    metrics: tuple[MetricName, ...] = Field(default=(), max_length=32)
    """scikit-learn's scorer names, such as `roc_auc`; empty means the usual ones for the task."""


class VersionTemplate(Model):
    """What the ModelVersion that comes out will carry."""

    gates: tuple[Gate, ...] = Field(default=(), max_length=32)
    """What the version must achieve before it may be served."""
    approval: Approval = Approval()
    """Who must agree."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.approval) || !has(self.approval.decisions) || size(self.approval.decisions) == 0",
            "nobody can approve a version that does not exist yet: decisions belong to the ModelVersion",
            accepts={"approval": {"policy": "Manual", "requiredApprovals": 2}},
            rejects={"approval": {"policy": "Manual", "decisions": [{"user": "mallory", "verdict": "Approved"}]}},
        ),
    )


class TrainingJobSpec(Model):
    """One training run; what it learns, from what and how is immutable: another run is another TrainingJob."""

    model_name: Name
    """The model this is a version of."""
    dataset: DatasetReference
    """The rows to learn from."""
    served_rows: ServedRows | None = None
    """Newer rows from a service's log, with their labels; monitors set this when they retrain."""
    task: Literal["Auto", "Classification", "Regression"] = "Auto"
    """Auto goes by the estimator."""
    estimator: Estimator
    """What learns."""
    evaluation: Evaluation = Evaluation()
    """What is measured."""
    version: VersionTemplate = VersionTemplate()
    """Gates and approval of the version that comes out."""
    resources: Quantities | None = None
    """Of the training pod."""
    seed: int = Field(default=7, ge=0, le=2147483647)
    """Of everything random."""
    backoff_limit: int = Field(default=2, ge=0, le=10)
    """How many times a failed run is tried again where that can help."""
    active_deadline: Duration = "1h"
    """How long one try may take."""
    ttl_after_finished: Duration = "24h"
    """How long the finished child Job is kept; the TrainingJob stays."""
    suspend: bool = False
    """Holds the run back, or stops it; setting it to false starts it again."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.modelName == oldSelf.modelName && self.dataset == oldSelf.dataset && self.estimator == oldSelf.estimator"
            " && self.seed == oldSelf.seed && self.task == oldSelf.task && self.evaluation == oldSelf.evaluation"
            " && has(self.servedRows) == has(oldSelf.servedRows)"
            " && (!has(self.servedRows) || self.servedRows == oldSelf.servedRows)",
            "a run is immutable: make a new TrainingJob instead",
            accepts={
                "modelName": "fraud",
                "dataset": {"name": "fraud"},
                "estimator": {"name": "sklearn.linear_model.LogisticRegression"},
            },
            rejects={
                "modelName": "other",
                "dataset": {"name": "fraud"},
                "estimator": {"name": "sklearn.linear_model.LogisticRegression"},
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


class PinnedRevision(Model):
    """The revision that this run learns from."""

    name: str
    """The Dataset's name."""
    digest: Digest
    """The revision's digest."""
    uri: str = ""
    """The revision's folder in the store."""


class PinnedVersion(Model):
    """A model version, exactly."""

    name: str
    """The ModelVersion's name."""
    digest: Digest
    """Of its artefact."""
    uri: str = ""
    """The artefact's folder in the store."""


class Cause(Model):
    """Why this run exists."""

    kind: str
    """DriftMonitor, or User."""
    name: str = ""
    """Which one."""
    checks: tuple[str, ...] = Field(default=(), max_length=32)
    """The checks that fired."""
    at: Moment | None = None
    """End of the window that fired."""
    trigger: RetrainingCause | None = None
    """What asked for a retraining."""
    since: Moment | None = None
    """When what the run answers began."""


class TrainingJobStatus(Status):
    """How the run stands and what came out."""

    dataset: PinnedRevision | None = None
    """The revision the run learns from."""
    compared_with: PinnedVersion | None = None
    """The version in service when the run started; it is measured on the same rows."""
    cause: Cause | None = None
    """Why the run exists."""
    attempt: Attempt | None = None
    """The newest try."""
    score: float | None = None
    """The first metric on the hold-out."""
    metrics: dict[str, float] = Field(default_factory=dict, max_length=64)
    """All metrics on the hold-out."""
    model_version: str = ""
    """The ModelVersion that came out."""
    report_uri: str = Field(default="", max_length=1024)
    """An HTML page about the run."""
    started_at: Moment | None = None
    """When the first try was ordered."""
    completed_at: Moment | None = None
    """When the run ended."""


class TrainingJob(Resource[TrainingJobSpec, TrainingJobStatus]):
    """One training run: a dataset revision and an estimator become a model version, measured on rows it never saw."""

    kind_name: ClassVar[str] = "TrainingJob"
    plural: ClassVar[str] = "trainingjobs"
    short_name: ClassVar[str] = "ttj"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Model", ".spec.modelName"),
        Column("Score", ".status.score", "number"),
        Column("Version", ".status.modelVersion"),
        Column("Cause", ".status.cause.kind"),
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Status", ".status.conditions[?(@.type=='Ready')].reason"),
        Column("Age", ".metadata.creationTimestamp", "date"),
    )

    kind: str = "TrainingJob"
    spec: TrainingJobSpec
    """What is wanted."""
    status: TrainingJobStatus = TrainingJobStatus()
    """What is."""
