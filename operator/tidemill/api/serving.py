"""Serving options of an InferenceService: request limits, prediction log, autoscaling, traffic, objectives."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tidemill.api.base import ColumnName, Duration, Percent, Rule, WireModel, at_least_a_second


class Batcher(WireModel):
    """Batching of requests: rows that wait at the same time are predicted together. A request never waits for a batch
    to fill."""

    max_batch_size: int = Field(default=64, ge=1, le=4096)
    """Maximum number of rows in a batch; 1 disables batching. Models whose predictions depend on the other rows of a
    batch are never batched."""


class Protocol(WireModel):
    """Limits of one request."""

    timeout: Duration = "5s"
    """Time limit of the candidate; the stable version answers a request that takes longer."""
    max_body_bytes: int = Field(default=10485760, ge=1024, le=1073741824)
    """Maximum size of a request body in bytes; larger ones are rejected with status 413."""
    batcher: Batcher = Batcher()
    """Batching of requests."""


class CloudEvents(WireModel):
    """Sink that receives each logged request and its response as a pair of CloudEvents, like those of KServe's
    logger. Delivery is best effort: events that the sink does not accept in time are dropped and counted, and
    responses never wait for it."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s/@]+(/\S*)?$", max_length=512)]
    """URL that events are posted to, in binary mode. Types are org.kubeflow.serving.inference.request and .response;
    the id is that of the request."""


class Predictions(WireModel):
    """Prediction log: requests and their predictions."""

    percent: Percent = 100
    """Share of requests that is logged."""
    retention: Duration = "30d"
    """Time for which the log and its labels are kept; pods delete older data by whole days."""
    redact: tuple[ColumnName, ...] = Field(default=(), max_length=256)
    """Features and Protected columns whose values are left out of the log and of events."""
    cloud_events: CloudEvents | None = None
    """Sink that also receives the logged requests."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_a_second("retention", {"retention": "7d"}, {"retention": "0s"}),)


class Autoscaling(WireModel):
    """Autoscaling of the stable pods by a HorizontalPodAutoscaler."""

    min_replicas: int = Field(default=1, ge=1, le=1000)
    """Minimum number of pods."""
    max_replicas: int = Field(ge=1, le=1000)
    """Maximum number of pods."""
    metric: Literal["CPU", "RequestsInFlight"] = "CPU"
    """Metric that is kept at the target. CPU: the used share of the requested CPU. RequestsInFlight: concurrent
    requests per pod; this needs an adapter that serves tidemill_predictions_in_flight through the custom metrics
    API."""
    target: int = Field(default=70, ge=1, le=1000000)
    """Target value: percent for CPU, number of requests for RequestsInFlight."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",
            "minReplicas must not be above maxReplicas",
            accepts={"minReplicas": 2, "maxReplicas": 6},
            rejects={"minReplicas": 6, "maxReplicas": 2},
        ),
    )


class ParentReference(WireModel):
    """A Gateway that receives the requests."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)]
    """Name of the Gateway."""
    namespace: Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$", max_length=63)] = ""
    """Namespace of the Gateway; that of the service if empty."""
    section_name: Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$", max_length=253)] = ""
    """Name of one listener of the Gateway; all listeners if empty."""


class Traffic(WireModel):
    """Component that splits requests between the versions."""

    provider: Literal["Builtin", "GatewayAPI"] = "Builtin"
    """Builtin: the stable pods split the traffic, and answer themselves if the candidate fails. GatewayAPI: the
    weights of an HTTPRoute split requests that come through a Gateway."""
    parent_refs: tuple[ParentReference, ...] = Field(default=(), max_length=8)
    """For GatewayAPI: Gateways that the route is attached to."""
    hostnames: tuple[Annotated[str, Field(min_length=1, max_length=253)], ...] = Field(default=(), max_length=16)
    """For GatewayAPI: host names of the route; every host of the listeners if empty."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "(has(self.provider) && self.provider == 'GatewayAPI') == (has(self.parentRefs) && self.parentRefs.size() > 0)",
            "provider GatewayAPI and parentRefs must be used together; set both or none",
            accepts={"provider": "GatewayAPI", "parentRefs": [{"name": "edge"}]},
            rejects={"provider": "GatewayAPI"},
        ),
        Rule(
            "!has(self.hostnames) || self.hostnames.size() == 0 || (has(self.provider) && self.provider == 'GatewayAPI')",
            "hostnames requires provider GatewayAPI; set provider or remove hostnames",
            accepts={"provider": "GatewayAPI", "parentRefs": [{"name": "edge"}], "hostnames": ["fraud.example.com"]},
            rejects={"hostnames": ["fraud.example.com"]},
        ),
    )


class Objectives(WireModel):
    """Service level objectives, exported as metrics; the alerts of the chart compare them with the measured values."""

    latency_p95: Duration | None = None
    """Time within which 95% of the requests must be answered."""
    availability: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share of the requests that must be answered without a server error, such as 0.999."""
    maximum_model_age: Duration | None = None
    """Maximum age of the stable version."""
