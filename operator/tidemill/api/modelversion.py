"""ModelVersion: what may be served, and why."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tidemill.api.base import (
    ColumnName,
    Digest,
    MetricName,
    Moment,
    Name,
    ObjectName,
    PrinterColumn,
    Resource,
    Rule,
    Scalar,
    Text,
    WireModel,
    in_order,
    unchanged,
)
from tidemill.api.conditions import Status

User = Annotated[str, Field(min_length=1, max_length=256)]
"""A user as the API server knows them."""
RowSet = Literal["Holdout", "RecentLabelled"]


class Gate(WireModel):
    """A bound that a version must keep before it may be served."""

    metric: MetricName
    """A metric of the evaluation, such as `roc_auc`; or LatencyP95, the seconds that 95 % of answers keep."""
    # Not `on` in YAML: there the word is a boolean.
    on: RowSet = Field(default="Holdout", alias="rowSet")
    """On the Dataset's frozen hold-out, or on the held-out part of the served rows that came with labels."""
    minimum: float | None = None
    """The smallest value that passes."""
    maximum: float | None = None
    """The largest value that passes."""
    against: Literal["Stable"] | None = None
    """Compare with the version in service, on the same rows; passes where none is in service."""
    maximum_regression: float | None = Field(default=None, ge=0)
    """How much worse than the version in service it may be, in units of the metric."""
    minimum_rows: int = Field(default=0, ge=0, le=1000000000)
    """With fewer rows than this the gate is not judged and passes with a note."""
    slices: ColumnName | None = None
    """Judge each value of this column by itself: the worst one counts."""
    column: ColumnName | None = None
    """For DemographicParityDifference and EqualizedOddsDifference: the column with the groups."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.minimum) || has(self.maximum) || has(self.maximumRegression)",
            "set minimum, maximum or maximumRegression",
            accepts={"metric": "accuracy", "minimum": 0.9},
            rejects={"metric": "accuracy"},
        ),
        Rule(
            "has(self.against) == has(self.maximumRegression)",
            "against and maximumRegression go together",
            accepts={"metric": "accuracy", "against": "Stable", "maximumRegression": 0.01},
            rejects={"metric": "accuracy", "maximumRegression": 0.01},
        ),
        Rule(
            "has(self.column) == (self.metric in ['DemographicParityDifference', 'EqualizedOddsDifference'])",
            "column names the groups of DemographicParityDifference or EqualizedOddsDifference; other metrics have none",
            accepts={"metric": "DemographicParityDifference", "column": "gender", "maximum": 0.1},
            rejects={"metric": "accuracy", "column": "gender", "minimum": 0.1},
        ),
        in_order(
            {"metric": "accuracy", "minimum": 0.9, "maximum": 0.9},
            {"metric": "accuracy", "minimum": 0.9, "maximum": 0.8},
        ),
    )


class Decision(WireModel):
    """What an approver said."""

    list_key: ClassVar[str] = "user"

    user: User
    """The approver, as the API server knows them."""
    verdict: Literal["Approved", "Rejected"]
    """Yes or no."""
    comment: str = Field(default="", max_length=1024)
    """Why."""


class Approval(WireModel):
    """Who must agree before the version may be served."""

    policy: Literal["Automatic", "Manual"] = "Automatic"
    """Automatic serves what passes its gates; Manual waits for decisions."""
    required_approvals: int = Field(default=1, ge=1, le=10)
    """How many approvals Manual waits for."""
    separation_of_duties: bool = False
    """Whether who started the version is kept from approving it; `startedBy` has to be told then."""
    decisions: tuple[Decision, ...] = Field(default=(), max_length=32)
    """What approvers said; needs the RBAC verb `approve` on modelversions."""


class Artifact(WireModel):
    """The model's bytes."""

    uri: str = Field(min_length=1, max_length=1024)
    """The folder in the store."""
    digest: Digest = ""
    """Of the folder's manifest, which names the digest of every file."""
    format: Literal["Skops", "ONNX", "MLflow"] = "Skops"
    """How the model is written; a compiled ONNX form may lie beside a Skops one."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.uri.matches('^((s3|gs|az|https|pvc|oci)://|models:/|runs:/)[^ ]+$')",
            "uri must start with s3://, gs://, az://, https://, pvc://, oci://, models:/ or runs:/",
            accepts={"uri": "s3://bucket/models/fraud", "digest": "sha256:" + "0" * 64},
            rejects={"uri": "file:///etc/passwd", "digest": "sha256:" + "0" * 64},
        ),
    )


class Measured(WireModel):
    """Metrics on one set of rows."""

    on: RowSet = Field(alias="rowSet")
    """Which rows."""
    rows: int = Field(ge=0, le=1000000000000)
    """How many."""
    metrics: dict[str, float] = Field(default_factory=dict, max_length=64)
    """Of this version."""
    stable: dict[str, float] = Field(default_factory=dict, max_length=64)
    """Of the version in service when this one was trained, on the same rows."""


class DatasetUsed(WireModel):
    """A dataset revision this version learnt from."""

    name: str = Field(max_length=253)
    """The Dataset."""
    digest: Digest
    """The revision."""
    role: Literal["Training", "Holdout", "Served"] = "Training"
    """What the rows were used for."""


class Code(WireModel):
    """The source code that a version was trained with."""

    repo: str = Field(min_length=1, max_length=1024)
    """The repository."""
    commit: str = Field(pattern="^[0-9a-f]{7,64}$", max_length=64)
    """The commit."""


class Lineage(WireModel):
    """Where a version comes from."""

    training_job: str = Field(default="", max_length=253)
    """The run that made it."""
    datasets: tuple[DatasetUsed, ...] = Field(default=(), max_length=16)
    """What it learnt from."""
    estimator: str = Field(default="", max_length=256)
    """What learnt."""
    parameters: dict[str, Scalar] = Field(default_factory=dict, max_length=64)
    """With which parameters."""
    seed: int = Field(default=0, ge=0, le=2147483647)
    """With which seed."""
    image: str = Field(default="", max_length=1024)
    """The image that trained it."""
    parents: tuple[ObjectName, ...] = Field(default=(), max_length=16)
    """The version it was to replace."""
    monitor: str = Field(default="", max_length=253)
    """The DriftMonitor that asked for it."""
    code: Code | None = None
    """The source code it was trained with."""
    started_by: User | None = None
    """Who started the run, or brought the model; the API server lets nobody write another's name."""


class Card(WireModel):
    """What people say about the model."""

    owners: tuple[User, ...] = Field(default=(), max_length=16)
    """Whom to ask."""
    intended_use: Text = ""
    """What it is for."""
    limitations: Text = ""
    """What it is not for, and where it is known to fail."""
    license: str = Field(default="", max_length=256)
    """Under which licence it may be used, such as an SPDX identifier."""
    risk_tier: Literal["Minimal", "Limited", "High"] | None = None
    """How much harm a wrong answer can do."""


class MlflowExport(WireModel):
    """A registered model in MLflow that follows the versions."""

    tracking_uri: str = Field(pattern="^https?://[^ ]+$", max_length=1024)
    """The tracking server."""
    registered_model: str = Field(min_length=1, max_length=256)
    """The registered model."""
    alias: str | None = Field(default=None, pattern="^[A-Za-z][A-Za-z0-9_-]*$", max_length=256)
    """The alias that names the stable version."""


class Exports(WireModel):
    """Where else a version is made known."""

    mlflow: MlflowExport | None = None
    """In an MLflow registry."""


class ModelVersionSpec(WireModel):
    """A trained model with its evidence; immutable, except for approval and suspend."""

    model_name: Name
    """The model this is a version of."""
    artifact: Artifact
    """The model's bytes."""
    evaluation: tuple[Measured, ...] = Field(default=(), max_length=8)
    """What was measured when it was made."""
    lineage: Lineage = Lineage()
    """Where it comes from."""
    gates: tuple[Gate, ...] = Field(default=(), max_length=32)
    """What it must achieve before it may be served."""
    approval: Approval = Approval()
    """Who must agree, and what they said."""
    card: Card | None = None
    """What people say about the model."""
    exports: Exports | None = None
    """Where else the version is made known."""
    suspend: bool = False
    """Takes the version out of the choice of services that follow the newest approved one."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.modelName == oldSelf.modelName && self.artifact == oldSelf.artifact"
            " && self.lineage == oldSelf.lineage"
            " && " + unchanged("evaluation", "gates", "card", "exports"),
            "a version is immutable: only approval and suspend may change",
            accepts={
                "modelName": "fraud",
                "artifact": {"uri": "s3://b/m", "digest": "sha256:" + "0" * 64},
            },
            rejects={
                "modelName": "fraud",
                "artifact": {"uri": "s3://b/other", "digest": "sha256:" + "0" * 64},
            },
        ),
        Rule(
            "!self.?approval.separationOfDuties.orValue(false) || has(self.lineage.startedBy)",
            "separation of duties needs to know who brought the version: set lineage.startedBy to your user name",
            accepts={
                "modelName": "fraud",
                "artifact": {"uri": "s3://b/m", "digest": "sha256:" + "0" * 64},
                "approval": {"policy": "Manual", "separationOfDuties": True},
                "lineage": {"startedBy": "tidemill-administrator"},
            },
            rejects={
                "modelName": "fraud",
                "artifact": {"uri": "s3://b/m", "digest": "sha256:" + "0" * 64},
                "approval": {"policy": "Manual", "separationOfDuties": True},
            },
        ),
    )


class GateResult(WireModel):
    """How one gate was judged."""

    name: str
    """The gate in short, such as `roc_auc/Holdout`."""
    verdict: Literal["Passed", "Failed", "NotJudged"]
    """NotJudged counts as passed and says why."""
    value: float | None = None
    """The version's own value."""
    reference: float | None = None
    """What it was held against."""
    message: Text = ""
    """In a sentence."""


class Approver(WireModel):
    """Who agreed, and since when."""

    list_key: ClassVar[str] = "user"

    user: str = Field(max_length=256)
    """The approver as the API server knows them; `automatic` where policy agreed."""
    time: Moment
    """When the operator first saw it."""


class ServedBy(WireModel):
    """A service that has this version."""

    inference_service: str
    """Which one."""
    role: Literal["Stable", "Candidate"]
    """In which role."""


class Quarantine(WireModel):
    """Why this version is not tried again."""

    reason: str
    """A stable word."""
    message: Text = ""
    """In a sentence."""
    since: Moment
    """When a rollout rejected it."""


class ModelVersionStatus(Status):
    """Whether the version may be served."""

    score: float | None = None
    """The first metric on the hold-out."""
    gates: tuple[GateResult, ...] = Field(default=(), max_length=32)
    """How each gate was judged."""
    version: int | None = Field(default=None, ge=1)
    """Counts the versions of the model, in the order in which they were made."""
    approved_by: tuple[Approver, ...] = Field(default=(), max_length=33)
    """Who approved, and since when; `automatic` where policy did."""
    served_by: tuple[ServedBy, ...] = Field(default=(), max_length=32)
    """Where it answers now."""
    role: str = ""
    """Stable, Candidate, or empty."""
    quarantine: Quarantine | None = None
    """Set when a rollout rejected the version."""


class ModelVersion(Resource[ModelVersionSpec, ModelVersionStatus]):
    """A trained model with the evidence for it: its bytes by digest, its metrics, its lineage, its gates and its approval."""

    kind_name: ClassVar[str] = "ModelVersion"
    plural: ClassVar[str] = "modelversions"
    short_name: ClassVar[str] = "tmv"
    columns: ClassVar[tuple[PrinterColumn, ...]] = (
        PrinterColumn("Model", ".spec.modelName"),
        PrinterColumn("Version", ".status.version", "integer"),
        PrinterColumn("Score", ".status.score", "number"),
        PrinterColumn("Gates", ".status.conditions[?(@.type=='GatesPassed')].status"),
        PrinterColumn("Approved", ".status.conditions[?(@.type=='Approved')].status"),
        PrinterColumn("Role", ".status.role"),
        PrinterColumn("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        PrinterColumn("Status", ".status.conditions[?(@.type=='Ready')].reason"),
        PrinterColumn("Age", ".metadata.creationTimestamp", "date"),
    )

    kind: str = "ModelVersion"
    spec: ModelVersionSpec
    """What it is."""
    status: ModelVersionStatus = ModelVersionStatus()
    """Whether it may be served."""
