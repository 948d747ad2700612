"""The response to an inference request: JSON, with tensors as bytes behind it where they were asked for so.

Everything about a version that does not change is spelled once, when the writer is made.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import orjson

from tidemill.runtime.model.labels import ClassLabels
from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.model.signature import Signature
from tidemill.runtime.protocol import tensors
from tidemill.runtime.protocol.errors import bad
from tidemill.runtime.protocol.request import Asked

PREDICT: Final = "predict"
PROBABILITIES: Final = "predict_proba"
NUMPY: Final = orjson.OPT_SERIALIZE_NUMPY


class ResponseWriter:
    """Writes responses of one version of a model."""

    def __init__(self, model: str, version: str, signature: Signature) -> None:
        self.labels = ClassLabels(signature.classes)
        self.classifies = signature.task == "Classification"
        self.datatype, self._elements = _class_type(signature)
        self._class_json = [orjson.dumps(value) for value in signature.classes]
        self._head = b'{"model_name":%b,"model_version":%b,"id":' % (orjson.dumps(model), orjson.dumps(version))
        self._predict = b'"outputs":[{"name":"predict","datatype":"%b","shape":[' % self.datatype.encode()
        self._single_class = [self._predict + b'1],"data":[%b]}' % value for value in self._class_json]

    def write(self, asked: Asked, answer: Answer, request_id: str) -> tuple[bytes, int | None]:
        """The response's bytes, and where its JSON ends if tensors' bytes follow."""
        if asked.outputs:
            return self._write_chosen(asked.outputs, answer, request_id)
        values, probabilities = answer.values, answer.probabilities
        head = self._head + orjson.dumps(request_id) + b","
        if self.classifies and len(values) == 1:
            predicted = self._single_class[values[0]]
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
