from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.fast_path import FAST_PATH
from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.protocol.errors import HTTPError
from tidemill.runtime.protocol.infer import Codec
from tidemill.runtime.protocol.predict import RowCodec
from tidemill.runtime.protocol.request import Asked

NUMBERS = Signature(
    task="Classification",
    features=(Feature(name="size", type="Numerical"), Feature(name="age", type="Numerical")),
    target="sold",
    classes=(0, 1),
)
MIXED = NUMBERS.model_copy(
    update={
        "features": (
            Feature(name="size", type="Numerical"),
            Feature(name="city", type="Categorical", categories=("Bonn", "Ulm")),
        )
    }
)
VALUES = NUMBERS.model_copy(update={"task": "Regression", "classes": ()})
WORDS = NUMBERS.model_copy(update={"classes": ("no", "yes")})
YES = Answer(np.array([1]), np.array([[0.25, 0.75]], np.float32))


def codec(signature: Signature = NUMBERS) -> Codec:
    return Codec("house", "house-1", signature, fast=FAST_PATH)


def tensor(data: Any, shape: list[int], datatype: str = "FP64", name: str = "input") -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


def read(*inputs: dict[str, Any], signature: Signature = NUMBERS, **more: Any) -> Asked:
    return codec(signature).read(orjson.dumps({"inputs": list(inputs), **more}))


UNDERSTOOD = {
    "flat numbers": (tensor([1.5, 2, 3, 4.5], [2, 2]),),
    "rows of numbers": (tensor([[1.5, 2], [3, 4.5]], [2, 2]),),
    "single precision": (tensor([1.5, 2, 3, 4.5], [2, 2], "FP32"),),
    "one tensor per feature": (tensor([1.5, 3], [2], name="size"), tensor([2, 4.5], [2], name="age")),
    "one column per feature, in another order": (
        tensor([2, 4.5], [2, 1], name="age"),
        tensor([[1.5], [3]], [2, 1], name="size"),
    ),
    "a feature the model does not know": (
        tensor([1.5, 3], [2], name="size"),
        tensor([2, 4.5], [2], name="age"),
        tensor(["a", "b"], [2], "BYTES", name="new"),
    ),
}


@pytest.mark.parametrize("inputs", UNDERSTOOD.values(), ids=UNDERSTOOD.keys())
def test_each_way_to_send_rows_gives_the_same_matrix(inputs: tuple[dict[str, Any], ...]) -> None:
    asked = read(*inputs)

    assert [[1.5, 2.0], [3.0, 4.5]] == asked.rows.matrix.tolist()


@pytest.mark.parametrize("rows", [1, 2])
def test_rows_have_the_keys_that_their_client_gave_them(rows: int) -> None:
    keys = ["house-17", "house-18"][:rows]

    asked = read(tensor([1.5] * 2 * rows, [rows, 2]), parameters={"keys": keys, "routing_key": "anna"})

    assert (tuple(keys), "anna") == (asked.keys, asked.routing_key)


def test_null_is_a_missing_value() -> None:
    asked = read(tensor([1.5, None], [1, 2]))

    assert 1.5 == asked.rows.matrix[0, 0]
    assert np.isnan(asked.rows.matrix[0, 1])


def test_categories_become_their_index_and_keep_their_words_for_the_log() -> None:
    asked = read(
        tensor([1, 2, 3], [3], name="size"), tensor(["Ulm", "Rome", "Bonn"], [3], "BYTES", name="city"), signature=MIXED
    )

    assert [1.0, -1.0, 0.0] == asked.rows.matrix[:, 1].tolist()
    assert {1: ["Ulm", "Rome", "Bonn"]} == asked.rows.categories


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        pytest.param([["Ulm", "Bonn"]], [2, 1], id="a row for a column"),
        pytest.param([["Ulm"], "Bonn"], [2, 1], id="nested in part"),
        pytest.param([["Ulm"], ["Bonn"]], [2], id="nested where the shape is flat"),
        pytest.param([["Ulm"], ["Bonn", "Ulm"]], [2, 1], id="ragged"),
    ],
)
def test_texts_that_are_nested_otherwise_than_their_shape_are_refused(data: Any, shape: list[int]) -> None:
    with pytest.raises(HTTPError, match=r"inputs\[1\]\.data"):
        read(tensor([1, 2], [2], name="size"), tensor(data, shape, "BYTES", name="city"), signature=MIXED)


def test_a_column_of_texts_may_be_nested_as_its_shape_says() -> None:
    asked = read(
        tensor([1, 2], [2], name="size"), tensor([["Ulm"], [None]], [2, 1], "BYTES", name="city"), signature=MIXED
    )

    assert {1: ["Ulm", None]} == asked.rows.categories


def test_tensors_may_come_as_bytes() -> None:
    head = orjson.dumps(
        {"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP32", "parameters": {"binary_data_size": 16}}]}
    )
    rows = np.array([[1.5, 2.0], [3.0, 4.5]], "<f4")

    asked = codec().read(head + rows.tobytes(), len(head))

    assert rows.tolist() == asked.rows.matrix.tolist()


def test_categories_may_come_as_bytes() -> None:
    head = orjson.dumps(
        {
            "inputs": [
                {"name": "size", "shape": [2], "datatype": "INT16", "parameters": {"binary_data_size": 4}},
                {"name": "city", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": 15}},
            ]
        }
    )
    raw = np.array([7, -8], "<i2").tobytes() + b"\x03\x00\x00\x00Ulm\x04\x00\x00\x00Bonn"

    asked = codec(MIXED).read(head + raw, len(head))

    assert [[7.0, 1.0], [-8.0, 0.0]] == asked.rows.matrix.tolist()


REFUSED: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"{", "body: is not JSON"),
    "a list": (b"[]", "body: must be a JSON object"),
    "no inputs": (b"{}", "inputs: must be a list of tensors"),
    "deep nesting": (b"[" * 100_000, "depth limit"),
    "a number that is NaN": (b'{"inputs": [NaN]}', "body: is not JSON"),
    "an infinite number": (b'{"inputs": [1e999]}', "body: is not JSON"),
    "an id that is no string": (orjson.dumps({"id": 7, "inputs": []}), "id: must be a string"),
    "an id for a header": (orjson.dumps({"id": "a\r\nb", "inputs": []}), "id: must be at most 128 printable"),
    "an unknown datatype": (orjson.dumps({"inputs": [tensor([1, 2], [1, 2], "FP99")]}), "inputs[0].datatype"),
    "a list for a datatype": (
        orjson.dumps({"inputs": [{**tensor([1, 2], [1, 2]), "datatype": []}]}),
        "inputs[0].datatype",
    ),
    "too few elements": (orjson.dumps({"inputs": [tensor([1], [1, 2])]}), "inputs[0].data: holds 1 elements"),
    "a shape that lies": (
        orjson.dumps({"inputs": [tensor([1, 2], [10**12, 10**12])]}),
        "inputs[0].data: holds 2 elements",
    ),
    "a negative shape": (orjson.dumps({"inputs": [tensor([1, 2], [-1, 2])]}), "inputs[0].shape"),
    "another number of features": (orjson.dumps({"inputs": [tensor([1, 2, 3], [1, 3])]}), "[rows, 2]"),
    "a text among numbers": (
        orjson.dumps({"inputs": [tensor([1, "2"], [1, 2])]}),
        "inputs[0].data[1]: must be a number",
    ),
    "a list among numbers": (
        orjson.dumps({"inputs": [tensor([1, [2]], [1, 2])]}),
        "inputs[0].data[1]: must be a number",
    ),
    "ragged rows": (orjson.dumps({"inputs": [tensor([[1, 2], [3]], [2, 2])]}), "inputs[0].data: is nested otherwise"),
    "no rows": (orjson.dumps({"inputs": [tensor([], [0, 2])]}), "at least one row is required"),
    "a feature that is not there": (
        orjson.dumps({"inputs": [tensor([1], [1], name="size"), tensor([1], [1], name="b")]}),
        "no tensor for age",
    ),
    "columns of different length": (
        orjson.dumps({"inputs": [tensor([1], [1], name="size"), tensor([1, 2], [2], name="age")]}),
        "inputs.age.shape: has 2 rows",
    ),
    "an output the model does not have": (
        orjson.dumps({"inputs": [tensor([1, 2], [1, 2])], "outputs": [{"name": "wings"}]}),
        "outputs[0].name: must be one of predict, predict_proba",
    ),
}


@pytest.mark.parametrize(("body", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_wrong_is_refused_by_name(body: bytes, message: str) -> None:
    with pytest.raises(HTTPError) as refused:
        codec().read(body)

    assert 400 == refused.value.status
    assert message in refused.value.message


BINARY_REFUSED: dict[str, tuple[dict[str, Any], bytes, str]] = {
    "too few bytes": ({"shape": [1, 2], "datatype": "FP64", "parameters": {"binary_data_size": 16}}, b"\0" * 8, "at most the 8 bytes"),
    "another size": ({"shape": [1, 2], "datatype": "FP64", "parameters": {"binary_data_size": 8}}, b"\0" * 8, "ask for 16 bytes"),
    "bytes left over": ({"shape": [1, 1], "datatype": "FP64", "parameters": {"binary_data_size": 8}}, b"\0" * 9, "1 bytes belong to no tensor"),
    "an infinite number": (
        {"shape": [1, 2], "datatype": "FP64", "parameters": {"binary_data_size": 16}},
        np.array([1.0, np.inf]).tobytes(),
        "row 0, age: is infinite",
    ),
    "a text's length past the end": ({"shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 4}}, b"\xff" * 4, "past the tensor's end"),
}  # fmt: skip


@pytest.mark.parametrize(("described", "raw", "message"), BINARY_REFUSED.values(), ids=BINARY_REFUSED.keys())
def test_bytes_that_do_not_fit_are_refused_by_name(described: dict[str, Any], raw: bytes, message: str) -> None:
    head = orjson.dumps({"inputs": [{"name": "x", **described}]})

    with pytest.raises(HTTPError) as refused:
        codec().read(head + raw, len(head))

    assert 400 == refused.value.status
    assert message in refused.value.message


def test_an_answer_names_version_classes_and_probabilities() -> None:
    body, end = codec().write(read(tensor([1, 2], [1, 2])), YES, "r-1")

    assert end is None
    assert {
        "model_name": "house",
        "model_version": "house-1",
        "id": "r-1",
        "outputs": [
            {"name": "predict", "datatype": "INT64", "shape": [1], "data": [1]},
            {"name": "predict_proba", "datatype": "FP32", "shape": [1, 2], "data": [0.25, 0.75]},
        ],
    } == orjson.loads(body)


def test_classes_that_are_words_are_bytes() -> None:
    body, _ = codec(WORDS).write(read(tensor([1, 2], [1, 2])), Answer(np.array([1, 0])), "r")

    assert {"name": "predict", "datatype": "BYTES", "shape": [2], "data": ["yes", "no"]} == orjson.loads(body)[
        "outputs"
    ][0]


def test_a_regression_answers_numbers() -> None:
    body, _ = codec(VALUES).write(read(tensor([1, 2], [1, 2])), Answer(np.array([2.5, -1.0])), "r")

    assert [{"name": "predict", "datatype": "FP64", "shape": [2], "data": [2.5, -1.0]}] == orjson.loads(body)["outputs"]


def test_only_the_outputs_asked_for_are_answered_each_in_its_form() -> None:
    asked = read(
        tensor([1, 2], [1, 2]),
        outputs=[{"name": "predict_proba", "parameters": {"binary_data": True}}, {"name": "predict"}],
    )

    body, end = codec().write(asked, YES, "r")

    assert end is not None
    assert [
        {"name": "predict_proba", "datatype": "FP32", "shape": [1, 2], "parameters": {"binary_data_size": 8}},
        {"name": "predict", "datatype": "INT64", "shape": [1], "data": [1]},
    ] == orjson.loads(body[:end])["outputs"]
    assert np.array([0.25, 0.75], "<f4").tobytes() == body[end:]


def test_a_model_without_probabilities_gives_everything_as_bytes_but_those() -> None:
    silent = codec(NUMBERS.model_copy(update={"gives_probabilities": False}))
    asked = silent.read(orjson.dumps({"inputs": [tensor([1, 2], [1, 2])], "parameters": {"binary_data_output": True}}))

    written, end = silent.write(asked, Answer(np.array([1])), "r")

    assert ["predict"] == [output["name"] for output in orjson.loads(written[:end])["outputs"]]
    with pytest.raises(HTTPError, match="must be one of predict, not 'predict_proba'"):
        silent.read(orjson.dumps({"inputs": [tensor([1, 2], [1, 2])], "outputs": [{"name": "predict_proba"}]}))


def test_rows_by_name_ignore_what_the_model_does_not_know() -> None:
    rows = RowCodec(codec(), "house", "house-1")

    asked = rows.read(b'{"id": "a", "rows": [{"age": 2, "size": 1.5, "colour": "red"}, {"size": 3, "age": null}]}')

    assert "a" == asked.id
    assert [1.5, 2.0] == asked.rows.matrix[0].tolist()
    assert np.isnan(asked.rows.matrix[1, 1])


def test_columns_may_be_spelled_as_in_the_source() -> None:
    features = tuple(Feature(name=name, type="Numerical") for name in ("sepal_length_cm", "petal_length_cm"))
    iris = codec(NUMBERS.model_copy(update={"features": features}))

    rows = RowCodec(iris, "iris", "iris-1").read(b'{"rows": [{"petal length (cm)": 1.4, "sepal length (cm)": 5.1}]}')
    by_name = iris.read(
        orjson.dumps(
            {"inputs": [tensor([1.4], [1], name="petal length (cm)"), tensor([5.1], [1], name="Sepal Length (cm)")]}
        )
    )

    assert [[5.1, 1.4]] == rows.rows.matrix.tolist() == by_name.rows.matrix.tolist()


ROWS_REFUSED = {
    "no rows": (b"{}", "rows: must be a list of at least one object"),
    "a row that is a list": (b'{"rows": [[1, 2]]}', "rows[0]: must be an object"),
    "a feature left out": (b'{"rows": [{"size": 1, "age": 1}, {"size": 1}]}', "rows[1].age: is not there; send null"),
    "a name that is nearly one": (
        b'{"rows": [{"size": 1, "agee": 1}]}',
        "rows[0]: unknown column 'agee'; did you mean 'age'?",
    ),
    "another name": (
        b'{"rows": [{"size": 1, "colour": "red"}]}',
        "rows[0].age: is not there (unknown column 'colour'); send null for a value that is missing",
    ),
    "two spellings of one name": (b'{"rows": [{"size": 1, "AGE": 1, "Age": 2}]}', "did you mean 'age'?"),
    "a text for a number": (
        b'{"rows": [{"size": "big", "age": 1}]}',
        "rows[0].size: must be a number or null, not 'big'",
    ),
}


@pytest.mark.parametrize(("body", "message"), ROWS_REFUSED.values(), ids=ROWS_REFUSED.keys())
def test_rows_that_are_wrong_are_refused_by_place(body: bytes, message: str) -> None:
    with pytest.raises(HTTPError) as refused:
        RowCodec(codec(), "house", "house-1").read(body)

    assert message in refused.value.message


def test_rows_are_answered_with_a_probability_per_class() -> None:
    rows = RowCodec(codec(), "house", "house-1")

    body, _ = rows.write(read(tensor([1, 2], [1, 2])), YES, "r-1")

    assert {
        "model_name": "house",
        "model_version": "house-1",
        "id": "r-1",
        "predictions": [1],
        "classes": [0, 1],
        "probabilities": [[0.25, 0.75]],
    } == orjson.loads(body)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["name", "shape", "datatype", "data", "parameters"]), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(
    inputs=st.lists(
        st.fixed_dictionaries(
            {
                "name": st.sampled_from(["input", "size", "age"]) | JSON,
                "shape": st.lists(st.integers(0, 3), max_size=3) | JSON,
                "datatype": st.sampled_from(["FP64", "BYTES", "BOOL"]) | JSON,
                "data": JSON,
            }
        )
        | JSON,
        max_size=3,
    ),
    outputs=JSON,
    raw=st.binary(max_size=20),
    signature=st.sampled_from([NUMBERS, MIXED, VALUES]),
)
def test_any_json_is_either_understood_or_refused(inputs: Any, outputs: Any, raw: bytes, signature: Signature) -> None:
    head = orjson.dumps({"inputs": inputs, "outputs": outputs})
    try:
        asked = codec(signature).read(head + raw, len(head))
    except HTTPError as refused:
        assert 400 == refused.status
    else:
        assert (len(asked.rows.matrix), 2) == asked.rows.matrix.shape
