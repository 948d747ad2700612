"""The text that Prometheus scrapes, made of samples by its own library, and the samples of several processes added up.

`prometheus_client` is imported with the first scrape: a process that is never scraped does not pay for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric


class Declared(NamedTuple):
    """One metric as the documentation and Prometheus know it."""

    type: str
    help: str
    labels: tuple[str, ...]


class ExposedSample(NamedTuple):
    """One number of a process."""

    metric: str
    """The metric's name as it is declared."""
    labels: Mapping[str, str]
    value: float
    suffix: str = ""
    """`_bucket`, `_sum` or `_count` of a histogram."""

    def to_wire(self) -> list[Any]:
        """Return the sample as JSON types."""
        return [self.metric, dict(self.labels), self.value, self.suffix]


LARGEST: Final = frozenset({"tidemill_model_info", "tidemill_model_age_seconds", "tidemill_prediction_agreement_ratio"})
"""Metrics that several processes do not add up: the largest is that of all."""
SMALLEST: Final = frozenset({"tidemill_model_ready"})


def merged(processes: Sequence[Iterable[ExposedSample]]) -> list[ExposedSample]:
    """Return the samples of several processes as those of one.

    >>> one, other = ExposedSample("a_total", {"x": "1"}, 2), ExposedSample("a_total", {"x": "1"}, 3)
    >>> [sample.value for sample in merged([[one], [other]])]
    [5]
    """
    by_key: dict[tuple[str, str, tuple[tuple[str, str], ...]], ExposedSample] = {}
    for samples in processes:
        for sample in samples:
            key = (sample.metric, sample.suffix, tuple(sorted(sample.labels.items())))
            before = by_key.get(key)
            by_key[key] = sample if before is None else sample._replace(value=_combined(before, sample))
    return list(by_key.values())


def _combined(first: ExposedSample, second: ExposedSample) -> float:
    if first.metric in LARGEST:
        return max(first.value, second.value)
    if first.metric in SMALLEST:
        return min(first.value, second.value)
    return first.value + second.value


class SampleCollector:
    """A collector of `prometheus_client` over samples that were taken already."""

    def __init__(self, samples: Iterable[ExposedSample], declared: Mapping[str, Declared]) -> None:
        self._samples = samples
        self._declared = declared

    def collect(self) -> Iterator[Metric]:
        """Yield each metric that has samples, in the order of their declaration."""
        from prometheus_client.metrics_core import Metric

        by_metric: dict[str, list[ExposedSample]] = {name: [] for name in self._declared}
        for sample in self._samples:
            by_metric[sample.metric].append(sample)
        for name, samples in by_metric.items():
            if samples:
                declared = self._declared[name]
                family = name.removesuffix("_total") if declared.type == "counter" else name
                metric = Metric(family, declared.help, declared.type)
                for sample in samples:
                    metric.add_sample(name + sample.suffix, dict(sample.labels), sample.value)
                yield metric


def text(samples: Iterable[ExposedSample], declared: Mapping[str, Declared]) -> str:
    """Return the samples in Prometheus's text format."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(SampleCollector(samples, declared))
    exposed: bytes = generate_latest(registry)
    return exposed.decode()
