"""KServe's Python server with a model of a few lines, as its documentation shows.

python kserve_sklearn.py PORT MODEL.joblib
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import joblib

PORT, MODEL = sys.argv[1:]
sys.argv[1:] = []

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer  # noqa: E402
from kserve.utils.utils import generate_uuid  # noqa: E402


class Served(Model):
    """The estimator."""

    def __init__(self) -> None:
        super().__init__("m")
        self._estimator = joblib.load(MODEL)
        self.ready = True

    def predict(self, payload: InferRequest, *_: Any, **__: Any) -> InferResponse:
        """Probabilities of the rows."""
        given = self._estimator.predict_proba(payload.inputs[0].as_numpy())
        output = InferOutput(
            name="predict_proba", shape=list(given.shape), datatype="FP64", data=given.ravel().tolist()
        )
        return InferResponse(response_id=payload.id or generate_uuid(), model_name="m", infer_outputs=[output])


if __name__ == "__main__":
    for name in ("kserve", "kserve.trace", "uvicorn", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.ERROR)
    ModelServer(http_port=int(PORT), enable_grpc=False, workers=1, enable_latency_logging=False).start([Served()])
