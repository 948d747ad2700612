"""DriftMonitor: what is compared, when it fires, what happens then."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tidemill.api.base import (
    Column,
    ColumnName,
    Digest,
    Duration,
    MetricName,
    Model,
    Moment,
    Name,
    Quantities,
    Resource,
    Rule,
    Share,
    Text,
    at_least_a_second,
)
from tidemill.api.conditions import Status
from tidemill.api.dataset import Attempt

CheckVerdict = Literal["Passing", "Warning", "Failing", "NoData"]
CheckType = Literal["DataQuality", "FeatureDrift", "PredictionDrift", "Performance"]
Method = Literal[
    "Auto",
    "PSI",
    "JensenShannon",
    "KullbackLeibler",
    "Hellinger",
    "TotalVariation",
    "ChiSquare",
    "CramersV",
    "KolmogorovSmirnov",
    "Wasserstein",
]


class Target(Model):
    """What is watched."""

    inference_service: Name
    """The InferenceService whose log is read."""


class Window(Model):
    """Which served rows one check looks at."""

    size: Duration = "24h"
    """How far back it reaches from the moment of the check."""
    minimum_samples: int = Field(default=200, ge=1, le=100000000)
    """With fewer rows the verdict is NoData."""
    minimum_labels: int = Field(default=50, ge=1, le=100000000)
    """With fewer labelled rows a Performance check is NoData, and retraining waits."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_a_second("size", {"size": "1h30m"}, {"size": "0s"}),)


class QualityRule(Model):
    """A bound on one column of what was served."""

    metric: Literal["MissingShare", "OutOfRangeShare", "UnknownCategoryShare"]
    """What is measured."""
    column: ColumnName | None = None
    """The column; every feature where left out."""
    maximum: Share
    """The largest share that passes."""


class Check(Model):
    """One question asked of every window."""

    list_key: ClassVar[str] = "name"

    name: Name
    """For status, metrics and reports."""
    type: CheckType
    """What is asked: are the values sound, have features or predictions moved, are the answers still right."""
    method: Method = "Auto"
    """For FeatureDrift and PredictionDrift: how distance is measured; Auto is PSI less what chance alone makes of it."""
    warning: float | None = Field(default=None, ge=0)
    """From this distance on the verdict is Warning."""
    failing: float | None = Field(default=None, ge=0)
    """From this distance on the verdict is Failing."""
    share: Share = 0.3
    """For FeatureDrift: how large a share of the features, weighted by importance, must have moved."""
    columns: tuple[ColumnName, ...] = Field(default=(), max_length=256)
    """For FeatureDrift: only these."""
    rules_: tuple[QualityRule, ...] = Field(default=(), alias="rules", max_length=64)
    """For DataQuality: the bounds."""
    metric: MetricName | None = None
    """For Performance: a scikit-learn scorer name."""
    minimum: float | None = None
    """For Performance: the smallest value that passes."""
    maximum_regression: float | None = Field(default=None, ge=0)
    """For Performance: how much worse than on the version's own hold-out."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!(self.type in ['FeatureDrift', 'PredictionDrift']) || has(self.failing)",
            "a drift check needs failing",
            accepts={"name": "inputs", "type": "FeatureDrift", "failing": 0.2},
            rejects={"name": "inputs", "type": "FeatureDrift"},
        ),
        Rule(
            "self.type != 'DataQuality' || (has(self.rules) && size(self.rules) > 0)",
            "a DataQuality check needs rules",
            accepts={"name": "sound", "type": "DataQuality", "rules": [{"metric": "MissingShare", "maximum": 0.1}]},
            rejects={"name": "sound", "type": "DataQuality"},
        ),
        Rule(
            "self.type != 'Performance' || (has(self.metric) && (has(self.minimum) || has(self.maximumRegression)))",
            "a Performance check needs metric and minimum or maximumRegression",
            accepts={"name": "quality", "type": "Performance", "metric": "accuracy", "minimum": 0.9},
            rejects={"name": "quality", "type": "Performance", "metric": "accuracy"},
        ),
        Rule(
            "!has(self.warning) || !has(self.failing) || self.warning <= self.failing",
            "warning must not be above failing",
            accepts={"name": "inputs", "type": "FeatureDrift", "warning": 0.1, "failing": 0.2},
            rejects={"name": "inputs", "type": "FeatureDrift", "warning": 0.3, "failing": 0.2},
        ),
    )


class Trigger(Model):
    """When drift is drift."""

    failing: Literal["Any", "All"] = "Any"
    """Any check that is not DataQuality, or all of them."""
    consecutive: int = Field(default=2, ge=1, le=100)
    """How many windows in a row must fail."""


class ServedRowsPolicy(Model):
    """Which served rows the retraining learns from."""

    window: Duration = "30d"
    """How far back they reach."""
    combine: Literal["Append", "Replace"] = "Append"
    """With the Dataset's own rows, or instead of them."""


class Template(Model):
    """What a retraining looks like."""

    training_job: Name
    """The TrainingJob whose spec is taken over."""
    served_rows: ServedRowsPolicy = ServedRowsPolicy()
    """The newer rows that are added."""


class Budget(Model):
    """How many retrainings are paid for."""

    runs: int = Field(default=4, ge=1, le=1000)
    """How many."""
    per: Duration = "30d"
    """In which time."""


class CircuitBreaker(Model):
    """When to stop trying."""

    rejected: int = Field(default=3, ge=1, le=100)
    """After this many versions in a row that were not taken into service, a person must look."""


class Retraining(Model):
    """What happens when the monitor fires."""

    mode: Literal["Off", "Observe", "Act"] = "Act"
    """Observe says what Act would have done."""
    trigger: Trigger = Trigger()
    """When drift is drift."""
    template: Template
    """What a retraining looks like."""
    minimum_interval: Duration = "24h"
    """The shortest time between two retrainings."""
    budget: Budget = Budget()
    """How many are paid for."""
    circuit_breaker: CircuitBreaker = CircuitBreaker()
    """When to stop trying."""


class DriftMonitorSpec(Model):
    """Compare what a service is asked and answers with what its version learnt, and retrain when the tide has turned."""

    target: Target
    """What is watched."""
    interval: Duration = "15m"
    """How often."""
    window: Window = Window()
    """Which served rows one check looks at."""
    reference: Literal["Version"] = "Version"
    """What they are compared with: the profile that the served version carries."""
    checks: tuple[Check, ...] = Field(min_length=1, max_length=32)
    """The questions."""
    retraining: Retraining | None = None
    """What happens when it fires; nothing where left out."""
    resources: Quantities | None = None
    """Of the check pod."""
    suspend: bool = False
    """No checks, no retraining."""

    rules: ClassVar[tuple[Rule, ...]] = (
        at_least_a_second(
            "interval",
            {
                "target": {"inferenceService": "fraud"},
                "checks": [{"name": "inputs", "type": "FeatureDrift", "failing": 0.2}],
                "interval": "0d1m",
            },
            {
                "target": {"inferenceService": "fraud"},
                "checks": [{"name": "inputs", "type": "FeatureDrift", "failing": 0.2}],
                "interval": "10ms",
            },
        ),
    )


class Moved(Model):
    """A column that a check found."""

    column: str
    """Which one."""
    method: str
    """How it was measured."""
    value: float
    """By how much."""


class CheckStatus(Model):
    """How one check stands."""

    name: str
    """The check's name in the spec."""
    type: CheckType
    """What it asks."""
    verdict: CheckVerdict
    """Passing, Warning, Failing or NoData."""
    value: float | None = None
    """What was measured."""
    threshold: float | None = None
    """What it was held against."""
    consecutive: int = 0
    """Windows in a row that failed."""
    failing_since: Moment | None = None
    """End of the last window that did not fail: the tide came in after it."""
    worst: tuple[Moved, ...] = Field(default=(), max_length=5)
    """The columns that moved most."""
    message: Text = ""
    """In a sentence."""


class WindowRun(Model):
    """The newest window that was checked."""

    start: Moment
    """First moment of the window."""
    end: Moment
    """First moment after it."""
    version: str
    """The version in service."""
    samples: int
    """Rows served in it."""
    labelled: int
    """Rows of these with labels."""
    verdict: CheckVerdict
    """The worst of the checks that had data."""
    report_uri: str = Field(default="", max_length=1024)
    """An HTML page about the window."""


class Reference(Model):
    """What windows are compared with."""

    version: str
    """The ModelVersion whose profile it is."""
    digest: Digest
    """Of its artefact."""
    since: Moment
    """Windows that begin earlier are not compared with it."""


class RetrainingStatus(Model):
    """The brakes, and what they hold."""

    active: str = ""
    """The TrainingJob under way, or whose version is on its way."""
    last_time: Moment | None = None
    """When the newest retraining was ordered."""
    next_eligible: Moment | None = None
    """Not before then."""
    runs_in_budget: int = 0
    """Retrainings within the budget's time."""
    consecutive_rejected: int = 0
    """Versions in a row that were not taken into service."""
    blocked: tuple[str, ...] = Field(default=(), max_length=16)
    """What holds a retraining back now."""
    would_have: str = Field(default="", max_length=256)
    """In Observe mode: the TrainingJob that would have been made."""


class RetrainingOutcome(Model):
    """A retraining and what came of it."""

    training_job: str
    """The run."""
    model_version: str = ""
    """The version that came out."""
    outcome: Literal["Running", "Waiting", "Promoted", "Rejected", "Failed"]
    """Waiting is trained, and not yet promoted or rejected."""
    at: Moment
    """When it was ordered."""
    checks: tuple[str, ...] = Field(default=(), max_length=32)
    """The checks that fired."""


class DriftMonitorStatus(Status):
    """What was seen, and what is being done."""

    reference: Reference | None = None
    """What windows are compared with."""
    last_run: WindowRun | None = None
    """The newest window."""
    checks: tuple[CheckStatus, ...] = Field(default=(), max_length=32)
    """How each check stands."""
    attempt: Attempt | None = None
    """The newest check run."""
    retraining: RetrainingStatus = RetrainingStatus()
    """The brakes, and what they hold."""
    history: tuple[RetrainingOutcome, ...] = Field(default=(), max_length=20)
    """Retrainings, newest first."""
    next_check: Moment | None = None
    """When the next window is due."""


class DriftMonitor(Resource[DriftMonitorSpec, DriftMonitorStatus]):
    """Watches what a service is asked and answers; tells a tide from a leak, and starts a retraining for the former."""

    kind_name: ClassVar[str] = "DriftMonitor"
    plural: ClassVar[str] = "driftmonitors"
    short_name: ClassVar[str] = "tdm"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Target", ".spec.target.inferenceService"),
        Column("Verdict", ".status.lastRun.verdict"),
        Column("Samples", ".status.lastRun.samples", "integer"),
        Column("Labelled", ".status.lastRun.labelled", "integer"),
        Column("Retraining", ".status.retraining.active"),
        Column("Last-Retrained", ".status.retraining.lastTime", "date"),
        Column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        Column("Status", ".status.conditions[?(@.type=='Ready')].reason"),
        Column("Age", ".metadata.creationTimestamp", "date"),
    )

    kind: str = "DriftMonitor"
    spec: DriftMonitorSpec
    """What is wanted."""
    status: DriftMonitorStatus = DriftMonitorStatus()
    """What is."""
