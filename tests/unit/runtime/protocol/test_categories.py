"""Which category a typed value means: right answers by hand, and the same for each way to send the value."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.fast_path import FAST_PATH
from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.protocol import tensors
from tidemill.runtime.protocol.categories import PRECISIONS, Ambiguous, Spellings
from tidemill.runtime.protocol.errors import HTTPError
from tidemill.runtime.protocol.infer import Codec
from tidemill.runtime.protocol.predict import RowCodec

UNSEEN = "unseen"
SHOPS = ("1234567890123456700", "1234567890123456789", "1234567890123456790")

MEANT = {
    "the plain spelling comes before a zero": (("01234", "1234", "99999"), 1234, "1234"),
    "a zero in front where nothing else fits": (("01234", "99999"), 1234, "01234"),
    "a text is its own spelling": (("01234", "1234"), "1234", "1234"),
    "a text is no number": (("1",), "1.0", UNSEEN),
    "a plus does not come first": (("+5", "5"), 5, "5"),
    "a plus where nothing else fits": (("+5",), 5, "+5"),
    "Python's underscores are words": (("1_000", "7"), 1000, UNSEEN),
    "blanks are words": ((" 5", "7"), 5, UNSEEN),
    "a shop of 19 digits": (SHOPS, 1234567890123456789, SHOPS[1]),
    "its neighbour": (SHOPS, 1234567890123456790, SHOPS[2]),
    "a shop that none is": (SHOPS, 1234567890123456768, UNSEEN),
    "a shop as a text": (SHOPS, "1234567890123456789", SHOPS[1]),
    "true as JSON spells it": (("true", "false"), True, "true"),
    "True as pandas spells it": (("True", "False"), True, "True"),
    "TRUE as spreadsheets spell it": (("TRUE", "FALSE"), False, "FALSE"),
    "its own spelling among several": (("TRUE", "True", "true"), True, "true"),
    "a truth word spelled as tables spell it": (("True", "False"), "true", "True"),
    "a truth word that is none": (("True", "False"), "tRUE", UNSEEN),
    "a truth word that several spell": (("True", "TRUE"), "true", UNSEEN),
    "a truth word that is spelled so too": (("True", "true"), "true", "true"),
    "a truth value is no number": (("0", "1"), True, UNSEEN),
    "a number is no truth value": (("true", "false"), 1, UNSEEN),
    "a whole float": (("1", "2"), 1.0, "1"),
    "a float's own spelling": (("1", "1.0"), 1.0, "1.0"),
    "an integer's own spelling": (("1", "1.0"), 1, "1"),
    "an integer among floats": (("1.0", "2.5"), 1, "1.0"),
    "a fraction": (("0.1", "0.2"), 0.1, "0.1"),
    "a fraction spelled longer": (("0.10", "0.2"), 0.1, "0.10"),
    "a fraction with an exponent": (("1e-1", "0.2"), 0.1, "1e-1"),
    "a large number with an exponent": (("1e3", "7"), 1000, "1e3"),
    "a word that Python takes for a number": (("nan", "inf", "infinity"), 5, UNSEEN),
}
AMBIGUOUS = {
    "zeros in front": (("01234", "001234"), 1234),
    "two spellings of a float": (("1.00", "1.000"), 1.0),
    "two spellings of truth": (("True", "TRUE"), True),
    "digits that a float has lost": (SHOPS, float(SHOPS[1])),
    "digits that a float may have lost": (("9007199254740993",), 9007199254740992.0),
}  # fmt: skip


def by_rows(categories: tuple[str, ...], value: Any) -> str | None:
    codec = codec_of(categories)
    asked = RowCodec(codec, "m", "v").read(json.dumps({"rows": [{"kind": value, "size": 1}]}).encode())
    return category_of(asked, categories)


def by_tensor(categories: tuple[str, ...], value: Any) -> str | None:
    asked = codec_of(categories).read(json.dumps({"inputs": [kind(value, data=[value]), SIZE]}).encode())
    return category_of(asked, categories)


def by_bytes(categories: tuple[str, ...], value: Any) -> str | None:
    tensor = kind(value)
    if isinstance(value, str):
        raw = tensors.to_length_prefixed([value])
    else:
        raw = np.array([value], tensors.NUMBERS[tensor["datatype"]]).tobytes()
    return category_of(codec_of(categories).read(*framed(tensor, raw)), categories)


SIZE = {"name": "size", "shape": [1], "datatype": "FP64", "data": [1.0]}
WAYS = {"rows": by_rows, "a tensor": by_tensor, "bytes": by_bytes}


def kind(value: Any, datatype: str = "", **more: Any) -> dict[str, Any]:
    fits = {bool: "BOOL", int: "INT64", float: "FP64", str: "BYTES"}
    return {"name": "kind", "shape": [1], "datatype": datatype or fits[type(value)], **more}


def framed(tensor: dict[str, Any], raw: bytes) -> tuple[bytes, int]:
    head = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": len(raw)}}, SIZE]}).encode()
    return head + raw, len(head)


def codec_of(categories: tuple[str, ...]) -> Codec:
    features = (Feature("kind", "Categorical", categories), Feature("size", "Numerical"))
    return Codec("m", "v", Signature("Classification", features, "sold", classes=(0, 1)), fast=FAST_PATH)


def category_of(asked: Any, categories: tuple[str, ...]) -> str | None:
    index = asked.rows.matrix[0, 0]
    if math.isnan(index):
        return None
    if index == -1:
        return UNSEEN
    assert categories[int(index)] == asked.rows.categories[0][0]
    return categories[int(index)]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("categories", "value", "meant"), MEANT.values(), ids=MEANT)
def test_a_value_means_its_category(
    categories: tuple[str, ...], value: Any, meant: str, way: Callable[..., str | None]
) -> None:
    assert meant == way(categories, value)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("categories", "value"), AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_a_value_that_may_be_several_categories_is_refused_by_name(
    categories: tuple[str, ...], value: Any, way: Callable[..., str | None]
) -> None:
    with pytest.raises(HTTPError, match=r"kind.*does not tell which category is meant") as refused:
        way(categories, value)

    assert 400 == refused.value.status
    assert categories[0] in refused.value.message or categories[1] in refused.value.message


@pytest.mark.parametrize("datatype", ["FP32", "FP16", "BF16", "FP64"])
@pytest.mark.parametrize(
    ("categories", "value", "meant"),
    [(("0.1", "0.2"), 0.1, "0.1"), (("0.10", "0.2"), 0.1, "0.10"), (("1", "2"), 2.0, "2"), (("0.1",), 0.3, UNSEEN)],
)
def test_a_narrow_float_means_the_same_as_bytes_and_as_json(
    categories: tuple[str, ...], value: float, meant: str, datatype: str
) -> None:
    codec = codec_of(categories)
    narrow = PRECISIONS[datatype].rounded(value)
    raw = (
        struct.pack("<f", narrow)[2:] if datatype == "BF16" else np.array([value], tensors.NUMBERS[datatype]).tobytes()
    )

    answers = [
        codec.read(json.dumps({"inputs": [kind(value, datatype, data=[value]), SIZE]}).encode()),
        codec.read(json.dumps({"inputs": [kind(value, datatype, data=[narrow]), SIZE]}).encode()),
        codec.read(*framed(kind(value, datatype), raw)),
    ]

    assert [meant] * 3 == [category_of(answer, categories) for answer in answers]


def test_digits_that_single_precision_loses_are_refused() -> None:
    with pytest.raises(Ambiguous):
        Spellings(("16777217",)).of(16777216.0, PRECISIONS["FP32"])
    assert "16777217" == Spellings(("16777217",)).of(16777217.0)


@pytest.mark.parametrize("datatype", tensors.DATATYPES)
@pytest.mark.parametrize("name", ["kind", "size"])
def test_null_is_a_missing_value_in_every_datatype(datatype: str, name: str) -> None:
    other = {"kind": SIZE, "size": kind("a", data=["a"])}[name]
    given = {"name": name, "shape": [1, 1], "datatype": datatype, "data": [[None]]}

    asked = codec_of(("a", "b")).read(json.dumps({"inputs": [given, other]}).encode())

    assert math.isnan(asked.rows.matrix[0, 0 if name == "kind" else 1])
    assert (None if name == "kind" else "a") == asked.rows.categories[0][0]


def test_null_in_a_row_and_nan_in_bytes_are_missing_categories() -> None:
    assert by_rows(("a", "nan"), None) is None
    assert by_bytes(("1", "nan"), math.nan) is None
    assert by_bytes(("a", ""), "") is None


def test_an_infinite_category_is_refused() -> None:
    with pytest.raises(HTTPError, match="is infinite"):
        by_bytes(("inf", "1"), math.inf)


@pytest.mark.parametrize(
    ("datatype", "value", "wanted"),
    [("BOOL", 2, "true or false"), ("INT8", 300, "from -128 to 127"), ("UINT8", -1, "from 0"), ("INT64", 1.5, "whole")],
)
def test_a_typed_category_must_be_of_its_type(datatype: str, value: Any, wanted: str) -> None:
    tensor = kind(value, datatype, data=[value])

    with pytest.raises(HTTPError, match=wanted):
        codec_of(("a",)).read(json.dumps({"inputs": [tensor, SIZE]}).encode())


@given(st.sets(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=8))
def test_integers_are_told_apart_to_the_last_digit(numbers: set[int]) -> None:
    categories = tuple(sorted(str(number) for number in numbers))
    spellings = Spellings(categories)
    for number in numbers:
        assert str(number) == spellings.of(number)
        for neighbour in {number - 1, number + 1} - numbers:
            assert spellings.of(neighbour) not in categories


@given(
    st.lists(st.text("0123456789.+-eE_ nan", max_size=12)), st.floats(allow_nan=False) | st.integers() | st.booleans()
)
def test_whatever_the_categories_are_a_value_means_one_or_none_or_is_refused(
    categories: list[str], value: float
) -> None:
    try:
        text = Spellings(categories).of(value)
    except Ambiguous:
        return
    assert isinstance(text, str)
