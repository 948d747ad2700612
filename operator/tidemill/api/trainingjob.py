"""TrainingJob: one run that turns a dataset revision into a model version."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from pydantic import Field

from tidemill.api.base import (
    ColumnName,
    Digest,
    Duration,
    MetricName,
    Moment,
    Name,
    Percent,
    PrinterColumn,
    Quantities,
    Resource,
    Rule,
    Scalar,
    WireModel,
    at_least_a_second,
    unchanged,
)
from tidemill.api.conditions import Status
from tidemill.api.dataset import Attempt
from tidemill.api.modelversion import Approval, Card, Exports, Gate, User
from tidemill.api.retraining import RetrainingCause
from tidemill.api.tuning import Automl, Trainer, Tuning

Task = Literal["Classification", "Regression"]


class DatasetReference(WireModel):
    """A Dataset and which revision of it."""

    name: Name
    """The Dataset's name."""
    revision: str = Field(default="Latest", pattern="^(Latest|sha256:[0-9a-f]{64})$", max_length=71)
    """`Latest` when the run starts, or a digest; it is pinned in the status either way."""


_A_DAY: Final = {"inferenceService": "fraud", "start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}


class ServedRows(WireModel):
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
    """A transformer of scikit-learn on some of the columns."""

    name: str = Field(min_length=1, max_length=256)
    """Its import path, such as `sklearn.preprocessing.StandardScaler`."""
    parameters: dict[str, Scalar] = Field(default_factory=dict, max_length=64)
    """Constructor arguments."""
    columns: tuple[ColumnName, ...] = Field(default=(), max_length=256)
    """Which columns; all that are left where empty."""


class Fairness(WireModel):
    """How differently the model treats the groups of a column."""

    list_key: ClassVar[str] = "column"

    column: ColumnName
    """The column with the groups, of role Protected."""
    metrics: tuple[Literal["DemographicParityDifference", "EqualizedOddsDifference"], ...] = Field(
        min_length=1, max_length=8
    )
    """What is compared between the groups."""
    favorable: str = Field(min_length=1, max_length=256)
    """The answer that is good for the person."""


class Estimator(WireModel):
    """A scikit-learn estimator by name."""

    name: str = Field(min_length=1, max_length=256)
    """Its import path, such as `sklearn.ensemble.HistGradientBoostingClassifier`; an unknown one is refused with the list of known ones."""
    parameters: dict[str, Scalar] = Field(default_factory=dict, max_length=64)
    """Constructor arguments, as in scikit-learn's documentation."""
    preprocessing: Literal["Auto", "None"] = "Auto"
    """Auto imputes, encodes and scales by column type, as the estimator needs it."""
    steps: tuple[PreprocessingStep, ...] | None = Field(default=None, min_length=1, max_length=16)
    """What is done to the rows before the estimator sees them, in this order, instead of `preprocessing`."""


class Evaluation(WireModel):
    """What is measured on the rows that training never saw."""

    metrics: tuple[MetricName, ...] = Field(default=(), max_length=32)
    """scikit-learn's scorer names, such as `roc_auc`; empty means the usual ones for the task."""
    slices: tuple[ColumnName, ...] = Field(default=(), max_length=32)
    """Columns by whose values the metrics are also told."""
    fairness: tuple[Fairness, ...] = Field(default=(), max_length=8)
    """How differently groups are treated."""
    explain: Literal["Importance", "Shap"] = "Importance"
    """Importance tells how much each feature counts, by permutation; Shap also tells which way, row by row."""


class VersionTemplate(WireModel):
    """What the ModelVersion that comes out will carry."""

    gates: tuple[Gate, ...] = Field(default=(), max_length=32)
    """What the version must achieve before it may be served."""
    approval: Approval = Approval()
    """Who must agree."""
    card: Card | None = None
    """What people say about the model; it is copied into the version."""
    exports: Exports | None = None
    """Where else the version is made known."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.approval) || !has(self.approval.decisions) || size(self.approval.decisions) == 0",
            "nobody can approve a version that does not exist yet: decisions belong to the ModelVersion",
            accepts={"approval": {"policy": "Manual", "requiredApprovals": 2}},
            rejects={"approval": {"policy": "Manual", "decisions": [{"user": "mallory", "verdict": "Approved"}]}},
        ),
    )


_TUNING = {
    "objective": {"metric": "roc_auc"},
    "parameters": [{"name": "C", "searchSpace": {"logUniform": {"min": 0.01, "max": 10}}}],
}


class TrainingJobSpec(WireModel):
    """One training run. Its inputs can be corrected until the run has pinned its dataset, and are immutable after that."""

    model_name: Name
    """The model this is a version of."""
    dataset: DatasetReference
    """The rows to learn from."""
    served_rows: ServedRows | None = None
    """Newer rows from a service's log, with their labels; monitors set this when they retrain."""
    task: Literal["Auto", "Classification", "Regression"] = "Auto"
    """Auto goes by the estimator."""
    estimator: Estimator | None = None
    """What learns: an estimator of scikit-learn."""
    automl: Automl | None = None
    """What learns: the best that a search over models finds."""
    trainer: Trainer | None = None
    """What learns: an image of yours."""
    tuning: Tuning | None = None
    """A search for the estimator's best parameters; without it they are as given."""
    evaluation: Evaluation = Evaluation()
    """What is measured."""
    version: VersionTemplate = VersionTemplate()
    """Gates and approval of the version that comes out."""
    started_by: User | None = None
    """Who starts the run; the API server lets nobody write another's name. Needed where duties are separated."""
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
            unchanged("startedBy"),
            "startedBy is immutable: create another TrainingJob",
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
            "[has(self.estimator), has(self.automl), has(self.trainer)].filter(one, one).size() == 1",
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
            "separation of duties needs to know who starts the run: set startedBy to your user name",
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
            "tuning searches the parameters of an estimator: name one, or leave tuning out",
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
    """The revision that this run learns from."""

    name: str
    """The Dataset's name."""
    digest: Digest
    """The revision's digest."""
    uri: str = ""
    """The revision's folder in the store."""


class PinnedVersion(WireModel):
    """A model version, exactly."""

    name: str
    """The ModelVersion's name."""
    digest: Digest
    """Of its artefact."""
    uri: str = ""
    """The artefact's folder in the store."""


class RunProgress(WireModel):
    """How far the run is."""

    percentage: Percent = 0
    """From 0, when its pod runs, to 100."""
    trials_completed: int = Field(default=0, ge=0)
    """How many sets of parameters were tried to their end."""
    trials_pruned: int = Field(default=0, ge=0)
    """How many were given up before."""
    trials_failed: int = Field(default=0, ge=0)
    """How many the estimator would not have, or gave up on."""


class Best(WireModel):
    """What the run chose."""

    trial: int = Field(default=1, ge=1)
    """Which trial it was."""
    parameters: dict[str, Scalar] = Field(default_factory=dict, max_length=64)
    """With which parameters."""
    objective: float | None = None
    """The objective of the search: its mean over the folds of the cross-validation, where a search was made."""
    metrics: dict[str, float] = Field(default_factory=dict, max_length=64)
    """Its metrics on the hold-out."""


class Cause(WireModel):
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
    progress: RunProgress | None = None
    """How far the run is."""
    best: Best | None = None
    """What the run chose, and how good that is."""
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
            "a run that has started, or that names startedBy, is immutable: create another TrainingJob",
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
    """What is wanted."""
    status: TrainingJobStatus = TrainingJobStatus()
    """What is."""
