"""Read a candidate's answer from its response: only a whole and sensible answer counts."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from tidemill.runtime.model.labels import ClassLabels
from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.protocol import tensors
from tidemill.runtime.protocol.errors import HTTPError
from tidemill.runtime.protocol.infer_response import PREDICT, PROBABILITIES


class Malformed(Exception):
    """The candidate's response is not an answer to the rows it was asked."""


def read(
    body: bytes, header_length: int | None, rows: int, labels: ClassLabels | None
) -> tuple[Answer, ClassLabels | None]:
    """The answers in a response to `infer` or `predict`, and the classes they mean; `labels` are those already known."""
    end = len(body) if header_length is None else header_length
    try:
        document = orjson.loads(memoryview(body)[:end])
    except orjson.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error}") from None
    if type(document) is not dict:
        raise Malformed("not a JSON object")
    predicted, probabilities = (
        _from_outputs(document, memoryview(body)[end:]) if "outputs" in document else _from_rows(document)
    )
    if len(predicted) != rows:
        raise Malformed(f"{len(predicted)} answers to {rows} rows")
    if probabilities is not None and (len(probabilities) != rows or not _are_probabilities(probabilities)):
        raise Malformed("probabilities that are none")
    if labels is None:
        if not all(isinstance(value, (int, float)) and math.isfinite(value) for value in predicted):
            raise Malformed("values that are not finite numbers")
        return Answer(np.array(predicted, np.float64)), None
    indexes = [labels.index(value) for value in predicted]
    if any(index is None for index in indexes):
        labels = ClassLabels(
            (*labels.classes, *dict.fromkeys(value for value in predicted if labels.index(value) is None))
        )
        indexes = [labels.index(value) for value in predicted]
    return Answer(np.array(indexes, np.int64), probabilities), labels


def trimmed(body: bytes, header_length: int | None, wanted: Collection[str]) -> tuple[bytes, int | None]:
    """A response that was read before, without the outputs that its client did not want, and where its JSON ends.

    Those come as JSON (see `Codec.completed`), so that bytes which belong to others stay where they are.
    """
    end = len(body) if header_length is None else header_length
    document = orjson.loads(memoryview(body)[:end])
    outputs = document.get("outputs", [])  # a candidate that answers in another form is passed on as it is
    kept = [output for output in outputs if output["name"] in wanted or "data" not in output]
    if len(kept) == len(outputs):
        return body, header_length
    head = orjson.dumps({**document, "outputs": kept})
    return head + body[end:], None if header_length is None else len(head)


def _are_probabilities(values: NDArray[Any]) -> bool:
    return bool(values.ndim == 2 and (values >= -1e-6).all() and (values <= 1 + 1e-6).all())


def _from_rows(document: dict[str, Any]) -> tuple[list[Any], NDArray[Any] | None]:
    predicted, probabilities = document.get("predictions"), document.get("probabilities")
    if not isinstance(predicted, list) or any(isinstance(value, (list, dict)) or value is None for value in predicted):
        raise Malformed("no predictions")
    if probabilities is None:
        return predicted, None
    try:
        return predicted, np.array(probabilities, np.float64)
    except (ValueError, TypeError):
        raise Malformed("probabilities that are no numbers") from None


def _from_outputs(document: dict[str, Any], raw: memoryview) -> tuple[list[Any], NDArray[Any] | None]:
    outputs = document["outputs"]
    if not isinstance(outputs, list):
        raise Malformed("outputs is not a list")
    parsed: dict[str, tuple[tuple[int, ...], Any]] = {}
    offset = 0
    try:
        for output in outputs:
            size = output.get("parameters", {}).get("binary_data_size")
            if size is not None:
                parsed[output["name"]] = tensors.from_bytes(output, raw[offset : offset + size], "output")
                offset += size
            elif output["datatype"] == "BYTES" or output["name"] != PROBABILITIES:
                parsed[output["name"]] = (tensors.shape_of(output, "output"), output["data"])
            else:
                parsed[output["name"]] = tensors.from_json(output, "output")
    except (HTTPError, AttributeError, KeyError, TypeError) as error:
        raise Malformed(f"an output is not a valid tensor: {error}") from None
    if PREDICT not in parsed:
        raise Malformed(f"no output {PREDICT}")
    predicted = parsed[PREDICT][1]
    if isinstance(predicted, np.ndarray):
        predicted = predicted.tolist()
    if not isinstance(predicted, list) or any(isinstance(value, (list, dict)) or value is None for value in predicted):
        raise Malformed(f"{PREDICT} is not a list of predictions")
    if PROBABILITIES not in parsed:
        return predicted, None
    shape, values = parsed[PROBABILITIES]
    if len(shape) != 2 or not isinstance(values, np.ndarray):
        raise Malformed(f"{PROBABILITIES} is not a matrix")
    return predicted, values.reshape(shape)
