"""The server held to its own OpenAPI document: whatever is sent, the answer is one that the document tells of.

Requests are drawn from the document's schemas, as they are and with something in them replaced, and asked of the whole
application; where the short way past it answers at all, it must say the same.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import jsonschema
import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.fast_path import FAST_PATH
from tidemill.runtime.model import background
from tidemill.runtime.model.predictor import Answer, Predictor
from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.serve.app import ServingApp
from tidemill.runtime.serve.handlers.context import ServingContext
from tidemill.runtime.serve.handlers.openapi import document
from tidemill.runtime.serve.http.bodies import Bounds
from tidemill.runtime.serve.version.model import Identity, ServedModel

BASE = "/v2/models/house"
NUMBERS = Signature(
    task="Classification",
    features=(Feature(name="size", type="Numerical"), Feature(name="age", type="Numerical")),
    target="sold",
    classes=(0, 1),
)
MIXED = Signature(
    task="Regression",
    features=(
        Feature(name="size", type="Numerical"),
        Feature(name="city", type="Categorical", categories=("Bonn", "Ulm")),
    ),
    target="price",
    target_spread=1.0,
)


def answer(signature: Signature, matrix: Any) -> Answer:
    """Something that hangs on each row alone."""
    known = np.nan_to_num(matrix, nan=0.5, posinf=1.0, neginf=0.0).sum(axis=1)
    with np.errstate(over="ignore"):
        share = 1.0 / (1.0 + np.exp(-np.clip(known, -50, 50)))
    if signature.task == "Regression":
        return Answer(share)
    return Answer((share > 0.5).astype(np.int64), np.stack([1 - share, share], axis=1))


class Server:
    """The application in this process, with what it says of itself."""

    def __init__(self, signature: Signature) -> None:
        predictor = Predictor(signature, lambda matrix: answer(signature, matrix), compiled=True)
        predictor.typical = background.of(np.random.default_rng(1).normal(size=(50, 2)), signature, seed=1).to_json()
        serving = ServingContext(Identity("ns", "houses", "house", "house-1", "sha256:0", "Stable"), boot="boot")
        self.gate = ServingApp(serving)
        self.gate.swap(ServedModel(serving.identity, predictor, fast=FAST_PATH))
        serving.state.loaded = True
        assert serving.model is not None
        self.document = orjson.loads(orjson.dumps(document(serving.model, Bounds())))
        self.at_once = {path.decode(): way for path, way in self.gate.ways().items()}

    def schema(self, path: str) -> dict[str, Any]:
        result = self.document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        return dict(result)

    def post(self, path: str, body: bytes, headers: dict[bytes, bytes]) -> tuple[int, dict[bytes, bytes], bytes]:
        lines: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            lines.append(message)

        scope = {"type": "http", "method": "POST", "path": path, "headers": list(headers.items())}
        asyncio.run(self.gate(scope, receive, send))
        return lines[0]["status"], dict(lines[0]["headers"]), lines[1]["body"]

    def check(self, path: str, body: bytes, headers: dict[bytes, bytes] | None = None) -> int:
        """Send a body, hold the answer to the document, and give its status."""
        headers = {b"content-type": b"application/json", b"x-request-id": b"r-1"} if headers is None else headers
        if path in self.at_once:
            # First, since an id of the server's own making is counted up.
            quick = self.at_once[path](headers, body)
        else:
            quick = None
        status, head, content = self.post(path, body, headers)
        responses = self.document["paths"][path]["post"]["responses"]
        assert str(status) in responses, content
        if b"inference-header-content-length" in head:
            content = content[: int(head[b"inference-header-content-length"])]
        else:
            assert b"application/json" == head[b"content-type"]
        schema = responses[str(status)]["content"]["application/json"]["schema"]
        jsonschema.validate(orjson.loads(content), {**schema, "components": self.document["components"]})
        if quick is not None:
            assert 200 == status
            assert quick.endswith(content if b"inference-header-content-length" not in head else b"")
        return status


SERVERS = {"numbers": Server(NUMBERS), "categories": Server(MIXED)}
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["", "0", "NaN", "FP64", "BYTES", "predict", "input", "size", "\x00", "a" * 300]),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def drawn(schema: dict[str, Any], parts: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema of the document allows; what it leaves open is anything."""
    if "$ref" in schema:
        return st.deferred(lambda: drawn(parts[schema["$ref"].rpartition("/")[2]], parts))
    if "anyOf" in schema:
        return st.one_of([drawn(schema_part, parts) for schema_part in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kinds = schema.get("type")
    if kinds is None:
        return ANYTHING
    return st.one_of([_of_kind(kind, schema, parts) for kind in ([kinds] if isinstance(kinds, str) else kinds)])


def _of_kind(kind: str, schema: dict[str, Any], parts: dict[str, Any]) -> st.SearchStrategy[Any]:
    match kind:
        case "object":
            known = {name: drawn(schema_part, parts) for name, schema_part in schema.get("properties", {}).items()}
            needed = set(schema.get("required", ()))
            return st.fixed_dictionaries(
                {name: schema_part for name, schema_part in known.items() if name in needed},
                optional={name: schema_part for name, schema_part in known.items() if name not in needed},
            )
        case "array":
            items = drawn(schema["items"], parts) if "items" in schema else ANYTHING
            return st.lists(items, min_size=schema.get("minItems", 0), max_size=4)
        case "string":
            if "pattern" in schema:
                return st.from_regex(schema["pattern"], fullmatch=True).filter(
                    lambda text: schema.get("minLength", 0) <= len(text) <= schema["maxLength"]
                )
            return st.text(max_size=20)
        case "integer":
            return st.integers(schema.get("minimum", -(2**40)), 2**40)
        case "number":
            return st.floats(-1e30, 1e30) | st.integers(-(2**53), 2**53)
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
    raise AssertionError(f"the document has a type that is not known here: {kind}")


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of everything in a JSON value, itself included."""
    results = [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, schema_part in inner:
        results += paths(schema_part, (*path, key))
    return results


def replaced(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    if not path:
        return other
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[path[0]] = replaced(value[path[0]], path[1:], other)
    return changed


def sendable(value: Any) -> bytes:
    """As JSON; what JSON cannot hold is left to the tests of raw bytes."""
    return json.dumps(value, allow_nan=False).encode("utf-8", "surrogatepass")


POSTS = [
    (name, f"{base}/{act}")
    for name, base in (("numbers", BASE), ("categories", f"{BASE}/versions/house-1"))
    for act in ("infer", "predict", "feedback", "explain")
]
RIGHT = {
    "infer": b'{"inputs":[{"name":"i","shape":[1,2],"datatype":"FP64","data":[1.5,2]}]}',
    "predict": b'{"rows":[{"size":1.5,"age":2,"city":"Ulm"}],"keys":["a"]}',
    "feedback": b'{"data":[{"id":"r-1","label":1,"time":"2026-01-02T03:04:05Z"}]}',
    "explain": b'{"rows":[{"size":1.5,"age":2,"city":"Ulm"}]}',
}
SHAPES = st.sampled_from([-1, -2, 2**63, [-1, -2], [2, 1], [0], [0, 2], [[1, 2]], [True, 2], [1.0, 2]])
SOME = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@pytest.mark.parametrize(("name", "path"), POSTS)
@SOME
@given(data=st.data())
def test_whatever_the_document_allows_is_answered_as_it_says(name: str, path: str, data: st.DataObject) -> None:
    server = SERVERS[name]
    asked = data.draw(drawn(server.schema(path), server.document["components"]["schemas"]))

    status = server.check(path, sendable(asked))

    if path.endswith("/predict"):
        assert 200 == status


@pytest.mark.parametrize(("name", "path"), POSTS)
@SOME
@given(data=st.data())
def test_whatever_is_replaced_in_a_request_the_answer_is_one_of_the_documents(
    name: str, path: str, data: st.DataObject
) -> None:
    server = SERVERS[name]
    right = st.just(orjson.loads(RIGHT[path.rpartition("/")[2]]))
    asked = data.draw(right | drawn(server.schema(path), server.document["components"]["schemas"]))
    for _ in range(data.draw(st.integers(1, 3))):
        asked = replaced(asked, data.draw(st.sampled_from(paths(asked))), data.draw(ANYTHING | SHAPES))

    server.check(path, sendable(asked))


@pytest.mark.parametrize(("name", "path"), POSTS)
@SOME
@given(data=st.data())
def test_whatever_bytes_come_the_answer_is_one_of_the_documents(name: str, path: str, data: st.DataObject) -> None:
    right = RIGHT[path.rpartition("/")[2]]
    start, end = sorted((data.draw(st.integers(0, len(right))), data.draw(st.integers(0, len(right)))))
    body = right[:start] + data.draw(st.binary(max_size=12)) + right[end:]

    SERVERS[name].check(path, body)


@pytest.mark.parametrize("name", SERVERS)
@SOME
@given(data=st.data())
def test_whatever_tensors_come_as_bytes_the_answer_is_one_of_the_documents(name: str, data: st.DataObject) -> None:
    server = SERVERS[name]
    raw = data.draw(st.binary(max_size=64))
    sizes = data.draw(st.lists(st.integers(-1, 64), min_size=1, max_size=3))
    tensor = drawn(server.document["components"]["schemas"]["Tensor"], server.document["components"]["schemas"])
    inputs = [
        {
            **data.draw(tensor),
            "name": data.draw(st.sampled_from(["size", "age", "city", "input"])),
            "shape": data.draw(st.sampled_from([[1], [2], [1, 2], [2, 1], [2, 2], [0], [1, 0]])),
            "parameters": {"binary_data_size": size},
        }
        for size in sizes
    ]
    start = sendable({"inputs": inputs, "parameters": {"binary_data_output": data.draw(st.booleans())}})
    length = len(start) + data.draw(st.sampled_from([0, 0, 0, 1, -1, 10**6]))

    server.check(
        f"{BASE}/infer",
        start + raw,
        {b"x-request-id": b"r-1", b"inference-header-content-length": str(length).encode()},
    )


def test_a_fault_of_our_own_is_told_in_json_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(NUMBERS)
    assert server.gate.serving.model is not None

    def fails(*_: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(server.gate.serving.model.codec, "read", fails)
    status, head, content = server.post(f"{BASE}/infer", b"{}", {b"content-type": b"application/json"})

    assert (500, b"application/json") == (status, head[b"content-type"])
    assert {"error": "internal server error; see the server log"} == orjson.loads(content)
    assert {500: 1} == server.gate.serving.metrics.of("house-1", "Stable").codes
