"""What most people write first: FastAPI, a pydantic model of the request, and scikit-learn."""

from __future__ import annotations

import sys
from typing import Any

import joblib
import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

model = joblib.load(sys.argv[2])
app = FastAPI()


class Tensor(BaseModel):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class Request(BaseModel):
    id: str | None = None
    inputs: list[Tensor]


@app.post("/v2/models/m/infer")
def infer(request: Request) -> dict[str, Any]:
    tensor = request.inputs[0]
    given = model.predict_proba(np.array(tensor.data).reshape(tensor.shape))
    return {
        "model_name": "m",
        "id": request.id,
        "outputs": [
            {"name": "predict", "datatype": "INT64", "shape": [len(given)], "data": given.argmax(axis=1).tolist()},
            {
                "name": "predict_proba",
                "datatype": "FP64",
                "shape": list(given.shape),
                "data": given.ravel().tolist(),
            },
        ],
    }


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), http="httptools", loop="uvloop", access_log=False, log_level="error")
