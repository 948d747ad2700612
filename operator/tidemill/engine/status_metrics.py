"""What statuses say, as numbers: drift, rollouts, versions and readiness, read from the world at the moment of a scrape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple, get_args

from tidemill.api.checks import CheckVerdict
from tidemill.api.durations import seconds
from tidemill.engine.kinds import OURS, WATCHED
from tidemill.plan.world import Key, Manifest, World


class MetricSample(NamedTuple):
    """One number with its labels, in the order in which the table of metrics names them."""

    name: str
    labels: tuple[str, ...]
    value: float


def samples(world: World) -> Iterator[MetricSample]:
    """Every number that the objects of the world carry; what is malformed is left out, not guessed."""
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
    ready = any(_text(one, "type") == "Ready" and _text(one, "status") == "True" for one in _list(status, "conditions"))
    yield MetricSample("ready", (key.kind, key.namespace, key.name), float(ready))
    match key.kind:
        case "Dataset":
            yield from _number("dataset_rows", (key.namespace, key.name), _dict(status, "revision"), "rows")
        case "ModelVersion":
            model = _text(_dict(manifest, "spec"), "modelName")
            yield from _number("model_score", (key.namespace, model, key.name), status, "score")
        case "InferenceService":
            yield from _service(key, status, world)
            yield from _objectives(key, _dict(_dict(manifest, "spec"), "slo"))
        case "DriftMonitor":
            yield from _monitor(key, _dict(manifest, "spec"), status)
        case _:
            return


def _service(key: Key, status: Mapping[str, Any], world: World) -> Iterator[MetricSample]:
    for role in ("stable", "candidate"):
        serving = _dict(status, role)
        if serving:
            where = (key.namespace, key.name, role)
            yield MetricSample("model_info", (*where, _text(serving, "version"), _text(serving, "digest")), 1.0)
            yield from _number("model_replicas_ready", where, serving, "ready")
            yield from _number("model_traffic_percent", where, serving, "weight")
            version = world.get("ModelVersion", key.namespace, _text(serving, "version"))
            with suppress(KeyError, TypeError, ValueError):
                made = datetime.fromisoformat(version["metadata"]["creationTimestamp"])  # type: ignore[index]
                yield MetricSample("model_created_timestamp_seconds", where, made.timestamp())


def _objectives(key: Key, slo: Mapping[str, Any]) -> Iterator[MetricSample]:
    """What a service owes its clients, for alerts to compare with what is measured."""
    where = (key.namespace, key.name)
    yield from _number("slo_availability_ratio", where, slo, "availability")
    for name, field in (("slo_latency_p95_seconds", "latencyP95"), ("slo_model_age_seconds", "maximumModelAge")):
        with suppress(ValueError):
            if said := _text(slo, field):
                yield MetricSample(name, where, seconds(said))


def _monitor(key: Key, spec: Mapping[str, Any], status: Mapping[str, Any]) -> Iterator[MetricSample]:
    where = (key.namespace, key.name)
    asked = {_text(check, "name"): check for check in _list(spec, "checks")}
    for check in _list(status, "checks"):
        yield from _check(where, asked.get(_text(check, "name"), {}), check)
    window = _dict(status, "lastRun")
    if window:
        for verdict in get_args(CheckVerdict):
            yield MetricSample("drift_verdict", (*where, verdict), float(window.get("verdict") == verdict))
        yield from _number("drift_samples", where, window, "samples")
        yield from _number("drift_labelled", where, window, "labelled")
        if window.get("verdict") in ("Warning", "Failing") and _text(window, "reportUri"):
            yield MetricSample("drift_report_info", (*where, _text(window, "reportUri")), 1.0)
    health = _dict(status, "health")
    yield from _number("health_score", (*where, "Total"), health, "score")
    for part in _list(health, "parts"):
        yield from _number("health_score", (*where, _text(part, "name")), part, "score")
    retraining = _dict(status, "retraining")
    yield MetricSample("retraining_active", where, float(bool(retraining.get("active"))))
    for name, field in (("retraining_blocked", "blocked"), ("retraining_due", "due")):
        said = retraining.get(field)
        for reason in dict.fromkeys(map(str, said if isinstance(said, list) else ())):
            yield MetricSample(name, (*where, reason), 1.0)
    yield from _promotion(where, _list(status, "history"))


def _check(where: tuple[str, str], asked: Mapping[str, Any], check: Mapping[str, Any]) -> Iterator[MetricSample]:
    """What one check measured, under the names that its type has beside."""
    name, type_ = _text(check, "name"), _text(check, "type")
    labels = (*where, name, type_)
    yield from _number("drift_score", labels, check, "value")
    yield from _number("drift_threshold", labels, check, "threshold")
    for verdict in get_args(CheckVerdict):
        yield MetricSample("check_verdict", (*labels, verdict), float(check.get("verdict") == verdict))
    for end in ("lower", "upper"):
        yield from _number("check_interval", (*where, name, end), check, end)
    metric = _text(asked, "metric")
    if type_ in ("Performance", "EstimatedPerformance"):
        yield from _number("performance_value", (*labels, metric), check, "value")
    if type_ == "Fairness":
        yield from _number("fairness_value", (*where, name, metric, _text(asked, "column")), check, "value")


def _promotion(where: tuple[str, str], history: list[Mapping[str, Any]]) -> Iterator[MetricSample]:
    """What the newest promoted retraining gained, and how long the newest one for drift took."""
    promoted = [one for one in history if one.get("outcome") == "Promoted"]
    for metric in _dict(promoted[0], "gain") if promoted else ():
        yield from _number("retraining_gain", (*where, str(metric)), _dict(promoted[0], "gain"), str(metric))
    for one in promoted:
        if one.get("cause", "Drift") == "Drift" and one.get("since") and one.get("endedAt"):
            with suppress(TypeError, ValueError):
                took = datetime.fromisoformat(one["endedAt"]) - datetime.fromisoformat(one["since"])
                yield MetricSample("time_to_recover_seconds", where, took.total_seconds())
            return


def _number(name: str, labels: tuple[str, ...], value: Mapping[str, Any], field: str) -> Iterator[MetricSample]:
    number = value.get(field)
    if isinstance(number, int | float) and not isinstance(number, bool):
        yield MetricSample(name, labels, float(number))


def _dict(value: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    found = value.get(field)
    return found if isinstance(found, Mapping) else {}


def _list(value: Mapping[str, Any], field: str) -> list[Mapping[str, Any]]:
    found = value.get(field)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _text(value: Mapping[str, Any], field: str) -> str:
    return str(value.get(field) or "")
