"""Bodies with a tensor for each column: by a template they mean what they mean without one, or are read with care."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.protocol.column_template import ColumnTemplate
from tidemill.runtime.protocol.errors import HTTPError
from tidemill.runtime.protocol.infer import Codec

NAMES = ("a", "b", "c")
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def codec() -> Codec:
    features = tuple(Feature(name, "Numerical") for name in NAMES)
    return Codec("m", "v", Signature("Classification", features, "t", classes=(0, 1)))


def body(values: Any, names: tuple[str, ...] = NAMES, shape: tuple[int, ...] = (1,), **more: Any) -> bytes:
    tensors = [
        {"name": name, "shape": list(shape), "datatype": "FP64", "data": [value]}
        for name, value in zip(names, values, strict=True)
    ]
    return json.dumps({"inputs": tensors, **more}).encode()


def learned(**more: Any) -> Codec:
    """Return a codec that knows such a body."""
    reader = codec()
    reader.read(body((1.0, 2.0, 3.0), **more))
    assert reader._template is not None
    return reader


@given(st.tuples(FINITE, FINITE, FINITE), st.permutations(NAMES), st.sampled_from([(1,), (1, 1)]))
def test_other_numbers_mean_the_same_with_and_without_a_template(
    values: tuple[float, ...], names: list[str], shape: tuple[int, ...]
) -> None:
    reader = learned(names=tuple(names), shape=shape)

    known = reader._known_columns(body(values, tuple(names), shape))
    careful = codec().read(body(values, tuple(names), shape))

    assert known is not None
    assert known.rows.matrix.tolist() == careful.rows.matrix.tolist()
    assert known._replace(rows=careful.rows) == careful
    assert [dict(zip(names, values, strict=True))[name] for name in NAMES] == known.rows.matrix[0].tolist()


def test_ids_and_outputs_are_those_of_the_template() -> None:
    reader = learned(id="r-1", outputs=[{"name": "predict"}])

    known = reader._known_columns(body((4, 5, 6), id="r-1", outputs=[{"name": "predict"}]))

    assert known is not None
    assert ("r-1", (("predict", False),), False) == (known.id, known.outputs, known.positional)
    assert reader._known_columns(body((4, 5, 6), id="r-2", outputs=[{"name": "predict"}])) is None
    assert "r-2" == reader.read(body((4, 5, 6), id="r-2")).id


@pytest.mark.parametrize(
    "texts",
    {
        "two numbers, and none": ("1, 2", "", "3"),
        "two numbers in one": ("1, 2", "3", "4"),
        "brackets over two": ("[1", "2]", "3"),
        "a text over two": ('"1', '2"', "3"),
        "an object over two": ('{"x": 1', '"y": 2}', "3"),
        "the end of a tensor": ('1], "shape": [2', "3", "4"),
        "a text": ('"1"', "2", "3"),
        "no number of JSON": ("1_0", "2", "3"),
        "not a number": ("NaN", "2", "3"),
        "infinite": ("Infinity", "2", "3"),
        "a plus": ("+1", "2", "3"),
        "nothing": ("", "2", "3"),
    }.values(),
)
def test_what_is_not_one_number_for_each_column_is_read_with_care(texts: tuple[str, ...]) -> None:
    given = body((11.0, 12.0, 13.0))
    for number, text in zip((b"11.0", b"12.0", b"13.0"), texts, strict=True):
        given = given.replace(number, text.encode())

    assert learned()._known_columns(given) is None
    with pytest.raises(HTTPError):
        learned().read(given)


@given(st.binary(max_size=30), st.integers(0, 300), st.integers(0, 20))
def test_a_body_that_was_changed_anywhere_is_answered_as_without_a_template(put: bytes, at: int, cut: int) -> None:
    whole = body((1.5, 2.5, 3.5))
    changed = whole[:at] + put + whole[at + cut :]

    def read(reader: Codec) -> Any:
        try:
            asked = reader.read(changed)
        except HTTPError as refusal:
            return refusal.message
        return asked._replace(rows=None), asked.rows.matrix.tolist()  # type: ignore[arg-type]

    assert np.array_equal(repr(read(codec())), repr(read(learned())))


def test_null_is_missing_whatever_is_known() -> None:
    matrix = learned().read(body((None, 2, 3))).rows.matrix

    assert [True, False, False] == np.isnan(matrix[0]).tolist()


def test_a_column_that_is_called_data_has_no_template() -> None:
    assert ColumnTemplate.of(body((1, 2, 3), ("a", "data", "c")), 3) is None


def test_bodies_that_are_others_each_time_are_not_learned_for_ever() -> None:
    reader = codec()
    for number in range(200):
        reader.read(body((1, 2, 3), id=f"r-{number}"))

    assert reader._template is not None
    assert "r-99" == reader._template.asked.id
