"""Clients that others wrote, from an environment of their own, against a real process (`make .venv-clients/.ready`)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tidemill.runtime.model.signature import Feature
from tidemill.runtime.store.objects import ObjectStore

from .conftest import Pod, pods, publisher, signature

ROOT = Path(__file__).parents[4]
PYTHON = ROOT / ".venv-clients" / "bin" / "python"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON.exists(), reason="no environment with other clients; make .venv-clients/.ready"),
]

MIXED = signature(
    features=(
        Feature(name="size", type="Numerical"),
        Feature(name="city", type="Categorical", categories=("Bonn", "Ulm")),
    ),
    classes=("no", "yes"),
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pod, Pod]]:
    """A model of numbers, and one of a number and a word."""
    folder = tmp_path_factory.mktemp("clients")
    store = ObjectStore.open(f"file://{folder}/store")
    publish = publisher(store)
    with pods(folder, store) as prepare:
        numbers, words = prepare(publish("house-1")).ready(), prepare(publish("house-2", model_signature=MIXED)).ready()
        yield numbers, words


def output_of(script: str, *arguments: str) -> dict[str, Any]:
    completed = subprocess.run(
        [PYTHON, ROOT / "tests" / "clients" / script, *arguments], capture_output=True, text=True, check=False
    )
    assert 0 == completed.returncode, completed.stderr
    body: dict[str, Any] = json.loads(completed.stdout.splitlines()[-1])
    return body


@pytest.fixture(scope="module")
def triton(served: tuple[Pod, Pod]) -> dict[str, Any]:
    return output_of("triton_http.py", f"127.0.0.1:{served[0].port}", "house", "house-1")


@pytest.fixture(scope="module")
def asynchronous(served: tuple[Pod, Pod]) -> dict[str, Any]:
    return output_of("triton_aio.py", f"127.0.0.1:{served[0].port}", "house")


@pytest.fixture(scope="module")
def kserve(served: tuple[Pod, Pod]) -> dict[str, Any]:
    return output_of("kserve_rest.py", served[0].url, "house", "house-1")


def test_tritons_client_finds_server_model_and_version_ready(triton: dict[str, Any]) -> None:
    asked = ("live", "ready", "model ready", "version ready", "other version ready")

    assert [True, True, True, True, False] == [triton[name] for name in asked]
    assert "binary_tensor_data" in triton["server"]["extensions"]
    assert {"name": "house", "versions": ["house-1"]} == {
        name: triton["metadata"][name] for name in ("name", "versions")
    }


@pytest.mark.parametrize("form", ["binary", "json"])
@pytest.mark.parametrize("datatype", ["FP64", "FP32", "FP16", "INT8", "INT16", "INT32", "INT64"])
def test_tritons_client_is_answered_in_each_datatype(triton: dict[str, Any], datatype: str, form: str) -> None:
    if (datatype, form) == ("FP16", "json"):
        pytest.skip("the client sends FP16 as bytes only")
    answer = triton[f"{datatype}, {form}"]

    assert ([1, 0], "house-1") == (answer["predict"], answer["version"])
    assert [2, 2] == [len(row) for row in answer["predict_proba"]]


@pytest.mark.parametrize("form", ["binary", "json"])
@pytest.mark.parametrize("datatype", ["UINT8", "UINT16", "UINT32", "UINT64", "BOOL"])
def test_tritons_client_is_answered_in_each_datatype_without_sign(
    triton: dict[str, Any], datatype: str, form: str
) -> None:
    assert [1, 1] == triton[f"{datatype}, {form}"]["predict"]


def test_tritons_client_gets_the_outputs_it_asks_for(triton: dict[str, Any]) -> None:
    assert {"id", "version", "predict_proba"} == set(triton["one output as bytes"])
    assert "r-1" == triton["one output as bytes"]["id"]
    assert {"id", "version", "predict"} == set(triton["one output as JSON"])


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_tritons_client_may_compress_and_have_answers_compressed(triton: dict[str, Any], coding: str) -> None:
    assert [1, 0] == triton[f"compressed with {coding}"]["predict"]


@pytest.mark.parametrize(
    ("name", "status", "field"),
    [
        ("unknown output", "400", "outputs[0].name"),
        ("unknown version", "404", "version 'another'"),
        ("wrong shape", "400", "inputs[0].shape"),
    ],
)
def test_tritons_client_is_told_what_is_wrong(triton: dict[str, Any], name: str, status: str, field: str) -> None:
    assert status == triton[name]["status"]
    assert field in triton[name]["error"]


def test_tritons_client_sends_and_gets_words(served: tuple[Pod, Pod]) -> None:
    document = output_of("triton_http.py", f"127.0.0.1:{served[1].port}", "house", "house-2")

    assert [b"yes", b"no"] == [word.encode() for word in document["words, json"]["predict"]]
    assert document["words, json"] | {"id": ""} == document["words, binary"] | {"id": ""}


def test_kserves_client_finds_server_and_model_ready(kserve: dict[str, Any]) -> None:
    assert [True] * 3 == [kserve[name] for name in ("live", "ready", "model ready")]


@pytest.mark.parametrize("form", ["binary", "json"])
@pytest.mark.parametrize("datatype", ["FP64", "FP32", "INT64"])
def test_kserves_client_is_answered(kserve: dict[str, Any], datatype: str, form: str) -> None:
    answer = kserve[f"{datatype}, {form}"]

    assert ([1, 0], "r-1", "house") == (answer["predict"], answer["id"], answer["model"])


@pytest.mark.parametrize("coding", ["None", "gzip", "deflate"])
@pytest.mark.parametrize("form", ["binary", "json"])
def test_tritons_asynchronous_client_is_answered(asynchronous: dict[str, Any], form: str, coding: str) -> None:
    assert [1, 0] == asynchronous[f"{form}, {coding}"]


def test_tritons_asynchronous_client_gets_each_answer_by_its_id(asynchronous: dict[str, Any]) -> None:
    assert [f"r-{number}" for number in range(50)] == asynchronous["ids"]
