"""Read metrics from statuses at the time of a scrape: drift, rollouts, versions and readiness."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple, get_args

from tidemill.api.checks import SCORED_TYPES
from tidemill.api.durations import seconds
from tidemill.api.methods import ADVERSE_VERDICTS, CheckVerdict
from tidemill.engine.kinds import OURS, WATCHED
from tidemill.plan.world import Key, Manifest, World


class MetricSample(NamedTuple):
    """One number with its labels, in the order in which the table of metrics names them."""

    name: str
    labels: tuple[str, ...]
    value: float


def samples(world: World) -> Iterator[MetricSample]:
    """Yield every number in the statuses of the world; malformed values are left out, not guessed."""
    for watched in WATCHED:
        keys = world.keys(watched.kind)
        yield MetricSample("world_objects", (watched.kind,), float(len(keys)))
        if watched.kind not in OURS:
            continue
        for key in keys:
            manifest = world.get(*key)
            status = manifest.get("status") if manifest else None
            if manifest is not None and isinstance(status, Mapping):
                yield from _of_object(key, manifest, status, world)


def _of_object(key: Key, manifest: Manifest, status: Mapping[str, Any], world: World) -> Iterator[MetricSample]:
    conditions = _list(status, "conditions")
    ready = any(
        _text(condition, "type") == "Ready" and _text(condition, "status") == "True" for condition in conditions
    )
    yield MetricSample("ready", (key.kind, key.namespace, key.name), float(ready))
    match key.kind:
        case "Dataset":
            yield from _number("dataset_rows", (key.namespace, key.name), _dict(status, "revision"), "rows")
        case "ModelVersion":
            model = _text(_dict(manifest, "spec"), "modelName")
            yield from _number("model_score", (key.namespace, model, key.name), status, "score")
        case "InferenceService":
            spec = _dict(manifest, "spec")
            yield from _service(key, _text(_dict(spec, "model"), "name"), status, world)
            yield from _objectives(key, _dict(spec, "slo"))
        case "DriftMonitor":
            yield from _monitor(key, _dict(manifest, "spec"), status)
        case _:
            return


def _service(key: Key, model: str, status: Mapping[str, Any], world: World) -> Iterator[MetricSample]:
    for role in ("stable", "candidate"):
        serving = _dict(status, role)
        if serving:
            where = (key.namespace, key.name, role)
            version_name, digest = _text(serving, "version"), _text(serving, "digest")
            yield MetricSample("model_info", (*where[:2], model, version_name, role, digest), 1.0)
            yield from _number("model_replicas_ready", where, serving, "ready")
            yield from _number("model_traffic_percent", where, serving, "weight")
            version = world.get("ModelVersion", key.namespace, version_name)
            with suppress(KeyError, TypeError, ValueError):
                created = datetime.fromisoformat(version["metadata"]["creationTimestamp"])  # type: ignore[index]
                yield MetricSample("model_created_timestamp_seconds", where, created.timestamp())


def _objectives(key: Key, slo: Mapping[str, Any]) -> Iterator[MetricSample]:
    """Yield the objectives of a service, for alerts to compare with measurements."""
    where = (key.namespace, key.name)
    yield from _number("slo_availability_ratio", where, slo, "availability")
    for name, field in (("slo_latency_p95_seconds", "latencyP95"), ("slo_model_age_seconds", "maximumModelAge")):
        with suppress(ValueError):
            if objective := _text(slo, field):
                yield MetricSample(name, where, seconds(objective))


def _monitor(key: Key, spec: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[MetricSample]:
    where = (key.namespace, key.name)
    specified = {_text(check, "name"): check for check in _list(spec, "checks")}
    for check in _list(status, "checks"):
        yield from _check(where, specified.get(_text(check, "name"), {}), check)
    window = _dict(status, "lastRun")
    if window:
        for verdict in get_args(CheckVerdict):
            yield MetricSample("drift_verdict", (*where, verdict), float(window.get("verdict") == verdict))
        yield from _number("drift_samples", where, window, "samples")
        yield from _number("drift_labelled", where, window, "labelled")
        yield from _number("drift_unknown_labels", where, window, "unknownLabels")
        if window.get("verdict") in ADVERSE_VERDICTS and _text(window, "reportUri"):
            yield MetricSample("drift_report_info", (*where, _text(window, "reportUri")), 1.0)
    health = _dict(status, "health")
    yield from _number("health_score", (*where, "Total"), health, "score")
    for part in _list(health, "parts"):
        yield from _number("health_score", (*where, _text(part, "name")), part, "score")
    retraining = _dict(status, "retraining")
    yield MetricSample("retraining_active", where, float(bool(retraining.get("active"))))
    for name, field in (("retraining_blocked", "blocked"), ("retraining_due", "due")):
        reasons = retraining.get(field)
        for reason in dict.fromkeys(map(str, reasons if isinstance(reasons, list) else ())):
            yield MetricSample(name, (*where, reason), 1.0)
    yield from _promotion(where, _list(status, "history"))


def _check(where: tuple[str, str], specified: Mapping[str, Any], check: Mapping[str, Any]) -> Iterator[MetricSample]:
    """Yield what one check measured, and again under the name of the metric of its type."""
    name, type_ = _text(check, "name"), _text(check, "type")
    labels = (*where, name, type_)
    yield from _number("drift_score", labels, check, "value")
    yield from _number("drift_threshold", labels, check, "threshold")
    for verdict in get_args(CheckVerdict):
        yield MetricSample("check_verdict", (*labels, verdict), float(check.get("verdict") == verdict))
    for end in ("lower", "upper"):
        yield from _number("check_interval", (*where, name, end), check, end)
    metric = _text(specified, "metric")
    if type_ in SCORED_TYPES:
        yield from _number("performance_value", (*labels, metric), check, "value")
    if type_ == "Fairness":
        yield from _number("fairness_value", (*where, name, metric, _text(specified, "column")), check, "value")


def _promotion(where: tuple[str, str], history: list[Mapping[str, Any]]) -> Iterator[MetricSample]:
    """Yield the gain of the newest promoted retraining, and the duration of the newest one for drift."""
    promoted = [outcome for outcome in history if outcome.get("outcome") == "Promoted"]
    for metric in _dict(promoted[0], "gain") if promoted else ():
        yield from _number("retraining_gain", (*where, str(metric)), _dict(promoted[0], "gain"), str(metric))
    for outcome in promoted:
        if outcome.get("cause", "Drift") == "Drift" and outcome.get("since") and outcome.get("endedAt"):
            with suppress(TypeError, ValueError):
                duration = datetime.fromisoformat(outcome["endedAt"]) - datetime.fromisoformat(outcome["since"])
                yield MetricSample("time_to_recover_seconds", where, duration.total_seconds())
            return


def _number(name: str, labels: tuple[str, ...], value: Mapping[str, Any], field: str) -> Iterator[MetricSample]:
    number = value.get(field)
    if isinstance(number, int | float) and not isinstance(number, bool):
        yield MetricSample(name, labels, float(number))


def _dict(value: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    child = value.get(field)
    return child if isinstance(child, Mapping) else {}


def _list(value: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    items = value.get(field)
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def _text(value: Mapping[str, Any], field: str) -> str:
    return str(value.get(field) or "")
