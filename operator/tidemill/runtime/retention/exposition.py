"""The metrics of the sweeper, which are taken from its newest turn at each scrape."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric

from tidemill.runtime.retention.sweeper import Size, Turn

PREFIX: Final = "tidemill_"


class SweepMetric(NamedTuple):
    """One metric as the documentation and Prometheus know it."""

    name: str
    type: str
    help: str
    labels: tuple[str, ...] = ()


_OF_STORE: Final = ("namespace", "kind", "in_use")
TABLE: Final = (
    SweepMetric(
        "store_bytes",
        "gauge",
        "Size of the objects in the store, by what they are and whether an object of the cluster uses them.",
        _OF_STORE,
    ),
    SweepMetric("store_objects", "gauge", "Number of objects in the store, likewise.", _OF_STORE),
    SweepMetric(
        "store_deleted_bytes_total",
        "counter",
        "Size of the objects that the sweeper has deleted, because nothing used them.",
        ("kind",),
    ),
    SweepMetric("store_deleted_objects_total", "counter", "Number of objects that the sweeper has deleted.", ("kind",)),
    SweepMetric("store_sweep_timestamp_seconds", "gauge", "Time of the last complete sweep."),
    SweepMetric("store_sweep_failures_total", "counter", "Sweeps that the store or the operator did not answer."),
    SweepMetric("store_capacity_bytes", "gauge", "Size of the embedded store's volume."),
    SweepMetric("store_free_bytes", "gauge", "Free space on the embedded store's volume."),
)


class VolumeSpace(NamedTuple):
    """The volume of a store, in bytes."""

    capacity: int
    free: int


def space_of(volume: Path) -> VolumeSpace:
    """Return the size of a volume, and what of it a process without privileges may still use."""
    stat = os.statvfs(volume)
    return VolumeSpace(stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize)


class SweepMetrics:
    """What the sweeper has counted since it started, and what its newest turn found."""

    def __init__(self) -> None:
        self.newest: Turn | None = None
        self.swept_at = 0.0
        self.failures = 0
        self._deleted: dict[str, Size] = defaultdict(Size)

    def record(self, turn: Turn, timestamp: float) -> None:
        """Take a turn's findings over."""
        self.newest, self.swept_at = turn, timestamp
        for kind, size in turn.deleted.items():
            self._deleted[kind].objects += size.objects
            self._deleted[kind].bytes += size.bytes

    def page(self, space: VolumeSpace | None) -> bytes:
        """Return all metrics; those of the volume only where the sweeper sees it."""
        sizes = self.newest.sizes if self.newest else {}
        of_store = [
            ({"namespace": namespace, "kind": kind, "in_use": str(used).lower()}, size)
            for (namespace, kind, used), size in sorted(sizes.items())
        ]
        deleted = [({"kind": kind}, size) for kind, size in sorted(self._deleted.items())]
        samples: dict[str, Iterable[tuple[Mapping[str, str], float]]] = {
            "store_bytes": [(labels, size.bytes) for labels, size in of_store],
            "store_objects": [(labels, size.objects) for labels, size in of_store],
            "store_deleted_bytes_total": [(labels, size.bytes) for labels, size in deleted],
            "store_deleted_objects_total": [(labels, size.objects) for labels, size in deleted],
            "store_sweep_timestamp_seconds": [({}, self.swept_at)] if self.newest else [],
            "store_sweep_failures_total": [({}, self.failures)],
            "store_capacity_bytes": [({}, space.capacity)] if space else [],
            "store_free_bytes": [({}, space.free)] if space else [],
        }
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Samples(samples))
        return bytes(generate_latest(registry))


class _Samples:
    """A collector of `prometheus_client` over samples that were taken already."""

    def __init__(self, samples: Mapping[str, Iterable[tuple[Mapping[str, str], float]]]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics in the order of TABLE, those without samples too."""
        for declared in TABLE:
            name = PREFIX + declared.name
            metric = Metric(name.removesuffix("_total"), declared.help, declared.type)
            for labels, value in self._samples[declared.name]:
                metric.add_sample(name, dict(labels), value)
            yield metric
