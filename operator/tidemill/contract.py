"""What crosses the pod boundary: orders in, reports out, the routing table, measurements, and the rows of the logs.

An order is JSON in a pod annotation, mounted as a file by the downward API (`ORDER_PATH`). A report is JSON in the
container's termination message, at most 4 KiB; everything bigger lies in the object store.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from tidemill.api.base import Digest, Model, Moment, Scalar
from tidemill.api.conditions import Reason
from tidemill.api.dataset import ColumnSpec, Expectations, Source, Splits
from tidemill.api.driftmonitor import Check, CheckVerdict, Moved
from tidemill.api.modelversion import Measured
from tidemill.api.trainingjob import Estimator, ServedRows

ORDER_PATH: Final = "/tidemill/order/order.json"
ROUTES_PATH: Final = "/tidemill/order/routes.json"
STORE_PATH: Final = "/tidemill/store"
"""The namespace's store Secret as files: `uri`, `endpoint`, `region`, `access-key-id`, `secret-access-key`."""
CREDENTIALS_PATH: Final = "/tidemill/credentials"
"""A Dataset's own credentials, where it names some."""
REPORT_PATH: Final = "/dev/termination-log"
REPORT_LIMIT: Final = 4096
SERVING_PORT: Final = 8080


class VersionOrder(Model):
    """A model version to load or to compare with."""

    name: str
    uri: str
    digest: Digest


class IngestOrder(Model):
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
    tick: int = 0
    """Counts refreshes, so that another look at the same source is another order."""


class TrainOrder(Model):
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
    seed: int = 7


class CheckOrder(Model):
    """Compare one window of a service's log with the served version's profile."""

    task: Literal["Check"] = "Check"
    namespace: str
    monitor: str
    service: str
    start: Moment
    end: Moment
    version: VersionOrder
    checks: tuple[Check, ...]
    minimum_samples: int
    minimum_labels: int


RunOrder = Annotated[IngestOrder | TrainOrder | CheckOrder, Field(discriminator="task")]
run_order: TypeAdapter[IngestOrder | TrainOrder | CheckOrder] = TypeAdapter(RunOrder)


class ServeOrder(Model):
    """Serve one version, as the stable one or as a candidate."""

    namespace: str
    service: str
    model: str
    role: Literal["Stable", "Candidate"]
    version: VersionOrder
    log_percent: int = 100
    timeout_seconds: float = 5.0
    max_body_bytes: int = 10 * 1024 * 1024


def digest_of(order: Model) -> str:
    """A digest of everything an order says.

    >>> len(digest_of(VersionOrder(name="a", uri="s3://b", digest="sha256:" + "0" * 64)))
    64
    """
    return hashlib.sha256(json.dumps(order.to_wire(), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class Ingested(Model):
    """What an ingest run published."""

    digest: Digest
    uri: str
    rows: int
    bytes: int
    columns: int
    features: int
    target: str = ""
    source_revision: str = ""
    report_uri: str = ""


class Trained(Model):
    """What a training run published."""

    uri: str
    digest: Digest
    format: Literal["Skops", "ONNX"] = "Skops"
    compiled: bool = False
    """Whether an ONNX form that gives the same answers lies beside it."""
    learned: Literal["Classification", "Regression"] = "Classification"
    evaluation: tuple[Measured, ...] = ()
    rows: int = 0
    """Rows learnt from."""
    served_rows: int = 0
    """How many of these came from the service's log."""
    parameters: dict[str, Scalar] = Field(default_factory=dict)
    report_uri: str = ""


class CheckOutcome(Model):
    """What one check found."""

    name: str
    type: str
    verdict: CheckVerdict
    value: float | None = None
    threshold: float | None = None
    worst: tuple[Moved, ...] = ()
    message: str = ""


class Checked(Model):
    """What a check run found."""

    samples: int
    labelled: int
    verdict: CheckVerdict
    checks: tuple[CheckOutcome, ...] = ()
    report_uri: str = ""


class Failure(Model):
    """Why a run came to nothing, and the remedy."""

    reason: Reason
    message: str
    retryable: bool = False
    """Whether the same order may succeed later, because the cause lies outside it."""


class RunReport(Model):
    """What a run answers: exactly one of the fields but `warnings` is set."""

    ingested: Ingested | None = None
    trained: Trained | None = None
    checked: Checked | None = None
    failure: Failure | None = None
    warnings: tuple[str, ...] = ()

    def to_message(self, limit: int = REPORT_LIMIT) -> str:
        """This report as a termination message of at most `limit` bytes: warnings go first, then long texts are cut."""
        report = self
        while len(text := json.dumps(report.to_wire(), separators=(",", ":"), ensure_ascii=True)) > limit:
            if report.warnings:
                report = report.model_copy(update={"warnings": report.warnings[:-1]})
            elif report.failure and len(report.failure.message) > 200:
                shorter = report.failure.model_copy(
                    update={"message": report.failure.message[: len(report.failure.message) // 2] + "…"}
                )
                report = report.model_copy(update={"failure": shorter})
            elif report.checked and any(outcome.worst or outcome.message for outcome in report.checked.checks):
                checks = tuple(
                    outcome.model_copy(
                        update={
                            "worst": outcome.worst[: len(outcome.worst) // 2],
                            "message": outcome.message[: len(outcome.message) // 2],
                        }
                    )
                    for outcome in report.checked.checks
                )
                report = report.model_copy(update={"checked": report.checked.model_copy(update={"checks": checks})})
            elif report.trained and report.trained.parameters:
                report = report.model_copy(update={"trained": report.trained.model_copy(update={"parameters": {}})})
            else:
                raise ValueError(f"a report of {len(text)} bytes cannot be cut to {limit}")
        return text


class Routes(Model):
    """How a stable pod treats requests; the operator writes it as a pod annotation, the process watches the file."""

    weight: int = 0
    """Percent of requests that go to the candidate."""
    candidate: VersionOrder | None = None
    candidate_url: str = ""
    """Where the candidate answers, such as `http://fraud-candidate.ns.svc:8080`."""
    compare: bool = False
    """Whether rows the candidate answered are also asked of the stable version, off the hot path, to compare the two."""
    peers: tuple[str, ...] = ()
    """Base URLs of the service's other pods: a label whose request this pod does not know is handed to them."""


class Latencies(Model):
    """A histogram of seconds to answer."""

    bounds: tuple[float, ...] = ()
    """Upper bounds of the buckets, ascending; one more bucket has none."""
    counts: tuple[int, ...] = ()


class Arm(Model):
    """What one version did within a rollout, counted since the pod knows the pair of versions."""

    version: str
    digest: str
    requests: int = 0
    """Requests that went to it."""
    errors: int = 0
    """Requests of these that it failed: no answer, a late one, or a server error."""
    latencies: Latencies = Latencies()
    labelled: int = 0
    """Rows with a label, counted only where both versions answered the row."""
    confusion: dict[str, dict[str, int]] = Field(default_factory=dict)
    """For classification: label → answer → rows."""
    absolute_error: float = 0.0
    squared_error: float = 0.0
    label_sum: float = 0.0
    label_square_sum: float = 0.0


class Measurements(Model):
    """What a stable pod knows of a rollout; it serves this at `/tidemill/v1/measurements`."""

    pod: str = ""
    stable: Arm | None = None
    candidate: Arm | None = None
    compared: int = 0
    """Rows that both versions answered."""
    agreed: int = 0
    """Rows of these with the same answer (regression: within 1 % of the spread of the hold-out's target)."""


MEASUREMENTS_ROUTE: Final = "/tidemill/v1/measurements"


class LogColumn:
    """Columns of the prediction log (Parquet), beside one per feature under its own name with this prefix."""

    REQUEST: Final = "request_id"
    ROW: Final = "row"
    TIME: Final = "time"
    VERSION: Final = "model_version"
    DIGEST: Final = "model_digest"
    ROLE: Final = "role"
    PREDICTION: Final = "prediction"
    SCORE: Final = "score"
    """Probability of the predicted class; missing for regression."""
    FEATURE: Final = "feature:"
    """Prefix of feature columns."""
    LABEL: Final = "label"


def prediction_folder(namespace: str, service: str) -> str:
    """Where a service's prediction log lies below the store's URI, in partitions `date=YYYY-MM-DD/hour=HH/`."""
    return f"{namespace}/predictions/{service}"


def label_folder(namespace: str, service: str) -> str:
    """Where a service's labels lie below the store's URI, in the same partitions."""
    return f"{namespace}/labels/{service}"
