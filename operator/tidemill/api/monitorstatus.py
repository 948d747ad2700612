"""Observed state of a DriftMonitor: check results, health of the service, retrainings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tidemill.api.base import Digest, Text, Timestamp, WireModel
from tidemill.api.checks import CheckType, Moved
from tidemill.api.conditions import Status
from tidemill.api.dataset import Attempt
from tidemill.api.methods import CheckVerdict
from tidemill.api.notifications import Delivery
from tidemill.api.retraining import RetrainingCause


class CheckStatus(WireModel):
    """Result of one check."""

    name: str
    """Name of the check in the spec."""
    type: CheckType
    """Type of the check."""
    verdict: CheckVerdict
    """Verdict: Passing, Warning, Failing or NoData."""
    value: float | None = None
    """Value that was measured."""
    threshold: float | None = None
    """Threshold that the value was compared with."""
    lower: float | None = None
    """Lower bound of the interval around the value, where the check computes one."""
    upper: float | None = None
    """Upper bound of the interval around the value, where the check computes one."""
    consecutive: int = Field(default=0, ge=0)
    """Number of consecutive failing windows."""
    failing_since: Timestamp | None = None
    """End of the last window that did not fail; the drift began after it."""
    worst: tuple[Moved, ...] = Field(default=(), max_length=5)
    """Columns that drifted most."""
    message: Text = ""
    """Explanation in one sentence."""


class WindowRun(WireModel):
    """The newest window that was checked."""

    start: Timestamp
    """Start of the window."""
    end: Timestamp
    """End of the window; it contains earlier rows only."""
    version: str
    """ModelVersion in service."""
    samples: int
    """Number of rows in the window."""
    labelled: int | None = None
    """Number of labelled rows in the window; not counted where no check and no retraining needs labels."""
    unknown_labels: int | None = None
    """Number of labelled rows whose label is not a class of the model. Above 5% of the labelled rows, checks that need
    labels have no data and no retraining is started."""
    verdict: CheckVerdict
    """Worst verdict of the checks that had data."""
    report_uri: str = Field(default="", max_length=1024)
    """URI of the HTML report."""


class WorkerStatus(WireModel):
    """Newest check run that was sent to the warm worker."""

    run: str = Field(max_length=63)
    """Name of the run; a Job that replaces it has the same name."""
    at: Timestamp
    """Time when the run was requested."""
    given_up: str = Field(default="", max_length=512)
    """Reason why a Job replaced the run; empty where none did."""


class Reference(WireModel):
    """Reference that windows are compared with."""

    version: str
    """ModelVersion whose profile is used."""
    digest: Digest
    """Digest of the model artifact."""
    since: Timestamp
    """Start of its use; windows that begin earlier are not compared with it."""
    dataset_digest: str = Field(default="", max_length=71)
    """Digest of the Dataset revision, where the reference is a Dataset."""


class HealthPart(WireModel):
    """One component of the health score."""

    name: Literal["Drift", "Performance", "Fairness", "Freshness", "Infrastructure"]
    """Name of the component."""
    score: int = Field(ge=0, le=100)
    """Score of the component; 100 is best."""
    weight: float = Field(ge=0, le=1)
    """Weight of the component in the mean."""
    message: str = Field(default="", max_length=512)
    """Explanation in one sentence."""


class Health(WireModel):
    """Health of the service as one number, with its components."""

    score: int | None = Field(default=None, ge=0, le=100)
    """Weighted mean of the components. At most 40 above the worst component, and below 80 while a check fails. Empty
    if the grade is Unknown."""
    grade: Literal["Good", "Warning", "Critical", "Unknown"]
    """Grade of the score: Good from 80, Warning from 50, Critical below 50. Unknown while the replicas are ready and no
    check has had enough requests to judge."""
    parts: tuple[HealthPart, ...] = Field(default=(), max_length=5)
    """Components of the score; a component without data is left out."""


class Counterfactual(WireModel):
    """Loss through a drift and gain through its retraining, measured on the same labelled rows."""

    metric: str = Field(max_length=64)
    """Metric, a scikit-learn scorer name; greater is better."""
    rows: int
    """Number of labelled rows that both versions predicted."""
    expected: float | None = None
    """Value of the old version on its own hold-out."""
    before: float
    """Value of the old version on these rows."""
    after: float
    """Value of the new version on these rows."""


class RetrainingStatus(WireModel):
    """State of the retraining guards."""

    active: str = ""
    """TrainingJob that is running, or whose version is not promoted or rejected yet."""
    last_time: Timestamp | None = None
    """Time when the newest retraining was started."""
    next_eligible: Timestamp | None = None
    """Earliest time of the next retraining."""
    runs_in_budget: int = Field(default=0, ge=0)
    """Number of retrainings within the period of the budget."""
    consecutive_rejected: int = Field(default=0, ge=0)
    """Number of consecutive versions that were not promoted."""
    blocked: tuple[str, ...] = Field(default=(), max_length=16)
    """Reasons that block a retraining now."""
    due: tuple[RetrainingCause, ...] = Field(default=(), max_length=4)
    """Triggers that request a retraining now."""
    due_since: Timestamp | None = None
    """Time since when a trigger requests a retraining without interruption."""
    would_have: str = Field(default="", max_length=256)
    """In Observe mode: name of the TrainingJob that would have been created."""


class RetrainingOutcome(WireModel):
    """A retraining and its result."""

    training_job: str
    """Name of the TrainingJob."""
    model_version: str = ""
    """Name of the resulting ModelVersion."""
    outcome: Literal["Running", "Waiting", "Promoted", "Rejected", "Failed", "Observed"]
    """Result. Waiting is trained, and not yet promoted or rejected; Observed would have been started in mode Act."""
    at: Timestamp
    """Time when the retraining was started."""
    ended_at: Timestamp | None = None
    """Time when it was promoted, rejected or failed."""
    cause: RetrainingCause = "Drift"
    """Trigger that started the retraining."""
    checks: tuple[str, ...] = Field(default=(), max_length=32)
    """Checks that failed."""
    since: Timestamp | None = None
    """Beginning of the cause: the end of the last window that did not fail, the scheduled time, or the time of the
    new revision."""
    gain: dict[str, float] = Field(default_factory=dict, max_length=8)
    """Improvement of the new version over the one it replaced, by metric, on the same recent labelled rows."""
    counterfactual: Counterfactual | None = None
    """Loss through the drift and gain through the retraining."""


class DriftMonitorStatus(Status):
    """Observed state of the DriftMonitor."""

    target: str = ""
    """Name of the monitored service. If the target changes, results of the previous target are dropped."""
    reference: Reference | None = None
    """Reference that windows are compared with."""
    last_run: WindowRun | None = None
    """Newest window that was checked."""
    fired_at: Timestamp | None = None
    """End of the first failing window since the last passing one; promotions and windows without data do not clear
    it."""
    checks: tuple[CheckStatus, ...] = Field(default=(), max_length=32)
    """Result of each check."""
    attempt: Attempt | None = None
    """Newest check run."""
    worker: WorkerStatus | None = None
    """Newest check run that was sent to the warm worker; empty where there is none."""
    health: Health | None = None
    """Health of the service."""
    deliveries: tuple[Delivery, ...] = Field(default=(), max_length=32)
    """Notifications, newest first."""
    retraining: RetrainingStatus = RetrainingStatus()
    """State of the retraining guards."""
    history: tuple[RetrainingOutcome, ...] = Field(default=(), max_length=20)
    """Retrainings, newest first."""
    next_check: Timestamp | None = None
    """Time of the next check; empty while none is planned, as with a schedule that never fires."""
