"""HTTP as RFC 9110 has it, on a real pod: clients that offer HTTP/2, codings, methods, content types, ids."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tidemill.runtime.store.objects import ObjectStore

from .conftest import Pod, pods, publisher

BASE = "/v2/models/house"
ROWS = b'{"rows": [{"size": 2.0, "age": 1.0}]}'
TENSOR = b'{"inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP64", "data": [2.0, 1.0]}]}'
CLIENTS = Path(__file__).parents[3] / "clients"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    folder = tmp_path_factory.mktemp("http")
    store = ObjectStore.open(f"file://{folder}/store")
    with pods(folder, store) as prepare:
        yield prepare(publisher(store)("house-1")).ready()


def post(server: Pod, path: str, body: bytes, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.client.post(f"{BASE}/{path}", content=body, headers=named)


@pytest.mark.parametrize(("path", "body"), [("infer", TENSOR), ("predict", ROWS)], ids=["infer", "predict"])
def test_curl_may_offer_http_2(server: Pod, path: str, body: bytes) -> None:
    curl = shutil.which("curl")
    if curl is None or "HTTP2" not in subprocess.run([curl, "--version"], capture_output=True, text=True, check=True).stdout:  # fmt: skip
        pytest.skip("no curl with HTTP/2 on this machine")

    completed = subprocess.run(
        [curl, "--silent", "--http2", "-d", body.decode(), f"{server.url}{BASE}/{path}"],
        capture_output=True,
        check=True,
    )

    assert "house" == json.loads(completed.stdout)["model_name"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "body"),
    [("infer", TENSOR), ("predict", ROWS), ("explain", ROWS)],
    ids=["infer", "predict", "explain"],
)
def test_the_jdks_client_is_answered(server: Pod, path: str, body: bytes) -> None:
    java = shutil.which("java")
    if java is None or shutil.which("javac") is None:
        pytest.skip("no JDK on this machine")

    completed = subprocess.run(
        [java, str(CLIENTS / "HttpPost.java"), f"{server.url}{BASE}/{path}", body.decode()],
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert ["200"] * 3 == [line[:3] for line in completed.stdout.splitlines()]


@pytest.mark.parametrize(
    ("path", "wrong", "allowed"),
    [
        (f"{BASE}/infer", "GET", "POST"),
        (f"{BASE}/predict", "HEAD", "POST"),
        (f"{BASE}/versions/house-1/infer", "DELETE", "POST"),
        (f"{BASE}/feedback", "GET", "POST"),
        (f"{BASE}/explain", "PUT", "POST"),
        ("/v2/health/ready", "POST", "GET, HEAD"),
        ("/v2", "OPTIONS", "GET, HEAD"),
        (BASE, "POST", "GET, HEAD"),
        ("/v2/openapi.json", "POST", "GET, HEAD"),
        ("/metrics", "POST", "GET, HEAD"),
        ("/tidemill/v1/state", "PATCH", "GET, HEAD"),
    ],
)
def test_the_wrong_method_is_told_the_right_ones(server: Pod, path: str, wrong: str, allowed: str) -> None:
    response = server.client.request(wrong, path)

    assert (405, allowed) == (response.status_code, response.headers.get("allow"))


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("application/octet-stream", 200),
        ("application/x-www-form-urlencoded", 200),
        ("text/plain", 415),
        ("multipart/form-data; boundary=x", 415),
    ],
)
@pytest.mark.parametrize(("path", "body"), [("infer", TENSOR), ("predict", ROWS)], ids=["infer", "predict"])
def test_json_is_taken_by_the_names_that_clients_give_it(
    server: Pod, path: str, body: bytes, content_type: str, status: int
) -> None:
    assert status == post(server, path, body, content_type=content_type).status_code


def test_a_form_that_is_no_json_is_refused(server: Pod) -> None:
    response = post(server, "predict", b"size=2&age=1", content_type="application/x-www-form-urlencoded")

    assert 415 == response.status_code


def test_a_form_that_a_browsers_page_sends_is_refused(server: Pod) -> None:
    response = post(
        server, "feedback", b'{"data": [{"id": "a", "label": 1}]}',
        content_type="application/x-www-form-urlencoded", origin="https://elsewhere.example",
    )  # fmt: skip

    assert 415 == response.status_code


def test_a_length_of_json_may_have_blanks_around_it(server: Pod) -> None:
    raw = np.array([2.0, 1.0]).tobytes()
    head = json.dumps(
        {"inputs": [{"name": "input", "shape": [1, 2], "datatype": "FP64", "parameters": {"binary_data_size": 16}}]}
    ).encode()

    with closing(HTTPConnection("127.0.0.1", server.port, timeout=30)) as client:
        client.request("POST", f"{BASE}/infer", head + raw, {"Inference-Header-Content-Length": f"{len(head)} \t"})
        answer = json.loads(client.getresponse().read())

    assert [1] == answer["outputs"][0]["data"]


@pytest.mark.parametrize("given", ["x" * 200, "é", "a\tb"], ids=["too long", "not ASCII", "not printable"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_bad_request_id_costs_no_prediction(server: Pod, given: str, times: int) -> None:
    for _ in range(times):
        response = server.client.post(f"{BASE}/predict", content=ROWS, headers={b"x-request-id": given.encode()})

        own = response.headers["x-request-id"]
        assert (200, own) == (response.status_code, response.json()["id"])
        assert own != given


def test_a_good_request_id_comes_back(server: Pod) -> None:
    assert "abc-1" == post(server, "predict", ROWS, x_request_id="abc-1").headers["x-request-id"]


@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [
        ("GZIP", gzip.compress(ROWS), 200),
        ("x-gzip", gzip.compress(ROWS), 200),
        ("Gzip, identity", gzip.compress(ROWS[:10]) + gzip.compress(ROWS[10:]), 200),
        ("gzip", gzip.compress(ROWS)[:-8], 400),
        ("gzip", gzip.compress(ROWS) + b"behind", 400),
        ("br", ROWS, 415),
    ],
    ids=["capitals", "old name", "two members", "cut off", "something behind", "another"],
)
def test_a_coded_body_is_read_to_its_end(server: Pod, coding: str, body: bytes, status: int) -> None:
    assert status == post(server, "predict", body, content_encoding=coding).status_code


def test_what_a_coding_holds_is_answered_as_if_it_had_none(server: Pod) -> None:
    def answer(**headers: Any) -> Any:
        body = gzip.compress(ROWS[:9]) + gzip.compress(ROWS[9:]) if headers else ROWS
        return post(server, "predict", body, x_request_id="a", **headers).json()

    assert answer() == answer(content_encoding="gzip")
