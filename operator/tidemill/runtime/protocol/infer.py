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
import orjson

from tidemill.runtime.model.labels import ClassLabels
from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.model.signature import Signature
from tidemill.runtime.protocol import tensors
from tidemill.runtime.protocol.categories import Elements
from tidemill.runtime.protocol.column_template import ColumnTemplate
from tidemill.runtime.protocol.errors import bad, shown
from tidemill.runtime.protocol.fast_json import MIN_BYTES, FastJsonReader
from tidemill.runtime.protocol.features import NO_CATEGORIES, Features, Rows, must_be_finite

PREDICT: Final = "predict"
PROBABILITIES: Final = "predict_proba"
NUMPY: Final = orjson.OPT_SERIALIZE_NUMPY
MAX_TEMPLATE_MISSES: Final = 100
"""Templates that are made in a row without one that fits the next body."""
MAX_ID_LENGTH: Final = 128
FLOATS: Final = frozenset({"FP64", "FP32", "FP16"})
TENSOR_NAME, TENSOR_SHAPE = itemgetter("name"), itemgetter("shape")
TENSOR_DATATYPE, TENSOR_DATA = itemgetter("datatype"), itemgetter("data")


class Asked(NamedTuple):
    """An inference request that was understood."""

    id: str
    """The client's own, or empty."""
    rows: Rows
    outputs: tuple[tuple[str, bool], ...] = ()
    """Names of the outputs asked for and whether as bytes; empty for all of them as JSON."""
    positional: bool = False
    """Whether values came in the order of the signature, without their features' names."""
    keys: tuple[str, ...] = ()
    """The client's own name for each row, by which a label may come later; empty where rows go by the request and their place."""
    routing_key: str = ""
    """Requests with the same one go to the same version; empty where it does not matter."""


def parse(body: bytes | memoryview) -> dict[str, Any]:
    """A body's JSON object; depth is bounded by the parser."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad(f"body: is not JSON: {error}") from None
    if type(document) is not dict:
        raise bad("body: must be a JSON object")
    return document


def client_id(document: dict[str, Any]) -> str:
    """The `id` a client gave its request, or nothing."""
    given = document.get("id")
    if given is None or given == "":
        return ""
    if not isinstance(given, str):
        raise bad(f"id: must be a string, not {shown(given)}")
    return checked_id(given, "id")


def is_valid_id(given: str) -> bool:
    """Return whether an id may stand in a header and in the log."""
    return len(given) <= MAX_ID_LENGTH and given.isascii() and given.isprintable()


def checked_id(given: str, where: str) -> str:
    """Return a valid id; raise HTTPError for another."""
    if not is_valid_id(given):
        raise bad(f"{where}: must be at most {MAX_ID_LENGTH} printable ASCII characters")
    return given


def row_keys(given: Any, rows: int, where: str) -> tuple[str, ...]:
    """The keys a client gave its rows."""
    if given is None:
        return ()
    if not isinstance(given, list) or len(given) != rows:
        raise bad(f"{where}: must be a list of {rows} keys, one for each row, not {shown(given)}")
    for index, key in enumerate(given):
        if not isinstance(key, str) or not key:
            raise bad(f"{where}[{index}]: must be a string, not {shown(key)}")
    return tuple(checked_id(key, f"{where}[{index}]") for index, key in enumerate(given))


def routing_key(given: Any, where: str) -> str:
    """Return the key by which a client keeps its requests together; empty where there is none."""
    if given is None:
        return ""
    if not isinstance(given, str):
        raise bad(f"{where}: must be a string, not {shown(given)}")
    return checked_id(given, where)


Tensors = dict[str, tuple[tuple[int, ...], tensors.Numbers | Elements]]
"""By name, the shape and the elements."""


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
        self.labels = ClassLabels(signature.classes)
        self.classifies = signature.task == "Classification"
        self.names = (PREDICT, PROBABILITIES) if self.classifies and signature.gives_probabilities else (PREDICT,)
        self.datatype, self._elements = _class_type(signature)
        self._class_json = [orjson.dumps(value) for value in signature.classes]
        self._head = b'{"model_name":%b,"model_version":%b,"id":' % (orjson.dumps(model), orjson.dumps(version))
        self._predict = b'"outputs":[{"name":"predict","datatype":"%b","shape":[' % self.datatype.encode()
        self._row = struct.Struct(f"{self.features.count}d").pack
        self._fast = fast and self.features.numeric and self.features.count > 1
        self._bulk = FastJsonReader(self.features.count) if self._fast else None
        self._template: KnownColumns | None = None
        self._template_misses = 0
        self._one_each = [[1]] * self.features.count
        self._one_by_one_each = [[1, 1]] * self.features.count
        self._all_outputs = [{"name": name} for name in self.names]
        self._one = [self._predict + b'1],"data":[%b]}' % value for value in self._class_json]

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
        rows, positional = self._rows(inputs, raw)
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

    def _rows(self, inputs: list[Any], raw: memoryview) -> tuple[Rows, bool]:
        parsed: Tensors = {}
        offset = 0
        for index, tensor in enumerate(inputs):
            where = f"inputs[{index}]"
            if type(tensor) is not dict:
                raise bad(f"{where}: must be an object")
            name = tensor.get("name")
            if not isinstance(name, str):
                raise bad(f"{where}.name: must be a string, not {shown(name)}")
            if name in parsed:
                raise bad(f"{where}.name: duplicate name {shown(name)}")
            parameters = tensor.get("parameters")
            size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
            typed = name in self.features.typed and (len(inputs) > 1 or not self.features.numeric)
            if size is None:
                parsed[name] = (tensors.elements_from_json if typed else tensors.from_json)(tensor, where)
                continue
            if type(size) is not int or size < 0 or offset + size > len(raw):
                raise bad(
                    f"{where}.parameters.binary_data_size: must be at most the {len(raw) - offset} bytes that follow, not {shown(size)}"
                )
            shape, given = tensors.from_bytes(tensor, raw[offset : offset + size], where)
            if not isinstance(given, Elements):
                given = tensors.elements_of(given, tensor["datatype"]) if typed else tensors.as_floats(given)
            parsed[name] = shape, given
            offset += size
        if offset != len(raw):
            raise bad(f"body: {len(raw) - offset} bytes belong to no tensor")
        protected = self._protected(parsed)
        whole = self._whole(parsed)
        rows = self._columns(parsed) if whole is None else self._matrix(*parsed[whole])
        if raw:
            must_be_finite(rows.matrix, self.features.names)
        if protected:
            for column, values in protected.items():
                if len(values) != len(rows.matrix):
                    raise bad(f"inputs.{column}.shape: has {len(values)} rows, where there are {len(rows.matrix)}")
            rows = Rows(rows.matrix, rows.categories | self.features.protected_categories(protected))
        return rows, whole is not None

    def _whole(self, parsed: Tensors) -> str | None:
        """Return the name of the tensor that holds all features in the model's order; None where each has one of its own.

        It is the only one, or the only one as wide as that among others that this version does not know: columns that are sent
        ahead, or that another version protects.
        """
        count, index = self.features.count, self.features.index
        if len(parsed) == 1:
            (name,) = parsed
            return name if count > 1 or name not in index else None
        if not self.features.numeric or not parsed.keys().isdisjoint(index):
            return None
        wide = [
            name
            for name, (shape, values) in parsed.items()
            if len(shape) == 2 and shape[1] == count and not isinstance(values, list)
        ]
        return wide[0] if len(wide) == 1 else None

    def _protected(self, parsed: Tensors) -> dict[str, list[Any]]:
        """Protected columns, taken from the tensors; one tensor alone is the model's, whatever its name."""
        names = [column.name for column in self.features.protected if column.name in parsed]
        if not names or len(parsed) == 1:
            return {}
        return {
            name: values if isinstance(values, list) else _as_listed(values)
            for name, (_, values) in ((name, parsed.pop(name)) for name in names)
        }

    def _matrix(self, shape: tuple[int, ...], values: tensors.Numbers | Elements) -> Rows:
        count = self.features.count
        if not self.features.numeric:
            raise bad(f"inputs: this model takes categories; send one tensor per feature: {self._wanted()}")
        if isinstance(values, list):
            raise bad("inputs[0].datatype: must be numeric, since all features of this model are numbers")
        if len(shape) != 2 or shape[1] != count:
            raise bad(
                f"inputs[0].shape: must be [rows, {count}], one column per feature in the model's order, not {list(shape)}"
            )
        if shape[0] == 0:
            raise bad("inputs[0].shape: at least one row is required")
        return Rows(values.reshape(shape), NO_CATEGORIES)

    def _columns(self, parsed: Tensors) -> Rows:
        features = self.features
        missing = [name for name in features.names if name not in parsed]
        if missing:
            raise bad(f"inputs: no tensor for {', '.join(missing[:5])}; this model takes {self._wanted()}")
        columns: list[Any] = []
        rows = -1
        for name in features.names:
            shape, values = parsed[name]
            if len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
                raise bad(f"inputs.{name}.shape: must be [rows] or [rows, 1], not {list(shape)}")
            if rows not in (-1, len(values)):
                raise bad(f"inputs.{name}.shape: has {len(values)} rows, where {features.names[0]} has {rows}")
            rows = len(values)
            columns.append(values)
        if rows == 0:
            raise bad("inputs: at least one row is required")
        if features.numeric and not any(isinstance(values, list) for values in columns):
            return Rows(np.stack(columns, axis=1), NO_CATEGORIES)
        listed = [values if isinstance(values, list) else _as_listed(values) for values in columns]
        return features.from_columns(listed, lambda column, row: f"inputs.{features.names[column]}.data[{row}]")

    def _wanted(self) -> str:
        names = self.features.names
        return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")

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
        """The response's bytes, and where its JSON ends if tensors' bytes follow."""
        if asked.outputs:
            return self._write_chosen(asked.outputs, answer, request_id)
        values, probabilities = answer.values, answer.probabilities
        head = self._head + orjson.dumps(request_id) + b","
        if self.classifies and len(values) == 1:
            predicted = self._one[values[0]]
        else:
            predicted = b'%b%d],"data":%b}' % (self._predict, len(values), self.predictions_json(answer))
        if probabilities is None:
            return head + predicted + b"]}", None
        kind = b"FP32" if probabilities.dtype == np.float32 else b"FP64"
        return (
            b'%b%b,{"name":"predict_proba","datatype":"%b","shape":[%d,%d],"data":%b}]}'
            % (head, predicted, kind, *probabilities.shape, orjson.dumps(probabilities.ravel(), option=NUMPY)),
            None,
        )

    def predictions_json(self, answer: Answer) -> bytes:
        if not self.classifies:
            return orjson.dumps(answer.values, option=NUMPY)
        return b"[" + b",".join([self._class_json[index] for index in answer.values.tolist()]) + b"]"

    def _write_chosen(
        self, outputs: tuple[tuple[str, bool], ...], answer: Answer, request_id: str
    ) -> tuple[bytes, int | None]:
        described, parts = [], []
        for name, as_bytes in outputs:
            if name == PROBABILITIES:
                values = answer.probabilities
                if values is None:
                    raise bad(f"outputs: this model gives no {PROBABILITIES}")
                kind = "FP32" if values.dtype == np.float32 else "FP64"
                shape = b"%d,%d" % values.shape
            else:
                values = None
                kind, shape = self.datatype, b"%d" % len(answer.values)
            start = b'{"name":"%b","datatype":"%b","shape":[%b],' % (name.encode(), kind.encode(), shape)
            if as_bytes:
                raw = self._predictions_bytes(answer) if values is None else values.tobytes()
                parts.append(raw)
                described.append(b'%b"parameters":{"binary_data_size":%d}}' % (start, len(raw)))
            else:
                json = self.predictions_json(answer) if values is None else orjson.dumps(values.ravel(), option=NUMPY)
                described.append(b'%b"data":%b}' % (start, json))
        head = self._head + orjson.dumps(request_id) + b',"outputs":[' + b",".join(described) + b"]}"
        return head + b"".join(parts), len(head) if parts else None

    def _predictions_bytes(self, answer: Answer) -> bytes:
        if not self.classifies:
            return np.ascontiguousarray(answer.values, np.float64).tobytes()
        if self._elements is None:
            return tensors.to_length_prefixed(str(self.labels.classes[index]) for index in answer.values.tolist())
        raw: bytes = self._elements[answer.values].tobytes()
        return raw


def _is_plain(tensor: dict[str, Any]) -> bool:
    """Return whether a tensor's parameters, if there are any, say nothing of bytes."""
    parameters = tensor.get("parameters")
    return parameters is None or (type(parameters) is dict and "binary_data_size" not in parameters)


def _as_listed(values: tensors.Numbers) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]


def _class_type(signature: Signature) -> tuple[str, Any]:
    """The protocol's datatype of the classes, and the classes as an array of it (None for strings)."""
    if signature.task == "Regression":
        return "FP64", None
    classes = signature.classes
    if all(isinstance(value, bool) for value in classes):
        return "BOOL", np.array(classes, np.bool_)
    if all(isinstance(value, int) and not isinstance(value, bool) for value in classes):
        return "INT64", np.array(classes, np.int64)
    if all(isinstance(value, (int, float)) for value in classes):
        return "FP64", np.array(classes, np.float64)
    return "BYTES", None
