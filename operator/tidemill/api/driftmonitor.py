"""DriftMonitor: what is compared, when it fires, what happens then."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from tidemill.api.base import (
    Column,
    ColumnName,
    Digest,
    Duration,
    LocalReference,
    Model,
    Moment,
    Name,
    Quantities,
    Resource,
    Rule,
    Text,
    at_least_a_second,
)
from tidemill.api.checks import Check, CheckType, CheckVerdict, Method, Moved, QualityRule
from tidemill.api.conditions import Status
from tidemill.api.dataset import Attempt
from tidemill.api.notifications import Delivery, Notification
from tidemill.api.retraining import Cron, Retraining, RetrainingCause


class CloudEventsSource(Model):
    """The payload log of a service that is not Tidemill's, such as a KServe InferenceService: CloudEvents over HTTP.

    They are sent to the Service `<monitor>-receiver` of this namespace: `spec.predictor.logger.url` of KServe.
    """

    service: str = Field(default="", max_length=253)
    """Only events whose `inferenceservicename` is this; every event where left out."""
    columns: tuple[ColumnName, ...] = Field(default=(), max_length=1024)
    """Names of the values of a row, where the payload has none: KServe's `instances`, or one tensor for the whole row."""
    secret_ref: LocalReference | None = None
    """A Secret with `token`: only calls that bear it are taken. Anyone in the cluster may call where left out."""


class Target(Model):
    """What is watched; exactly one of the fields is set."""

    inference_service: Name | None = None
    """The InferenceService whose log is read."""
    cloud_events: CloudEventsSource | None = None
    """A stream of payloads that is sent to a receiver of this monitor."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.inferenceService) != has(self.cloudEvents)",
            "set exactly one of inferenceService and cloudEvents",
            accepts={"cloudEvents": {"service": "fraud"}},
            rejects={"inferenceService": "fraud", "cloudEvents": {}},
        ),
    )


class Window(Model):
    """Which served rows one check looks at."""

    size: Duration = "24h"
    """How far back it reaches from the moment of the check; longer than the interval means that windows overlap."""
    count: int | None = Field(default=None, ge=1, le=100000000)
    """Only the newest rows of these, at most this many."""
    minimum_samples: int = Field(default=200, ge=1, le=100000000)
    """With fewer rows the verdict is NoData."""
    minimum_labels: int = Field(default=50, ge=1, le=100000000)
    """With fewer labelled rows a check that needs labels is NoData, and retraining waits."""
    label_delay: Duration = "0s"
    """How long labels take: checks that need them look at a window of the same size that ends this much earlier."""

    rules: ClassVar[tuple[Rule, ...]] = (
        at_least_a_second("size", {"size": "1h30m"}, {"size": "0s"}),
        Rule(
            "!has(self.count) || !has(self.minimumSamples) || self.count >= self.minimumSamples",
            "count must not be below minimumSamples: every window would be NoData",
            accepts={"count": 5000, "minimumSamples": 500},
            rejects={"count": 100, "minimumSamples": 500},
        ),
    )


class ReferenceDataset(Model):
    """A revision of a Dataset to compare with."""

    name: Name
    """The Dataset's name."""
    revision: str = Field(default="Latest", pattern="^(Latest|sha256:[0-9a-f]{64})$", max_length=71)
    """`Latest` follows the Dataset; a digest stays."""


class ReferenceWindow(Model):
    """Earlier rows of the same log to compare with; exactly one of offset and seasonal is set."""

    offset: Duration | None = None
    """The window of the same size that ended this much earlier."""
    seasonal: Literal["SameHour", "SameWeekday"] | None = None
    """The windows at the same time of each of the days before (SameHour), or of the weeks before (SameWeekday), together."""
    periods: int = Field(default=4, ge=1, le=12)
    """For seasonal: how many days or weeks."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.offset) != has(self.seasonal)",
            "set exactly one of offset and seasonal",
            accepts={"seasonal": "SameWeekday", "periods": 3},
            rejects={"offset": "7d", "seasonal": "SameWeekday"},
        ),
        at_least_a_second("offset", {"offset": "7d"}, {"offset": "0s"}),
    )


class ReferenceSource(Model):
    """What windows are compared with."""

    type: Literal["Version", "Dataset", "Window"] = "Version"
    """Version is the profile that the served version carries, and moves on when a version is promoted."""
    dataset: ReferenceDataset | None = None
    """For Dataset: which one."""
    window: ReferenceWindow | None = None
    """For Window: which one."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.dataset) == (has(self.type) && self.type == 'Dataset')",
            "type: Dataset and dataset go together",
            accepts={"type": "Dataset", "dataset": {"name": "transactions"}},
            rejects={"type": "Version", "dataset": {"name": "transactions"}},
        ),
        Rule(
            "has(self.window) == (has(self.type) && self.type == 'Window')",
            "type: Window and window go together",
            accepts={"type": "Window", "window": {"offset": "7d"}},
            rejects={"type": "Window"},
        ),
    )


_EXAMPLE: Final[dict[str, Any]] = {
    "target": {"inferenceService": "fraud"},
    "checks": [{"name": "inputs", "type": "FeatureDrift", "failing": 0.2}],
}
_OUTSIDE: Final[dict[str, Any]] = {
    **_EXAMPLE,
    "target": {"cloudEvents": {}},
    "reference": {"type": "Dataset", "dataset": {"name": "transactions"}},
}


class DriftMonitorSpec(Model):
    """Compare what a service is asked and answers with what its version learnt, and retrain when the tide has turned."""

    target: Target
    """What is watched."""
    interval: Duration | None = None
    """How often windows are checked; 15m where there is neither an interval nor a schedule. With a multiple of 10s, checks of single columns add up what the pods have counted and read no row."""
    schedule: Cron | None = None
    """When windows are checked, in place of an interval: cron, in UTC."""
    window: Window = Window()
    """Which served rows one check looks at."""
    reference: ReferenceSource = ReferenceSource()
    """What they are compared with."""
    checks: tuple[Check, ...] = Field(min_length=1, max_length=32)
    """The questions."""
    retraining: Retraining | None = None
    """What happens when it fires; nothing where left out."""
    notify: tuple[Notification, ...] = Field(default=(), max_length=8)
    """Who is told what happened."""
    execution: Literal["Job", "WarmWorker"] = "Job"
    """How a check is run. Job starts a pod for each, which takes seconds; WarmWorker asks a pod that is kept running for it, and a Job takes over while that pod is not ready or does not answer."""
    resources: Quantities | None = None
    """Of the check pod, and of the warm worker."""
    suspend: bool = False
    """No checks, no retraining."""

    @property
    def every(self) -> str:
        """The interval in force; of no meaning where there is a schedule."""
        return self.interval or "15m"

    rules: ClassVar[tuple[Rule, ...]] = (
        at_least_a_second("interval", {**_EXAMPLE, "interval": "0d1m"}, {**_EXAMPLE, "interval": "10ms"}),
        Rule(
            "!has(self.interval) || !has(self.schedule)",
            "set interval or schedule, not both",
            accepts={**_EXAMPLE, "schedule": "*/15 * * * *"},
            rejects={**_EXAMPLE, "schedule": "*/15 * * * *", "interval": "15m"},
        ),
        Rule(
            "!has(self.target.cloudEvents) || !has(self.retraining)",
            "retraining needs a service that takes the new version over: target.inferenceService",
            accepts=_OUTSIDE,
            rejects={**_OUTSIDE, "retraining": {"template": {"trainingJob": "fraud"}}},
        ),
        Rule(
            "!has(self.target.cloudEvents) || (has(self.reference) && has(self.reference.type)"
            " && self.reference.type != 'Version')",
            "a service that is not Tidemill's carries no profile: set reference to a Dataset or a Window",
            accepts=_OUTSIDE,
            rejects={**_EXAMPLE, "target": {"cloudEvents": {}}},
        ),
        Rule(
            "!has(self.target.cloudEvents) || self.checks.all(check, !(check.type in ['Performance',"
            " 'EstimatedPerformance', 'ConceptDrift']) && (check.type != 'Timeliness' || (has(check.subject)"
            " && check.subject == 'Predictions')))",
            "nobody sends labels for a service that is not Tidemill's, and it carries no hold-out: no check may rest on them",
            accepts={
                **_OUTSIDE,
                "checks": [{"name": "late", "type": "Timeliness", "subject": "Predictions", "maximumLag": "1h"}],
            },
            rejects={
                **_OUTSIDE,
                "checks": [{"name": "right", "type": "Performance", "metric": "accuracy", "minimum": 0.9}],
            },
        ),
        Rule(
            "!has(self.retraining) || !has(self.retraining.trigger) || !has(self.retraining.trigger.checks)"
            " || self.retraining.trigger.checks.all(name, self.checks.exists(check, check.name == name))",
            "retraining.trigger.checks names a check that is not in checks",
            accepts={
                **_EXAMPLE,
                "retraining": {"template": {"trainingJob": "fraud"}, "trigger": {"checks": ["inputs"]}},
            },
            rejects={**_EXAMPLE, "retraining": {"template": {"trainingJob": "fraud"}, "trigger": {"checks": ["odd"]}}},
        ),
    )


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
    lower: float | None = None
    """Lower end of the interval around the value, where the check has one."""
    upper: float | None = None
    """Upper end of it."""
    consecutive: int = Field(default=0, ge=0)
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
    labelled: int | None = None
    """Rows of these with labels; not counted where no check and no retraining rests on labels."""
    verdict: CheckVerdict
    """The worst of the checks that had data."""
    report_uri: str = Field(default="", max_length=1024)
    """An HTML page about the window."""


class WorkerStatus(Model):
    """The newest check run that was meant for the warm worker."""

    run: str = Field(max_length=63)
    """Its name, which a Job that takes it over has too."""
    at: Moment
    """When it was asked for."""
    given_up: str = Field(default="", max_length=512)
    """Why a Job took it over; empty where none did."""


class Reference(Model):
    """What windows are compared with."""

    version: str
    """The ModelVersion whose profile it is."""
    digest: Digest
    """Of its artefact."""
    since: Moment
    """Windows that begin earlier are not compared with it."""
    dataset_digest: str = Field(default="", max_length=71)
    """For a Dataset as reference: the revision that windows are compared with."""


class HealthPart(Model):
    """One thing that the health score is made of."""

    name: Literal["Drift", "Performance", "Fairness", "Freshness", "Infrastructure"]
    """Which."""
    score: int = Field(ge=0, le=100)
    """100 is perfect."""
    weight: float = Field(ge=0, le=1)
    """How much it counts."""
    message: str = Field(default="", max_length=512)
    """What it is made of, in a sentence."""


class Health(Model):
    """How well the service is, in one number and its parts."""

    score: int = Field(ge=0, le=100)
    """The weighted mean of the parts, never above the worst of them by more than 40, and below 80 while a check fails."""
    grade: Literal["Good", "Warning", "Critical"]
    """Good from 80, Warning from 50, Critical below."""
    parts: tuple[HealthPart, ...] = Field(default=(), max_length=5)
    """What it is made of; a part that nothing is known of is left out."""


class Counterfactual(Model):
    """What a drift cost and what its retraining gained, on the same labelled rows."""

    metric: str = Field(max_length=64)
    """The measure, a scikit-learn scorer name; greater is better."""
    rows: int
    """Labelled rows that both versions were asked."""
    expected: float | None = None
    """What the old version reached on its own hold-out."""
    before: float
    """What the old version reaches on these rows."""
    after: float
    """What the new version reaches on them."""


class RetrainingStatus(Model):
    """The brakes, and what they hold."""

    active: str = ""
    """The TrainingJob under way, or whose version is on its way."""
    last_time: Moment | None = None
    """When the newest retraining was ordered."""
    next_eligible: Moment | None = None
    """Not before then."""
    runs_in_budget: int = Field(default=0, ge=0)
    """Retrainings within the budget's time."""
    consecutive_rejected: int = Field(default=0, ge=0)
    """Versions in a row that were not taken into service."""
    blocked: tuple[str, ...] = Field(default=(), max_length=16)
    """What holds a retraining back now."""
    due: tuple[RetrainingCause, ...] = Field(default=(), max_length=4)
    """What asks for a retraining now."""
    due_since: Moment | None = None
    """Since when something asks without a pause."""
    would_have: str = Field(default="", max_length=256)
    """In Observe mode: the TrainingJob that would have been made."""


class RetrainingOutcome(Model):
    """A retraining and what came of it."""

    training_job: str
    """The run."""
    model_version: str = ""
    """The version that came out."""
    outcome: Literal["Running", "Waiting", "Promoted", "Rejected", "Failed", "Observed"]
    """Waiting is trained, and not yet promoted or rejected; Observed would have been made in mode Act."""
    at: Moment
    """When it was ordered."""
    ended_at: Moment | None = None
    """When it was promoted, rejected or failed."""
    cause: RetrainingCause = "Drift"
    """Why it was made."""
    checks: tuple[str, ...] = Field(default=(), max_length=32)
    """The checks that fired."""
    since: Moment | None = None
    """When what it answers began: the end of the last window that did not fail, the tick of the schedule, the new revision."""
    gain: dict[str, float] = Field(default_factory=dict, max_length=8)
    """How much better the new version is than the one it replaced, by measure, on the same recent labelled rows."""
    counterfactual: Counterfactual | None = None
    """What the drift cost and what the retraining gained."""


class DriftMonitorStatus(Status):
    """What was seen, and what is being done."""

    target: str = ""
    """Whose predictions it speaks of; what was seen of another target is forgotten."""
    reference: Reference | None = None
    """What windows are compared with."""
    last_run: WindowRun | None = None
    """The newest window."""
    checks: tuple[CheckStatus, ...] = Field(default=(), max_length=32)
    """How each check stands."""
    attempt: Attempt | None = None
    """The newest check run."""
    worker: WorkerStatus | None = None
    """What was asked of the warm worker; left out where there is none."""
    health: Health | None = None
    """How well the service is."""
    deliveries: tuple[Delivery, ...] = Field(default=(), max_length=32)
    """Notifications, newest first."""
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
        Column("Health", ".status.health.score", "integer"),
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

    @property
    def log(self) -> str:
        """Whose prediction log is read: a service's, or the monitor's own, which no InferenceService can be named like."""
        return self.spec.target.inference_service or f"cloudevents.{self.name}"


__all__ = [
    "Check",
    "CheckStatus",
    "CheckType",
    "CheckVerdict",
    "DriftMonitor",
    "DriftMonitorSpec",
    "DriftMonitorStatus",
    "Health",
    "HealthPart",
    "Method",
    "Moved",
    "QualityRule",
    "Reference",
    "Retraining",
    "RetrainingOutcome",
    "RetrainingStatus",
    "WindowRun",
    "WorkerStatus",
]
