"""InferenceService: which version answers, and how the next one takes over."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tidemill.api.base import (
    Column,
    Duration,
    MetricName,
    Model,
    Moment,
    Name,
    Percent,
    Quantities,
    Resource,
    Rule,
    Text,
    at_least_a_second,
    in_order,
)
from tidemill.api.conditions import Status

Verdict = Literal["Successful", "Failed", "Inconclusive"]


class ModelReference(Model):
    """Which model, and which version of it."""

    name: Name
    """The model's name, as in `spec.modelName` of its versions."""
    policy: Literal["LatestApproved"] = "LatestApproved"
    """Follow the newest version that may be served, unless `version` pins one."""
    version: Name | None = None
    """Pins this ModelVersion: it is rolled out, and nothing newer is."""


class Step(Model):
    """A stage of the canary."""

    weight: Percent
    """The share of requests that the candidate answers, in percent."""
    pause: Duration = "60s"
    """How long the candidate must hold this weight before the next step."""


class AnalysisMetric(Model):
    """One question that the candidate is asked throughout the canary."""

    list_key: ClassVar[str] = "name"

    name: Name
    """For status and messages."""
    type: Literal["ErrorRate", "LatencyP95", "PredictionAgreement", "Labelled"]
    """What is measured: failed answers, seconds to answer, equal answers on the same rows, a metric on labelled rows."""
    metric: MetricName | None = None
    """For Labelled: accuracy, f1, precision, recall; mean_absolute_error, rmse or r2 for regression."""
    minimum: float | None = None
    """The smallest value that passes."""
    maximum: float | None = None
    """The largest value that passes."""
    maximum_regression: float | None = Field(default=None, ge=0)
    """How much worse than the stable version, on the same rows, in units of the metric."""
    maximum_increase: float | None = Field(default=None, ge=0)
    """How much slower than the stable version, as a share: 0.5 is half as long again."""
    minimum_samples: int = Field(default=20, ge=1, le=1000000)
    """With fewer samples the verdict is Inconclusive."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.minimum) || has(self.maximum) || has(self.maximumRegression) || has(self.maximumIncrease)",
            "set a bound: minimum, maximum, maximumRegression or maximumIncrease",
            accepts={"name": "errors", "type": "ErrorRate", "maximum": 0.01},
            rejects={"name": "errors", "type": "ErrorRate"},
        ),
        Rule(
            "has(self.metric) == (self.type == 'Labelled')",
            "metric goes with type Labelled, and only with it",
            accepts={"name": "quality", "type": "Labelled", "metric": "accuracy", "maximumRegression": 0.01},
            rejects={"name": "quality", "type": "Labelled", "maximumRegression": 0.01},
        ),
        Rule(
            "!has(self.maximumRegression) || self.type == 'Labelled'",
            "maximumRegression goes with type Labelled",
            accepts={"name": "quality", "type": "Labelled", "metric": "accuracy", "maximumRegression": 0.01},
            rejects={"name": "errors", "type": "ErrorRate", "maximum": 0.1, "maximumRegression": 0.01},
        ),
        in_order(
            {"name": "errors", "type": "ErrorRate", "minimum": 0, "maximum": 0.1},
            {"name": "errors", "type": "ErrorRate", "minimum": 0.2, "maximum": 0.1},
        ),
        Rule(
            "!has(self.maximumIncrease) || self.type == 'LatencyP95'",
            "maximumIncrease goes with type LatencyP95",
            accepts={"name": "latency", "type": "LatencyP95", "maximumIncrease": 0.5},
            rejects={"name": "errors", "type": "ErrorRate", "maximumIncrease": 0.5},
        ),
    )


class Analysis(Model):
    """The candidate's examination."""

    interval: Duration = "30s"
    """How often it is judged."""
    failure_limit: int = Field(default=1, ge=0, le=100)
    """How many failed judgements of one metric are forgiven in a row."""
    metrics: tuple[AnalysisMetric, ...] = Field(
        default=(
            AnalysisMetric(name="errors", type="ErrorRate", maximum=0.01),
            AnalysisMetric(name="latency", type="LatencyP95", maximum_increase=1.0),
        ),
        max_length=32,
    )
    """The questions."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_a_second("interval", {"interval": "3s"}, {"interval": "0m0s"}),)


class Rollout(Model):
    """How a new version takes over."""

    strategy: Literal["Canary", "Recreate"] = "Canary"
    """Canary gives it a growing share of the traffic and judges it; Recreate replaces pods without judging."""
    steps: tuple[Step, ...] = Field(
        default=(Step(weight=5, pause="5m"), Step(weight=25, pause="10m"), Step(weight=50, pause="10m")),
        max_length=20,
    )
    """The stages; after the last one the version is promoted."""
    analysis: Analysis = Analysis()
    """The examination."""
    on_inconclusive: Literal["Pause", "Rollback", "Continue"] = "Pause"
    """What happens at the end of a step when a metric had too few samples."""
    deadline: Duration = "4h"
    """A rollout that has not ended by then is rolled back."""


class Predictions(Model):
    """The log of what was asked and answered."""

    percent: Percent = 100
    """The share of requests that are logged."""
    retention: Duration = "30d"
    """How long the log is kept."""


class Protocol(Model):
    """Bounds of one request."""

    timeout: Duration = "5s"
    """A candidate that takes longer is answered for by the stable version."""
    max_body_bytes: int = Field(default=10485760, ge=1024, le=1073741824)
    """A larger body is refused."""


class InferenceServiceSpec(Model):
    """Serve a model over the Open Inference Protocol, and take new versions in safely."""

    model: ModelReference
    """Which model, and which version of it."""
    replicas: int | None = Field(default=None, ge=0, le=1000)
    """Stable pods; one where nothing is said and no autoscaler speaks."""
    resources: Quantities | None = None
    """Of each serving pod."""
    protocol: Protocol = Protocol()
    """Bounds of one request."""
    rollout: Rollout = Rollout()
    """How a new version takes over."""
    predictions: Predictions = Predictions()
    """The log of what was asked and answered."""
    suspend: bool = False
    """Freezes the service: pods keep answering, no new version is taken in."""


class Serving(Model):
    """A version in service."""

    version: str
    """The ModelVersion."""
    digest: str = Field(default="", pattern="^(sha256:[0-9a-f]{64})?$", max_length=71)
    """Of its artefact."""
    replicas: int = 0
    """Pods wanted."""
    ready: int = 0
    """Pods that answer."""
    weight: Percent = 0
    """Its share of the traffic, in percent."""


class AnalysisResult(Model):
    """How one question was answered last."""

    name: str
    """The metric's name in the spec."""
    verdict: Verdict
    """Successful, Failed, or Inconclusive where there is too little to judge by."""
    value: float | None = None
    """The candidate's value."""
    reference: float | None = None
    """The stable version's value."""
    samples: int = 0
    """How many requests, pairs or labels it rests on."""
    failures: int = 0
    """Failed judgements in a row."""
    message: Text = ""
    """In a sentence."""


class RolloutStatus(Model):
    """The rollout under way."""

    phase: Literal["Starting", "Progressing", "Paused", "Promoting", "RollingBack"]
    """Where it stands."""
    version: str
    """The candidate."""
    step: int = 0
    """Index of the current step."""
    weight: Percent = 0
    """The candidate's share now."""
    started_at: Moment
    """When the candidate was chosen."""
    step_started_at: Moment
    """When the current step began."""
    analysed_at: Moment | None = None
    """When the candidate was judged last."""
    analysis: tuple[AnalysisResult, ...] = Field(default=(), max_length=32)
    """The newest judgement."""
    message: Text = ""
    """In a sentence."""


class Outcome(Model):
    """A rollout that ended."""

    version: str
    """The candidate."""
    digest: str = ""
    """Of its artefact."""
    outcome: Literal["Promoted", "RolledBack", "Superseded"]
    """How it ended."""
    reason: str = ""
    """The metric or event that decided."""
    message: Text = ""
    """In a sentence."""
    started_at: Moment
    """When it began."""
    at: Moment
    """When it ended."""


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
    replicas: int = 0
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
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Model", ".spec.model.name"),
        Column("Stable", ".status.stable.version"),
        Column("Candidate", ".status.candidate.version"),
        Column("Weight", ".status.rollout.weight", "integer"),
        Column("URL", ".status.url", priority=1),
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Status", ".status.conditions[?(@.type=='Ready')].reason"),
        Column("Age", ".metadata.creationTimestamp", "date"),
    )

    kind: str = "InferenceService"
    spec: InferenceServiceSpec
    """What is wanted."""
    status: InferenceServiceStatus = InferenceServiceStatus()
    """What is."""
