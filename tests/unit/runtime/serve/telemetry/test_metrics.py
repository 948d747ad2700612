from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tidemill.runtime.serve.telemetry.metrics import MAX_VERSIONS, Metrics


def samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """All samples of one name: label values in the order of their names → value."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.text([]))
        for sample in family.samples
        if sample.name == name
    }


def test_requests_are_counted_by_version_role_and_code() -> None:
    metrics = Metrics("houses")
    metrics.of("house-1", "Stable").answered(200, 0.001, 3)
    metrics.of("house-1", "Stable").answered(200, 0.001, 3)
    metrics.of("house-1", "Stable").answered(400, 0.001, 0)
    metrics.of("house-2", "Candidate").answered(200, 0.001, 1)

    assert {
        ("200", "house-1", "Stable", "houses"): 2,
        ("400", "house-1", "Stable", "houses"): 1,
        ("200", "house-2", "Candidate", "houses"): 1,
    } == samples(metrics, "tidemill_predictions_total")
    assert 6 == samples(metrics, "tidemill_predicted_rows_total")["house-1", "Stable", "houses"]


def test_durations_are_a_cumulative_histogram() -> None:
    metrics = Metrics("houses")
    for seconds in (0.00005, 0.003, 100.0):
        metrics.of("house-1", "Stable").answered(200, seconds, 1)

    buckets = {key[0]: value for key, value in samples(metrics, "tidemill_prediction_duration_seconds_bucket").items()}

    assert (1, 1, 2, 2, 3) == tuple(buckets[bound] for bound in ("0.0001", "0.0025", "0.005", "10", "+Inf"))
    assert [3] == list(samples(metrics, "tidemill_prediction_duration_seconds_count").values())


def test_a_pod_that_meets_many_versions_stops_telling_them_apart() -> None:
    metrics = Metrics("houses")
    for number in range(3 * MAX_VERSIONS):
        metrics.of(f"house-{number}", "Candidate").answered(200, 0.001, 1)

    counted = samples(metrics, "tidemill_predictions_total")

    assert MAX_VERSIONS + 1 == len(counted)
    assert 3 * MAX_VERSIONS == sum(counted.values())
