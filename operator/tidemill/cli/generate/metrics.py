"""Write the page of all metrics from the tables from which the processes expose them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from tidemill.engine import metrics as operator
from tidemill.runtime.retention import exposition as sweeper
from tidemill.runtime.serve.telemetry import metrics as server

_PAGE: Final = """\
# Metrics

This page is made by `make generate` from the tables in `operator/tidemill/engine/metrics.py`,
`operator/tidemill/runtime/serve/telemetry/metrics.py` and `operator/tidemill/runtime/retention/exposition.py`, from which the
processes expose them at `/metrics`. Histograms have the usual `_bucket`, `_sum` and `_count`. A series with the name of an object disappears with the object.
"""
_OPERATOR: Final = """
## The operator

Exposed on port 9090 of the operator's pod.

"""
_SERVER: Final = """
## Serving pods

Exposed on the port that serves requests. Once BentoML is loaded, its own metrics follow, which begin with `bentoml_`. Prometheus
adds the label `namespace` of the pod to all of them.

"""
_SWEEPER: Final = """
## The sweeper of the object store

Exposed on port 7071 of the pod of the embedded store, or of the sweeper where the store is a bucket of your own.

"""
_HEAD: Final = "| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n"

# Prometheus' conventions put the unit into the name, where there is one.
_UNITS: Final = (
    ("_timestamp_seconds", "seconds since 1970"),
    ("_start_time_seconds", "seconds since 1970"),
    ("_seconds", "seconds"),
    ("_bytes", "bytes"),
    ("_rows", "rows"),
    ("_ratio", "share, 0 to 1"),
    ("_percent", "percent"),
)


class Row(NamedTuple):
    """One metric of the page."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str


def page() -> str:
    """Return the whole page."""
    of_server_alone = (row for row in of_server() if row.name not in shared_names())
    return "".join(
        (
            _PAGE,
            _OPERATOR,
            _HEAD,
            _lines(of_operator()),
            _SERVER,
            _HEAD,
            _lines(of_server_alone),
            _SWEEPER,
            _HEAD,
            _lines(of_sweeper()),
        )
    )


def of_operator() -> Iterator[Row]:
    """Yield what the operator exposes, and what the Prometheus client exposes for every Python process."""
    for metric in operator.TABLE:
        name = operator.PREFIX + metric.name
        also = " Also exposed by each serving pod, about itself." if name in shared_names() else ""
        yield Row(name, metric.type, metric.labels, metric.help + also)
    for metric in operator.OF_THE_PROCESS:
        yield Row(metric.name, metric.type, metric.labels, metric.help)


def of_server() -> Iterator[Row]:
    """Yield what a serving pod exposes."""
    for name, declared in server.HELP.items():
        yield Row(name, declared.type, declared.labels, declared.help)


def of_sweeper() -> Iterator[Row]:
    """Yield what the sweeper of the object store exposes."""
    for metric in sweeper.TABLE:
        yield Row(sweeper.PREFIX + metric.name, metric.type, metric.labels, metric.help)


def shared_names() -> frozenset[str]:
    """Return the names of metrics that the operator exposes and serving pods too."""
    return frozenset(operator.PREFIX + metric.name for metric in operator.TABLE) & server.HELP.keys()


def unit(name: str) -> str:
    """Return the unit in a metric's name, or a dash.

    >>> unit("tidemill_log_written_rows_total"), unit("tidemill_leader")
    ('rows', '–')
    """
    bare = name.removesuffix("_total")
    return next((words for suffix, words in _UNITS if bare.endswith(suffix)), "–")


def _lines(rows: Iterable[Row]) -> str:
    return "".join(
        f"| `{row.name}` | {row.type} | {unit(row.name)} | {', '.join(f'`{label}`' for label in row.labels) or '–'} | {row.meaning} |\n"
        for row in rows
    )
