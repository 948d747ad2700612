from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from support.fast_path import FAST_PATH
from tidemill.runtime.model.labels import ClassLabels
from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.protocol.features import NO_CATEGORIES, Rows
from tidemill.runtime.protocol.infer import Codec
from tidemill.runtime.protocol.predict import RowCodec
from tidemill.runtime.protocol.request import Asked
from tidemill.runtime.serve.rollout.candidate_response import Malformed, read, trimmed

LABELS = ClassLabels(("no", "yes"))
SIGNATURE = Signature(
    task="Classification", features=(Feature(name="size", type="Numerical"),), target="sold", classes=("no", "yes")
)
ANSWER = Answer(np.array([1, 0]), np.array([[0.25, 0.75], [0.5, 0.5]]))


@pytest.mark.parametrize(
    "outputs", [(), (("predict", True), ("predict_proba", True)), (("predict_proba", False), ("predict", False))]
)
def test_what_infer_writes_is_read_back(outputs: tuple[tuple[str, bool], ...]) -> None:
    asked = Asked("", Rows(np.zeros((2, 1)), NO_CATEGORIES), outputs)

    answer, labels = read(*Codec("house", "house-2", SIGNATURE, fast=FAST_PATH).write(asked, ANSWER, "r"), 2, LABELS)

    assert labels is LABELS
    assert [1, 0] == answer.values.tolist()
    assert answer.probabilities is not None
    assert [[0.25, 0.75], [0.5, 0.5]] == answer.probabilities.tolist()


@pytest.mark.parametrize(
    "outputs",
    [(("predict", True),), (("predict_proba", True),), (("predict_proba", False),), (("predict", False),)],
    ids=str,
)
def test_a_whole_answer_is_read_and_what_its_client_wanted_is_left_as_it_would_have_been(
    outputs: tuple[tuple[str, bool], ...],
) -> None:
    codec = Codec("house", "house-2", SIGNATURE, fast=FAST_PATH)
    asked = Asked("", Rows(np.zeros((2, 1)), NO_CATEGORIES), outputs)

    whole, end = codec.write(codec.completed(asked), ANSWER, "r")

    answer, _ = read(whole, end, 2, LABELS)
    assert answer.probabilities is not None
    assert ([1, 0], [[0.25, 0.75], [0.5, 0.5]]) == (answer.values.tolist(), answer.probabilities.tolist())
    assert codec.write(asked, ANSWER, "r") == trimmed(whole, end, [outputs[0][0]])


def test_an_answer_in_another_form_than_was_asked_for_is_left_as_it_is() -> None:
    body = b'{"predictions": ["no", "yes"]}'

    assert (body, None) == trimmed(body, None, ["predict"])


def test_what_predict_writes_is_read_back() -> None:
    codec = RowCodec(Codec("house", "house-2", SIGNATURE, fast=FAST_PATH), "house", "house-2")
    asked = Asked("", Rows(np.zeros((2, 1)), NO_CATEGORIES))

    answer, _ = read(*codec.write(asked, ANSWER, "r"), 2, LABELS)

    assert [1, 0] == answer.values.tolist()


def test_a_class_that_the_stable_version_does_not_know_keeps_its_name() -> None:
    answer, labels = read(b'{"predictions": ["maybe", "yes"]}', None, 2, LABELS)

    assert labels is not None
    assert ["maybe", "yes"] == [labels.texts[index] for index in answer.values.tolist()]


MALFORMED: dict[str, tuple[Any, ClassLabels | None]] = {
    "a list": ([], LABELS),
    "nothing": ({}, LABELS),
    "too many answers": ({"predictions": ["yes", "no"]}, LABELS),
    "an answer that is null": ({"predictions": [None]}, LABELS),
    "an answer that is a list": ({"predictions": [["yes"]]}, LABELS),
    "a word for a number": ({"predictions": ["yes"]}, None),
    "a probability above one": ({"predictions": ["yes"], "probabilities": [[0.0, 1.5]]}, LABELS),
    "probabilities of other rows": ({"predictions": ["yes"], "probabilities": [[0, 1], [0, 1]]}, LABELS),
    "ragged probabilities": ({"predictions": ["yes"], "probabilities": [[0, [1]]]}, LABELS),
    "a word for a probability": ({"predictions": ["yes"], "probabilities": [["much", 0]]}, LABELS),
    "outputs that are none": ({"outputs": 7}, LABELS),
    "an output without a name": ({"outputs": [{}]}, LABELS),
    "no predictions among the outputs": (
        {"outputs": [{"name": "a", "datatype": "FP64", "shape": [1], "data": [1]}]},
        LABELS,
    ),
}


@pytest.mark.parametrize(("body", "labels"), MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_no_answer_is_malformed(body: Any, labels: ClassLabels | None) -> None:
    with pytest.raises(Malformed):
        read(orjson.dumps(body), None, 1, labels)
