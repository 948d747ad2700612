"""The Open Inference Protocol's `infer`: a request's bytes to rows, answers to a response's bytes.

Everything about a version that does not change is spelled once, when the codec is made; a request parses with orjson,
and its response is those bytes joined with the few that are new.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import chain
from operator import itemgetter
from typing import Any, Final, NamedTuple

import numpy as np

from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.model.signature import Signature
from tidemill.runtime.protocol.column_template import ColumnTemplate
from tidemill.runtime.protocol.errors import bad, shown
from tidemill.runtime.protocol.fast_json import MIN_BYTES, FastJsonReader
from tidemill.runtime.protocol.features import NO_CATEGORIES, Features, Rows
from tidemill.runtime.protocol.infer_response import PREDICT, PROBABILITIES, ResponseWriter
from tidemill.runtime.protocol.request import Asked, client_id, parse, routing_key, row_keys
from tidemill.runtime.protocol.tensor_reader import TensorReader

MAX_TEMPLATE_MISSES: Final = 100
"""Templates that are made in a row without one that fits the next body."""
FLOATS: Final = frozenset({"FP64", "FP32", "FP16"})
TENSOR_NAME, TENSOR_SHAPE = itemgetter("name"), itemgetter("shape")
TENSOR_DATATYPE, TENSOR_DATA = itemgetter("datatype"), itemgetter("data")


class KnownColumns(NamedTuple):
    """A body with a tensor for each column that was read with care."""

    template: ColumnTemplate
    order: Callable[[Any], tuple[Any, ...]] | None
    """From the order of the tensors to that of the features, where they differ."""
    asked: Asked
    """The body's request; other bodies of the template ask the same of other rows."""


class Codec:
    """Reads requests and writes responses for one version of a model."""

    def __init__(self, model: str, version: str, signature: Signature, *, fast: bool = True) -> None:
        """Without `fast` every body is read in the one way that reads all of them."""
        self.features = Features(signature)
        self._reader = TensorReader(self.features)
        self._writer = ResponseWriter(model, version, signature)
        self.labels, self.classifies, self.datatype = (
            self._writer.labels,
            self._writer.classifies,
            self._writer.datatype,
        )
        self.names = (PREDICT, PROBABILITIES) if self.classifies and signature.gives_probabilities else (PREDICT,)
        self._row = struct.Struct(f"{self.features.count}d").pack
        self._fast = fast and self.features.numeric and self.features.count > 1
        self._bulk = FastJsonReader(self.features.count) if self._fast else None
        self._template: KnownColumns | None = None
        self._template_misses = 0
        self._one_each = [[1]] * self.features.count
        self._one_by_one_each = [[1, 1]] * self.features.count
        self._all_outputs = [{"name": name} for name in self.names]

    def read(self, body: bytes, header_length: int | None = None) -> Asked:
        """The rows of a request; with `header_length`, its JSON ends there and tensors' bytes follow."""
        raw = memoryview(b"")
        if header_length is None:
            known = self._known_columns(body)
            if known is not None:
                return known
            bulk = self._bulk.read(body) if self._bulk is not None and len(body) >= MIN_BYTES else None
            if bulk is not None:
                rows = Rows(bulk.matrix, NO_CATEGORIES, True)
                return self._asked(client_id(bulk.document), bulk.document, rows, positional=True)
            document = parse(body)
            plain = self._one_row(document.get("inputs"))
            if plain is not None:
                asked = self._asked(client_id(document), document, plain[0], positional=plain[1])
                if not asked.positional:
                    self._remember(body, document["inputs"], asked)
                return asked
        else:
            if not 0 < header_length <= len(body):
                raise bad(f"inference-header-content-length: must lie between 1 and the body's {len(body)} bytes")
            view = memoryview(body)
            document, raw = parse(view[:header_length]), view[header_length:]
        given_id = client_id(document)
        inputs = document.get("inputs")
        if not isinstance(inputs, list) or not inputs:
            raise bad(
                'inputs: must be a list of tensors, such as [{"name": "input", "shape": [1, 2], "datatype": "FP64", "data": [1, 2]}]'
            )
        rows, positional = self._reader.read(inputs, raw)
        return self._asked(given_id, document, rows, positional=positional)

    def _asked(self, given_id: str, document: dict[str, Any], rows: Rows, *, positional: bool) -> Asked:
        if "parameters" not in document and document.get("outputs") in (None, self._all_outputs):
            return Asked(given_id, rows, (), positional)
        outputs = self._outputs(document)
        parameters = document.get("parameters") or {}
        return Asked(
            given_id,
            rows,
            outputs,
            positional,
            row_keys(parameters.get("keys"), len(rows.matrix), "parameters.keys"),
            routing_key(parameters.get("routing_key"), "parameters.routing_key"),
        )

    def _known_columns(self, body: bytes) -> Asked | None:
        """Return what a body asks that differs from an earlier one in its numbers alone."""
        known = self._template
        if known is None or (numbers := known.template.numbers(body)) is None:
            return None
        try:
            packed = self._row(*(numbers if known.order is None else known.order(numbers)))
        except (struct.error, OverflowError, TypeError):
            return None
        self._template_misses = 0
        return known.asked._replace(rows=Rows(np.frombuffer(packed).reshape(1, -1), NO_CATEGORIES, True))

    def _remember(self, body: bytes, inputs: list[dict[str, Any]], asked: Asked) -> None:
        """Keep the body as a template, unless bodies are another each time, as with an id in them."""
        if self._template_misses >= MAX_TEMPLATE_MISSES:
            return
        self._template_misses += 1
        template = ColumnTemplate.of(body, len(inputs))
        if template is not None:
            index = {tensor["name"]: position for position, tensor in enumerate(inputs)}
            positions = [index[name] for name in self.features.names]
            order = None if positions == sorted(positions) else itemgetter(*positions)
            self._template = KnownColumns(template, order, asked)

    def _one_row(self, inputs: Any) -> tuple[Rows, bool] | None:
        """Return one row of numbers in one tensor, or in one for each feature, which is what most requests hold, and whether values
        came without names; None for all else, to be read with care."""
        count = self.features.count
        if type(inputs) is not list or not self._fast:
            return None
        try:
            if len(inputs) == 1:
                packed = self._one_tensor(inputs[0])
            elif len(inputs) == count:
                packed = self._one_tensor_each(inputs)
            else:
                return None
        except (struct.error, OverflowError, TypeError, KeyError):
            return None
        if packed is None:
            return None
        return Rows(np.frombuffer(packed).reshape(1, -1), NO_CATEGORIES, True), len(inputs) == 1

    def _one_tensor(self, tensor: Any) -> bytes | None:
        if type(tensor) is not dict or type(tensor["name"]) is not str or not _is_plain(tensor):
            return None
        shape, data = tensor["shape"], tensor["data"]
        if (
            shape != [1, self.features.count]
            or type(shape[0]) is not int
            or type(shape[1]) is not int
            or type(data) is not list
            or tensor["datatype"] not in FLOATS
        ):
            return None
        return self._row(*(data[0] if len(data) == 1 and type(data[0]) is list else data))

    def _one_tensor_each(self, inputs: list[Any]) -> bytes | None:
        """Return the row of tensors of one value each; whatever is looked at is looked at in all of them by one call."""
        names = tuple(map(TENSOR_NAME, inputs))
        shapes = list(map(TENSOR_SHAPE, inputs))
        data = list(map(TENSOR_DATA, inputs))
        if (
            (set(map(len, inputs)) != {4} and not all(map(_is_plain, inputs)))
            or shapes not in (self._one_each, self._one_by_one_each)
            or set(map(type, chain.from_iterable(shapes))) != {int}  # 1.0 and true are equal to 1
            or not FLOATS.issuperset(map(TENSOR_DATATYPE, inputs))
            or set(map(len, data)) != {1}
        ):
            return None
        values = list(chain.from_iterable(data))
        if type(values[0]) is list and len(shapes[0]) == 2:
            if set(map(len, values)) != {1}:
                return None
            values = list(chain.from_iterable(values))
        if names != self.features.names:
            by_name = dict(zip(names, values, strict=True))
            values = [by_name[name] for name in self.features.names]
        return self._row(*values)

    def _outputs(self, document: dict[str, Any]) -> tuple[tuple[str, bool], ...]:
        parameters = document.get("parameters")
        if parameters is not None and not isinstance(parameters, dict):
            raise bad("parameters: must be an object")
        as_bytes = bool(parameters and parameters.get("binary_data_output"))
        outputs = document.get("outputs")
        if outputs is not None and not isinstance(outputs, list):
            raise bad("outputs: must be a list")
        if not outputs:
            return tuple((name, True) for name in self.names) if as_bytes else ()
        chosen: dict[str, bool] = {}
        for index, output in enumerate(outputs):
            name = output.get("name") if isinstance(output, dict) else None
            if not isinstance(name, str) or name not in self.names:
                raise bad(f"outputs[{index}].name: must be one of {', '.join(self.names)}, not {shown(name)}")
            own = output.get("parameters")
            if isinstance(own, dict) and own.get("classification"):
                raise bad(
                    f"outputs[{index}].parameters.classification: this extension is not supported; leave it out and read {PROBABILITIES}"
                )
            chosen[name] = bool(own["binary_data"]) if isinstance(own, dict) and "binary_data" in own else as_bytes
        return tuple(chosen.items())

    def completed(self, asked: Asked) -> Asked:
        """Return what a stable pod asks to know the whole answer: outputs that its client does not want come last, as JSON."""
        if not asked.outputs:
            return asked
        wanted = {name for name, _ in asked.outputs}
        more = tuple((name, False) for name in self.names if name not in wanted)
        return asked._replace(outputs=asked.outputs + more)

    def write(self, asked: Asked, answer: Answer, request_id: str) -> tuple[bytes, int | None]:
        """Return the response's bytes, and where its JSON ends if tensors' bytes follow."""
        return self._writer.write(asked, answer, request_id)

    def predictions_json(self, answer: Answer) -> bytes:
        """Return the predictions as a JSON list."""
        return self._writer.predictions_json(answer)


def _is_plain(tensor: dict[str, Any]) -> bool:
    """Return whether a tensor's parameters, if there are any, say nothing of bytes."""
    parameters = tensor.get("parameters")
    return parameters is None or (type(parameters) is dict and "binary_data_size" not in parameters)
