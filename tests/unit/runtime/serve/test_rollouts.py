"""Two real serving processes with a candidate between them: what clients get."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from onnx import TensorProto, helper

from tidemill.contract.serving import VersionOrder
from tidemill.runtime.store.objects import ObjectStore

from .conftest import TOWARDS_SIZE, Houses, Pod, golden, pods, publisher, signature, until
from .houses import WORDED, asked_of, counted, versions
from .test_processes import logged

Publish = Callable[..., VersionOrder]
MakePod = Callable[..., Pod]


def test_the_candidate_gets_exactly_its_share_and_each_request_is_logged_once(houses: Houses) -> None:
    houses.stable.route(**houses.table(25))

    answers = [houses.stable.ask(1.0, id=f"share-{number}") for number in range(100)]

    assert {(200, "house-1"): 75, (200, "house-2"): 25} == Counter(
        (answer.status_code, answer.headers["x-model-version"]) for answer in answers
    )

    def rows() -> list[dict[str, Any]]:
        table = logged(houses.store, "ns/predictions/houses")
        return [row for row in table if row["request_id"].startswith("share-")]

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


@pytest.mark.parametrize("where", WORDED)
def test_requests_that_name_outputs_reach_the_candidate_by_the_same_share(houses: Houses, where: str) -> None:
    wish, names = WORDED[where]
    houses.stable.route(**houses.table(25, compare=True))

    answers = [asked_of(houses.stable, wish, f"{where}-{number}") for number in range(100)]

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
        table = logged(houses.store, "ns/predictions/houses")
        return [row for row in table if row["request_id"].startswith(f"{where}-")]

    until(lambda: len(rows()) >= 100, "everything is logged")
    assert {("house-1", "1"): 75, ("house-2", "0"): 25} == Counter(
        (row["model_version"], row["prediction"]) for row in rows()
    )
    assert all(row["score"] > 0.5 for row in rows())


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

    response = houses.stable.client.post(
        "/v2/models/house/predict", json=body, headers={"x-tidemill-forwarded": "predict"}
    )

    assert 200 == response.status_code
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

    result = ways_of(houses.stable, KEYED[where])

    assert all(len(item) == 1 for item in result)
    assert {"house-1", "house-2"} == set.union(*result)
    assert ways_of(houses.stable, KEYED["in a header"]) == result, "it is the key that decides, not where it stands"


def test_a_routing_key_that_is_no_text_is_refused(houses: Houses) -> None:
    answer = houses.stable.ask(1.0, routing_key=7)

    assert (400, "routing_key: must be a string, not 7") == (answer.status_code, answer.json()["error"])


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
