"""ModelVersion: what may be served, and why."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tidemill.api.base import (
    Column,
    Digest,
    MetricName,
    Model,
    Moment,
    Name,
    ObjectName,
    Resource,
    Rule,
    Scalar,
    Text,
    in_order,
)
from tidemill.api.conditions import Status

RowSet = Literal["Holdout", "RecentLabelled"]


class Gate(Model):
    """A bound that a version must keep before it may be served."""

    metric: MetricName
    """A metric of the evaluation, such as `roc_auc`."""
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
        in_order(
            {"metric": "accuracy", "minimum": 0.9, "maximum": 0.9},
            {"metric": "accuracy", "minimum": 0.9, "maximum": 0.8},
        ),
    )


class Decision(Model):
    """What an approver said."""

    list_key: ClassVar[str] = "user"

    user: str = Field(min_length=1, max_length=256)
    """The approver, as the API server knows them."""
    verdict: Literal["Approved", "Rejected"]
    """Yes or no."""
    comment: str = Field(default="", max_length=1024)
    """Why."""


class Approval(Model):
    """Who must agree before the version may be served."""

    policy: Literal["Automatic", "Manual"] = "Automatic"
    """Automatic serves what passes its gates; Manual waits for decisions."""
    required_approvals: int = Field(default=1, ge=1, le=10)
    """How many approvals Manual waits for."""
    decisions: tuple[Decision, ...] = Field(default=(), max_length=32)
    """What approvers said; needs the RBAC verb `approve` on modelversions."""


class Artifact(Model):
    """The model's bytes."""

    uri: str = Field(min_length=1, max_length=1024)
    """The folder in the store."""
    digest: Digest
    """Of the folder's manifest, which names the digest of every file."""
    format: Literal["Skops", "ONNX"] = "Skops"
    """How the model is written; a compiled ONNX form may lie beside a Skops one."""


class Measured(Model):
    """Metrics on one set of rows."""

    on: RowSet = Field(alias="rowSet")
    """Which rows."""
    rows: int = Field(ge=0, le=1000000000000)
    """How many."""
    metrics: dict[str, float] = Field(default_factory=dict, max_length=64)
    """Of this version."""
    stable: dict[str, float] = Field(default_factory=dict, max_length=64)
    """Of the version in service when this one was trained, on the same rows."""


class DatasetUsed(Model):
    """A dataset revision this version learnt from."""

    name: str = Field(max_length=253)
    """The Dataset."""
    digest: Digest
    """The revision."""
    role: Literal["Training", "Holdout", "Served"] = "Training"
    """What the rows were used for."""


class Lineage(Model):
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


class ModelVersionSpec(Model):
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
    suspend: bool = False
    """Takes the version out of the choice of services that follow the newest approved one."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.modelName == oldSelf.modelName && self.artifact == oldSelf.artifact"
            " && self.lineage == oldSelf.lineage"
            " && has(self.evaluation) == has(oldSelf.evaluation)"
            " && (!has(self.evaluation) || self.evaluation == oldSelf.evaluation)"
            " && has(self.gates) == has(oldSelf.gates) && (!has(self.gates) || self.gates == oldSelf.gates)",
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
    )


class GateResult(Model):
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


class ServedBy(Model):
    """A service that has this version."""

    inference_service: str
    """Which one."""
    role: Literal["Stable", "Candidate"]
    """In which role."""


class Quarantine(Model):
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
    approved_by: tuple[str, ...] = Field(default=(), max_length=32)
    """Who approved; `automatic` where policy did."""
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
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Model", ".spec.modelName"),
        Column("Score", ".status.score", "number"),
        Column("Gates", ".status.conditions[?(@.type=='GatesPassed')].status"),
        Column("Approved", ".status.conditions[?(@.type=='Approved')].status"),
        Column("Role", ".status.role"),
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Status", ".status.conditions[?(@.type=='Ready')].reason"),
        Column("Age", ".metadata.creationTimestamp", "date"),
    )

    kind: str = "ModelVersion"
    spec: ModelVersionSpec
    """What it is."""
    status: ModelVersionStatus = ModelVersionStatus()
    """Whether it may be served."""
