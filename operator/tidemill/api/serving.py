"""How an InferenceService answers: bounds of a request, the log, scale, the way in, objectives."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tidemill.api.base import ColumnName, Duration, Percent, Rule, WireModel, at_least_a_second


class Batcher(WireModel):
    """Requests that wait at the same moment are asked of the model together; nothing waits for company."""

    max_batch_size: int = Field(default=64, ge=1, le=4096)
    """The most rows that are put together, 1 for none; models that answer rows in company otherwise than alone are left alone."""


class Protocol(WireModel):
    """Bounds of one request."""

    timeout: Duration = "5s"
    """A candidate that takes longer is answered for by the stable version."""
    max_body_bytes: int = Field(default=10485760, ge=1024, le=1073741824)
    """A larger body is refused."""
    batcher: Batcher = Batcher()
    """How requests are put together for the model."""


class CloudEvents(WireModel):
    """Every logged request and its answer, sent on as a pair of CloudEvents like those of KServe's logger.

    Best effort: what the sink does not take in time is dropped and counted, and answers never wait for it.
    """

    url: Annotated[str, Field(pattern=r"^https?://[^\s/@]+(/\S*)?$", max_length=512)]
    """Where they are posted, in binary mode: types org.kubeflow.serving.inference.request and .response, id the request's."""


class Predictions(WireModel):
    """The log of what was asked and answered."""

    percent: Percent = 100
    """The share of requests that are logged."""
    retention: Duration = "30d"
    """How long the log and its labels are kept; the pods delete what is older, by whole days."""
    redact: tuple[ColumnName, ...] = Field(default=(), max_length=256)
    """Features and Protected columns whose values are left out of the log and of events."""
    cloud_events: CloudEvents | None = None
    """Where logged requests are sent too."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_a_second("retention", {"retention": "7d"}, {"retention": "0s"}),)


class Autoscaling(WireModel):
    """The number of stable pods follows the load, by a HorizontalPodAutoscaler."""

    min_replicas: int = Field(default=1, ge=1, le=1000)
    """Never fewer."""
    max_replicas: int = Field(ge=1, le=1000)
    """Never more."""
    metric: Literal["CPU", "RequestsInFlight"] = "CPU"
    """What is kept at the target: the share of the requested CPU that is used, or requests in flight per pod (this needs an
    adapter that serves tidemill_predictions_in_flight through the custom metrics API)."""
    target: int = Field(default=70, ge=1, le=1000000)
    """Percent for CPU, a number of requests for RequestsInFlight."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",
            "minReplicas must not be above maxReplicas",
            accepts={"minReplicas": 2, "maxReplicas": 6},
            rejects={"minReplicas": 6, "maxReplicas": 2},
        ),
    )


class ParentReference(WireModel):
    """A Gateway that takes requests in."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)]
    """The Gateway's name."""
    namespace: Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$", max_length=63)] = ""
    """Its namespace; empty is the service's own."""
    section_name: Annotated[str, Field(pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$", max_length=253)] = ""
    """One listener of it; empty is all."""


class Traffic(WireModel):
    """Who splits requests between the versions."""

    provider: Literal["Builtin", "GatewayAPI"] = "Builtin"
    """Builtin: the stable pods do, and answer for a candidate that fails. GatewayAPI: an HTTPRoute's weights do, for requests that
    come through a Gateway."""
    parent_refs: tuple[ParentReference, ...] = Field(default=(), max_length=8)
    """For GatewayAPI: the Gateways."""
    hostnames: tuple[Annotated[str, Field(min_length=1, max_length=253)], ...] = Field(default=(), max_length=16)
    """For GatewayAPI: hosts that the route is for; empty is every host of the listeners."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "(has(self.provider) && self.provider == 'GatewayAPI') == (has(self.parentRefs) && self.parentRefs.size() > 0)",
            "parentRefs goes with provider GatewayAPI, which needs at least one",
            accepts={"provider": "GatewayAPI", "parentRefs": [{"name": "edge"}]},
            rejects={"provider": "GatewayAPI"},
        ),
        Rule(
            "!has(self.hostnames) || self.hostnames.size() == 0 || (has(self.provider) && self.provider == 'GatewayAPI')",
            "hostnames goes with provider GatewayAPI",
            accepts={"provider": "GatewayAPI", "parentRefs": [{"name": "edge"}], "hostnames": ["fraud.example.com"]},
            rejects={"hostnames": ["fraud.example.com"]},
        ),
    )


class Objectives(WireModel):
    """What the service owes its clients: metrics, which the chart's alerts compare with what is measured."""

    latency_p95: Duration | None = None
    """95 % of requests are answered within this time."""
    availability: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The share of requests that are answered without a server error, such as 0.999."""
    maximum_model_age: Duration | None = None
    """A version that answers is replaced by a newer one before it is older than this."""
