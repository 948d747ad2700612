"""Large bodies: read without an object for each number, and just as the reader of everything reads them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.protocol.errors import HTTPError
from tidemill.runtime.protocol.fast_json import MAX_BYTES, MIN_BYTES, FastJsonReader
from tidemill.runtime.protocol.infer import Codec
from tidemill.runtime.protocol.request import Asked

COLUMNS = 4
ROWS = 600
SIGNATURE = Signature(
    task="Classification",
    features=tuple(Feature(name=f"f{index}", type="Numerical") for index in range(COLUMNS)),
    target="sold",
    classes=(0, 1),
)
DATA = np.random.default_rng(7).normal(size=(ROWS, COLUMNS)).tolist()
TENSOR = {"name": "input", "shape": [ROWS, COLUMNS], "datatype": "FP64", "data": DATA}


def without_bulk() -> Codec:
    codec = Codec("house", "1", SIGNATURE)
    codec._bulk = None
    return codec


def decoded(codec: Codec, body: bytes) -> Asked | str:
    try:
        return codec.read(body)
    except HTTPError as refusal:
        return f"{refusal.status} {refusal.message}"


def must_be_alike(body: bytes) -> None:
    """Both readers take the same rows from a body, or refuse it with the same words."""
    quick, careful = decoded(Codec("house", "1", SIGNATURE), body), decoded(without_bulk(), body)
    if isinstance(quick, str) or isinstance(careful, str):
        assert quick == careful
        return
    assert quick.rows.matrix.tobytes() == careful.rows.matrix.tobytes()
    assert quick._replace(rows=careful.rows) == careful


def body(tensor: Any = TENSOR, **more: Any) -> bytes:
    return orjson.dumps({"inputs": [tensor], **more})


FLAT = {**TENSOR, "data": [value for row in DATA for value in row]}
PLAIN = {
    "rows": body(),
    "a flat list": body(FLAT),
    "single precision": body({**TENSOR, "datatype": "FP32"}),
    "white space": json.dumps({"inputs": [TENSOR]}, indent=1).encode(),
    "an id": body(id="a[1]"),
    "outputs and parameters": body(
        outputs=[{"name": "predict", "parameters": {"binary_data": True}}],
        parameters={"keys": [f"[{index}" for index in range(ROWS)], "routing_key": "anna"},
    ),
    "whole numbers": body({**TENSOR, "data": [[2**53 + 1, -(2**63), 2**64 - 1, 0]] * ROWS}),
    "a name with brackets": body({**TENSOR, "name": "[x["}),
}


@pytest.mark.parametrize("sent", PLAIN.values(), ids=PLAIN.keys())
def test_a_plain_body_is_read_at_once(sent: bytes) -> None:
    result = FastJsonReader(COLUMNS).read(sent)

    assert result is not None
    must_be_alike(sent)


COMPENSATED = [[[1.0, 2.0], [], 3.0, 4.0], *DATA[1:]]
"""Four things in each row, and as many numbers as there should be."""
OTHERS = {
    "a missing value": body({**TENSOR, "data": [[None, 1, 2, 3]] * ROWS}),
    "truth values": body({**TENSOR, "data": [[True, 1, 2, 3]] * ROWS}),
    "texts": body({**TENSOR, "data": [["1", 1, 2, 3]] * ROWS}),
    "whole numbers by type": body({**TENSOR, "datatype": "INT64", "data": [[1, 2, 3, 4]] * ROWS}),
    "a number beyond 64 bits": body().replace(b"[[", b"[[99999999999999999999,", 1),
    "a number beyond FP64": body().replace(b"[[", b"[[1e999,", 1),
    "too many rows": body({**TENSOR, "shape": [ROWS - 1, COLUMNS]}),
    "one row too long, the next too short": body({**TENSOR, "data": [[1, 2, 3, 4, 5], [1, 2, 3], *DATA[2:]]}),
    "rows within rows": body({**TENSOR, "data": COMPENSATED}),
    "each number in a list": body({**TENSOR, "data": [[[value] for value in row] for row in DATA]}),
    "rows and then numbers": body({**TENSOR, "data": [*DATA[:-1], *DATA[-1]]}),
    "texts as long as rows": body({**TENSOR, "data": ["abcd"] * ROWS}),
    "objects as long as rows": body({**TENSOR, "data": [dict.fromkeys("abcd", 1)] * ROWS}),
    "another width": body({**TENSOR, "shape": [ROWS * COLUMNS // 2, 2], "data": FLAT["data"]}),
    "fractions in the shape": body({**TENSOR, "shape": [float(ROWS), COLUMNS]}),
    "a shape of one": body({**TENSOR, "shape": [ROWS * COLUMNS], "data": FLAT["data"]}),
    "no shape": body({name: value for name, value in TENSOR.items() if name != "shape"}),
    "no name": body({**TENSOR, "name": 7}),
    "no data": body({**TENSOR, "data": [], "more": "x" * MIN_BYTES}),
    "parameters of the tensor": body({**TENSOR, "parameters": {}}),
    "two tensors": orjson.dumps({"inputs": [TENSOR, TENSOR]}),
    "inputs that are an object": orjson.dumps({"inputs": TENSOR}),
    "inputs that are a number": orjson.dumps({"inputs": 1, "more": "x" * MIN_BYTES}),
    "no inputs": orjson.dumps({"more": "x" * MIN_BYTES}),
    "inputs twice": body()[:-1] + b"," + body({**TENSOR, "data": [[1, 2, 3, 4]] * ROWS})[1:],
    "data twice": body().replace(b'"data"', b'"data":[1],"data"', 1),
    "an id twice": body(id="a")[:-1] + b',"id":"b"}',
    "an escape": body().replace(b'"input"', b'"\\u0069nput"', 1),
    "a byte order mark": b"\xef\xbb\xbf" + body(),
    "white space in front": b" " + body(),
    "no UTF-8": body().replace(b"input", b"in\xffut", 1),
    "something after it": body() + b"x",
    "half of it": body()[: MIN_BYTES + 10],
    "no number": body().replace(b"[[", b"[[NaN,", 1),
    "deep nesting": b'{"inputs":' + b"[" * MIN_BYTES + b"]" * MIN_BYTES + b"}",
    "a list": b"[" + body() + b"]",
    "zeros": b"\0" * MIN_BYTES,
}


@pytest.mark.parametrize("sent", OTHERS.values(), ids=OTHERS.keys())
def test_all_else_is_left_to_the_reader_of_everything(sent: bytes) -> None:
    assert len(sent) >= MIN_BYTES
    bulk = FastJsonReader(COLUMNS)

    assert bulk.read(sent) is None
    must_be_alike(sent)
    assert bulk.read(body()) is not None, "what it could not read must not stay behind"


def test_bodies_that_are_too_long_for_its_memory_are_left_to_the_reader_of_everything() -> None:
    rows = MAX_BYTES // 8
    sent = body({**TENSOR, "shape": [rows, COLUMNS], "data": [[0.5] * COLUMNS] * rows})

    assert FastJsonReader(COLUMNS).read(sent) is None
    must_be_alike(sent)


def test_rows_stay_as_they_are_when_the_next_body_is_read() -> None:
    bulk = FastJsonReader(COLUMNS)
    first = bulk.read(body())
    assert first is not None
    bulk.read(body({**TENSOR, "data": [[9, 9, 9, 9]] * ROWS}))

    assert first.matrix.tolist() == DATA


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0.0, -0.0, 5e-324, 1.7976931348623157e308, 0.1, 1e22, 123456789012345678]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(NUMBERS, min_size=COLUMNS, max_size=COLUMNS), min_size=1, max_size=20), st.booleans())
def test_numbers_are_the_same_to_the_last_bit(rows: list[list[float]], nested: bool) -> None:
    repeated = (rows * ROWS)[:ROWS]
    data = repeated if nested else [value for row in repeated for value in row]

    must_be_alike(json.dumps({"inputs": [{**TENSOR, "data": data}]}).encode())


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_happens_to_a_body_both_readers_say_the_same(data: st.DataObject) -> None:
    sent = bytearray(body(id="a", outputs=[{"name": "predict"}]))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(sent) - 1))
        if data.draw(st.booleans()):
            sent[at : at + data.draw(st.integers(0, 3))] = data.draw(
                st.sampled_from([b"[", b"]", b",", b"1", b'"', b"{", b"}", b"null", b" ", b"-", b"e"])
            )
        else:
            end = at + data.draw(st.integers(1, 40))
            sent[at:end] = sent[at:end] * 2

    must_be_alike(bytes(sent))
