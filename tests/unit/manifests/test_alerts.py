"""The alerts of the chart: they ask for series that exist, say what to do, and fire when they should."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.commands import CommandFailed, run
from support import prometheus
from tidemill.engine.metrics import PREFIX, TABLE
from tidemill.runtime.retention import exposition as sweeper

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "charts/tidemill/files/alerts.yaml"
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
}
OF_A_MONITOR = [name for name, rule in RULES.items() if "$labels.monitor" in rule["annotations"]["summary"]]


@pytest.mark.parametrize("name", RULES)
def test_an_alert_asks_for_series_that_exist(name: str) -> None:
    served = (ROOT / "operator/tidemill/runtime/serve/telemetry/metrics.py").read_text()
    known = {PREFIX + metric.name for metric in (*TABLE, *sweeper.TABLE)} | set(
        re.findall(r"tidemill_[a-z0-9_]+", served)
    )
    asked = set(re.findall(r"tidemill_[a-z0-9_]+", RULES[name]["expr"]))

    assert asked
    assert set() == {series for series in asked if series not in known and series.removesuffix("_bucket") not in known}


@pytest.mark.parametrize("name", RULES)
def test_an_alert_says_what_happened_and_what_to_do(name: str) -> None:
    rule = RULES[name]

    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert {"summary", "description"} <= set(rule["annotations"])
    assert all(text.strip() for text in rule["annotations"].values())


@pytest.mark.parametrize("name", sorted({*OF_A_MONITOR} - {"TidemillMonitorHasNoData"}))
def test_an_alert_about_a_monitor_names_its_report(name: str) -> None:
    assert "tidemill_drift_report_info" in RULES[name]["annotations"]["report"]


Promtool = Callable[..., str]
MONITOR = 'namespace="shop",monitor="fraud"'
SERVICE = 'namespace="shop",service="fraud"'
REPORT = "s3://tidemill/shop/monitors/fraud/report.html"
HAS_REPORT = {f'tidemill_drift_report_info{{{MONITOR},uri="{REPORT}"}}': "1x60"}


@dataclass(frozen=True)
class Scene:
    """What Prometheus sees for an hour, minute by minute, and what the alert then carries."""

    alert: str
    series: dict[str, str]
    labels: dict[str, str]
    """Of the alert, besides its namespace and its monitor or service."""
    report: str | None = None
    filled: dict[str, str] = field(default_factory=dict)
    """What a template of the summary becomes, where it is not a label."""

    @property
    def whole(self) -> dict[str, str]:
        if self.alert.startswith("TidemillStore"):
            return self.labels
        watched = "monitor" if self.alert in OF_A_MONITOR else "service"
        return {"namespace": "shop", watched: "fraud", **self.labels}


def watched(alert: str, series: str, report: str = REPORT, value: str = "1", **labels: str) -> Scene:
    """A scene about a monitor."""
    seen = {series: f"{value}x60", f'tidemill_retraining_due{{{MONITOR},cause="Drift"}}': "1x60"}
    return Scene(alert, seen | (HAS_REPORT if report else {}), labels, report, {"{{ $value }}": value})


def latencies(objective: float) -> Scene:
    """Half of the answers within 0.1 s, the others within half a second."""
    bucket = f"tidemill_prediction_duration_seconds_bucket{{{SERVICE},role=%s,le=%s}}"
    return Scene(
        "TidemillLatencyObjectiveMissed",
        {
            bucket % ('"stable"', '"0.1"'): "0+600x60",
            bucket % ('"stable"', '"0.5"'): "0+1200x60",
            bucket % ('"stable"', '"+Inf"'): "0+1200x60",
            f"tidemill_slo_latency_p95_seconds{{{SERVICE}}}": f"{objective}x60",
            # What another service owes is not measured here.
            'tidemill_slo_latency_p95_seconds{namespace="shop",service="other"}': "0.001x60",
        },
        {},
    )


def answers(errors: int, objective: float) -> Scene:
    """So many of a thousand requests fail."""
    return Scene(
        "TidemillAvailabilityObjectiveMissed",
        {
            f'tidemill_predictions_total{{{SERVICE},role="stable",code="200"}}': f"0+{1000 - errors}x60",
            f'tidemill_predictions_total{{{SERVICE},role="stable",code="503"}}': f"0+{errors}x60",
            f"tidemill_slo_availability_ratio{{{SERVICE}}}": f"{objective}x60",
        },
        {},
    )


def aged(objective: int, role: str = "stable") -> Scene:
    """A version made when the clock began, and one on trial, or at its side, that is new."""
    other = "candidate" if role == "stable" else "stable"
    return Scene(
        "TidemillModelTooOld",
        {
            f'tidemill_model_created_timestamp_seconds{{{SERVICE},role="{role}"}}': "0x60",
            f'tidemill_model_created_timestamp_seconds{{{SERVICE},role="{other}"}}': "2400x60",
            f"tidemill_slo_model_age_seconds{{{SERVICE}}}": f"{objective}x60",
        },
        {},
    )


def verdict(alert: str, type_: str, result: str = "Failing") -> Scene:
    series = f'tidemill_check_verdict{{{MONITOR},check="mine",type="{type_}",verdict="{result}"}}'
    return watched(alert, series, check="mine", type=type_, verdict=result)


def stored(alert: str, free: str, percentage: str = "") -> Scene:
    """A volume of 1,000 bytes, so many of which are free."""
    series = {"tidemill_store_free_bytes": free, "tidemill_store_capacity_bytes": "1000x60"}
    return Scene(alert, series, {}, filled={"{{ $value | humanizePercentage }}": percentage})


def swept(ago: int) -> Scene:
    """The last sweep was so many seconds before the clock began."""
    return Scene("TidemillStoreNotSwept", {"tidemill_store_sweep_timestamp_seconds": f"{-ago}x60"}, {})


FIRING: dict[str, Scene] = {
    "a store with little space": stored("TidemillStoreFilling", "100x60", "10%"),
    "a store that will be full in three days": stored("TidemillStoreFilling", "490-1x60", "44.5%"),
    "a store that is full": stored("TidemillStoreFull", "20x60", "2%"),
    "a store that is not swept": swept(30_000),
    "a drift, with a link to its report": watched(
        "TidemillDrift", f'tidemill_drift_verdict{{{MONITOR},verdict="Failing"}}', verdict="Failing"
    ),
    "a drift whose report is not there": watched(
        "TidemillDrift", f'tidemill_drift_verdict{{{MONITOR},verdict="Failing"}}', report="", verdict="Failing"
    ),
    "answers that are less right": verdict("TidemillPerformanceDegraded", "Performance"),
    "answers that are likely less right": verdict("TidemillPerformanceDegraded", "EstimatedPerformance"),
    "groups treated less alike": verdict("TidemillUnfair", "Fairness"),
    "bad health": watched(
        "TidemillHealthCritical", f'tidemill_health_score{{{MONITOR},part="Total"}}', value="49", part="Total"
    ),
    "a retraining that a person must let go": watched(
        "TidemillRetrainingBlocked",
        f'tidemill_retraining_blocked{{{MONITOR},reason="DataQuality"}}',
        reason="DataQuality",
    ),
    "labels that are not classes": Scene(
        "TidemillLabelsUnknown",
        {f"tidemill_drift_unknown_labels{{{MONITOR}}}": "21x60", f"tidemill_drift_labelled{{{MONITOR}}}": "400x60"},
        {},
        report="",
        filled={"{{ $value }}": "21"},
    ),
    "a loop that has stopped": Scene(
        "TidemillServingLoopStopped",
        {f'tidemill_loop_running{{{SERVICE},loop="routes"}}': "0x60"},
        {"loop": "routes"},
    ),
    "answers that come late": latencies(objective=0.25),
    "too many failures": answers(errors=10, objective=0.999),
    "a model too old": aged(objective=600),
}
SILENT: dict[str, Scene] = {
    "a store half full that does not grow": stored("TidemillStoreFilling", "400x60"),
    "a store that is nearly empty and grows fast": stored("TidemillStoreFilling", "900-1x60"),
    "a store that fills": stored("TidemillStoreFull", "50x60"),
    "a store that was swept an hour ago": swept(3600),
    "a drift that only warns": watched("TidemillDrift", f'tidemill_drift_verdict{{{MONITOR},verdict="Warning"}}'),
    "a drift that is over": watched(
        "TidemillDrift", f'tidemill_drift_verdict{{{MONITOR},verdict="Failing"}}', value="0"
    ),
    "inputs that moved, of performance": verdict("TidemillPerformanceDegraded", "FeatureDrift"),
    "fairness that warns": verdict("TidemillUnfair", "Fairness", "Warning"),
    "fair health": watched("TidemillHealthCritical", f'tidemill_health_score{{{MONITOR},part="Total"}}', value="50"),
    "one part's bad health": watched(
        "TidemillHealthCritical", f'tidemill_health_score{{{MONITOR},part="Freshness"}}', value="0"
    ),
    "a retraining that cools down by itself": watched(
        "TidemillRetrainingBlocked", f'tidemill_retraining_blocked{{{MONITOR},reason="CoolingDown"}}'
    ),
    "a few labels that are not classes": Scene(
        "TidemillLabelsUnknown",
        {f"tidemill_drift_unknown_labels{{{MONITOR}}}": "20x60", f"tidemill_drift_labelled{{{MONITOR}}}": "400x60"},
        {},
    ),
    "loops that run": Scene(
        "TidemillServingLoopStopped", {f'tidemill_loop_running{{{SERVICE},loop="routes"}}': "1x60"}, {}
    ),
    "answers in time": latencies(objective=0.5),
    "few failures": answers(errors=10, objective=0.98),
    "no failures": answers(errors=0, objective=0.999),
    "a model young enough": aged(objective=7200),
    "a candidate that is old": aged(objective=600, role="candidate"),
}


@pytest.fixture(scope="module")
def promtool() -> Promtool:
    try:
        program = prometheus.program("promtool")
    except CommandFailed as failed:
        pytest.skip(f"promtool, which comes with Prometheus, cannot be had: {failed}")
    return lambda *words: run([program, *words], timeout=60)


@pytest.mark.parametrize("what", FIRING)
def test_it_fires_for(what: str, promtool: Promtool, tmp_path: Path) -> None:
    scene = FIRING[what]
    rule = RULES[scene.alert]

    def filled(text: str) -> str:
        for label, value in scene.whole.items():
            text = text.replace(f"{{{{ $labels.{label} }}}}", value)
        for template, value in scene.filled.items():
            text = text.replace(template, value)
        return text

    annotations = {name: filled(text) for name, text in rule["annotations"].items() if name != "report"}
    if scene.report is not None:
        annotations["report"] = scene.report
    assert rule["annotations"].keys() == annotations.keys()
    expected = {
        "exp_labels": {**scene.whole, "severity": rule["labels"]["severity"]},
        "exp_annotations": annotations,
    }

    play(scene, promtool, tmp_path, at_first=[], in_the_end=[expected])


@pytest.mark.parametrize("what", SILENT)
def test_it_does_not_fire_for(what: str, promtool: Promtool, tmp_path: Path) -> None:
    play(SILENT[what], promtool, tmp_path, at_first=[], in_the_end=[])


def test_prometheus_can_read_the_rules(promtool: Promtool) -> None:
    promtool("check", "rules", ALERTS)


def play(scene: Scene, promtool: Promtool, folder: Path, *, at_first: list[Any], in_the_end: list[Any]) -> None:
    """Have Prometheus's own tool look after a minute and after three quarters of an hour; raises CommandFailed."""
    file = folder / "scene.yaml"
    looks = {"1m": at_first, "45m": in_the_end}
    test = {
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in scene.series.items()],
        "alert_rule_test": [
            {"eval_time": moment, "alertname": scene.alert, "exp_alerts": alerts} for moment, alerts in looks.items()
        ],
    }
    file.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "tests": [test]}))
    promtool("test", "rules", file)
