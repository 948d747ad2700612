"""What statuses say, as numbers."""

from __future__ import annotations

from typing import Any

from tidemill.engine.metrics import BY_NAME
from tidemill.engine.status_metrics import MetricSample, samples
from tidemill.plan.world import Manifest, World

DIGEST = "sha256:" + "1" * 64


def make(kind: str, status: Any, **spec: Any) -> Manifest:
    return {
        "apiVersion": "tidemill.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "iris", "namespace": "science"},
        "spec": spec,
        "status": status,
    }


def of(manifest: Manifest, name: str) -> dict[tuple[str, ...], float]:
    return {sample.labels: sample.value for sample in samples(World([manifest])) if sample.name == name}


MONITOR = make(
    "DriftMonitor",
    {
        "conditions": [{"type": "Ready", "status": "True"}],
        "lastRun": {"verdict": "Failing", "samples": 500, "labelled": 50},
        "checks": [{"name": "inputs", "type": "FeatureDrift", "verdict": "Failing", "value": 0.4, "threshold": 0.2}],
        "retraining": {"active": "iris-retrain-1", "blocked": ["CoolingDown"]},
    },
)


def test_a_check_has_a_score_and_what_it_is_held_against() -> None:
    labels = ("science", "iris", "inputs", "FeatureDrift")

    assert {labels: 0.4} == of(MONITOR, "drift_score")
    assert {labels: 0.2} == of(MONITOR, "drift_threshold")


def test_exactly_one_verdict_is_true() -> None:
    verdicts = of(MONITOR, "drift_verdict")

    assert [labels for labels, value in verdicts.items() if value] == [("science", "iris", "Failing")]
    assert len(verdicts) == 4


def test_what_holds_a_retraining_back_has_a_series_for_each_reason() -> None:
    assert of(MONITOR, "retraining_blocked") == {("science", "iris", "CoolingDown"): 1.0}
    assert of(MONITOR, "retraining_active") == {("science", "iris"): 1.0}


def test_a_service_names_the_versions_it_has() -> None:
    serving = {"version": "iris-1", "digest": DIGEST, "ready": 2, "weight": 100}
    service = make("InferenceService", {"stable": serving}, model={"name": "flowers"})

    assert of(service, "model_info") == {("science", "iris", "flowers", "iris-1", "stable", DIGEST): 1.0}
    assert of(service, "model_replicas_ready") == {("science", "iris", "stable"): 2.0}


def test_readiness_is_a_number_for_every_object_of_ours() -> None:
    assert of(MONITOR, "ready") == {("DriftMonitor", "science", "iris"): 1.0}
    assert of(make("Dataset", {}), "ready") == {("Dataset", "science", "iris"): 0.0}


def test_a_malformed_status_is_left_out_and_disturbs_no_other() -> None:
    for broken in (
        None,
        "text",
        [],
        {"checks": "text"},
        {"lastRun": 5, "retraining": []},
        {"checks": [5, {"value": "high"}]},
    ):
        result: list[MetricSample] = list(samples(World([make("DriftMonitor", broken)])))

        assert ("world_objects", ("DriftMonitor",), 1.0) in result
        assert not [sample for sample in result if sample.name == "drift_score"]


def test_every_number_is_declared_with_as_many_labels_as_it_has() -> None:
    worlds = [
        MONITOR,
        make("InferenceService", {"stable": {"version": "v", "ready": 1, "weight": 1}}),
        make("ModelVersion", {"score": 1}, modelName="m"),
    ]
    worlds.append(make("Dataset", {"revision": {"rows": 5}}))

    for sample in samples(World(worlds)):
        assert len(BY_NAME[sample.name].labels) == len(sample.labels), sample


def test_objectives_are_numbers_that_alerts_can_compare_with() -> None:
    service = make("InferenceService", {}, slo={"latencyP95": "50ms", "availability": 0.999, "maximumModelAge": "30d"})

    assert {("science", "iris"): 0.05} == of(service, "slo_latency_p95_seconds")
    assert {("science", "iris"): 0.999} == of(service, "slo_availability_ratio")
    assert {("science", "iris"): 30 * 86400.0} == of(service, "slo_model_age_seconds")


def test_a_service_without_objectives_has_no_such_series() -> None:
    service = make("InferenceService", {}, slo={"latencyP95": "soon"})

    assert {} == of(service, "slo_latency_p95_seconds")
    assert {} == of(service, "slo_availability_ratio")


def test_the_age_of_what_answers_is_known() -> None:
    serving = {"version": "iris-1", "digest": DIGEST, "ready": 2, "weight": 100}
    service = make("InferenceService", {"stable": serving}, model={"name": "flowers"})
    version = make("ModelVersion", {})
    version["metadata"] |= {"name": "iris-1", "creationTimestamp": "1970-01-02T00:00:00Z"}
    results = [s for s in samples(World([service, version])) if s.name == "model_created_timestamp_seconds"]

    assert [(("science", "iris", "stable"), 86400.0)] == [(sample.labels, sample.value) for sample in results]


WATCHING = make(
    "DriftMonitor",
    {
        "lastRun": {"verdict": "Failing", "samples": 5, "labelled": 5, "reportUri": "s3://b/report.html"},
        "checks": [
            {"name": "quality", "type": "Performance", "verdict": "Failing", "value": 0.8, "lower": 0.7, "upper": 0.85},
            {"name": "fair", "type": "Fairness", "verdict": "Passing", "value": 0.05},
        ],
        "health": {"score": 60, "grade": "Warning", "parts": [{"name": "Performance", "score": 20, "weight": 0.7}]},
        "retraining": {"due": ["Drift"], "blocked": ["DataQuality"]},
        "history": [
            {"trainingJob": "r3", "outcome": "Running", "at": "2026-01-05T12:00:00Z"},
            {
                "trainingJob": "r2",
                "outcome": "Promoted",
                "cause": "Drift",
                "since": "2026-01-05T09:00:00Z",
                "endedAt": "2026-01-05T09:30:00Z",
                "gain": {"accuracy": 0.1},
            },
        ],
    },
    checks=[
        {"name": "quality", "type": "Performance", "metric": "accuracy"},
        {"name": "fair", "type": "Fairness", "metric": "DemographicParityDifference", "column": "gender"},
    ],
)
AT = ("science", "iris")


def test_performance_and_fairness_have_series_of_their_own() -> None:
    assert {(*AT, "quality", "Performance", "accuracy"): 0.8} == of(WATCHING, "performance_value")
    assert {(*AT, "fair", "DemographicParityDifference", "gender"): 0.05} == of(WATCHING, "fairness_value")
    assert {(*AT, "quality", "lower"): 0.7, (*AT, "quality", "upper"): 0.85} == of(WATCHING, "check_interval")


def test_every_check_has_exactly_one_verdict() -> None:
    true = [labels for labels, value in of(WATCHING, "check_verdict").items() if value]

    assert [(*AT, "quality", "Performance", "Failing"), (*AT, "fair", "Fairness", "Passing")] == true


def test_health_is_a_number_in_all_and_by_part() -> None:
    assert {(*AT, "Total"): 60.0, (*AT, "Performance"): 20.0} == of(WATCHING, "health_score")


def test_a_recovery_is_timed_from_the_last_good_window_to_the_promotion() -> None:
    assert {AT: 1800.0} == of(WATCHING, "time_to_recover_seconds")
    assert {(*AT, "accuracy"): 0.1} == of(WATCHING, "retraining_gain")


def test_the_report_of_a_window_that_fails_is_named() -> None:
    assert {(*AT, "s3://b/report.html"): 1.0} == of(WATCHING, "drift_report_info")
    assert {(*AT, "Drift"): 1.0} == of(WATCHING, "retraining_due")


def test_what_a_monitor_says_is_declared_with_as_many_labels() -> None:
    for sample in samples(World([WATCHING])):
        assert len(BY_NAME[sample.name].labels) == len(sample.labels), sample
