"""Find the reports that are still referred to, which check runs keep however old they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from tidemill.api import DriftMonitor, TrainingJob
from tidemill.api.driftmonitor import ReportRetention
from tidemill.children import names
from tidemill.contract.layout import window_end, window_name
from tidemill.contract.orders import CheckOrder
from tidemill.plan.driftmonitor.retraining.history import cause_of
from tidemill.plan.lookup import all_of
from tidemill.plan.world import World

MAX_KEPT: Final = 256
"""Reports that are kept because of references, newest first: their names must fit into an order."""
_WINDOW: Final = re.compile(r"/(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)/[^/]+$")


def retention(monitor: DriftMonitor) -> ReportRetention | None:
    """Return the bounds that the spec sets; None for the defaults, so that orders of earlier releases stay the same."""
    bounds = monitor.spec.reports.retention
    return None if bounds == ReportRetention() else bounds


def keeping(order: CheckOrder, monitor: DriftMonitor, world: World) -> CheckOrder:
    """Return the order with the folders of windows that the monitor's status or one of its retrainings refers to."""
    referred = sorted({window_name(end) for end in _referred(monitor, world)}, reverse=True)
    return order.model_copy(update={"kept_reports": tuple(referred[:MAX_KEPT])})


def _referred(monitor: DriftMonitor, world: World) -> Iterator[datetime]:
    status = monitor.status
    if status.last_run is not None:
        yield status.last_run.end
    if status.fired_at is not None:
        yield status.fired_at
    uris = [delivery.report_uri for delivery in status.deliveries]
    if status.last_run is not None:
        uris.append(status.last_run.report_uri)
    for uri in uris:
        named = _WINDOW.search(uri)
        end = window_end(named[1]) if named else None
        if end is not None:
            yield end
    runs = world.labelled("TrainingJob", monitor.namespace, names.MONITOR, monitor.name)
    for run in all_of(TrainingJob, world, runs):
        at = cause_of(run).at
        if at is not None:
            yield at
