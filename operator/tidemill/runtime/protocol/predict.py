"""Tidemill's own `predict`: rows as objects that name each feature, and answers with a probability per class."""

from __future__ import annotations

from typing import Any, Final

import orjson

from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.protocol.errors import bad, shown
from tidemill.runtime.protocol.features import Rows
from tidemill.runtime.protocol.infer import Codec
from tidemill.runtime.protocol.infer_response import NUMPY
from tidemill.runtime.protocol.request import Asked, client_id, parse, routing_key, row_keys

EXAMPLE: Final = '{"rows": [{"mean_radius": 14.2}]}'


class RowCodec:
    """Reads rows and writes predictions for one version of a model."""

    def __init__(self, codec: Codec, model: str, version: str) -> None:
        self._codec = codec
        self._head = b'{"model_name":%b,"model_version":%b,"id":' % (orjson.dumps(model), orjson.dumps(version))
        self._classes = b',"classes":[%b]' % b",".join(orjson.dumps(value) for value in codec.labels.classes)

    def read(self, body: bytes, header_length: int | None = None) -> Asked:
        """The rows of a request."""
        if header_length is not None:
            raise bad("inference-header-content-length: rows are JSON; send tensors' bytes to infer")
        document = parse(body)
        rows = self.listed(document)
        keys = row_keys(document.get("keys"), len(rows.matrix), "keys")
        return Asked(
            client_id(document), rows, keys=keys, routing_key=routing_key(document.get("routing_key"), "routing_key")
        )

    def listed(self, document: dict[str, Any]) -> Rows:
        """The rows of a parsed request."""
        rows = document.get("rows")
        if not isinstance(rows, list) or not rows:
            raise bad(f"rows: must be a list of at least one object, such as {EXAMPLE}, not {shown(rows)}")
        return self._codec.features.from_rows(rows)

    def write(self, asked: Asked, answer: Answer, request_id: str) -> tuple[bytes, int | None]:
        """The response: one prediction per row, and where the model gives them one list of probabilities per row."""
        parts = [self._head, orjson.dumps(request_id), b',"predictions":', self._codec.predictions_json(answer)]
        if answer.probabilities is not None:
            parts += [self._classes, b',"probabilities":', orjson.dumps(answer.probabilities, option=NUMPY)]
        parts.append(b"}")
        return b"".join(parts), None
