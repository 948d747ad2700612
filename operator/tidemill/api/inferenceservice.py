"""InferenceService: which version answers, and how the next one takes over."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tidemill.api.analysis import Analysis, AnalysisMetric, AnalysisResult, Verdict
from tidemill.api.base import Name, Percent, PrinterColumn, Quantities, Resource, Rule, WireModel
from tidemill.api.conditions import Status
from tidemill.api.rollout import Outcome, Rollout, RolloutStatus, Shadow, Step
from tidemill.api.serving import Autoscaling, Objectives, Predictions, Protocol, Traffic

__all__ = [
    "Analysis",
    "AnalysisMetric",
    "AnalysisResult",
    "Autoscaling",
    "InferenceService",
    "InferenceServiceSpec",
    "InferenceServiceStatus",
    "Outcome",
    "Rollout",
    "RolloutStatus",
    "Serving",
    "Shadow",
    "Step",
    "Verdict",
]


class ModelReference(WireModel):
    """Which model, and which version of it."""

    name: Name
    """The model's name, as in `spec.modelName` of its versions."""
    policy: Literal["LatestApproved"] = "LatestApproved"
    """Follow the newest version that may be served, unless `version` pins one."""
    version: Name | None = None
    """Pins this ModelVersion: it is rolled out, and nothing newer is."""


class InferenceServiceSpec(WireModel):
    """Serve a model over the Open Inference Protocol, and take new versions in safely."""

    model: ModelReference
    """Which model, and which version of it."""
    replicas: int | None = Field(default=None, ge=0, le=1000)
    """Stable pods; one where nothing is said and no autoscaler speaks."""
    autoscaling: Autoscaling | None = None
    """Lets the number of stable pods follow the load; goes without replicas."""
    resources: Quantities | None = None
    """Of each serving pod."""
    protocol: Protocol = Protocol()
    """Bounds of one request."""
    rollout: Rollout = Rollout()
    """How a new version takes over."""
    traffic: Traffic = Traffic()
    """Who splits requests between the versions."""
    predictions: Predictions = Predictions()
    """The log of what was asked and answered."""
    slo: Objectives = Objectives()
    """What the service owes its clients."""
    suspend: bool = False
    """Freezes the service: pods keep answering, no new version is taken in."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.autoscaling) || !has(self.replicas)",
            "the number of pods is either given by replicas or left to autoscaling",
            accepts={"model": {"name": "fraud"}, "autoscaling": {"maxReplicas": 4}},
            rejects={"model": {"name": "fraud"}, "autoscaling": {"maxReplicas": 4}, "replicas": 2},
        ),
        Rule(
            "!has(self.autoscaling) || self.autoscaling.metric != 'CPU' || !has(self.resources)"
            " || (has(self.resources.requests) && 'cpu' in self.resources.requests)"
            " || (has(self.resources.limits) && 'cpu' in self.resources.limits)",
            "autoscaling by CPU is a share of what is requested: give resources.requests.cpu",
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
    """The ModelVersion."""
    digest: str = Field(default="", pattern="^(sha256:[0-9a-f]{64})?$", max_length=71)
    """Of its artefact."""
    replicas: int = Field(default=0, ge=0)
    """Pods wanted."""
    ready: int = Field(default=0, ge=0)
    """Pods that answer."""
    weight: Percent = 0
    """Its share of the traffic, in percent."""


class InferenceServiceStatus(Status):
    """Who answers now."""

    url: str = ""
    """Where clients in the cluster reach it."""
    stable: Serving | None = None
    """The version that answers."""
    candidate: Serving | None = None
    """The version on trial."""
    rollout: RolloutStatus | None = None
    """The rollout under way."""
    history: tuple[Outcome, ...] = Field(default=(), max_length=20)
    """Rollouts that ended, newest first."""
    replicas: int = Field(default=0, ge=0)
    """Stable pods, for the scale subresource."""
    selector: str = ""
    """Selects the stable pods, for the scale subresource."""


class InferenceService(Resource[InferenceServiceSpec, InferenceServiceStatus]):
    """A model behind the Open Inference Protocol: the stable version answers, the next one proves itself as a canary."""

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
    """What is wanted."""
    status: InferenceServiceStatus = InferenceServiceStatus()
    """What is."""
