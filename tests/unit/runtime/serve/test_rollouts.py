"""Two real serving processes with a trial between them: what clients get, and what the trial's score says."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import pytest
from onnx import TensorProto, helper
from prometheus_client.parser import text_string_to_metric_families

from tidemill.contract.serving import VersionOrder
from tidemill.runtime.serve.telemetry.metrics import HELP
from tidemill.runtime.store.objects import ObjectStore

from .conftest import AGAINST_SIZE, TOWARDS_SIZE, Pod, all_ready, golden, pods, publisher, signature, until
from .test_processes import logged

Publish = Callable[..., VersionOrder]
MakePod = Callable[..., Pod]


def versions(pod: Pod, count: int, **more: Any) -> Counter[str]:
    """Which versions answered `count` requests, all of which must be answered."""
    answers = [pod.ask(1.0, **more) for _ in range(count)]
    assert [200] * count == [answer.status_code for answer in answers], [answer.text for answer in answers]
    return Counter(answer.headers["x-model-version"] for answer in answers)


class Houses(NamedTuple):
    """Two versions that say the opposite, each in pods of its own, for all tests that leave them running."""

    stable: Pod
    other: Pod
    """Another pod of the stable version."""
    candidate: Pod
    first: VersionOrder
    second: VersionOrder
    store: ObjectStore

    def table(self, weight: int, **more: Any) -> dict[str, Any]:
        """A routing table with the candidate in it."""
        return {"weight": weight, "candidate": self.second.to_wire(), "candidateUrl": self.candidate.url, **more}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Houses]:
    folder = tmp_path_factory.mktemp("houses")
    store = ObjectStore.open(f"file://{folder}/store")
    put = publisher(store)
    first, second = put("house-1"), put("house-2", AGAINST_SIZE)
    with pods(folder, store) as prepare:
        stable = prepare(first, retentionSeconds=86400.0)
        other, candidate = prepare(first), prepare(second, "Candidate")
        all_ready(stable, other, candidate)
        yield Houses(stable, other, candidate, first, second, store)


@pytest.fixture
def houses(started: Houses) -> Houses:
    """The pods without a trial: the next one starts at zero."""
    started.stable.route()
    started.other.route()
    return started


def test_the_candidate_gets_exactly_its_share_and_each_request_is_logged_once(houses: Houses) -> None:
    houses.stable.route(**houses.table(25))

    answers = [houses.stable.ask(1.0, id=f"share-{number}") for number in range(100)]

    assert {(200, "house-1"): 75, (200, "house-2"): 25} == Counter(
        (answer.status_code, answer.headers["x-model-version"]) for answer in answers
    )

    def rows() -> list[dict[str, Any]]:
        found = logged(houses.store, "ns/predictions/houses")
        return [row for row in found if row["request_id"].startswith("share-")]

    until(lambda: len(rows()) >= 100, "everything is logged")
    # What is logged later shows that nothing of them is still on its way.
    houses.stable.ask(1.0, id="last")
    houses.candidate.ask(1.0, id="last-of-candidate")
    until(
        lambda: (
            {"last", "last-of-candidate"}
            <= {row["request_id"] for row in logged(houses.store, "ns/predictions/houses")}
        ),
        "both logs went on",
    )
    assert {("house-1", "Stable", "1"): 75, ("house-2", "Candidate", "0"): 25} == Counter(
        (row["model_version"], row["role"], row["prediction"]) for row in rows()
    )
    assert {f"share-{number}" for number in range(100)} == {row["request_id"] for row in rows()}


WORDED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "all outputs": ({"outputs": [{"name": "predict_proba"}, {"name": "predict"}]}, ("predict_proba", "predict")),
    "the class alone": ({"outputs": [{"name": "predict"}]}, ("predict",)),
    "the probabilities alone": ({"outputs": [{"name": "predict_proba"}]}, ("predict_proba",)),
    "the probabilities alone, as bytes": (
        {"outputs": [{"name": "predict_proba", "parameters": {"binary_data": True}}]},
        ("predict_proba",),
    ),
    "everything as bytes": ({"parameters": {"binary_data_output": True}}, ("predict", "predict_proba")),
}
"""What clients may say of outputs, and what they get in which order."""


def asked_of(pod: Pod, said: dict[str, Any], id: str) -> tuple[str, dict[str, list[float]]]:
    """Who answers a house of size 1, and the outputs in their order."""
    tensor = {"name": "input", "shape": [1, 2], "datatype": "FP64", "data": [1.0, 1.0]}
    answer = pod.client.post("/v2/models/house/infer", json={"id": id, "inputs": [tensor], **said})
    assert 200 == answer.status_code, answer.text
    end = int(answer.headers.get("inference-header-content-length", len(answer.content)))
    raw, document = answer.content[end:], json.loads(answer.content[:end])
    assert (id, answer.headers["x-model-version"]) == (document["id"], document["model_version"])
    found = {}
    for output in document["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size", 0)
        values = np.frombuffer(raw[:size], {"INT64": "<i8", "FP32": "<f4"}[output["datatype"]])
        found[output["name"]] = values.tolist() if size else output["data"]
        raw = raw[size:]
    assert b"" == raw
    return answer.headers["x-model-version"], found


@pytest.mark.parametrize("said", WORDED)
def test_requests_that_name_outputs_reach_the_candidate_by_the_same_share(houses: Houses, said: str) -> None:
    wish, names = WORDED[said]
    houses.stable.route(**houses.table(25, compare=True))

    answers = [asked_of(houses.stable, wish, f"{said}-{number}") for number in range(100)]

    assert {"house-1": 75, "house-2": 25} == Counter(version for version, _ in answers)
    for version, outputs in answers:
        larger = int(version == "house-1")  # which class it is that each of them chooses
        assert names == tuple(outputs)
        assert [larger] == outputs.get("predict", [larger])
        if "predict_proba" in outputs:
            assert [larger == 0, larger == 1] == [share > 0.5 for share in outputs["predict_proba"]]
    until(lambda: houses.stable.measured()["compared"] == 25, "all that the candidate answered is compared")
    score = houses.stable.measured()
    assert (25, 0) == (score["candidate"]["requests"], score["candidate"]["errors"])
    assert set("0123456789") >= score["candidate"]["scores"].keys(), "probabilities are compared, wanted or not"

    def rows() -> list[dict[str, Any]]:
        found = logged(houses.store, "ns/predictions/houses")
        return [row for row in found if row["request_id"].startswith(f"{said}-")]

    until(lambda: len(rows()) >= 100, "everything is logged")
    assert {("house-1", "1"): 75, ("house-2", "0"): 25} == Counter(
        (row["model_version"], row["prediction"]) for row in rows()
    )
    assert all(row["score"] > 0.5 for row in rows())


@pytest.mark.parametrize("said", WORDED)
def test_copies_of_requests_that_name_outputs_are_compared_too(houses: Houses, said: str) -> None:
    houses.stable.route(**houses.table(0, shadow=50))

    answers = [asked_of(houses.stable, WORDED[said][0], f"copied-{number}") for number in range(20)]

    assert {"house-1": 20} == Counter(version for version, _ in answers)
    until(lambda: houses.stable.measured()["compared"] == 10, "half of the requests are compared")
    assert (10, 0) == tuple(houses.stable.measured()["candidate"][name] for name in ("requests", "errors"))


def counted(name: str, *several: Pod) -> Counter[tuple[str, str, str]]:
    """What several pods have counted under a name, together: by version, role and code."""
    found: Counter[tuple[str, str, str]] = Counter()
    for pod in several:
        for family in text_string_to_metric_families(pod.client.get("/metrics").text):
            for sample in family.samples:
                if sample.name == name:
                    found[sample.labels["model_version"], sample.labels["role"], sample.labels["code"]] += int(
                        sample.value
                    )
    return found


def test_over_both_pods_each_request_of_a_client_is_counted_once(houses: Houses) -> None:
    pods = (houses.stable, houses.candidate)
    before, sent_on = (
        counted("tidemill_predictions_total", *pods),
        counted("tidemill_forwarded_predictions_total", *pods),
    )
    houses.stable.route(**houses.table(25, shadow=100))

    versions(houses.stable, 100)
    until(lambda: houses.stable.measured()["compared"] == 75, "the others are copied")

    assert {("house-1", "Stable", "200"): 75, ("house-2", "Candidate", "200"): 25} == (
        counted("tidemill_predictions_total", *pods) - before
    )
    assert {("house-2", "Candidate", "200"): 100} == (counted("tidemill_forwarded_predictions_total", *pods) - sent_on)


def test_a_client_that_says_it_is_one_of_us_is_counted_and_logged_like_any_other(houses: Houses) -> None:
    before = counted("tidemill_predictions_total", houses.stable)
    logged = houses.stable.state()["logs"]["predictions"]["written"]
    body = {"rows": [{"size": 1.0, "age": 1.0}]}

    said = houses.stable.client.post("/v2/models/house/predict", json=body, headers={"x-tidemill-forwarded": "predict"})

    assert 200 == said.status_code
    assert {("house-1", "Stable", "200"): 1} == (counted("tidemill_predictions_total", houses.stable) - before)
    until(lambda: houses.stable.state()["logs"]["predictions"]["written"] == logged + 1, "it is logged")


def fragile_version(store: ObjectStore) -> VersionOrder:
    """A model that answers like house-1, but fails where the largest number is 10 or more."""
    number, vector = TensorProto.FLOAT, [None, 2]
    graph = helper.make_graph(
        [
            helper.make_node("Constant", [], ["steps"], value=helper.make_tensor("s", number, [10], [0.0] * 10)),
            helper.make_node("Constant", [], ["weights"], value=helper.make_tensor("w", number, [2, 2], [0, 1, 0, 0])),
            helper.make_node("Relu", ["rows"], ["positive"]),
            helper.make_node("ReduceMax", ["positive"], ["largest"], keepdims=0),
            helper.make_node("Cast", ["largest"], ["place"], to=TensorProto.INT64),
            helper.make_node("Gather", ["steps", "place"], ["nothing"]),
            helper.make_node("Add", ["rows", "nothing"], ["after"]),
            helper.make_node("MatMul", ["after", "weights"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
            helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
        ],
        "fragile",
        [helper.make_tensor_value_info("rows", number, vector)],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", number, vector),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    published = store.publish(
        "ns/models/house/fragile",
        {
            "model.onnx": bytes(model.SerializeToString()),
            "signature.json": json.dumps(signature().to_wire()).encode(),
            "golden.json": golden(TOWARDS_SIZE).to_json(),
        },
    )
    return VersionOrder(name="fragile", uri=published.uri, digest=published.digest)


def test_a_candidate_that_fails_adds_no_error_to_what_clients_got(houses: Houses, tmp_path: Path) -> None:
    with pods(tmp_path, houses.store) as prepare:
        fragile = fragile_version(houses.store)
        candidate = prepare(fragile, "Candidate").ready()
        both = (houses.stable, candidate)
        before = counted("tidemill_predictions_total", *both)
        houses.stable.route(weight=100, candidate=fragile.to_wire(), candidateUrl=candidate.url)

        assert {"fragile": 2} == versions(houses.stable, 2)
        answers = [houses.stable.ask(100.0) for _ in range(4)]
        score, alone = houses.stable.measured()["candidate"], candidate.measured()["candidate"]
        failing = candidate.ask(100.0).status_code

        assert [(200, "house-1")] * 4 == [(answer.status_code, answer.headers["x-model-version"]) for answer in answers]
        assert (6, 4) == (score["requests"], score["errors"])
        assert (0, 0) == (alone["requests"], alone["errors"]), "what is sent on is scored where it came from"
        assert {
            ("fragile", "Candidate", "200"): 2,
            ("house-1", "Stable", "200"): 4,
            ("fragile", "Candidate", "500"): 1,
        } == (counted("tidemill_predictions_total", *both) - before), (
            "the one error is that of a client who asked the candidate itself"
        )
        assert 500 == failing
        assert {("fragile", "Candidate", "200"): 2, ("fragile", "Candidate", "500"): 4} == counted(
            "tidemill_forwarded_predictions_total", candidate
        )


def refusals_of(pod: Pod) -> int:
    [line] = [line for line in pod.client.get("/metrics").text.splitlines() if line.startswith("tidemill_candidate_refusals_total")]  # fmt: skip
    return int(float(line.split()[-1]))


def test_rows_that_a_version_has_no_answer_to_count_against_neither(houses: Houses, tmp_path: Path) -> None:
    refused = {"rows": [{"size": 1.0, "age": 1.0}, {"size": 1e39, "age": 1.0}]}
    with pods(tmp_path, houses.store) as prepare:
        overflowing = publisher(houses.store)("overflowing", [[0.0, 1e37], [0.0, 0.0]])
        candidate = prepare(overflowing, "Candidate").ready()
        both = (houses.stable, candidate)
        before = counted("tidemill_predictions_total", *both)
        refusals = refusals_of(houses.stable)
        houses.stable.route(weight=100, candidate=overflowing.to_wire(), candidateUrl=candidate.url)

        assert {"overflowing": 2} == versions(houses.stable, 2)
        # What single precision can hold, and this candidate cannot calculate with: the stable version answers.
        answers = [houses.stable.ask(100.0) for _ in range(25)]
        # What neither can hold: the client's fault.
        bad = [houses.stable.client.post("/v2/models/house/predict", json=refused) for _ in range(5)]
        score, alone = houses.stable.measured(), candidate.ask(100.0)

        assert {(200, "house-1")} == {(answer.status_code, answer.headers["x-model-version"]) for answer in answers}
        assert {400} == {answer.status_code for answer in bad}
        assert bad[0].json()["error"].startswith("rows[1]: feature 'size' is 1e+39")
        assert [(2, 0), (0, 0)] == [(score[arm]["requests"], score[arm]["errors"]) for arm in ("candidate", "stable")]
        assert not houses.stable.state()["candidateBreakerOpen"]
        assert 30 == refusals_of(houses.stable) - refusals
        assert {
            ("overflowing", "Candidate", "200"): 2,
            ("house-1", "Stable", "200"): 25,
            ("house-1", "Stable", "400"): 5,
            ("overflowing", "Candidate", "400"): 1,
        } == counted("tidemill_predictions_total", *both) - before
        assert 400 == alone.status_code
        assert alone.json()["error"].startswith("rows[0]: the model's answer is not a finite number")
        assert 0 == candidate.measured()["candidate"]["errors"]


KEYED: dict[str, Callable[[Pod, str], httpx.Response]] = {
    "in a header": lambda pod, key: pod.client.post(
        "/v2/models/house/predict", json={"rows": [{"size": 1, "age": 1}]}, headers={"x-routing-key": key}
    ),
    "beside rows": lambda pod, key: pod.ask(1.0, routing_key=key),
    "among the parameters": lambda pod, key: pod.client.post(
        "/v2/models/house/infer",
        json={
            "inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP64", "data": [1, 1]}],
            "parameters": {"routing_key": key},
        },
    ),
    "in a header that another one in the body does not outdo": lambda pod, key: pod.client.post(
        "/v2/models/house/predict",
        json={"rows": [{"size": 1, "age": 1}], "routing_key": str(time.monotonic_ns())},
        headers={"x-routing-key": key},
    ),
}


def ways_of(pod: Pod, ask: Callable[[Pod, str], httpx.Response]) -> list[set[str]]:
    """For each of twenty customers: who answers them."""
    return [{ask(pod, f"customer-{number}").headers["x-model-version"] for _ in range(5)} for number in range(20)]


@pytest.mark.parametrize("where", KEYED)
def test_requests_with_the_same_key_go_the_same_way(houses: Houses, where: str) -> None:
    houses.stable.route(**houses.table(50))

    found = ways_of(houses.stable, KEYED[where])

    assert all(len(one) == 1 for one in found)
    assert {"house-1", "house-2"} == set.union(*found)
    assert ways_of(houses.stable, KEYED["in a header"]) == found, "it is the key that decides, not where it stands"


def test_a_routing_key_that_is_no_text_is_refused(houses: Houses) -> None:
    answer = houses.stable.ask(1.0, routing_key=7)

    assert (400, "routing_key: must be a string, not 7") == (answer.status_code, answer.json()["error"])


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
    one, other = houses.stable, houses.other
    one.route(**houses.table(100, compare=True), peers=[other.url])
    other.route(**houses.table(100, compare=True), peers=[one.url])
    one.ask(1.0, id="told-elsewhere")

    other.client.post("/v2/models/house/feedback", json={"data": [{"id": "told-elsewhere", "label": 1}]})

    until(lambda: one.measured()["candidate"]["labelled"] == 1, "counted where the request was answered")
    assert 0 == other.measured()["candidate"]["labelled"]
    # Labels sent to both later show that nothing of the first one is still on its way.
    for pod in (one, other):
        pod.client.post("/v2/models/house/feedback", json={"data": [{"id": f"last-{pod.name}", "label": 1}]})

    def labelled() -> Counter[str]:
        return Counter(row["request_id"] for row in logged(houses.store, "ns/labels/houses"))

    until(lambda: {f"last-{one.name}", f"last-{other.name}"} <= labelled().keys(), "both logs went on")
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
    told = stable.client.post("/v2/models/house/feedback", json={"data": [{"key": "house-18", "label": 0}]})

    assert 200 == told.status_code
    assert {"0": {"0": 1}} == stable.measured()["stable"]["confusion"]
    assert {"0": {"1": 1}} == stable.measured()["candidate"]["confusion"]

    def keyed() -> list[tuple[str, int, float]]:
        found = logged(houses.store, "ns/predictions/houses")
        return [
            (row["request_id"], row["row"], row["feature:size"])
            for row in found
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


def test_a_routing_table_that_is_not_understood_leaves_the_last_one_in_force(houses: Houses) -> None:
    houses.stable.route(**houses.table(100))

    houses.stable.routes.write_text('{"weight": "many"}')

    until(lambda: houses.stable.state()["routesProblem"], "the problem is visible")
    assert {"house-2": 3} == versions(houses.stable, 3)


@pytest.mark.slow
def test_a_candidate_killed_while_it_is_asked_costs_no_request(houses: Houses, tmp_path: Path) -> None:
    with pods(tmp_path, houses.store) as prepare:
        candidate = prepare(houses.second, "Candidate").ready()
        houses.stable.route(weight=50, candidate=houses.second.to_wire(), candidateUrl=candidate.url)
        before = versions(houses.stable, 10)

        assert candidate.process is not None
        candidate.process.kill()
        after = versions(houses.stable, 10)

    assert {"house-1": 5, "house-2": 5} == before
    assert {"house-1": 10} == after
