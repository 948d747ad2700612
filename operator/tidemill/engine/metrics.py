"""Expose metrics of the operator and of the models: one table of names, helps and labels, and the page made from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from tidemill.engine.status_metrics import samples
from tidemill.engine.transitions import Transition
from tidemill.engine.workqueue import WorkQueue
from tidemill.plan.world import Key, World

PREFIX: Final = "tidemill_"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as the documentation and Prometheus know it."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0)

TABLE: Final = (
    # the operator itself
    Metric(
        "reconcile_seconds", "histogram", "Duration of one reconciliation of an object.", ("kind", "result"), _SECONDS
    ),
    Metric(
        "reconcile_errors_total",
        "counter",
        "Reconciliations that failed, by the class of the error.",
        ("kind", "error"),
    ),
    Metric(
        "writes_total",
        "counter",
        "Writes to the API server, by kind and operation.",
        ("kind", "operation"),
    ),
    Metric(
        "api_requests_total",
        "counter",
        "Requests to the API server; code 'none' means that no response arrived.",
        ("verb", "code"),
    ),
    Metric("api_request_seconds", "histogram", "Duration of requests to the API server.", ("verb",), _SECONDS),
    Metric("workqueue_depth", "gauge", "Objects that wait to be reconciled."),
    Metric("workqueue_delayed", "gauge", "Objects that are scheduled to be reconciled later."),
    Metric("workqueue_busy", "gauge", "Objects that are being reconciled."),
    Metric("workqueue_adds_total", "counter", "Objects added to the queue."),
    Metric("workqueue_retries_total", "counter", "Reconciliations that are repeated after an error."),
    Metric("workqueue_oldest_seconds", "gauge", "Time that the oldest object in the queue has waited."),
    Metric("watch_last_event_timestamp_seconds", "gauge", "Time of the last event of a kind's watch.", ("kind",)),
    Metric("resync_timestamp_seconds", "gauge", "Time of the last full list of all objects."),
    Metric("resync_seconds", "gauge", "Duration of the last full list of all objects."),
    Metric(
        "resync_ghosts_total",
        "counter",
        "Objects found deleted by a resync without a watch event; more than 0 means that a watch loses events.",
    ),
    Metric("world_objects", "gauge", "Objects in the cache of the operator, by kind.", ("kind",)),
    Metric("leader", "gauge", "1 while this process is the leader, else 0."),
    Metric("ready", "gauge", "1 if the Ready condition of an object is True, else 0.", ("kind", "namespace", "name")),
    # data and models
    Metric("dataset_rows", "gauge", "Rows of the current revision of a Dataset.", ("namespace", "dataset")),
    Metric(
        "model_score",
        "gauge",
        "First metric of a ModelVersion on the hold-out data.",
        ("namespace", "model", "version"),
    ),
    Metric(
        "model_info",
        "gauge",
        "1 for each version that a service serves, with its role and digest.",
        ("namespace", "service", "model", "model_version", "role", "digest"),
    ),
    Metric("model_replicas_ready", "gauge", "Ready pods of a role.", ("namespace", "service", "role")),
    Metric(
        "model_traffic_percent",
        "gauge",
        "Share of requests that a role answers, in percent.",
        ("namespace", "service", "role"),
    ),
    Metric(
        "model_created_timestamp_seconds",
        "gauge",
        "Creation time of the version that a role serves; time() minus it is the age of the model.",
        ("namespace", "service", "role"),
    ),
    Metric(
        "slo_latency_p95_seconds",
        "gauge",
        "Objective: 95% of requests are answered within this time.",
        ("namespace", "service"),
    ),
    Metric(
        "slo_availability_ratio",
        "gauge",
        "Objective: share of requests without a server error.",
        ("namespace", "service"),
    ),
    Metric(
        "slo_model_age_seconds",
        "gauge",
        "Objective: maximum age of the version that is served.",
        ("namespace", "service"),
    ),
    Metric("rollouts_total", "counter", "Rollouts that ended, by outcome.", ("namespace", "service", "outcome")),
    # drift
    Metric(
        "drift_score",
        "gauge",
        "Value that a check measured in the newest window.",
        ("namespace", "monitor", "check", "type"),
    ),
    Metric("drift_threshold", "gauge", "Threshold of a check.", ("namespace", "monitor", "check", "type")),
    Metric(
        "drift_verdict",
        "gauge",
        "1 for the verdict of the newest window, 0 for the others.",
        ("namespace", "monitor", "verdict"),
    ),
    Metric(
        "check_verdict",
        "gauge",
        "1 for the verdict of a check in the newest window, 0 for the others.",
        ("namespace", "monitor", "check", "type", "verdict"),
    ),
    Metric(
        "check_interval",
        "gauge",
        "Lower and upper end of the confidence interval of a check's value.",
        ("namespace", "monitor", "check", "end"),
    ),
    Metric(
        "performance_value",
        "gauge",
        "Model performance in the newest window, measured or estimated.",
        ("namespace", "monitor", "check", "type", "metric"),
    ),
    Metric(
        "fairness_value",
        "gauge",
        "Difference between groups in the newest window, by fairness metric.",
        ("namespace", "monitor", "check", "metric", "column"),
    ),
    Metric(
        "health_score",
        "gauge",
        "Health score of a service from 0 to 100, in total (part Total) and by part.",
        ("namespace", "monitor", "part"),
    ),
    Metric(
        "drift_report_info",
        "gauge",
        "1 for the report of the newest window, while its verdict is Warning or Failing.",
        ("namespace", "monitor", "uri"),
    ),
    Metric("drift_samples", "gauge", "Rows in the newest window.", ("namespace", "monitor")),
    Metric("drift_labelled", "gauge", "Labelled rows in the newest window.", ("namespace", "monitor")),
    Metric(
        "drift_unknown_labels",
        "gauge",
        "Labelled rows in the newest window whose label is not a class of the model.",
        ("namespace", "monitor"),
    ),
    Metric("retraining_active", "gauge", "1 while a retraining is in progress.", ("namespace", "monitor")),
    Metric(
        "retraining_blocked",
        "gauge",
        "1 for each reason that blocks a retraining now.",
        ("namespace", "monitor", "reason"),
    ),
    Metric(
        "retraining_due",
        "gauge",
        "1 for each cause that requests a retraining now.",
        ("namespace", "monitor", "cause"),
    ),
    Metric(
        "retrainings_blocked_total",
        "counter",
        "Number of times that a requested retraining became blocked, by reason.",
        ("namespace", "monitor", "reason"),
    ),
    Metric(
        "time_to_recover_seconds",
        "gauge",
        "Time from the end of the last window that did not fail to the promotion of the newest retraining for drift.",
        ("namespace", "monitor"),
    ),
    Metric(
        "retraining_gain",
        "gauge",
        "Gain of the newest promoted retraining over its predecessor, on the same recent labelled rows.",
        ("namespace", "monitor", "metric"),
    ),
    Metric(
        "retrainings_total",
        "counter",
        "Retrainings that ended, by cause and outcome.",
        ("namespace", "monitor", "cause", "outcome"),
    ),
    Metric(
        "trainings_total",
        "counter",
        "TrainingJobs that ended, by cause and outcome.",
        ("namespace", "cause", "outcome"),
    ),
)
BY_NAME: Final = {metric.name: metric for metric in TABLE}

# Exposed by the Prometheus client for every Python process, under its own names.
OF_THE_PROCESS: Final = (
    Metric("process_virtual_memory_bytes", "gauge", "Virtual memory of the process."),
    Metric("process_resident_memory_bytes", "gauge", "Resident memory of the process."),
    Metric("process_start_time_seconds", "gauge", "Start time of the process."),
    Metric("process_cpu_seconds_total", "counter", "CPU time of the process."),
    Metric("process_open_fds", "gauge", "Open file descriptors."),
    Metric("process_max_fds", "gauge", "Maximum number of open file descriptors."),
    Metric("python_info", "gauge", "Version of Python.", ("implementation", "major", "minor", "patchlevel", "version")),
    Metric(
        "python_gc_objects_collected_total", "counter", "Objects collected by the garbage collector.", ("generation",)
    ),
    Metric(
        "python_gc_objects_uncollectable_total",
        "counter",
        "Objects that the garbage collector found and could not free.",
        ("generation",),
    ),
    Metric("python_gc_collections_total", "counter", "Runs of the garbage collector.", ("generation",)),
)

REGISTRY: Final = CollectorRegistry()

# The creation time of every counter would be half of the page.
disable_created_metrics()  # type: ignore[no-untyped-call]


def _make(name: str) -> Any:
    metric = BY_NAME[name]
    kinds = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}
    options: dict[str, Any] = {"buckets": metric.buckets} if metric.buckets else {}
    return kinds[metric.type](PREFIX + metric.name, metric.help, metric.labels, registry=REGISTRY, **options)


RECONCILE_SECONDS: Final[Histogram] = _make("reconcile_seconds")
RECONCILE_ERRORS: Final[Counter] = _make("reconcile_errors_total")
WRITES: Final[Counter] = _make("writes_total")
API_REQUESTS: Final[Counter] = _make("api_requests_total")
API_SECONDS: Final[Histogram] = _make("api_request_seconds")
QUEUE_DEPTH: Final[Gauge] = _make("workqueue_depth")
QUEUE_DELAYED: Final[Gauge] = _make("workqueue_delayed")
QUEUE_BUSY: Final[Gauge] = _make("workqueue_busy")
QUEUE_ADDS: Final[Counter] = _make("workqueue_adds_total")
QUEUE_RETRIES: Final[Counter] = _make("workqueue_retries_total")
QUEUE_OLDEST: Final[Gauge] = _make("workqueue_oldest_seconds")
WATCH_LAST_EVENT: Final[Gauge] = _make("watch_last_event_timestamp_seconds")
RESYNC_TIMESTAMP: Final[Gauge] = _make("resync_timestamp_seconds")
RESYNC_SECONDS: Final[Gauge] = _make("resync_seconds")
RESYNC_MISSED_DELETIONS: Final[Counter] = _make("resync_ghosts_total")
LEADER: Final[Gauge] = _make("leader")
ROLLOUTS: Final[Counter] = _make("rollouts_total")
RETRAININGS: Final[Counter] = _make("retrainings_total")
RETRAININGS_BLOCKED: Final[Counter] = _make("retrainings_blocked_total")
TRAININGS: Final[Counter] = _make("trainings_total")

_COUNTERS: Final = {
    "rollouts_total": ROLLOUTS,
    "retrainings_total": RETRAININGS,
    "retrainings_blocked_total": RETRAININGS_BLOCKED,
    "trainings_total": TRAININGS,
}
_OF_KIND: Final = {
    "InferenceService": ((ROLLOUTS,), "service"),
    "DriftMonitor": ((RETRAININGS, RETRAININGS_BLOCKED), "monitor"),
}

ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)


class WorldCollector:
    """Read statuses at the time of the scrape, so that a series disappears with its object."""

    def __init__(self, world: World) -> None:
        self._world = world

    def describe(self) -> Iterable[Any]:
        return ()

    def collect(self) -> Iterator[Any]:
        families: dict[str, Any] = {}
        for sample in samples(self._world):
            if sample.name not in families:
                metric = BY_NAME[sample.name]
                families[sample.name] = GaugeMetricFamily(PREFIX + metric.name, metric.help, labels=metric.labels)
            families[sample.name].add_metric(sample.labels, sample.value)
        yield from families.values()


def count(transition: Transition) -> None:
    """Count a transition."""
    _COUNTERS[transition.name].labels(*transition.labels).inc()


def forget(key: Key, *, was_last: bool = False) -> None:
    """Remove the counters of an object that is gone; where it was the last of its kind, those of its namespace too."""
    if was_last and key.kind == "TrainingJob":
        TRAININGS.remove_by_labels({"namespace": key.namespace})
    if key.kind not in _OF_KIND:
        return
    counters, label = _OF_KIND[key.kind]
    for counter in counters:
        counter.remove_by_labels({"namespace": key.namespace, label: key.name})


def observe_queue(queue: WorkQueue[Key]) -> None:
    """Copy the counts of the queue into the metrics."""
    QUEUE_DEPTH.set(len(queue))
    QUEUE_DELAYED.set(queue.delayed)
    QUEUE_BUSY.set(queue.busy)
    QUEUE_OLDEST.set(queue.oldest_seconds())
    _raise_to(QUEUE_ADDS, "adds", queue.adds)
    _raise_to(QUEUE_RETRIES, "retries", queue.retries)


_counted: dict[str, int] = {}


def _raise_to(counter: Counter, name: str, total: int) -> None:
    counter.inc(max(0, total - _counted.get(name, 0)))
    _counted[name] = total


def page(collectors: Iterable[WorldCollector] = ()) -> bytes:
    """Return the metrics in Prometheus' text format."""
    own = CollectorRegistry()
    for collector in collectors:
        own.register(collector)
    return generate_latest(REGISTRY) + generate_latest(own)


__all__ = ["REGISTRY", "TABLE", "Metric", "WorldCollector", "count", "forget", "page"]
