"""The page of metrics names what is exposed, and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tidemill.cli.generate.metrics import of_operator, of_server, of_sweeper, page, shared_names
from tidemill.engine import metrics
from tidemill.engine.kinds import OURS
from tidemill.plan.world import Manifest, World

DIGEST = "sha256:" + "1" * 64


def with_status(kind: str, spec: dict[str, Any], status: dict[str, Any]) -> Manifest:
    ready = {"type": "Ready", "status": "True"}
    metadata = {
        "name": "iris-1" if kind == "ModelVersion" else "iris",
        "namespace": "science",
        "creationTimestamp": "2026-01-02T03:04:05Z",
    }
    return {"kind": kind, "metadata": metadata, "spec": spec, "status": {"conditions": [ready], **status}}


def everything() -> Iterator[Manifest]:
    """Objects whose statuses say all that can be said."""
    serving = {"version": "iris-1", "digest": DIGEST, "ready": 1, "weight": 100}
    interval = {"lower": 0.3, "upper": 0.5}
    checks = [
        {"name": "inputs", "type": "FeatureDrift", "value": 0.4, "threshold": 0.2, **interval},
        {"name": "quality", "type": "Performance", "value": 0.9},
        {"name": "fair", "type": "Fairness", "value": 0.1},
    ]
    asked = [
        {"name": "quality", "metric": "accuracy"},
        {"name": "fair", "metric": "DemographicParityDifference", "column": "gender"},
    ]
    window = {
        "verdict": "Failing",
        "samples": 500,
        "labelled": 50,
        "unknownLabels": 2,
        "reportUri": "s3://tidemill/report.html",
    }
    promoted = {
        "outcome": "Promoted",
        "gain": {"accuracy": 0.1},
        "since": "2026-01-02T03:04:05Z",
        "endedAt": "2026-01-02T04:04:05Z",
    }
    monitored = {
        "checks": checks,
        "lastRun": window,
        "retraining": {"blocked": ["CoolingDown"], "due": ["Drift"]},
        "health": {"score": 80, "parts": [{"name": "Drift", "score": 80}]},
        "history": [promoted],
    }
    slo = {"availability": 0.99, "latencyP95": "50ms", "maximumModelAge": "30d"}
    yield with_status("Dataset", {}, {"revision": {"rows": 150}})
    yield with_status("ModelVersion", {"modelName": "iris"}, {"score": 0.9})
    yield with_status("InferenceService", {"slo": slo}, {"stable": serving})
    yield with_status("DriftMonitor", {"checks": asked}, monitored)


@pytest.mark.skipif(sys.platform != "linux", reason="what is known of the process depends on the system")
def test_the_operator_exposes_exactly_what_the_page_names() -> None:
    text = metrics.page([metrics.WorldCollector(World(everything()))]).decode()
    exposed = {line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("# TYPE")}

    assert {row.name: row.type for row in of_operator()} == exposed


def test_every_sample_of_the_operator_has_the_labels_that_the_page_names() -> None:
    known = {row.name: set(row.labels) for row in of_operator()}
    text = metrics.page([metrics.WorldCollector(World(everything()))]).decode()
    seen = {
        sample.name: set(sample.labels)
        for family in text_string_to_metric_families(text)
        if family.type != "histogram"
        for sample in family.samples
    }

    assert {name: known[name] for name in seen} == seen
    assert set(OURS) <= {metric.labels[0] for metric in metrics.samples(World(everything()))}


def test_the_page_has_a_line_for_each_metric() -> None:
    lines = [line for line in page().splitlines() if line.startswith("| `")]

    assert {row.name for row in (*of_operator(), *of_server(), *of_sweeper())} == {line.split("`")[1] for line in lines}
    assert len(lines) == len({line.split("`")[1] for line in lines})
    assert (
        "| `tidemill_resync_seconds` | gauge | seconds | – | Duration of the last full list of all objects. |" in lines
    )
    assert "| `tidemill_leader` | gauge | – | – | 1 while this process is the leader, else 0. |" in lines


def test_a_metric_that_both_expose_has_one_set_of_labels() -> None:
    """Prometheus adds the namespace of a pod to what the pod exposes; the operator names it itself."""
    by_operator, by_server = ({row.name: row for row in rows} for rows in (of_operator(), of_server()))

    assert {"tidemill_model_info"} == shared_names()
    for name in shared_names():
        assert by_operator[name].labels == ("namespace", *by_server[name].labels)
        assert by_operator[name].type == by_server[name].type
