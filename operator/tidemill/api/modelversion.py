"""ModelVersion: a trained model, the evidence for it, and whether it may be served."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tidemill.api.base import (
    ColumnName,
    Digest,
    MetricName,
    Name,
    ObjectName,
    Parameter,
    PrinterColumn,
    Resource,
    Rule,
    Text,
    Timestamp,
    WireModel,
    in_order,
    unchanged,
)
from tidemill.api.conditions import Status

User = Annotated[str, Field(min_length=1, max_length=256)]
"""User name, as the API server reports it."""
RowSet = Literal["Holdout", "RecentLabelled"]


class Gate(WireModel):
    """A bound that a version must keep before it may be served."""

    metric: MetricName
    """Metric of the evaluation, such as `roc_auc`; or LatencyP95, the 95th percentile of the response time in
    seconds."""
    # Not `on` in YAML: there the word is a boolean.
    on: RowSet = Field(default="Holdout", alias="rowSet")
    """Rows that are evaluated: Holdout is the fixed hold-out of the Dataset, RecentLabelled the held-out part of the
    labelled served rows."""
    minimum: float | None = None
    """Smallest value that passes."""
    maximum: float | None = None
    """Largest value that passes."""
    against: Literal["Stable"] | None = None
    """Compare with the version in service on the same rows; passes if none is in service."""
    maximum_regression: float | None = Field(default=None, ge=0)
    """Largest accepted loss against the version in service, in units of the metric."""
    minimum_rows: int = Field(default=0, ge=0, le=1000000000)
    """Minimum number of rows; with fewer the gate is not judged and passes with a note."""
    slices: ColumnName | None = None
    """Column whose values are judged one by one; the worst one counts."""
    column: ColumnName | None = None
    """For DemographicParityDifference and EqualizedOddsDifference: the column with the groups."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.minimum) || has(self.maximum) || has(self.maximumRegression)",
            "the gate has no bound; set minimum, maximum or maximumRegression",
            accepts={"metric": "accuracy", "minimum": 0.9},
            rejects={"metric": "accuracy"},
        ),
        Rule(
            "has(self.against) == has(self.maximumRegression)",
            "against and maximumRegression must be used together; set both or none",
            accepts={"metric": "accuracy", "against": "Stable", "maximumRegression": 0.01},
            rejects={"metric": "accuracy", "maximumRegression": 0.01},
        ),
        Rule(
            "has(self.column) == (self.metric in ['DemographicParityDifference', 'EqualizedOddsDifference'])",
            "metric and column do not match; set column for DemographicParityDifference and EqualizedOddsDifference, remove it for other metrics",
            accepts={"metric": "DemographicParityDifference", "column": "gender", "maximum": 0.1},
            rejects={"metric": "accuracy", "column": "gender", "minimum": 0.1},
        ),
        in_order(
            {"metric": "accuracy", "minimum": 0.9, "maximum": 0.9},
            {"metric": "accuracy", "minimum": 0.9, "maximum": 0.8},
        ),
    )


class Decision(WireModel):
    """Decision of one approver."""

    list_key: ClassVar[str] = "user"

    user: User
    """User name of the approver, as the API server reports it."""
    verdict: Literal["Approved", "Rejected"]
    """Decision of the approver."""
    comment: str = Field(default="", max_length=1024)
    """Explanation of the decision."""


class Approval(WireModel):
    """Approval that is required before the version may be served."""

    policy: Literal["Automatic", "Manual"] = "Automatic"
    """Automatic approves a version that passes its gates; Manual waits for decisions."""
    required_approvals: int = Field(default=1, ge=1, le=10)
    """For Manual: number of required approvals."""
    separation_of_duties: bool = False
    """Refuse approvals by the user who started the version; requires `startedBy`."""
    decisions: tuple[Decision, ...] = Field(default=(), max_length=32)
    """Decisions of approvers. Writing them needs the RBAC verb `approve` on modelversions."""


class Artifact(WireModel):
    """Files of the model."""

    uri: str = Field(min_length=1, max_length=1024)
    """Folder in the object store."""
    digest: Digest = ""
    """Digest of the folder's manifest, which lists the digest of every file."""
    format: Literal["Skops", "ONNX", "MLflow"] = "Skops"
    """Format of the model. A Skops artifact may also contain a compiled ONNX form."""

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
    """Set of rows: Holdout or RecentLabelled."""
    rows: int = Field(ge=0, le=1000000000000)
    """Number of rows."""
    metrics: dict[str, float] = Field(default_factory=dict, max_length=64)
    """Metrics of this version."""
    stable: dict[str, float] = Field(default_factory=dict, max_length=64)
    """Metrics of the version that was in service when this one was trained, on the same rows."""


class DatasetUsed(WireModel):
    """A Dataset revision that this version was trained or evaluated on."""

    name: str = Field(max_length=253)
    """Name of the Dataset."""
    digest: Digest
    """Digest of the revision."""
    role: Literal["Training", "Holdout", "Served"] = "Training"
    """Use of the rows."""


class Code(WireModel):
    """Source code that the version was trained with."""

    repo: str = Field(min_length=1, max_length=1024)
    """URL of the repository."""
    commit: str = Field(pattern="^[0-9a-f]{7,64}$", max_length=64)
    """Hash of the commit."""


class Lineage(WireModel):
    """Origin of a version."""

    training_job: str = Field(default="", max_length=253)
    """TrainingJob that made the version."""
    datasets: tuple[DatasetUsed, ...] = Field(default=(), max_length=16)
    """Dataset revisions that it was trained and evaluated on."""
    estimator: str = Field(default="", max_length=256)
    """Import path of the estimator."""
    parameters: dict[str, Parameter] = Field(default_factory=dict, max_length=64)
    """Parameters of the estimator."""
    seed: int = Field(default=0, ge=0, le=2147483647)
    """Random seed of the training."""
    image: str = Field(default="", max_length=1024)
    """Image that trained it."""
    parents: tuple[ObjectName, ...] = Field(default=(), max_length=16)
    """ModelVersion that it was trained to replace."""
    monitor: str = Field(default="", max_length=253)
    """DriftMonitor that requested it."""
    code: Code | None = None
    """Source code that it was trained with."""
    started_by: User | None = None
    """User who started the run or imported the model; the API server rejects the name of another user."""


class Card(WireModel):
    """Model card: statements of people about the model."""

    owners: tuple[User, ...] = Field(default=(), max_length=16)
    """People who are responsible for the model."""
    intended_use: Text = ""
    """Purpose of the model."""
    limitations: Text = ""
    """Uses that the model is not made for, and known weaknesses."""
    license: str = Field(default="", max_length=256)
    """License of the model, such as an SPDX identifier."""
    risk_tier: Literal["Minimal", "Limited", "High"] | None = None
    """Possible harm of a wrong prediction."""


class MlflowExport(WireModel):
    """A registered model in MLflow that follows the versions."""

    tracking_uri: str = Field(pattern="^https?://[^ ]+$", max_length=1024)
    """URL of the tracking server."""
    registered_model: str = Field(min_length=1, max_length=256)
    """Name of the registered model."""
    alias: str | None = Field(default=None, pattern="^[A-Za-z][A-Za-z0-9_-]*$", max_length=256)
    """Alias of the stable version."""


class Exports(WireModel):
    """Registries that a version is published to."""

    mlflow: MlflowExport | None = None
    """MLflow model registry."""


class ModelVersionSpec(WireModel):
    """Desired state of the ModelVersion: a trained model with its evidence. Immutable, except for approval and
    suspend."""

    model_name: Name
    """Name of the model."""
    artifact: Artifact
    """Files of the model."""
    evaluation: tuple[Measured, ...] = Field(default=(), max_length=8)
    """Metrics that were measured when the version was made."""
    lineage: Lineage = Lineage()
    """Origin of the version."""
    gates: tuple[Gate, ...] = Field(default=(), max_length=32)
    """Bounds that the version must keep before it may be served."""
    approval: Approval = Approval()
    """Approval that is required, and the decisions."""
    card: Card | None = None
    """Model card of the version."""
    exports: Exports | None = None
    """Registries that the version is published to."""
    suspend: bool = False
    """Exclude the version from services that follow the newest approved version."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.modelName == oldSelf.modelName && self.artifact == oldSelf.artifact"
            " && self.lineage == oldSelf.lineage"
            " && " + unchanged("evaluation", "gates", "card", "exports"),
            "a ModelVersion is immutable except for approval and suspend; create another ModelVersion",
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
            "separationOfDuties requires lineage.startedBy; set it to your user name",
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
    """Result of one gate."""

    name: str
    """Short name of the gate, such as `roc_auc/Holdout`."""
    verdict: Literal["Passed", "Failed", "NotJudged"]
    """Verdict of the gate; NotJudged counts as passed, and the message explains why."""
    value: float | None = None
    """Value of this version."""
    reference: float | None = None
    """Value that it was compared with."""
    message: Text = ""
    """Explanation in one sentence."""


class Approver(WireModel):
    """An approval, and its time."""

    list_key: ClassVar[str] = "user"

    user: str = Field(max_length=256)
    """User name of the approver; `automatic` for the policy Automatic."""
    time: Timestamp
    """Time when the operator first saw the approval."""


class ServedBy(WireModel):
    """A service that serves this version."""

    inference_service: str
    """Name of the InferenceService."""
    role: Literal["Stable", "Candidate"]
    """Role of the version in this service."""


class Quarantine(WireModel):
    """Exclusion of the version from all services by a person, with the annotation tidemill.dev/quarantine."""

    reason: str = "Quarantined"
    """CamelCase word for the cause."""
    user: str = Field(default="", max_length=256)
    """User name of the person who set the quarantine."""
    message: Text = ""
    """Explanation by this person."""
    since: Timestamp
    """Time when the operator first saw the quarantine."""


class ModelVersionStatus(Status):
    """Observed state of the ModelVersion."""

    score: float | None = None
    """First metric on the hold-out."""
    gates: tuple[GateResult, ...] = Field(default=(), max_length=32)
    """Result of each gate."""
    version: int | None = Field(default=None, ge=1)
    """Number of the version among those of its model, in the order of creation."""
    approved_by: tuple[Approver, ...] = Field(default=(), max_length=33)
    """Approvals with their times; `automatic` for the policy Automatic."""
    served_by: tuple[ServedBy, ...] = Field(default=(), max_length=32)
    """Services that serve this version now."""
    role: str = ""
    """Role in service: Stable, Candidate, or empty."""
    quarantine: Quarantine | None = None
    """Exclusion from all services by a person; empty if there is none."""


class ModelVersion(Resource[ModelVersionSpec, ModelVersionStatus]):
    """A trained model with its evidence: files by digest, metrics, lineage, gates and approval."""

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
    """Desired state."""
    status: ModelVersionStatus = ModelVersionStatus()
    """Observed state."""
