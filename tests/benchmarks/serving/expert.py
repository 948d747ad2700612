"""The peer to beat: what a good engineer writes in an afternoon with Starlette, orjson and ONNX Runtime. No log, no metrics."""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[2], options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name


async def infer(request: Request) -> Response:
    document = orjson.loads(await request.body())
    tensor = document["inputs"][0]
    matrix = np.array(tensor["data"], dtype=np.float32).reshape(tensor["shape"])
    labels, probabilities = session.run(None, {name: matrix})
    return Response(
        orjson.dumps(
            {
                "model_name": "m",
                "model_version": "1",
                "id": document.get("id"),
                "outputs": [
                    {"name": "predict", "datatype": "INT64", "shape": [len(labels)], "data": labels},
                    {
                        "name": "predict_proba",
                        "datatype": "FP32",
                        "shape": probabilities.shape,
                        "data": probabilities.ravel(),
                    },
                ],
            },
            option=orjson.OPT_SERIALIZE_NUMPY,
        ),
        media_type="application/json",
    )


app = Starlette(routes=[Route("/v2/models/m/infer", infer, methods=["POST"])])

if __name__ == "__main__":
    uvicorn.run(
        app, port=int(sys.argv[1]), http="httptools", loop="uvloop", access_log=False, lifespan="off", log_level="error"
    )
