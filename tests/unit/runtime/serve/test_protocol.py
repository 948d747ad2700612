"""What the Open Inference Protocol's REST specification asks of a server, on a real process.

Source: open-inference/open-inference-protocol, specification/protocol/inference_rest.md, and Triton's extension for
binary tensors.
"""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tidemill.runtime.store.objects import ObjectStore

from .conftest import Pod, pods, publisher, until

ROW = {"name": "input", "shape": [1, 2], "datatype": "FP64", "data": [2.0, 1.0]}
BASE = "/v2/models/house"
PINNED = f"{BASE}/versions/house-1"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    folder = tmp_path_factory.mktemp("protocol")
    store = ObjectStore.open(f"file://{folder}/store")
    with pods(folder, store) as prepare:
        yield prepare(publisher(store)("house-1")).ready()


def infer(house: Pod, *inputs: Any, path: str = BASE, **more: Any) -> httpx.Response:
    return house.client.post(f"{path}/infer", json={"inputs": list(inputs), **more})


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/v2", {"name": str, "version": str, "extensions": list}),
        ("/v2/health/live", {"live": bool}),
        ("/v2/health/ready", {"ready": bool}),
        (BASE, {"name": str, "versions": list, "platform": str, "inputs": list, "outputs": list}),
        (PINNED, {"name": str, "versions": list, "platform": str, "inputs": list, "outputs": list}),
        (f"{BASE}/ready", {"name": str, "ready": bool}),
        (f"{PINNED}/ready", {"name": str, "ready": bool}),
    ],
)
def test_each_get_of_the_specification_has_its_fields(house: Pod, path: str, wanted: dict[str, type]) -> None:
    answer = house.client.get(path)

    assert (200, "application/json") == (answer.status_code, answer.headers["content-type"])
    assert wanted == {name: type(answer.json()[name]) for name in wanted}


def test_metadata_describes_each_tensor(house: Pod) -> None:
    metadata = house.client.get(BASE).json()

    assert [{"name": "input", "datatype": "FP64", "shape": [-1, 2]}] == metadata["inputs"]
    assert [
        {"name": "predict", "datatype": "INT64", "shape": [-1]},
        {"name": "predict_proba", "datatype": "FP32", "shape": [-1, 2]},
    ] == metadata["outputs"]


@pytest.mark.parametrize("path", [BASE, PINNED])
def test_an_inference_answers_with_model_version_id_and_outputs(house: Pod, path: str) -> None:
    answer = infer(house, ROW, path=path, id="42", parameters={"priority": 1}).json()

    assert ("house", "house-1", "42") == (answer["model_name"], answer["model_version"], answer["id"])
    predict, probabilities = answer["outputs"]
    assert {"name": "predict", "datatype": "INT64", "shape": [1], "data": [1]} == predict
    assert ("predict_proba", "FP32", [1, 2]) == tuple(probabilities[name] for name in ("name", "datatype", "shape"))
    assert 1 == pytest.approx(sum(probabilities["data"]))


def test_only_outputs_that_were_asked_for_come_back_in_that_order(house: Pod) -> None:
    answer = infer(house, ROW, outputs=[{"name": "predict_proba"}, {"name": "predict"}]).json()

    assert ["predict_proba", "predict"] == [output["name"] for output in answer["outputs"]]


IN_RANGE = {
    "BOOL": (True, False), "UINT8": (0, 255), "UINT16": (0, 65_535), "UINT32": (0, 2**32 - 1), "UINT64": (0, 2**63),
    "INT8": (-128, 127), "INT16": (-32_768, 32_767), "INT32": (-(2**31), 2**31 - 1), "INT64": (-(2**53), 2**53),
    "FP16": (-1.5, 2.0), "BF16": (-3.38e38, 3.38e38), "FP32": (-1.5, 2.0), "FP64": (-1.5, 2.0),
}  # fmt: skip
OUT_OF_RANGE = {
    "BOOL": 2, "UINT8": 256, "UINT16": -1, "UINT32": 2**32, "UINT64": -1, "INT8": 128, "INT16": 32_768,
    "INT32": 2**31, "INT64": 1.5,
}  # fmt: skip


@pytest.mark.parametrize("datatype", IN_RANGE)
def test_each_datatype_is_taken_as_json(house: Pod, datatype: str) -> None:
    answer = infer(house, {**ROW, "datatype": datatype, "data": list(IN_RANGE[datatype])})

    assert 200 == answer.status_code, answer.text


@pytest.mark.parametrize("datatype", OUT_OF_RANGE)
def test_a_number_its_datatype_cannot_hold_is_refused_by_its_place(house: Pod, datatype: str) -> None:
    answer = infer(house, {**ROW, "datatype": datatype, "data": [0, OUT_OF_RANGE[datatype]]})

    assert 400 == answer.status_code
    assert answer.json()["error"].startswith("inputs[0].data[1]: must be ")


BRAIN_FLOAT = "the first two bytes of a float"
"""numpy knows no BF16."""


def as_bytes(house: Pod, values: Any, datatype: str, **more: Any) -> httpx.Response:
    raw = values.tobytes()
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "input",
                    "shape": list(values.shape),
                    "datatype": datatype,
                    "parameters": {"binary_data_size": len(raw)},
                }
            ],
            **more,
        }
    ).encode()
    return house.client.post(
        f"{BASE}/infer",
        content=head + raw,
        headers={"content-type": "application/octet-stream", "inference-header-content-length": str(len(head))},
    )


@pytest.mark.parametrize(
    ("datatype", "kind"),
    [
        ("BOOL", "?"), ("UINT8", "u1"), ("UINT16", "<u2"), ("UINT32", "<u4"), ("UINT64", "<u8"), ("INT8", "i1"), ("INT16", "<i2"),
        ("INT32", "<i4"), ("INT64", "<i8"), ("FP16", "<f2"), ("BF16", BRAIN_FLOAT), ("FP32", "<f4"), ("FP64", "<f8"),
    ],
)  # fmt: skip
def test_each_datatype_is_taken_and_given_as_bytes(house: Pod, datatype: str, kind: str) -> None:
    values = np.array([[1, 0], [0, 1]], "<f4" if kind is BRAIN_FLOAT else kind)
    if kind is BRAIN_FLOAT:
        values = (values.view("<u4") >> 16).astype("<u2")

    answer = as_bytes(house, values, datatype, parameters={"binary_data_output": True})

    assert (200, "application/octet-stream") == (answer.status_code, answer.headers["content-type"])
    end = int(answer.headers["inference-header-content-length"])
    predict, probabilities = json.loads(answer.content[:end])["outputs"]
    assert [16, 16] == [output["parameters"]["binary_data_size"] for output in (predict, probabilities)]
    assert [1, 0] == np.frombuffer(answer.content[end : end + 16], "<i8").tolist()
    assert [1, 1] == pytest.approx(np.frombuffer(answer.content[end + 16 :], "<f4").reshape(2, 2).sum(axis=1))


def test_bytes_that_are_not_as_many_as_the_shape_asks_for_are_refused(house: Pod) -> None:
    head = b'{"inputs":[{"name":"input","shape":[1,2],"datatype":"FP64","parameters":{"binary_data_size":8}}]}'

    answer = house.client.post(
        f"{BASE}/infer", content=head + b"\0" * 8, headers={"inference-header-content-length": str(len(head))}
    )

    assert 400 == answer.status_code
    assert answer.json()["error"].startswith("inputs[0].parameters.binary_data_size: is 8")


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/v2/models/other/infer", "model 'other'"),
        ("/v2/models/other", "model 'other'"),
        (f"{BASE}/versions/house-9/infer", "version 'house-9'"),
        (f"{BASE}/nothing", f"'{BASE}/nothing'"),
    ],
)
def test_what_is_not_served_is_not_found_and_named(house: Pod, path: str, named: str) -> None:
    answer = house.client.post(path, json={"inputs": [ROW]})

    assert 404 == answer.status_code
    assert ["error"] == list(answer.json())
    assert named in answer.json()["error"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-python-pickle", "multipart/form-data; boundary=x"])
def test_other_content_types_are_refused(house: Pod, kind: str) -> None:
    answer = house.client.post(f"{BASE}/infer", content=json.dumps({"inputs": [ROW]}), headers={"content-type": kind})

    assert 415 == answer.status_code
    assert answer.json()["error"].startswith("content-type: ")


def test_a_long_answer_is_compressed_for_those_who_take_it_so(house: Pod) -> None:
    rows = {"name": "input", "shape": [2_000, 2], "datatype": "FP64", "data": [2.0, 1.0] * 2_000}
    body = json.dumps({"inputs": [rows]}).encode()

    def send(accepted: str) -> httpx.Response:
        headers = {"content-type": "application/json", "content-encoding": "gzip", "accept-encoding": accepted}
        return house.client.post(f"{BASE}/infer", content=gzip.compress(body), headers=headers)

    plain, packed = send("identity"), send("gzip")
    assert (None, "gzip") == (plain.headers.get("content-encoding"), packed.headers.get("content-encoding"))
    assert int(packed.headers["content-length"]) < len(plain.content) / 10
    assert plain.json()["outputs"] == packed.json()["outputs"]


def test_the_openapi_document_describes_what_is_sent_and_answered(house: Pod) -> None:
    document = house.client.get("/v2/openapi.json").json()

    def valid(name: str, value: Any) -> None:
        jsonschema.validate(value, {"$ref": f"#/components/schemas/{name}", "components": document["components"]})

    valid("Rows", {"rows": [{"size": 2.0, "age": None}]})
    valid("InferRequest", {"inputs": [ROW]})
    valid("Predictions", house.ask(2.0).json())
    valid("Error", house.client.post(f"{BASE}/infer", json={}).json())
    for path, methods in document["paths"].items():
        for method in methods:
            answer = house.client.request(method, path, json={} if method == "post" else None)
            assert str(answer.status_code) in methods[method]["responses"], path
    with pytest.raises(jsonschema.ValidationError):
        valid("Rows", {"rows": [{"size": 2.0}]})


def test_the_document_tells_of_routing_keys_where_a_request_may_be_sent_on(house: Pod) -> None:
    document = house.client.get("/v2/openapi.json").json()

    values = {
        path: [parameter["name"] for parameter in methods["post"].get("parameters", ())]
        for path, methods in document["paths"].items()
        if path.endswith(("/infer", "/predict", "/explain"))
    }

    assert {
        f"{BASE}/infer": ["x-routing-key"],
        f"{BASE}/predict": ["x-routing-key"],
        f"{BASE}/explain": [],
        f"{PINNED}/infer": [],
        f"{PINNED}/predict": [],
        f"{PINNED}/explain": [],
    } == values
    schemas = document["components"]["schemas"]
    assert "routing_key" in schemas["Rows"]["properties"]
    assert "routing_key" in schemas["InferRequest"]["properties"]["parameters"]["properties"]


def exchange(house: Pod, *parts: bytes, answers: int) -> bytes:
    """What comes back for bytes that are sent part by part, until there are so many answers."""
    with socket.create_connection(("127.0.0.1", house.port)) as connection:
        connection.settimeout(30)
        for part in parts:
            connection.sendall(part)
        got = b""
        while got.count(b"HTTP/1.1 ") < answers or not got.endswith(b"}"):
            more = connection.recv(65_536)
            if not more:
                break
            got += more
        return got


def posted(body: bytes, *headers: bytes, path: str = f"{BASE}/infer") -> bytes:
    lines = [
        b"POST %b HTTP/1.1" % path.encode(), b"host: here", b"content-type: application/json",
        b"content-length: %d" % len(body), *headers,
    ]  # fmt: skip
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


ASK = json.dumps({"id": "r-1", "inputs": [ROW]}).encode()


def test_a_request_in_pieces_is_answered_as_one_in_one_piece(house: Pod) -> None:
    whole = posted(ASK)

    at_once = exchange(house, whole, answers=1)
    by_bytes = exchange(house, *(whole[index : index + 1] for index in range(len(whole))), answers=1)

    assert at_once.split(b"\r\n\r\n")[1] == by_bytes.split(b"\r\n\r\n")[1]
    assert sorted(at_once.split(b"\r\n\r\n")[0].split(b"\r\n")) == sorted(by_bytes.split(b"\r\n\r\n")[0].split(b"\r\n"))


def test_requests_sent_ahead_are_answered_in_order_whichever_way_they_go(house: Pod) -> None:
    quick = [posted(json.dumps({"id": f"r-{index}", "inputs": [ROW]}).encode()) for index in range(3)]
    slow = b"GET /v2/health/live HTTP/1.1\r\nhost: here\r\n\r\n"

    got = exchange(house, quick[0] + slow + quick[1] + posted(b"{") + quick[2], answers=5)

    marks = [b'"id":"r-0"', b'"live":true', b'"id":"r-1"', b'"error":', b'"id":"r-2"']
    assert sorted(got.index(mark) for mark in marks) == [got.index(mark) for mark in marks]
    assert 5 == got.count(b"HTTP/1.1 ")


def test_a_connection_that_is_to_be_closed_is_closed_after_the_answer(house: Pod) -> None:
    with socket.create_connection(("127.0.0.1", house.port)) as connection:
        connection.settimeout(30)
        connection.sendall(posted(ASK, b"connection: close"))
        got = b""
        while more := connection.recv(65_536):
            got += more

    assert b'"id":"r-1"' in got


def test_answers_of_both_ways_are_counted_alike(house: Pod) -> None:
    def count() -> int:
        (line,) = [
            line
            for line in house.client.get("/metrics").text.splitlines()
            if line.startswith("tidemill_predictions_total") and 'code="200"' in line
        ]
        return int(float(line.rpartition(" ")[2]))

    before = count() if 'code="200"' in house.client.get("/metrics").text else 0
    exchange(house, posted(ASK), answers=1)
    exchange(house, posted(ASK)[:-1], posted(ASK)[-1:], answers=1)

    assert before + 2 == count()


def test_an_explanation_adds_up_to_the_answer(house: Pod) -> None:
    asked = house.client.post(
        f"{BASE}/explain", json={"id": "e-1", "rows": [{"size": 2.0, "age": 1.0}, {"size": -3.0, "age": 9.0}]}
    )

    outputs = {output["name"]: np.array(output["data"]).reshape(output["shape"]) for output in asked.json()["outputs"]}
    added = outputs["expected"] + outputs["attributions"].sum(axis=1)
    assert outputs["predict_proba"] == pytest.approx(added, abs=1e-6)
    assert 0 == pytest.approx(np.abs(outputs["attributions"][:, 1]).max(), abs=1e-6), (
        "age does not matter to this model"
    )
    assert "shap-exact" == asked.json()["parameters"]["method"]
    assert (0 <= outputs["outlier_score"]).all()
    assert (outputs["outlier_score"] <= 1).all()


def test_more_rows_than_are_explained_at_once_are_refused(house: Pod) -> None:
    answer = house.client.post(f"{BASE}/explain", json={"rows": [{"size": 1, "age": 1}] * 17})

    assert 400 == answer.status_code
    assert "16 are explained at once" in answer.json()["error"]


def test_a_scrape_shows_the_models_age_and_how_many_rows_lie_far_out(house: Pod) -> None:
    def scraped() -> dict[str, float]:
        families = text_string_to_metric_families(house.client.get("/metrics").text)
        return {sample.name: sample.value for family in families for sample in family.samples}

    before = scraped()
    house.ask(1e9)
    until(
        lambda: scraped()["tidemill_outlier_rows_total"] > before["tidemill_outlier_rows_total"], "an outlier is seen"
    )

    after = scraped()
    assert after["tidemill_outlier_scored_rows_total"] > before["tidemill_outlier_scored_rows_total"]
    assert after["tidemill_model_age_seconds"] > before["tidemill_model_age_seconds"] > 0
    assert 1 == after["tidemill_model_info"]
