"""The counts of a serving process, declared with name, help and labels.

Counting is adding to a number; samples are made of the numbers when Prometheus scrapes. The labels are the service, the
version and role that answered and the status code, so there are as many series as versions this pod has met times a
handful of codes.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tidemill.runtime.serve.telemetry.exposition import Declared, ExposedSample, text
from tidemill.runtime.serve.telemetry.in_flight import WINDOW, Load
from tidemill.runtime.serve.telemetry.label_lag import BOUNDS as LAG_BOUNDS
from tidemill.runtime.serve.telemetry.label_lag import Lags

BOUNDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
MAX_VERSIONS: Final = 20
"""Versions that are counted separately; a pod meets one candidate after the other, rarely more."""

Gauge = tuple[str, dict[str, str], float]
"""A metric's name, its labels and its value."""

_WHO: Final = ("service", "model_version", "role")
_LOG: Final = ("service", "log")
_PAIR: Final = ("service", "model_version")
_MODEL: Final = ("service", "model", "model_version", "role")


HELP: Final = {
    "tidemill_predictions_total": Declared(
        "counter",
        "Requests of clients for predictions, by the version that answered and the status code; what a stable pod sends on to its candidate is counted by the stable pod.",
        (*_WHO, "code"),
    ),
    "tidemill_forwarded_predictions_total": Declared(
        "counter",
        "In a candidate's pod: requests that a stable pod sent, to answer a client with or to compare, by status code. No client got these answers from here.",
        (*_WHO, "code"),
    ),
    "tidemill_prediction_duration_seconds": Declared(
        "histogram", "Seconds from a request's last byte to its answer.", _WHO
    ),
    "tidemill_predicted_rows_total": Declared("counter", "Rows that were answered.", _WHO),
    "tidemill_predictions_in_flight": Declared(
        "gauge",
        f"Requests of clients for predictions under way, on average over the last {WINDOW} seconds, by the version that answers. The sum over a pod's series is what autoscaling on RequestsInFlight goes by.",
        _WHO,
    ),
    "tidemill_feedback_total": Declared("counter", "Labels that clients sent back.", ("service",)),
    "tidemill_feedback_unknown_total": Declared(
        "counter", "Labels among these that are not a class of the version.", ("service",)
    ),
    "tidemill_label_lag_seconds": Declared(
        "histogram",
        "Seconds from an answer to the label that came back for it, estimated from a sample of the rows this process logged.",
        _PAIR,
    ),
    "tidemill_log_backlog_rows": Declared("gauge", "Rows that wait to be written to the store.", _LOG),
    "tidemill_log_backlog_bytes": Declared("gauge", "Memory these rows take.", _LOG),
    "tidemill_log_written_rows_total": Declared("counter", "Rows written to the store.", _LOG),
    "tidemill_log_dropped_rows_total": Declared(
        "counter", "Rows dropped because the store did not take them in time.", _LOG
    ),
    "tidemill_log_failures_total": Declared("counter", "Attempts to write to the store that failed.", _LOG),
    "tidemill_log_expired_parts_total": Declared(
        "counter", "Parts of the log that were removed because they were too old.", ("service",)
    ),
    "tidemill_log_expiry_failures_total": Declared(
        "counter", "Looks for old parts that the store did not answer.", ("service",)
    ),
    "tidemill_events_total": Declared(
        "counter",
        "CloudEvents about requests, by what became of them: sent, failed, or dropped for want of room.",
        ("service", "result"),
    ),
    "tidemill_candidate_errors_total": Declared(
        "counter", "Requests that the candidate failed and the stable version answered.", ("service",)
    ),
    "tidemill_candidate_skipped_total": Declared(
        "counter", "Requests that were due to the candidate while it answered nothing at all.", ("service",)
    ),
    "tidemill_candidate_refusals_total": Declared(
        "counter",
        "Requests whose rows the candidate had no answer to, which the stable version was asked instead; they count against neither version.",
        ("service",),
    ),
    "tidemill_shadow_requests_total": Declared(
        "counter",
        "Copies of answered requests that the candidate was asked, by whether they were sent or dropped for want of room.",
        ("service", "result"),
    ),
    "tidemill_prediction_agreement_ratio": Declared(
        "gauge", "Share of compared rows to which candidate and stable said the same.", _PAIR
    ),
    "tidemill_compared_rows_total": Declared("counter", "Rows that both versions answered in this trial.", _PAIR),
    "tidemill_outlier_rows_total": Declared(
        "counter", "Rows further out than 99.9 % of the training rows, among those looked at.", ("service",)
    ),
    "tidemill_outlier_scored_rows_total": Declared("counter", "Rows that were looked at for outliers.", ("service",)),
    "tidemill_model_age_seconds": Declared(
        "gauge",
        "Seconds since this process loaded the version, which may be older: see tidemill_model_created_timestamp_seconds of the operator.",
        _MODEL,
    ),
    "tidemill_model_info": Declared("gauge", "The version this process serves.", (*_MODEL, "digest")),
    "tidemill_loop_errors_total": Declared(
        "counter",
        "Errors of background loops, such as routes or the log of predictions; a loop goes on after each.",
        ("service", "loop"),
    ),
    "tidemill_loop_running": Declared(
        "gauge",
        "Whether a background loop does its work; 0 after several errors in a row, or when it stands still.",
        ("service", "loop"),
    ),
    "tidemill_model_ready": Declared("gauge", "Whether the version is loaded and answers.", _MODEL),
}


@dataclass(slots=True)
class Series:
    """The counts of one version in one role."""

    version: str
    role: str
    codes: dict[int, int] = field(default_factory=dict)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0
    rows: int = 0
    forwarded: dict[int, int] = field(default_factory=dict)
    """Answers by code to requests of a stable pod, which counts them itself."""

    def answered(self, code: int, seconds: float, rows: int) -> None:
        """A request was answered with `code`."""
        self.codes[code] = self.codes.get(code, 0) + 1
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
        self.rows += rows

    def sent_back(self, code: int) -> None:
        """A request of a stable pod was answered with `code`."""
        self.forwarded[code] = self.forwarded.get(code, 0) + 1


@dataclass(slots=True, eq=False)
class UnderWay:
    """A request of a client that is being answered."""

    series: Series
    """The counts of the version that is asked."""
    since: float


class Metrics:
    """All counts of a process."""

    def __init__(self, service: str, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self.service = service
        self.under_way: set[UnderWay] = set()
        """Without those that are answered at once, which nothing comes between."""
        self.feedback = 0
        self.unknown_labels = 0
        self.candidate_errors = 0
        self.candidate_skipped = 0
        self.candidate_refusals = 0
        self.outliers = 0
        self.scored = 0
        self.lags = Lags()
        self._series: dict[tuple[str, str], Series] = {}
        self.load = Load(self._worked, clock=clock)

    def of(self, version: str, role: str) -> Series:
        """The counts of one version in one role."""
        key = (version, role)
        if key not in self._series:
            if len(self._series) >= MAX_VERSIONS:
                key = ("(other)", role)
            self._series.setdefault(key, Series(*key))
        return self._series[key]

    def _worked(self, now: float) -> dict[tuple[str, str], float]:
        """Seconds that requests have taken until now, by version and role."""
        worked = {key: series.seconds for key, series in self._series.items()}
        for timer in self.under_way:
            worked[timer.series.version, timer.series.role] += now - timer.since
        return worked

    def samples(self, gauges: Iterable[Gauge]) -> list[ExposedSample]:
        """Return all counts; `gauges` are what others know: (name, labels, value)."""
        samples: list[ExposedSample] = []

        def add(name: str, labels: dict[str, str], value: float, suffix: str = "") -> None:
            samples.append(ExposedSample(name, {"service": self.service, **labels}, value, suffix))

        def add_histogram(
            name: str, labels: dict[str, str], bounds: Sequence[float], buckets: Sequence[int], seconds: float
        ) -> None:
            total = 0
            for bound, count in zip((*(f"{bound:g}" for bound in bounds), "+Inf"), buckets, strict=True):
                total += count
                add(name, {**labels, "le": bound}, total, "_bucket")
            add(name, labels, seconds, "_sum")
            add(name, labels, total, "_count")

        for (version, role), average in self.load.averages().items():
            add("tidemill_predictions_in_flight", {"model_version": version, "role": role}, average)
        add("tidemill_feedback_total", {}, self.feedback)
        add("tidemill_feedback_unknown_total", {}, self.unknown_labels)
        add("tidemill_candidate_errors_total", {}, self.candidate_errors)
        add("tidemill_candidate_skipped_total", {}, self.candidate_skipped)
        add("tidemill_candidate_refusals_total", {}, self.candidate_refusals)
        add("tidemill_outlier_rows_total", {}, self.outliers)
        add("tidemill_outlier_scored_rows_total", {}, self.scored)
        for series in self._series.values():
            series_labels = {"model_version": series.version, "role": series.role}
            for code, count in series.codes.items():
                add("tidemill_predictions_total", {**series_labels, "code": str(code)}, count)
            for code, count in series.forwarded.items():
                add("tidemill_forwarded_predictions_total", {**series_labels, "code": str(code)}, count)
            add("tidemill_predicted_rows_total", series_labels, series.rows)
            add_histogram("tidemill_prediction_duration_seconds", series_labels, BOUNDS, series.buckets, series.seconds)
        for version, lag in tuple(self.lags.of.items()):
            pair = {"model_version": version}
            add_histogram("tidemill_label_lag_seconds", pair, LAG_BOUNDS, lag.buckets, lag.seconds)
        for name, labels, value in gauges:
            add(name, labels, value)
        return samples

    def text(self, gauges: Iterable[Gauge]) -> str:
        """Return everything in Prometheus's text format."""
        return text(self.samples(gauges), HELP)
