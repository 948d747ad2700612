"""DriftMonitor: the service it watches, its checks, and the retraining they trigger."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from tidemill.api.base import (
    ColumnName,
    Cron,
    Duration,
    LocalReference,
    Name,
    PrinterColumn,
    Quantities,
    Resource,
    Rule,
    WireModel,
    at_least_a_second,
)
from tidemill.api.checks import Check
from tidemill.api.feedback import FeedbackSource
from tidemill.api.monitorstatus import DriftMonitorStatus
from tidemill.api.notifications import Notification
from tidemill.api.retraining import Retraining


class CloudEventsSource(WireModel):
    """Payload log of a service that Tidemill does not serve, such as a KServe InferenceService: CloudEvents over
    HTTP. Events must be sent to the Service `<monitor>-receiver` of this namespace (`spec.predictor.logger.url` of
    KServe)."""

    service: str = Field(default="", max_length=253)
    """Accept only events with this `inferenceservicename`; every event if empty."""
    columns: tuple[ColumnName, ...] = Field(default=(), max_length=1024)
    """Column names of a row, for payloads that have none: KServe's `instances`, or one tensor for the whole row."""
    secret_ref: LocalReference | None = None
    """Secret with the key `token`: only calls with this bearer token are accepted. If empty, any client in the
    cluster may send events."""


class Target(WireModel):
    """Service that is monitored; set exactly one of the fields."""

    inference_service: Name | None = None
    """InferenceService whose prediction log is read."""
    cloud_events: CloudEventsSource | None = None
    """Stream of payloads that is sent to the receiver of this monitor."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.inferenceService) != has(self.cloudEvents)",
            "set exactly one of inferenceService and cloudEvents",
            accepts={"cloudEvents": {"service": "fraud"}},
            rejects={"inferenceService": "fraud", "cloudEvents": {}},
        ),
    )


class Window(WireModel):
    """Served rows that one check evaluates. A window ends at a tick of the interval or schedule and is checked some
    seconds later, when all its rows are in the object store."""

    size: Duration = "24h"
    """Length of the window; windows overlap if it is longer than the interval."""
    count: int | None = Field(default=None, ge=1, le=100000000)
    """Maximum number of rows, newest first; all rows of the window if empty."""
    minimum_samples: int = Field(default=200, ge=1, le=100000000)
    """Minimum number of rows; with fewer the verdict is NoData."""
    minimum_labels: int = Field(default=50, ge=1, le=100000000)
    """Minimum number of labelled rows; with fewer, checks that need labels are NoData and retraining waits."""
    label_delay: Duration = "0s"
    """Time that labels usually take to arrive: checks that need labels use a window of the same size that ends this
    much earlier."""

    rules: ClassVar[tuple[Rule, ...]] = (
        at_least_a_second("size", {"size": "1h30m"}, {"size": "0s"}),
        Rule(
            "!has(self.count) || !has(self.minimumSamples) || self.count >= self.minimumSamples",
            "count must not be less than minimumSamples, or every window would be NoData; raise count or lower minimumSamples",
            accepts={"count": 5000, "minimumSamples": 500},
            rejects={"count": 100, "minimumSamples": 500},
        ),
    )


class ReferenceDataset(WireModel):
    """A Dataset revision to compare with."""

    name: Name
    """Name of the Dataset."""
    revision: str = Field(default="Latest", pattern="^(Latest|sha256:[0-9a-f]{64})$", max_length=71)
    """`Latest` follows the Dataset; a digest pins one revision."""


class ReferenceWindow(WireModel):
    """Earlier rows of the same log to compare with; set exactly one of offset and seasonal."""

    offset: Duration | None = None
    """Compare with the window of the same size that ended this much earlier."""
    seasonal: Literal["SameHour", "SameWeekday"] | None = None
    """SameHour compares with the windows at the same time of the previous days, SameWeekday of the previous weeks;
    their rows are combined."""
    periods: int = Field(default=4, ge=1, le=12)
    """For seasonal: number of days or weeks."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.offset) != has(self.seasonal)",
            "set exactly one of offset and seasonal",
            accepts={"seasonal": "SameWeekday", "periods": 3},
            rejects={"offset": "7d", "seasonal": "SameWeekday"},
        ),
        at_least_a_second("offset", {"offset": "7d"}, {"offset": "0s"}),
    )


class ReferenceSource(WireModel):
    """Reference data that windows are compared with."""

    type: Literal["Version", "Dataset", "Window"] = "Version"
    """Reference type. Version is the profile of the version in service; it changes when a version is promoted.
    Dataset is a Dataset revision. Window is earlier rows of the same log."""
    dataset: ReferenceDataset | None = None
    """For Dataset: the Dataset and its revision."""
    window: ReferenceWindow | None = None
    """For Window: the earlier rows."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.dataset) == (has(self.type) && self.type == 'Dataset')",
            "type Dataset and the field dataset must be used together; set both or none",
            accepts={"type": "Dataset", "dataset": {"name": "transactions"}},
            rejects={"type": "Version", "dataset": {"name": "transactions"}},
        ),
        Rule(
            "has(self.window) == (has(self.type) && self.type == 'Window')",
            "type Window and the field window must be used together; set both or none",
            accepts={"type": "Window", "window": {"offset": "7d"}},
            rejects={"type": "Window"},
        ),
    )


class ReportRetention(WireModel):
    """Bounds on the reports of past checks. The newest report, and reports that a status or a retraining refers to, are
    kept beyond them."""

    age: Duration = "30d"
    """Time for which a report is kept, counted back from the newest window."""
    bytes: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}(Mi|Gi|Ti)$", max_length=8)] = "1Gi"
    """Size of all reports of the monitor, such as `500Mi`; the oldest are deleted first."""

    rules: ClassVar[tuple[Rule, ...]] = (at_least_a_second("age", {"age": "7d"}, {"age": "0s"}),)


class Reports(WireModel):
    """Reports and results of past checks in the object store."""

    retention: ReportRetention = ReportRetention()
    """Time and size for which they are kept; check runs delete older ones."""


_EXAMPLE: Final[dict[str, Any]] = {
    "target": {"inferenceService": "fraud"},
    "checks": [{"name": "inputs", "type": "FeatureDrift", "failing": 0.2}],
}
_OUTSIDE: Final[dict[str, Any]] = {
    **_EXAMPLE,
    "target": {"cloudEvents": {}},
    "reference": {"type": "Dataset", "dataset": {"name": "transactions"}},
}

_OUTCOMES: Final[dict[str, Any]] = {"dataset": {"name": "outcomes", "id": "request", "label": "fraud"}}
_RIGHT: Final[dict[str, Any]] = {"name": "right", "type": "Performance", "metric": "accuracy", "minimum": 0.9}


class DriftMonitorSpec(WireModel):
    """Desired state of the DriftMonitor: the service, the checks, and the retraining they trigger."""

    target: Target
    """Service that is monitored."""
    interval: Duration | None = None
    """Time between two checks; 15m if neither interval nor schedule is set. With a multiple of 10s, checks of single
    columns use the counters of the serving pods and read no rows."""
    schedule: Cron | None = None
    """Cron expression in UTC, instead of an interval."""
    window: Window = Window()
    """Served rows that one check evaluates."""
    reference: ReferenceSource = ReferenceSource()
    """Reference data that windows are compared with."""
    feedback: FeedbackSource = FeedbackSource()
    """Labels of the predictions of a service that Tidemill does not serve; for an InferenceService see its
    `spec.feedback`."""
    checks: tuple[Check, ...] = Field(min_length=1, max_length=32)
    """Checks that are run on every window."""
    retraining: Retraining | None = None
    """Retraining that the monitor triggers; none if empty."""
    notify: tuple[Notification, ...] = Field(default=(), max_length=8)
    """Notifications that are sent."""
    reports: Reports = Reports()
    """Reports of past checks."""
    execution: Literal["Job", "WarmWorker"] = "Job"
    """Execution of a check. Job starts a pod for each check, which takes seconds. WarmWorker sends the check to a pod
    that keeps running; a Job runs it while that pod is not ready or does not answer."""
    resources: Quantities | None = None
    """Compute resources of the check pod and of the warm worker."""
    suspend: bool = False
    """Stop checks and retraining."""

    @property
    def effective_interval(self) -> str:
        """Return the interval in force; ignored where there is a schedule."""
        return self.interval or "15m"

    rules: ClassVar[tuple[Rule, ...]] = (
        at_least_a_second("interval", {**_EXAMPLE, "interval": "0d1m"}, {**_EXAMPLE, "interval": "10ms"}),
        Rule(
            "!has(self.interval) || !has(self.schedule)",
            "interval and schedule are both set; remove one of them",
            accepts={**_EXAMPLE, "schedule": "*/15 * * * *"},
            rejects={**_EXAMPLE, "schedule": "*/15 * * * *", "interval": "15m"},
        ),
        Rule(
            "!has(self.target.cloudEvents) || !has(self.retraining)",
            "retraining requires an InferenceService that takes over the new version; set target.inferenceService or remove retraining",
            accepts=_OUTSIDE,
            rejects={**_OUTSIDE, "retraining": {"template": {"trainingJob": "fraud"}}},
        ),
        Rule(
            "!has(self.target.cloudEvents) || (has(self.reference) && has(self.reference.type)"
            " && self.reference.type != 'Version')",
            "a service that Tidemill does not serve has no profile; set reference.type to Dataset or Window",
            accepts=_OUTSIDE,
            rejects={**_EXAMPLE, "target": {"cloudEvents": {}}},
        ),
        Rule(
            "!has(self.target.cloudEvents) || self.checks.all(check, check.type != 'EstimatedPerformance'"
            " && !has(check.maximumRegression))",
            "a service that Tidemill does not serve has no hold-out to compare with; remove EstimatedPerformance and maximumRegression",
            accepts={**_OUTSIDE, "feedback": _OUTCOMES, "checks": [_RIGHT]},
            rejects={
                **_OUTSIDE,
                "checks": [{"name": "right", "type": "EstimatedPerformance", "metric": "accuracy", "minimum": 0.9}],
            },
        ),
        Rule(
            "!has(self.target.cloudEvents) || self.?feedback.dataset.hasValue()"
            " || self.checks.all(check, !(check.type in ['Performance', 'ConceptDrift']) && (check.type != 'Timeliness'"
            " || (has(check.subject) && check.subject == 'Predictions')))",
            "a service that Tidemill does not serve has no feedback endpoint; set feedback.dataset, or remove the checks that need labels",
            accepts={
                **_OUTSIDE,
                "checks": [{"name": "late", "type": "Timeliness", "subject": "Predictions", "maximumLag": "1h"}],
            },
            rejects={**_OUTSIDE, "checks": [_RIGHT]},
        ),
        Rule(
            "has(self.target.cloudEvents) || !self.?feedback.dataset.hasValue()",
            "labels of an InferenceService are a property of the service; set spec.feedback there instead",
            accepts=_EXAMPLE,
            rejects={**_EXAMPLE, "feedback": _OUTCOMES},
        ),
        Rule(
            "!has(self.retraining) || !has(self.retraining.trigger) || !has(self.retraining.trigger.checks)"
            " || self.retraining.trigger.checks.all(name, self.checks.exists(check, check.name == name))",
            "retraining.trigger.checks contains a name that is not in checks; correct the name or add the check",
            accepts={
                **_EXAMPLE,
                "retraining": {"template": {"trainingJob": "fraud"}, "trigger": {"checks": ["inputs"]}},
            },
            rejects={**_EXAMPLE, "retraining": {"template": {"trainingJob": "fraud"}, "trigger": {"checks": ["odd"]}}},
        ),
    )


class DriftMonitor(Resource[DriftMonitorSpec, DriftMonitorStatus]):
    """Compares a service's inputs and predictions with its model's training data, and retrains when they drift."""

    kind_name: ClassVar[str] = "DriftMonitor"
    plural: ClassVar[str] = "driftmonitors"
    short_name: ClassVar[str] = "tdm"
    columns: ClassVar[tuple[PrinterColumn, ...]] = (
        PrinterColumn("Target", ".spec.target.inferenceService"),
        PrinterColumn("Verdict", ".status.lastRun.verdict"),
        PrinterColumn("Health", ".status.health.score", "integer"),
        PrinterColumn("Samples", ".status.lastRun.samples", "integer"),
        PrinterColumn("Labelled", ".status.lastRun.labelled", "integer"),
        PrinterColumn("Retraining", ".status.retraining.active"),
        PrinterColumn("Last-Retrained", ".status.retraining.lastTime", "date"),
        PrinterColumn("Ready", ".status.conditions[?(@.type=='Ready')].status"),
        PrinterColumn("Status", ".status.conditions[?(@.type=='Ready')].reason"),
        PrinterColumn("Age", ".metadata.creationTimestamp", "date"),
    )

    kind: str = "DriftMonitor"
    spec: DriftMonitorSpec
    """Desired state."""
    status: DriftMonitorStatus = DriftMonitorStatus()
    """Observed state."""

    @property
    def log(self) -> str:
        """Return the name of the prediction log: the service's, or the monitor's own, which cannot be an InferenceService name."""
        return self.spec.target.inference_service or f"cloudevents.{self.name}"
