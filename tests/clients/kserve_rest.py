"""What KServe's inference client gets from a server: `python kserve_rest.py URL MODEL VERSION`; prints JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

url, model, version = sys.argv[1:]
rows = np.array([[2.0, 1.0], [-2.0, 1.0]])


async def main() -> dict[str, Any]:
    client = InferenceRESTClient(config=RESTConfig(protocol="v2", retries=1))
    body: dict[str, Any] = {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "model ready": await client.is_model_ready(url, model),
    }
    for binary in (False, True):
        for datatype in ("FP64", "FP32", "INT64"):
            given = InferInput("input", list(rows.shape), datatype)
            kind = {"FP64": np.float64, "FP32": np.float32, "INT64": np.int64}[datatype]
            given.set_data_from_numpy(rows.astype(kind), binary_data=binary)
            outputs = [
                RequestedOutput("predict", {"binary_data": binary}),
                RequestedOutput("predict_proba", {"binary_data": binary}),
            ]
            request = InferRequest(model, [given], request_id="r-1", request_outputs=outputs)
            answer = await client.infer(url, request, model_name=model)
            body[f"{datatype}, {'binary' if binary else 'json'}"] = {
                "id": answer.id,
                "model": answer.model_name,
                **{output.name: output.as_numpy().tolist() for output in answer.outputs},
            }
    await client.close()
    return body


print(json.dumps(asyncio.run(main())))
