"""The reports of a serving process about itself: its state for people, its gauges for Prometheus, its score of a rollout."""

from __future__ import annotations

import asyncio
import importlib
import sys
from typing import Any

import orjson

from tidemill.runtime.serve.handlers.bentoml_service import prepare_metrics
from tidemill.runtime.serve.handlers.context import ServingContext
from tidemill.runtime.serve.http.asgi_client import body_of
from tidemill.runtime.serve.telemetry.exposition import ExposedSample, text
from tidemill.runtime.serve.telemetry.metrics import HELP, Gauge


def state(serving: ServingContext) -> dict[str, Any]:
    """Return the body of `/tidemill/v1/state`."""
    identity, model, rollout = serving.identity, serving.model, serving.rollout
    routes = rollout.routes if rollout else None
    return {
        **serving.state.report(),
        "pod": serving.pod,
        "namespace": identity.namespace,
        "service": identity.service,
        "model": identity.model,
        "version": identity.version,
        "digest": identity.digest,
        "role": identity.role,
        "compiled": model.predictor.compiled if model else None,
        "note": model.predictor.note if model else "",
        "bentoml": serving.bentoml is not None,
        "routes": routes.to_wire() if routes else None,
        "routesProblem": rollout.problem if rollout else "",
        "candidateBreakerOpen": rollout.breaker_open if rollout else False,
        "loops": {
            loop.name: {"errors": loop.errors, "problem": loop.problem() or loop.error} for loop in serving.loops
        },
        "logs": {name: log.report() for name, log in serving.logs().items()},
    }


async def metrics(serving: ServingContext) -> bytes:
    """Return what `/metrics` answers: our own counts, and behind them those of the BentoML service."""
    if "prometheus_client" not in sys.modules:
        prepare_metrics()
        await asyncio.to_thread(importlib.import_module, "prometheus_client")
    samples = samples_of(serving) if serving.workers is None else await serving.workers.of_all()
    exposed = text(samples, HELP).encode()
    return exposed if serving.bentoml is None else exposed + await body_of(serving.bentoml, "/metrics")


def samples_of(serving: ServingContext) -> list[ExposedSample]:
    """Return the counts and gauges of this process."""
    return serving.metrics.samples(gauges(serving))


def gauges(serving: ServingContext) -> list[Gauge]:
    """Return what is measured when it is asked for, and not counted with each request."""
    identity = serving.identity
    version_labels = {"model": identity.model, "model_version": identity.version, "role": identity.role}
    measured: list[Gauge] = [
        ("tidemill_model_info", {**version_labels, "digest": identity.digest}, 1),
        ("tidemill_model_ready", version_labels, int(serving.state.readiness()[0])),
    ]
    if serving.loaded_at:
        measured.append(("tidemill_model_age_seconds", version_labels, max(0.0, serving.clock() - serving.loaded_at)))
    for name, log in serving.logs().items():
        mark = {"log": name}
        measured += [
            ("tidemill_log_backlog_rows", mark, log.backlog),
            ("tidemill_log_backlog_bytes", mark, log.backlog_bytes),
            ("tidemill_log_written_rows_total", mark, log.state.written),
            ("tidemill_log_dropped_rows_total", mark, log.state.dropped),
            ("tidemill_log_failures_total", mark, log.state.failures),
        ]
    for loop in serving.loops:
        measured.append(("tidemill_loop_errors_total", {"loop": loop.name}, loop.errors))
        measured.append(("tidemill_loop_running", {"loop": loop.name}, int(not loop.problem())))
    if serving.retention is not None:
        measured.append(("tidemill_log_expired_parts_total", {}, serving.retention.removed))
        measured.append(("tidemill_log_expiry_failures_total", {}, serving.retention.failures))
    if serving.events is not None:
        events = {"sent": serving.events.sent, "failed": serving.events.failed, "dropped": serving.events.dropped}
        measured += [("tidemill_events_total", {"result": result}, count) for result, count in events.items()]
    trial = serving.rollout.trial if serving.rollout else None
    if trial is not None and serving.rollout is not None:
        copies = serving.rollout.copies
        measured += [
            ("tidemill_shadow_requests_total", {"result": "sent"}, copies.sent),
            ("tidemill_shadow_requests_total", {"result": "dropped"}, copies.dropped),
        ]
        pair = {"model_version": trial.candidate.version}
        measured.append(("tidemill_compared_rows_total", pair, trial.compared))
        if trial.compared:
            measured.append(("tidemill_prediction_agreement_ratio", pair, trial.agreed / trial.compared))
    return measured


def measurements(serving: ServingContext) -> bytes:
    """Return the body of `/tidemill/v1/measurements`."""
    from tidemill.contract.serving import Measurements

    trial = serving.rollout.trial if serving.rollout else None
    direct = serving.direct.to_arm() if serving.direct is not None else None
    result = trial.measurements(serving.pod) if trial else Measurements(pod=serving.pod, candidate=direct)
    if serving.rollout is not None:
        followed = {"routes": serving.rollout.routes, "routes_problem": serving.rollout.problem}
        result = result.model_copy(update=followed)
    state = serving.state
    if not state.loaded:
        result = result.model_copy(update={"waits_for": state.reason, "waits_message": state.message[:500]})
    return orjson.dumps(result.to_wire())
