"""Bodies of inference requests and responses as columns: KServe's V1 protocol and the Open Inference Protocol (V2).

Their senders are not trusted, so everything is checked: nothing here is larger than the body was, except for bounded names.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from tidemill.runtime.protocol import tensors
from tidemill.runtime.protocol.errors import HTTPError

Value = float | str | None
MAX_ROWS: Final = 10_000
MAX_COLUMNS: Final = 1_024
MAX_TEXT_LENGTH: Final = 256
MAX_NAME_LENGTH: Final = 128
_JSON: Final = json.JSONDecoder()


class UnreadablePayloadError(ValueError):
    """A body from which no rows or answers can be taken."""


class Answers(NamedTuple):
    """The answers of a response, row by row."""

    predictions: list[Value]
    scores: list[float | None]
    """The probability of what was predicted, where the response has one."""


def asked(body: bytes, columns: Sequence[str]) -> dict[str, list[Value]]:
    """Return the values of a request's rows by column; `columns` name values that have no names. Raises UnreadablePayloadError."""
    document, raw = _document(body)
    if isinstance(document.get("instances"), list):
        _must_end(raw)
        parsed = _instances(document["instances"], columns)
    elif isinstance(document.get("inputs"), list):
        parsed = _inputs(_tensors(document["inputs"], raw, "inputs"), columns)
    else:
        raise UnreadablePayloadError("the request has neither instances nor inputs")
    sizes = {len(values) for values in parsed.values()}
    if len(sizes) != 1 or not 0 < max(sizes) <= MAX_ROWS or len(parsed) > MAX_COLUMNS:
        raise UnreadablePayloadError(f"the request is not a table of at most {MAX_ROWS} rows and {MAX_COLUMNS} columns")
    return parsed


def answered(body: bytes) -> Answers:
    """Return the answers of a response; raises UnreadablePayloadError."""
    document, raw = _document(body)
    if isinstance(document.get("predictions"), list):
        _must_end(raw)
        return _predictions(document["predictions"])
    if isinstance(document.get("outputs"), list):
        return _outputs(_tensors(document["outputs"], raw, "outputs"))
    raise UnreadablePayloadError("the response has neither predictions nor outputs")


def _document(body: bytes) -> tuple[dict[str, Any], memoryview]:
    """The JSON object at the beginning, and the tensors' bytes that follow it.

    Where it ends no header tells: KServe's agent repeats those of the request in the event of the response too.
    """
    end = len(body)
    try:
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            end = _end(body)
            document = orjson.loads(memoryview(body)[:end])
    except (ValueError, RecursionError) as error:
        raise UnreadablePayloadError(f"the body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise UnreadablePayloadError("the body is not a JSON object")
    return document, memoryview(body)[end:]


def _end(body: bytes) -> int:
    """Return where the JSON value at the beginning ends; raises ValueError and RecursionError where there is none."""
    # The bytes behind it are not text, and must come through the decoder as it is.
    text = body.decode("utf-8", "surrogateescape")
    _, end = _JSON.raw_decode(text)
    return len(text[:end].encode("utf-8", "surrogateescape"))


def _must_end(rest: memoryview) -> None:
    """Refuse a body that goes on after its declared content."""
    if rest:
        raise UnreadablePayloadError(f"the body is not JSON alone: {len(rest)} bytes of it belong to no tensor")


def _instances(rows: list[Any], columns: Sequence[str]) -> dict[str, list[Value]]:
    if len(rows) > MAX_ROWS:
        raise UnreadablePayloadError(f"more than {MAX_ROWS} rows in one request")
    if rows and all(isinstance(row, dict) for row in rows):
        names = dict.fromkeys(name for row in rows for name in row)
        if len(names) > MAX_COLUMNS:
            raise UnreadablePayloadError(f"more than {MAX_COLUMNS} columns")
        return {name[:MAX_NAME_LENGTH]: [_input(row.get(name)) for row in rows] for name in names}
    if not rows or not all(isinstance(row, list) for row in rows):
        raise UnreadablePayloadError("instances are neither objects nor lists of values")
    _must_fit(len(rows[0]), columns)
    if any(len(row) != len(columns) for row in rows):
        raise UnreadablePayloadError("instances are of different lengths")
    return {name: [_input(row[index]) for row in rows] for index, name in enumerate(columns)}


def _must_fit(width: int, columns: Sequence[str]) -> None:
    if not columns:
        raise UnreadablePayloadError("the rows name no columns: set spec.target.cloudEvents.columns of the monitor")
    if width != len(columns):
        raise UnreadablePayloadError(
            f"a row has {width} values, and spec.target.cloudEvents.columns of the monitor names {len(columns)}"
        )


Tensors = Mapping[str, tuple[tuple[int, ...], Any]]


def _tensors(listed: list[Any], raw: memoryview, where: str) -> Tensors:
    parsed: dict[str, tuple[tuple[int, ...], Any]] = {}
    offset = 0
    if len(listed) > MAX_COLUMNS:
        raise UnreadablePayloadError(f"more than {MAX_COLUMNS} {where}")
    try:
        for tensor in listed:
            size = (tensor.get("parameters") or {}).get("binary_data_size")
            if size is not None:
                shape, values = tensors.from_bytes(tensor, raw[offset : offset + size], where)
                parsed[tensor["name"]] = shape, values if isinstance(values, list) else tensors.as_floats(values)
                offset += size
            else:
                parsed[tensor["name"]] = tensors.from_json(tensor, where)
    except (HTTPError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnreadablePayloadError(f"{where} has an invalid tensor: {error}") from None
    _must_end(raw[offset:])
    return parsed


def _inputs(inputs: Tensors, columns: Sequence[str]) -> dict[str, list[Value]]:
    parsed: dict[str, list[Value]] = {}
    for name, (shape, values) in inputs.items():
        if len(shape) == 1 or (len(shape) == 2 and shape[1] == 1):
            parsed[str(name)[:MAX_NAME_LENGTH]] = _listed(values)
        elif len(shape) == 2 and len(inputs) == 1:
            _must_fit(shape[1], columns)
            flat = _listed(values)
            parsed |= {column: flat[index :: shape[1]] for index, column in enumerate(columns)}
        else:
            raise UnreadablePayloadError(f"input {str(name)[:80]!r} of shape {list(shape)} is not a column")
    return parsed


def _predictions(listed: list[Any]) -> Answers:
    if listed and all(isinstance(entry, list) and entry for entry in listed):
        matrix = [[_number(value) for value in entry] for entry in listed]
        best = [max(range(len(row)), key=row.__getitem__) for row in matrix]
        return Answers([str(index) for index in best], [row[index] for row, index in zip(matrix, best, strict=True)])
    return Answers([_value(entry) for entry in listed], [None] * len(listed))


def _outputs(outputs: Tensors) -> Answers:
    plain = {name: _listed(values) for name, (shape, values) in outputs.items() if math.prod(shape[1:]) == 1}
    wide = [
        np.asarray(values, np.float64).reshape(shape)
        for shape, values in outputs.values()
        if len(shape) == 2 and shape[1] > 1 and isinstance(values, np.ndarray)
    ]
    scores = wide[0].max(axis=1).tolist() if wide and wide[0].size else None
    if plain:
        answers = plain.get("predict") or next(iter(plain.values()))
        return Answers(answers, scores if scores is not None and len(scores) == len(answers) else [None] * len(answers))
    if scores is None:
        raise UnreadablePayloadError("no output says one thing for each row")
    return Answers([str(index) for index in wide[0].argmax(axis=1).tolist()], scores)


def _listed(values: Any) -> list[Value]:
    return [_value(value) for value in (values.tolist() if isinstance(values, np.ndarray) else values)]


def _input(value: Any) -> Value:
    """A truth value among what is asked is a number, as in a BOOL tensor and in a Dataset; among answers it is a class."""
    return float(value) if isinstance(value, bool) else _value(value)


def _value(value: Any) -> Value:
    if value is None or isinstance(value, str):
        return value if value is None else value[:MAX_TEXT_LENGTH]
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, (int, float)):
        number = _number(value)
        return None if math.isnan(number) else number
    raise UnreadablePayloadError("a value is neither a number nor a text")


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise UnreadablePayloadError("a probability is not a number")
    try:
        return float(value)
    except OverflowError:
        raise UnreadablePayloadError("a number is too large") from None
