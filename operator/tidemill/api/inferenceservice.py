"""InferenceService: the version that answers, and the rollout of the next one."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tidemill.api.analysis import Analysis, AnalysisMetric, AnalysisResult, Verdict
from tidemill.api.base import Name, Percent, PrinterColumn, Quantities, Resource, Rule, WireModel
from tidemill.api.conditions import Status
from tidemill.api.feedback import FeedbackSource
from tidemill.api.rollout import AnalysisJob, Outcome, Rejection, Rollout, RolloutStatus, Shadow, Step
from tidemill.api.serving import Autoscaling, Objectives, Predictions, Protocol, Traffic

__all__ = [
    "Analysis",
    "AnalysisJob",
    "AnalysisMetric",
    "AnalysisResult",
    "Autoscaling",
    "InferenceService",
    "InferenceServiceSpec",
    "InferenceServiceStatus",
    "Outcome",
    "Rejection",
    "Rollout",
    "RolloutStatus",
    "Serving",
    "Shadow",
    "Step",
    "Verdict",
]


class ModelReference(WireModel):
    """A model, and the version of it to serve."""

    name: Name
    """Name of the model, as in `spec.modelName` of its versions."""
    policy: Literal["LatestApproved"] = "LatestApproved"
    """LatestApproved follows the newest version that may be served, unless `version` pins one."""
    version: Name | None = None
    """Pin this ModelVersion: it is rolled out, and newer versions are not."""


class InferenceServiceSpec(WireModel):
    """Desired state of the InferenceService: the model, its pods, and the rollout of new versions."""

    model: ModelReference
    """Model, and the version of it to serve."""
    replicas: int | None = Field(default=None, ge=0, le=1000)
    """Number of stable pods; 1 if empty and no autoscaler sets it."""
    autoscaling: Autoscaling | None = None
    """Autoscaling of the stable pods; cannot be combined with replicas."""
    resources: Quantities | None = None
    """Compute resources of each serving pod."""
    protocol: Protocol = Protocol()
    """Limits of one request."""
    rollout: Rollout = Rollout()
    """Rollout of a new version."""
    traffic: Traffic = Traffic()
    """Component that splits requests between the versions."""
    predictions: Predictions = Predictions()
    """Prediction log of the service."""
    feedback: FeedbackSource = FeedbackSource()
    """Labels of the predictions, for the monitors and the retrainings of the service."""
    slo: Objectives = Objectives()
    """Service level objectives."""
    suspend: bool = False
    """Freeze the service: pods keep answering, no new version is rolled out."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.autoscaling) || !has(self.replicas)",
            "replicas and autoscaling are both set; remove one of them",
            accepts={"model": {"name": "fraud"}, "autoscaling": {"maxReplicas": 4}},
            rejects={"model": {"name": "fraud"}, "autoscaling": {"maxReplicas": 4}, "replicas": 2},
        ),
        Rule(
            "!has(self.autoscaling) || self.autoscaling.metric != 'CPU' || !has(self.resources)"
            " || (has(self.resources.requests) && 'cpu' in self.resources.requests)"
            " || (has(self.resources.limits) && 'cpu' in self.resources.limits)",
            "autoscaling by CPU requires a CPU request; set resources.requests.cpu",
            accepts={
                "model": {"name": "fraud"},
                "autoscaling": {"maxReplicas": 4},
                "resources": {"requests": {"cpu": "100m"}},
            },
            rejects={
                "model": {"name": "fraud"},
                "autoscaling": {"maxReplicas": 4},
                "resources": {"requests": {"memory": "1Gi"}},
            },
        ),
    )


class Serving(WireModel):
    """A version in service."""

    version: str
    """Name of the ModelVersion. While the stable pods are replaced, the previous version stays here until a pod of the
    new one is ready."""
    digest: str = Field(default="", pattern="^(sha256:[0-9a-f]{64})?$", max_length=71)
    """Digest of the model artifact."""
    replicas: int = Field(default=0, ge=0)
    """Desired number of pods."""
    ready: int = Field(default=0, ge=0)
    """Number of ready pods of this version."""
    weight: Percent = 0
    """Share of the traffic in percent; 0 if no pod is ready."""


class Endpoints(WireModel):
    """Whole URLs of a model's endpoints; requests are JSON by POST."""

    predict: str = Field(max_length=512)
    """URL for predictions: `{"rows": [{"<feature>": 1.5}]}`."""
    infer: str = Field(max_length=512)
    """URL for predictions by the Open Inference Protocol, version 2."""
    feedback: str = Field(max_length=512)
    """URL for labels: `{"data": [{"id": "<request id>", "label": "<label>"}]}`."""
    explain: str = Field(max_length=512)
    """URL for explanations of predictions; takes the same bodies as `predict`."""


class InferenceServiceStatus(Status):
    """Observed state of the InferenceService."""

    url: str = ""
    """URL of the service inside the cluster."""
    endpoints: Endpoints | None = None
    """Whole URLs of the model's endpoints inside the cluster."""
    stable: Serving | None = None
    """Stable version of the service."""
    candidate: Serving | None = None
    """Candidate version of the current rollout."""
    rollout: RolloutStatus | None = None
    """Rollout of the candidate."""
    history: tuple[Outcome, ...] = Field(default=(), max_length=20)
    """Finished rollouts, newest first."""
    rejected: tuple[Rejection, ...] | None = Field(default=None, max_length=64)
    """Versions that this service rejected and does not try again by itself, newest first."""
    replicas: int = Field(default=0, ge=0)
    """Number of stable pods, for the scale subresource."""
    selector: str = ""
    """Label selector of the stable pods, for the scale subresource."""


class InferenceService(Resource[InferenceServiceSpec, InferenceServiceStatus]):
    """Serves a model over the Open Inference Protocol, and rolls out each new version as a canary that is judged
    before it is promoted."""

    kind_name: ClassVar[str] = "InferenceService"
    plural: ClassVar[str] = "inferenceservices"
    short_name: ClassVar[str] = "tis"
    scale: ClassVar[dict[str, str] | None] = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    columns: ClassVar[tuple[PrinterColumn, ...]] = (
        PrinterColumn("Model", ".spec.model.name"),
        PrinterColumn("Stable", ".status.stable.version"),
        PrinterColumn("Candidate", ".status.candidate.version"),
        PrinterColumn("Weight", ".status.rollout.weight", "integer"),
        PrinterColumn("URL", ".status.url", priority=1),
        PrinterColumn("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        PrinterColumn("Status", ".status.conditions[?(@.type=='Ready')].reason"),
        PrinterColumn("Age", ".metadata.creationTimestamp", "date"),
    )

    kind: str = "InferenceService"
    spec: InferenceServiceSpec
    """Desired state."""
    status: InferenceServiceStatus = InferenceServiceStatus()
    """Observed state."""
