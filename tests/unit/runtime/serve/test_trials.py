"""Two real serving processes with a trial between them: what the trial's score says."""

from __future__ import annotations

from collections import Counter

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tidemill.runtime.serve.telemetry.metrics import HELP

from .conftest import Houses, until
from .houses import WORDED, asked_of, versions
from .test_processes import logged


@pytest.mark.parametrize("message", WORDED)
def test_copies_of_requests_that_name_outputs_are_compared_too(houses: Houses, message: str) -> None:
    houses.stable.route(**houses.table(0, shadow=50))

    answers = [asked_of(houses.stable, WORDED[message][0], f"copied-{number}") for number in range(20)]

    assert {"house-1": 20} == Counter(version for version, _ in answers)
    until(lambda: houses.stable.measured()["compared"] == 10, "half of the requests are compared")
    assert (10, 0) == tuple(houses.stable.measured()["candidate"][name] for name in ("requests", "errors"))


def test_both_versions_are_compared_on_the_same_rows_and_their_labels(houses: Houses) -> None:
    stable = houses.stable
    stable.route(**houses.table(100, compare=True))

    stable.client.post(
        "/v2/models/house/predict", json={"id": "both", "rows": [{"size": 1, "age": 1}, {"size": 0, "age": 0}]}
    )
    until(lambda: stable.measured()["compared"] == 2, "compared")
    for _ in range(2):  # a label sent again changes nothing
        stable.client.post("/v2/models/house/feedback", json={"data": [{"id": "both", "label": "1"}]})

    score = stable.measured()
    assert (2, 1) == (score["compared"], score["agreed"])  # at zero both choose the first class
    assert (1, {"1": {"1": 1}}) == (score["stable"]["labelled"], score["stable"]["confusion"])
    assert (1, {"1": {"0": 1}}) == (score["candidate"]["labelled"], score["candidate"]["confusion"])
    assert (1, 0) == (score["candidate"]["requests"], score["candidate"]["errors"])


def test_a_pod_on_trial_exposes_exactly_the_metrics_that_are_declared(houses: Houses) -> None:
    houses.stable.route(**houses.table(100, compare=True))
    houses.stable.ask(1.0, id="exposed")
    until(lambda: houses.stable.measured()["compared"] == 1, "compared")

    families = list(text_string_to_metric_families(houses.stable.client.get("/metrics").text))
    ours = [family for family in families if not family.name.startswith(("bentoml_", "python_", "process_"))]

    # Events are counted where the order names a sink, which test_events.py looks at; what is sent on, by the candidate's pod.
    elsewhere = {"tidemill_events_total", "tidemill_forwarded_predictions_total"}
    assert {
        (name.removesuffix("_total"), declared.type) for name, declared in HELP.items() if name not in elsewhere
    } == {(family.name, family.type) for family in ours}
    for family in ours:
        declared = HELP.get(family.name) or HELP[f"{family.name}_total"]
        labels = {tuple(sorted(sample.labels.keys() - {"le"})) for sample in family.samples}
        assert {tuple(sorted(declared.labels))} == labels, family.name


def test_a_label_that_comes_to_another_pod_is_counted_by_the_one_that_answered_and_stored_once(houses: Houses) -> None:
    server, other = houses.stable, houses.other
    server.route(**houses.table(100, compare=True), peers=[other.url])
    other.route(**houses.table(100, compare=True), peers=[server.url])
    server.ask(1.0, id="told-elsewhere")

    other.client.post("/v2/models/house/feedback", json={"data": [{"id": "told-elsewhere", "label": 1}]})

    until(lambda: server.measured()["candidate"]["labelled"] == 1, "counted where the request was answered")
    assert 0 == other.measured()["candidate"]["labelled"]
    # Labels sent to both later show that nothing of the first one is still on its way.
    for pod in (server, other):
        pod.client.post("/v2/models/house/feedback", json={"data": [{"id": f"last-{pod.name}", "label": 1}]})

    def labelled() -> Counter[str]:
        return Counter(row["request_id"] for row in logged(houses.store, "ns/labels/houses"))

    until(lambda: {f"last-{server.name}", f"last-{other.name}"} <= labelled().keys(), "both logs went on")
    assert 1 == labelled()["told-elsewhere"]


def test_copies_of_answered_requests_reach_the_candidate_and_only_the_answer_that_counted_is_logged(
    houses: Houses,
) -> None:
    stable = houses.stable
    stable.route(**houses.table(0, shadow=50))

    answered = versions(stable, 20)
    stable.ask(1.0, id="copied-or-not")
    until(lambda: stable.measured()["candidate"]["requests"] == 10, "half of the requests are copied")

    score = stable.measured()
    assert {"house-1": 20} == answered
    assert (10, 0, 10, 0) == (
        score["candidate"]["requests"],
        score["candidate"]["errors"],
        score["compared"],
        score["agreed"],
    )
    assert 10 == sum(score["candidate"]["scores"].values()) == sum(score["stable"]["scores"].values())
    assert score["candidate"]["scores"].keys().isdisjoint(score["stable"]["scores"].keys())
    until(
        lambda: "copied-or-not" in {row["request_id"] for row in logged(houses.store, "ns/predictions/houses")},
        "logged",
    )
    assert ["Stable"] == [
        row["role"] for row in logged(houses.store, "ns/predictions/houses") if row["request_id"] == "copied-or-not"
    ]


def test_a_label_to_a_copied_request_judges_both_versions(houses: Houses) -> None:
    stable = houses.stable
    stable.route(**houses.table(0, shadow=100))
    stable.ask(1.0, id="shadowed")
    until(lambda: stable.measured()["compared"] == 1, "compared")

    stable.client.post("/v2/models/house/feedback", json={"data": [{"id": "shadowed", "label": 1}]})

    until(lambda: stable.measured()["candidate"]["labelled"] == 1, "judged")
    score = stable.measured()
    assert ({"1": {"1": 1}}, {"1": {"0": 1}}) == (score["stable"]["confusion"], score["candidate"]["confusion"])


def test_a_label_by_key_finds_the_row_in_the_log_and_in_the_trial(houses: Houses) -> None:
    stable = houses.stable
    stable.route(**houses.table(100, compare=True))
    rows = [{"size": 1, "age": 1}, {"size": -1, "age": 1}]

    stable.client.post("/v2/models/house/predict", json={"id": "batch", "rows": rows, "keys": ["house-17", "house-18"]})
    until(lambda: stable.measured()["compared"] == 2, "compared")
    reported = stable.client.post("/v2/models/house/feedback", json={"data": [{"key": "house-18", "label": 0}]})

    assert 200 == reported.status_code
    assert {"0": {"0": 1}} == stable.measured()["stable"]["confusion"]
    assert {"0": {"1": 1}} == stable.measured()["candidate"]["confusion"]

    def keyed() -> list[tuple[str, int, float]]:
        table = logged(houses.store, "ns/predictions/houses")
        return [
            (row["request_id"], row["row"], row["feature:size"])
            for row in table
            if row["request_id"].startswith("house-1")
        ]

    until(lambda: len(keyed()) == 2, "logged")
    assert [("house-17", 0, 1.0), ("house-18", 0, -1.0)] == sorted(keyed())
    until(
        lambda: (
            ("house-18", 0) in {(row["request_id"], row["row"]) for row in logged(houses.store, "ns/labels/houses")}
        ),
        "the label is logged by its key",
    )


def test_a_candidate_counts_what_comes_to_it_without_a_stable_pod(houses: Houses) -> None:
    before = houses.candidate.measured()["candidate"]["requests"]
    houses.stable.route(**houses.table(100))
    versions(houses.stable, 3)

    versions(houses.candidate, 2)

    score = houses.candidate.measured()
    assert before + 2 == score["candidate"]["requests"]
    assert "stable" not in score


def test_another_candidate_starts_at_zero(houses: Houses) -> None:
    houses.stable.route(**houses.table(100))
    versions(houses.stable, 3)

    third = {**houses.second.to_wire(), "name": "house-3"}
    houses.stable.route(weight=0, candidate=third, candidateUrl=houses.candidate.url)

    until(lambda: houses.stable.measured()["candidate"]["version"] == "house-3", "the new candidate is known")
    assert 0 == houses.stable.measured()["candidate"]["requests"]
