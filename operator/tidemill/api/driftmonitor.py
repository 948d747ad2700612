"""DriftMonitor: what is compared, when it fires, what happens then."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

from pydantic import Field

from tidemill.api.base import (
    ColumnName,
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
from tidemill.api.monitorstatus import DriftMonitorStatus
from tidemill.api.notifications import Notification
from tidemill.api.retraining import Cron, Retraining


class CloudEventsSource(WireModel):
    """The payload log of a service that is not Tidemill's, such as a KServe InferenceService: CloudEvents over HTTP.

    They are sent to the Service `<monitor>-receiver` of this namespace: `spec.predictor.logger.url` of KServe.
    """

    service: str = Field(default="", max_length=253)
    """Only events whose `inferenceservicename` is this; every event where left out."""
    columns: tuple[ColumnName, ...] = Field(default=(), max_length=1024)
    """Names of the values of a row, where the payload has none: KServe's `instances`, or one tensor for the whole row."""
    secret_ref: LocalReference | None = None
    """A Secret with `token`: only calls that bear it are taken. Anyone in the cluster may call where left out."""


class Target(WireModel):
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


class Window(WireModel):
    """Which served rows one check looks at: those up to a tick of the interval or schedule, some seconds later, when all of them lie in the store."""

    size: Duration = "24h"
    """How far back it reaches; longer than the interval means that windows overlap."""
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


class ReferenceDataset(WireModel):
    """A revision of a Dataset to compare with."""

    name: Name
    """The Dataset's name."""
    revision: str = Field(default="Latest", pattern="^(Latest|sha256:[0-9a-f]{64})$", max_length=71)
    """`Latest` follows the Dataset; a digest stays."""


class ReferenceWindow(WireModel):
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


class ReferenceSource(WireModel):
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


class DriftMonitorSpec(WireModel):
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


class DriftMonitor(Resource[DriftMonitorSpec, DriftMonitorStatus]):
    """Watches what a service is asked and answers; tells a tide from a leak, and starts a retraining for the former."""

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
    """What is wanted."""
    status: DriftMonitorStatus = DriftMonitorStatus()
    """What is."""

    @property
    def log(self) -> str:
        """Whose prediction log is read: a service's, or the monitor's own, which no InferenceService can be named like."""
        return self.spec.target.inference_service or f"cloudevents.{self.name}"
