"""What a candidate is asked during its rollout, and how it answered."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tidemill.api.base import Duration, MetricName, Name, Rule, Text, WireModel, at_least_a_second, in_order

Verdict = Literal["Successful", "Failed", "Inconclusive"]
Word = Annotated[str, Field(max_length=4096)]


class EnvironmentVariable(WireModel):
    """An environment variable of a container."""

    list_key: ClassVar[str] = "name"

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", min_length=1, max_length=128)]
    """Its name; TIDEMILL_ is the beginning of Tidemill's own."""
    value: Word = ""
    """Its value; credentials do not belong here."""


class JobProbe(WireModel):
    """A container of the user's that judges a candidate: exit code 0 passes, any other fails."""

    image: Annotated[str, Field(min_length=1, max_length=512)]
    """Runs once for each candidate, as a Job without rights and without credentials of Tidemill's."""
    command: tuple[Word, ...] = Field(default=(), max_length=64)
    """In place of the image's entry point."""
    args: tuple[Word, ...] = Field(default=(), max_length=64)
    """Its arguments."""
    env: tuple[EnvironmentVariable, ...] = Field(default=(), max_length=64)
    """Beside TIDEMILL_STABLE_URL, TIDEMILL_CANDIDATE_URL, TIDEMILL_STABLE_VERSION, TIDEMILL_CANDIDATE_VERSION and
    TIDEMILL_MODEL, which tell it whom to ask."""
    timeout: Duration = "10m"
    """A Job that takes longer has failed."""


class PrometheusQuery(WireModel):
    """A question to a Prometheus server that the installation allows."""

    address: Annotated[str, Field(pattern=r"^(https?://[^\s/@?#]+(/[^\s@?#]*)?)?$", max_length=512)] = ""
    """Such as http://prometheus.monitoring.svc:9090; empty is the first one of the chart's analysis.prometheus."""
    query: Annotated[str, Field(min_length=1, max_length=4096)]
    """PromQL with one number as its answer. $candidate, $stable, $service and $namespace stand for their names."""


class AnalysisMetric(WireModel):
    """One question that the candidate is asked throughout the rollout."""

    list_key: ClassVar[str] = "name"

    name: Name
    """For status and messages."""
    type: Literal["ErrorRate", "LatencyP95", "PredictionAgreement", "PredictionDrift", "Labelled", "Prometheus", "Job"]
    """What is measured: failed answers; seconds to answer; equal answers on the same rows; how far the distribution of scores
    moved on the same rows, as a population stability index (0.1 is worth a look, 0.25 is a shift); a metric on labelled
    rows; a number that Prometheus knows; whether a Job of yours succeeds."""
    metric: MetricName | None = None
    """For Labelled: accuracy, f1, precision, recall; mean_absolute_error, rmse or r2 for regression."""
    prometheus: PrometheusQuery | None = None
    """For Prometheus: whom to ask what."""
    job: JobProbe | None = None
    """For Job: what to run."""
    minimum: float | None = None
    """The smallest value that passes."""
    maximum: float | None = None
    """The largest value that passes."""
    maximum_regression: float | None = Field(default=None, ge=0)
    """How much worse than the stable version, on the same rows, in units of the metric."""
    maximum_increase: float | None = Field(default=None, ge=0)
    """How much slower than the stable version, as a share: 0.5 is half as long again."""
    minimum_samples: int = Field(default=20, ge=1, le=1000000)
    """With fewer samples the verdict is Inconclusive; of no meaning for Prometheus and Job."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.minimum) || has(self.maximum) || has(self.maximumRegression) || has(self.maximumIncrease) || self.type == 'Job'",
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
        Rule(
            "has(self.prometheus) == (self.type == 'Prometheus')",
            "prometheus goes with type Prometheus, and only with it",
            accepts={"name": "errors", "type": "Prometheus", "prometheus": {"query": "vector(0)"}, "maximum": 0.1},
            rejects={"name": "errors", "type": "Prometheus", "maximum": 0.1},
        ),
        Rule(
            "has(self.job) == (self.type == 'Job')",
            "job goes with type Job, and only with it",
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
            "a Job passes or fails by its exit code; it has no value to compare with minimum or maximum",
            accepts={"name": "smoke", "type": "Job", "job": {"image": "judge:1"}},
            rejects={"name": "smoke", "type": "Job", "job": {"image": "judge:1"}, "maximum": 1},
        ),
    )


class Analysis(WireModel):
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


class AnalysisResult(WireModel):
    """How one question was answered last."""

    name: str
    """The metric's name in the spec."""
    verdict: Verdict
    """Successful, Failed, or Inconclusive where there is too little to judge by."""
    value: float | None = None
    """The candidate's value."""
    reference: float | None = None
    """The stable version's value."""
    samples: int = Field(default=0, ge=0)
    """How many requests, pairs or labels it rests on."""
    failures: int = Field(default=0, ge=0)
    """Failed judgements in a row."""
    message: Text = ""
    """In a sentence."""
