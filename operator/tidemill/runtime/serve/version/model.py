"""The version in service: what it is called, what answers, and everything about it that is spelled once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson

import tidemill
from tidemill.runtime.log.records import Author
from tidemill.runtime.model.labels import ClassLabels
from tidemill.runtime.model.predictor import Predictor
from tidemill.runtime.protocol.feedback import Expected
from tidemill.runtime.protocol.infer import Codec
from tidemill.runtime.protocol.infer_response import PREDICT, PROBABILITIES
from tidemill.runtime.protocol.predict import RowCodec
from tidemill.runtime.serve.version.batching import RequestBatcher
from tidemill.runtime.serve.version.open_files import OpenFiles

EXTENSIONS: Final = ("binary_tensor_data", "tidemill_predict", "tidemill_feedback", "tidemill_explain")


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of the version that this process serves, and its role."""

    namespace: str
    service: str
    model: str
    version: str
    digest: str
    role: str
    """Stable or Candidate."""


class ServedModel:
    """A loaded version, ready to be asked."""

    def __init__(
        self, identity: Identity, predictor: Predictor, files: OpenFiles | None = None, *, fast: bool = True
    ) -> None:
        """`files` are those that the predictor was loaded from, for explanations; without `fast` requests are read in one way only."""
        signature = predictor.signature
        self.identity = identity
        self.predictor = predictor
        self.files = files
        self.signature = signature
        self.codec = Codec(identity.model, identity.version, signature, fast=fast)
        self.row_codec = RowCodec(self.codec, identity.model, identity.version)
        self.labels: ClassLabels | None = self.codec.labels if signature.task == "Classification" else None
        self.expected_labels = Expected.of(signature)
        self.author = Author(identity.version, identity.digest, identity.role, self.labels)
        self.features_digest = hashlib.sha256("\n".join(self.codec.features.names).encode()).hexdigest()[:16]
        """Names the features and their order, for values that come without names."""
        self.batcher: RequestBatcher | None = None
        """Answers requests that wait together; None where each is answered alone."""
        self.metadata = orjson.dumps(self._metadata())

    def batch(self, max_rows: int) -> None:
        """Ask for waiting requests together from now on, where that pays and changes no answer."""
        batchable = max_rows > 1 and self.predictor.batchable
        self.batcher = RequestBatcher(self.predictor, max_rows) if batchable else None

    def _metadata(self) -> dict[str, Any]:
        features, codec = self.signature.features, self.codec
        if codec.features.numeric:
            inputs = [{"name": "input", "datatype": "FP64", "shape": [-1, len(features)]}]
        else:
            inputs = [
                {"name": feature.name, "datatype": "FP64" if feature.type == "Numerical" else "BYTES", "shape": [-1]}
                for feature in features
            ]
        outputs: list[dict[str, Any]] = [{"name": PREDICT, "datatype": codec.datatype, "shape": [-1]}]
        if codec.classifies and self.signature.gives_probabilities:
            given = self.predictor.predict(np.zeros((1, len(features)))).probabilities
            kind = "FP32" if given is not None and given.dtype == np.float32 else "FP64"
            outputs.append({"name": PROBABILITIES, "datatype": kind, "shape": [-1, len(self.signature.classes)]})
        return {
            "name": self.identity.model,
            "versions": [self.identity.version],
            "platform": "onnx_onnxv1" if self.predictor.compiled else "sklearn",
            "inputs": inputs,
            "outputs": outputs,
            "parameters": {
                "digest": self.identity.digest,
                "task": self.signature.task,
                "target": self.signature.target,
                "features": [feature.name for feature in features],
                "classes": list(self.signature.classes),
                "note": self.predictor.note,
            },
        }


def server_metadata() -> bytes:
    """Return the body of `GET /v2`."""
    return orjson.dumps({"name": "tidemill", "version": tidemill.__version__, "extensions": EXTENSIONS})
