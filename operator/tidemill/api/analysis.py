"""The judgement of a candidate during its rollout: metrics, bounds and results."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tidemill.api.base import (
    Duration,
    EnvironmentVariable,
    MetricName,
    Name,
    Rule,
    Text,
    WireModel,
    at_least_a_second,
    in_order,
)

Verdict = Literal["Successful", "Failed", "Inconclusive"]
Argument = Annotated[str, Field(max_length=4096)]


class JobProbe(WireModel):
    """A user container that judges a candidate: exit code 0 passes, any other exit code fails."""

    image: Annotated[str, Field(min_length=1, max_length=512)]
    """Image of the container. It runs once per candidate, in a Job without RBAC permissions and without Tidemill's
    credentials."""
    command: tuple[Argument, ...] = Field(default=(), max_length=64)
    """Command that replaces the entry point of the image."""
    args: tuple[Argument, ...] = Field(default=(), max_length=64)
    """Arguments of the command."""
    env: tuple[EnvironmentVariable, ...] = Field(default=(), max_length=64)
    """Environment variables, added to TIDEMILL_STABLE_URL, TIDEMILL_CANDIDATE_URL, TIDEMILL_STABLE_VERSION,
    TIDEMILL_CANDIDATE_VERSION and TIDEMILL_MODEL."""
    timeout: Duration = "10m"
    """Maximum run time; a Job that takes longer has failed. Time in which its pod waits to start counts; a Job whose
    container ran for less than half of it, or whose pod was removed, gives no verdict and is started again."""


class PrometheusQuery(WireModel):
    """A query to a Prometheus server that the installation allows."""

    address: Annotated[str, Field(pattern=r"^(https?://[^\s/@?#]+(/[^\s@?#]*)?)?$", max_length=512)] = ""
    """Address of the server, such as http://prometheus.monitoring.svc:9090. It must be in the list
    analysis.prometheus of the chart; the first entry of the list if empty."""
    query: Annotated[str, Field(min_length=1, max_length=4096)]
    """PromQL expression that returns one number. $candidate, $stable, $service and $namespace are replaced by the
    names of the two ModelVersions, the service and its namespace."""


class AnalysisMetric(WireModel):
    """One metric that the candidate must keep during the rollout."""

    list_key: ClassVar[str] = "name"

    name: Name
    """Name of the metric in status and messages."""
    type: Literal["ErrorRate", "LatencyP95", "PredictionAgreement", "PredictionDrift", "Labelled", "Prometheus", "Job"]
    """Measured quantity. ErrorRate: share of failed requests. LatencyP95: 95th percentile of the response time in
    seconds. Both fail only if the number of requests proves it (95% confidence), ErrorRate also only if the stable
    version does not fail alike; otherwise a value beyond its bound is Inconclusive. PredictionAgreement: share of equal predictions on the same rows. PredictionDrift: population
    stability index between the scores of both versions on the same rows (above 0.1 deserves a look, above 0.25 is
    a shift). Labelled: a quality metric on labelled rows. Prometheus: the result of a query. Job: success of your
    own Job."""
    metric: MetricName | None = None
    """For Labelled: accuracy, f1, precision or recall for classification; mean_absolute_error, rmse or r2 for
    regression."""
    prometheus: PrometheusQuery | None = None
    """For Prometheus: the query and the server."""
    job: JobProbe | None = None
    """For Job: the container that judges the candidate."""
    minimum: float | None = None
    """Smallest value that passes."""
    maximum: float | None = None
    """Largest value that passes."""
    maximum_regression: float | None = Field(default=None, ge=0)
    """For Labelled: largest accepted loss against the stable version on the same rows, in units of the metric."""
    maximum_increase: float | None = Field(default=None, ge=0)
    """For LatencyP95: largest accepted increase over the stable version, as a share; 0.5 accepts 50% more."""
    minimum_samples: int = Field(default=20, ge=1, le=1000000)
    """Minimum number of samples; with fewer the verdict is Inconclusive. Ignored for Prometheus and Job."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.minimum) || has(self.maximum) || has(self.maximumRegression) || has(self.maximumIncrease) || self.type == 'Job'",
            "the metric has no bound; set minimum, maximum, maximumRegression or maximumIncrease",
            accepts={"name": "errors", "type": "ErrorRate", "maximum": 0.01},
            rejects={"name": "errors", "type": "ErrorRate"},
        ),
        Rule(
            "has(self.metric) == (self.type == 'Labelled')",
            "type Labelled and the field metric must be used together; set both or none",
            accepts={"name": "quality", "type": "Labelled", "metric": "accuracy", "maximumRegression": 0.01},
            rejects={"name": "quality", "type": "Labelled", "maximumRegression": 0.01},
        ),
        Rule(
            "!has(self.maximumRegression) || self.type == 'Labelled'",
            "maximumRegression requires type Labelled; change type or remove maximumRegression",
            accepts={"name": "quality", "type": "Labelled", "metric": "accuracy", "maximumRegression": 0.01},
            rejects={"name": "errors", "type": "ErrorRate", "maximum": 0.1, "maximumRegression": 0.01},
        ),
        in_order(
            {"name": "errors", "type": "ErrorRate", "minimum": 0, "maximum": 0.1},
            {"name": "errors", "type": "ErrorRate", "minimum": 0.2, "maximum": 0.1},
        ),
        Rule(
            "!has(self.maximumIncrease) || self.type == 'LatencyP95'",
            "maximumIncrease requires type LatencyP95; change type or remove maximumIncrease",
            accepts={"name": "latency", "type": "LatencyP95", "maximumIncrease": 0.5},
            rejects={"name": "errors", "type": "ErrorRate", "maximumIncrease": 0.5},
        ),
        Rule(
            "has(self.prometheus) == (self.type == 'Prometheus')",
            "type Prometheus and the field prometheus must be used together; set both or none",
            accepts={"name": "errors", "type": "Prometheus", "prometheus": {"query": "vector(0)"}, "maximum": 0.1},
            rejects={"name": "errors", "type": "Prometheus", "maximum": 0.1},
        ),
        Rule(
            "has(self.job) == (self.type == 'Job')",
            "type Job and the field job must be used together; set both or none",
            accepts={"name": "smoke", "type": "Job", "job": {"image": "judge:1"}},
            rejects={"name": "smoke", "type": "Job"},
        ),
        Rule(
            "!has(self.job) || !has(self.job.timeout) || self.job.timeout.matches('[1-9][0-9]*(s|h|d|m([^s]|$))')",
            "job.timeout must be at least one second",
            accepts={"name": "smoke", "type": "Job", "job": {"image": "judge:1", "timeout": "5m"}},
            rejects={"name": "smoke", "type": "Job", "job": {"image": "judge:1", "timeout": "0s"}},
        ),
        Rule(
            "self.type != 'Job' || !(has(self.minimum) || has(self.maximum))",
            "a Job passes or fails by its exit code, not by a value; remove minimum and maximum",
            accepts={"name": "smoke", "type": "Job", "job": {"image": "judge:1"}},
            rejects={"name": "smoke", "type": "Job", "job": {"image": "judge:1"}, "maximum": 1},
        ),
    )


class Analysis(WireModel):
    """Judgement of the candidate during the rollout."""

    interval: Duration = "30s"
    """Time between two judgements."""
    failure_limit: int = Field(default=1, ge=0, le=100)
    """Number of consecutive failed judgements of one metric that are tolerated; one more rolls the candidate back."""
    metrics: tuple[AnalysisMetric, ...] = Field(
        default=(
            AnalysisMetric(name="errors", type="ErrorRate", maximum=0.01),
            AnalysisMetric(name="latency", type="LatencyP95", maximum_increase=1.0),
        ),
        max_length=32,
    )
    """Metrics that are judged."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_a_second("interval", {"interval": "3s"}, {"interval": "0m0s"}),)


class AnalysisResult(WireModel):
    """The newest result of one metric."""

    name: str
    """Name of the metric in the spec."""
    verdict: Verdict
    """Verdict: Successful, Failed, or Inconclusive where there are too few samples."""
    value: float | None = None
    """Value measured for the candidate."""
    reference: float | None = None
    """Value measured for the stable version."""
    samples: int = Field(default=0, ge=0)
    """Number of requests, pairs of predictions or labels that were evaluated."""
    failures: int = Field(default=0, ge=0)
    """Number of consecutive failed judgements."""
    reason: str = Field(default="", max_length=64)
    """For type Job: CamelCase word for what keeps the Job from running, such as Unschedulable; it says nothing about the
    candidate."""
    message: Text = ""
    """Explanation in one sentence."""
