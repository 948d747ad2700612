"""Large JSON bodies whose one tensor holds nothing but numbers, read into an array without a Python object for each.

orjson makes an object of each number; of some thousand that takes longer than a small model's answer, and pushes the model out of
the processor's cache. simdjson copies them out of what it parsed. Whatever is not plain is left to the reader of everything,
which also says what is wrong with it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

MIN_BYTES: Final = 4 * 1024
"""Smaller bodies are read as quickly by orjson, and need not be shown."""
MAX_BYTES: Final = 512 * 1024
"""The parser keeps some twenty times the longest body so far as memory."""
FLOATS: Final = frozenset({"FP64", "FP32", "FP16"})
TENSOR: Final = ["data", "datatype", "name", "shape"]
SHAPE: Final = b'"shape"'
BRACKETS: Final = 3
"""Those of `inputs`, `shape` and `data`, which is not nested."""


class NumericBody(NamedTuple):
    """The content of such a body."""

    document: dict[str, Any]
    """All of it but its inputs."""
    matrix: NDArray[np.float64]


class FastJsonReader:
    """Reads bodies for a model of so many features; in one thread at a time."""

    def __init__(self, features: int) -> None:
        self._features = features

    @cached_property
    def _parser(self) -> Any:
        from simdjson import Parser

        return Parser(max_capacity=MAX_BYTES)

    def read(self, body: bytes) -> NumericBody | None:
        """Return the rows of a plain body; None where it is another kind of body, or wrong."""
        # Escapes, a byte order mark and white space in front are things that parsers see differently.
        if len(body) > MAX_BYTES or body[:1] != b"{" or b"\\" in body:
            return None
        # A tensor for each column is read as quickly without.
        if body.find(SHAPE, body.find(SHAPE) + 1) >= 0:
            return None
        try:
            return self._parsed(body)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, OverflowError):
            return None

    def _parsed(self, body: bytes) -> NumericBody | None:
        root = self._parser.parse(body)
        names = list(root.keys())
        inputs = root["inputs"]
        if len(inputs) != 1 or len(set(names)) != len(names):
            return None
        tensor = inputs[0]
        if sorted(tensor.keys()) != TENSOR or tensor["datatype"] not in FLOATS or type(tensor["name"]) is not str:
            return None
        shape, data = tensor["shape"].as_list(), tensor["data"]
        rows, columns = shape
        if type(rows) is not int or rows < 1 or type(columns) is not int or columns != self._features:
            return None
        rest = {name: _plain(root[name]) for name in names if name != "inputs"}
        brackets = BRACKETS + orjson.dumps(rest).count(b"[") + tensor["name"].count("[")
        if type(data[0]) is type(data):
            # Rows of their own: as many as there should be, each as long as it should be, and nothing below them.
            if len(data) != rows or {len(row) for row in data} != {columns}:
                return None
            brackets += rows
        # numpy counts four times as quickly as `bytes` does.
        if np.count_nonzero(np.frombuffer(body, np.uint8) == ord("[")) != brackets:
            return None
        values = np.frombuffer(data.as_buffer(of_type="d"))
        return NumericBody(rest, values.reshape(rows, columns))


def _plain(value: Any) -> Any:
    """A part of the document as Python knows it."""
    return orjson.loads(value.mini) if hasattr(value, "mini") else value
