"""The alerts of the chart: they ask for series that exist, say what to do, and fire when they should."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidemill.engine.metrics import PREFIX, TABLE

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "charts/tidemill/files/alerts.yaml"
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
}
PROMTOOL = shutil.which("promtool")
OF_A_MONITOR = [name for name, rule in RULES.items() if "$labels.monitor" in rule["annotations"]["summary"]]

WITH_PROMTOOL = pytest.mark.skipif(
    PROMTOOL is None, reason="needs promtool, which comes with Prometheus (Debian: prometheus)"
)


@pytest.mark.parametrize("name", RULES)
def test_an_alert_asks_for_series_that_exist(name: str) -> None:
    served = (ROOT / "operator/tidemill/runtime/serve/metrics.py").read_text()
    known = {PREFIX + metric.name for metric in TABLE} | set(re.findall(r"tidemill_[a-z0-9_]+", served))
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


LABELS = 'namespace="shop",monitor="fraud"'
REPORT = "s3://tidemill/shop/monitors/fraud/report.html"
SCENES: dict[str, tuple[str, dict[str, str]]] = {
    "TidemillDrift": (f'tidemill_drift_verdict{{{LABELS},verdict="Failing"}}', {"verdict": "Failing"}),
    "TidemillPerformanceDegraded": (
        f'tidemill_check_verdict{{{LABELS},check="quality",type="Performance",verdict="Failing"}}',
        {"check": "quality", "type": "Performance", "verdict": "Failing"},
    ),
    "TidemillUnfair": (
        f'tidemill_check_verdict{{{LABELS},check="fair",type="Fairness",verdict="Failing"}}',
        {"check": "fair", "type": "Fairness", "verdict": "Failing"},
    ),
    "TidemillHealthCritical": (f'tidemill_health_score{{{LABELS},part="Total"}}', {"part": "Total"}),
    "TidemillRetrainingBlocked": (
        f'tidemill_retraining_blocked{{{LABELS},reason="DataQuality"}}',
        {"reason": "DataQuality"},
    ),
}


@WITH_PROMTOOL
@pytest.mark.parametrize("name", SCENES)
def test_an_alert_fires_with_a_link_to_the_report(name: str, tmp_path: Path) -> None:
    series, labels = SCENES[name]
    rule = RULES[name]
    summary = rule["annotations"]["summary"]
    for label, value in {"namespace": "shop", "monitor": "fraud", **labels}.items():
        summary = summary.replace(f"{{{{ $labels.{label} }}}}", value)
    annotations = {**rule["annotations"], "summary": summary.replace("{{ $value }}", "1"), "report": REPORT}
    annotations["description"] = (
        annotations["description"].replace("{{ $labels.namespace }}", "shop").replace("{{ $labels.monitor }}", "fraud")
    )
    expected = {
        "exp_labels": {"namespace": "shop", "monitor": "fraud", **labels, "severity": rule["labels"]["severity"]},
        "exp_annotations": annotations,
    }
    scene = {
        "rule_files": [str(ALERTS)],
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": series, "values": "1x60"},
                    {"series": f'tidemill_drift_report_info{{{LABELS},uri="{REPORT}"}}', "values": "1x60"},
                    {"series": f'tidemill_retraining_due{{{LABELS},cause="Drift"}}', "values": "1x60"},
                ],
                "alert_rule_test": [
                    {"eval_time": "1m", "alertname": name, "exp_alerts": []},
                    {"eval_time": "45m", "alertname": name, "exp_alerts": [expected]},
                ],
            }
        ],
    }
    file = tmp_path / "scene.yaml"
    file.write_text(yaml.safe_dump(scene))

    assert_succeeds("test", "rules", str(file))


@WITH_PROMTOOL
def test_prometheus_can_read_the_rules() -> None:
    assert_succeeds("check", "rules", str(ALERTS))


def assert_succeeds(*arguments: str) -> None:
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
