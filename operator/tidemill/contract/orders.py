"""The orders that pods are given.

An order is JSON in a pod annotation, mounted as a file by the downward API (`ORDER_PATH`). A report is JSON in the
container's termination message, at most 4 KiB; everything bigger lies in the object store.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from tidemill.api.base import Digest, Timestamp, WireModel
from tidemill.api.checks import Check
from tidemill.api.dataset import ColumnSpec, Expectations, Source, Splits
from tidemill.api.driftmonitor import ReportRetention
from tidemill.api.feedback import PinnedLabels
from tidemill.api.notifications import MonitorEvent, Webhook
from tidemill.api.trainingjob import Estimator, ServedRows
from tidemill.api.tuning import Tuning
from tidemill.contract.serving import VersionOrder

ORDER_PATH: Final = "/tidemill/order/order.json"
CREDENTIALS_PATH: Final = "/tidemill/credentials"
"""A Dataset's own credentials, where it names some."""
CLAIM_PATH: Final = "/tidemill/claim"
"""The volume of a Dataset whose source is a PersistentVolumeClaim."""
CHECKS_ROUTE: Final = "/checks"
"""Where a warm worker is asked: `POST /checks/<run>` with a check order; 200 is its report, 202 says that it is under way."""
CHECK_HOLD_SECONDS: Final = 1.0
"""How long a worker holds its answer back for a run that may end in a moment."""


class TimeRange(WireModel):
    """Moments from `start` up to, and without, `end`."""

    start: Timestamp
    end: Timestamp


class AnsweredOrder(WireModel):
    """Which part of a service's log a Dataset reads, and the version that says what its columns are."""

    window: TimeRange
    version: VersionOrder
    labels: PinnedLabels | None = None
    """Labels in addition to those that the service received."""


class ParentRevision(WireModel):
    """The revision of another Dataset that a Dataset is made from."""

    name: str
    digest: Digest
    uri: str


class ScoredOrder(WireModel):
    """The rows to predict, and the version that predicts them."""

    rows: ParentRevision
    version: VersionOrder


class IngestOrder(WireModel):
    """Read a source, check it, and publish it as a revision."""

    task: Literal["Ingest"] = "Ingest"
    namespace: str
    dataset: str
    source: Source
    format: str = "Auto"
    columns: tuple[ColumnSpec, ...] = ()
    evolution: str = "Additive"
    splits: Splits = Splits()
    expectations: Expectations = Expectations()
    previous: str = ""
    """URI of the current revision, whose schema a new one is compared with."""
    credentials: bool = False
    """Whether `CREDENTIALS_PATH` holds credentials for the source."""
    allow_private: bool | None = None
    """Whether an https:// source may be at a private address; left out where it makes no difference."""
    report: bool | None = None
    """Whether the page about the rows is written; it is, unless this says no."""
    sql: str | None = None
    """The statement that makes the rows from the source."""
    parents: tuple[ParentRevision, ...] | None = None
    """For `source.datasets`: what to read."""
    scored: ScoredOrder | None = None
    """For `source.scored`: what to read."""
    answered: AnsweredOrder | None = None
    """For `source.predictions`: what to read."""
    tick: int = 0
    """Counts refreshes, so that another look at the same source is another order."""


class TrainOrder(WireModel):
    """Fit an estimator on a revision, measure it, and publish it as a model version."""

    task: Literal["Train"] = "Train"
    namespace: str
    training_job: str
    model: str
    version: str
    """The name to publish under."""
    dataset: str
    dataset_digest: Digest
    dataset_uri: str
    served_rows: ServedRows | None = None
    learn: str = "Auto"
    """Classification, Regression or Auto."""
    estimator: Estimator
    metrics: tuple[str, ...] = ()
    stable: VersionOrder | None = None
    """The version in service, to be measured on the same rows."""
    tuning: Tuning | None = None
    """A search for parameters before the estimator is fitted; those of `estimator` are taken where left out."""
    seed: int = 7
    label_dataset: PinnedLabels | None = None
    """Labels of served rows in addition to those that the service received."""
    new_rows: bool | None = None
    """True where the run fails unless served rows add something to train on: without them it would repeat the version in service."""


class ReferenceOrder(WireModel):
    """What a window is compared with instead of the served version's profile; exactly one of the fields is set."""

    dataset_uri: str = ""
    """The folder of a Dataset's revision, whose `profile.json` counts."""
    dataset_digest: str = ""
    """The revision's digest."""
    ranges: tuple[TimeRange, ...] = ()
    """Earlier rows of the same log, counted together."""


class CheckOrder(WireModel):
    """Compare one window of a service's log with the served version's profile, or with another reference."""

    task: Literal["Check"] = "Check"
    namespace: str
    monitor: str
    service: str
    start: Timestamp
    end: Timestamp
    version: VersionOrder
    checks: tuple[Check, ...]
    minimum_samples: int
    minimum_labels: int
    count: int | None = None
    """Only the newest rows of the window, at most this many."""
    labelled: TimeRange | None = None
    """The window that checks which need labels look at, where labels take time; the window itself where left out."""
    reference: ReferenceOrder | None = None
    """What to compare with; the version's own profile where left out."""
    labels: bool | None = None
    """False if the number of labelled rows is not needed; only the rows themselves can tell it."""
    label_dataset: PinnedLabels | None = None
    """Labels in addition to those that the service received."""
    retention: ReportRetention | None = None
    """How long reports are kept, where that is not the default."""
    kept_reports: tuple[str, ...] | None = None
    """Folders of windows that are kept beyond that. Not part of the order's identity, since statuses change while it runs."""

    @property
    def identity(self) -> CheckOrder:
        """Return what the digest of the order is taken of."""
        return self.model_copy(update={"kept_reports": None})


class WorkerOrder(WireModel):
    """Carry out the check orders of one monitor as they are asked for; of a warm worker, which runs until it is told to stop."""

    namespace: str
    monitor: str
    service: str
    """Whose log is read."""
    deadline_seconds: float
    """When a run is given up."""


class NotifyOrder(WireModel):
    """Call a webhook about one thing that happened."""

    task: Literal["Notify"] = "Notify"
    namespace: str
    monitor: str
    service: str
    webhook: Webhook
    event: MonitorEvent
    at: Timestamp
    subject: str
    text: str
    report_uri: str = ""
    allow_private: bool = False
    """Whether private and link-local addresses may be called."""


OUTSIDE_DIGEST: Final = "sha256:" + "0" * 64
"""Stands for the version of a service that is not Tidemill's, which has no artifact here."""


class PayloadOrder(WireModel):
    """Take the payload log of a service that is not Tidemill's."""

    log: str
    """Whose prediction log is written."""
    service: str = ""
    """Only events of this service; all where empty."""
    columns: tuple[str, ...] = ()
    """Names for values that have none."""
    secured: bool = False
    """Whether only calls with the token in `PAYLOADS` are taken."""
    retention_seconds: float
    """How long the log is kept."""


class ReceiveOrder(WireModel):
    """Take what other systems say for a monitor's External checks, and the payloads of a service that is not Tidemill's; of
    a receiver, which runs until it is told to stop."""

    namespace: str
    monitor: str
    checks: tuple[Check, ...]
    payloads: PayloadOrder | None = None


AnyOrder = IngestOrder | TrainOrder | CheckOrder | NotifyOrder
RunOrder = Annotated[AnyOrder, Field(discriminator="task")]
run_order: TypeAdapter[AnyOrder] = TypeAdapter(RunOrder)


def to_text(order: WireModel) -> str:
    """Return an order as the JSON text of a pod's annotation; equal orders have equal texts."""
    return json.dumps(order.to_wire(), sort_keys=True, separators=(",", ":"))


def digest_of(order: WireModel) -> str:
    """Return a digest of everything an order says.

    >>> len(digest_of(VersionOrder(name="a", uri="s3://b", digest="sha256:" + "0" * 64)))
    64
    """
    return hashlib.sha256(to_text(order).encode()).hexdigest()
