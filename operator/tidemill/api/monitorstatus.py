"""What a DriftMonitor says: how its checks stand, how well the service is, and what became of retrainings."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tidemill.api.base import Digest, Moment, Text, WireModel
from tidemill.api.checks import CheckType, CheckVerdict, Moved
from tidemill.api.conditions import Status
from tidemill.api.dataset import Attempt
from tidemill.api.notifications import Delivery
from tidemill.api.retraining import RetrainingCause


class CheckStatus(WireModel):
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


class WindowRun(WireModel):
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


class WorkerStatus(WireModel):
    """The newest check run that was meant for the warm worker."""

    run: str = Field(max_length=63)
    """Its name, which a Job that takes it over has too."""
    at: Moment
    """When it was asked for."""
    given_up: str = Field(default="", max_length=512)
    """Why a Job took it over; empty where none did."""


class Reference(WireModel):
    """What windows are compared with."""

    version: str
    """The ModelVersion whose profile it is."""
    digest: Digest
    """Of its artefact."""
    since: Moment
    """Windows that begin earlier are not compared with it."""
    dataset_digest: str = Field(default="", max_length=71)
    """For a Dataset as reference: the revision that windows are compared with."""


class HealthPart(WireModel):
    """One thing that the health score is made of."""

    name: Literal["Drift", "Performance", "Fairness", "Freshness", "Infrastructure"]
    """Which."""
    score: int = Field(ge=0, le=100)
    """100 is perfect."""
    weight: float = Field(ge=0, le=1)
    """How much it counts."""
    message: str = Field(default="", max_length=512)
    """What it is made of, in a sentence."""


class Health(WireModel):
    """How well the service is, in one number and its parts."""

    score: int = Field(ge=0, le=100)
    """The weighted mean of the parts, never above the worst of them by more than 40, and below 80 while a check fails."""
    grade: Literal["Good", "Warning", "Critical"]
    """Good from 80, Warning from 50, Critical below."""
    parts: tuple[HealthPart, ...] = Field(default=(), max_length=5)
    """What it is made of; a part that nothing is known of is left out."""


class Counterfactual(WireModel):
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


class RetrainingStatus(WireModel):
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


class RetrainingOutcome(WireModel):
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
    fired_at: Moment | None = None
    """End of the first window that failed, while none has passed since; promotions and windows without data do not end it."""
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
