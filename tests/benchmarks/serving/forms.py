"""The forms in which clients send one row of numbers, for the benchmarks: what tritonclient, kserve, curl and scripts write."""

from __future__ import annotations

import json
from typing import Any

import numpy as np


def bodies(row: np.ndarray, names: list[str]) -> dict[str, tuple[str, bytes]]:
    """Return by name the path's last part and the body of a request for one row."""
    values = [float(value) for value in row]

    def tensor(datatype: str, data: list[Any], **more: Any) -> dict[str, Any]:
        return {"name": "input", "shape": [1, len(values)], "datatype": datatype, "data": data, **more}

    def infer(*inputs: dict[str, Any], **more: Any) -> tuple[str, bytes]:
        return "infer", json.dumps({"inputs": list(inputs), **more}).encode()

    outputs = [{"name": "predict"}, {"name": "predict_proba"}]
    columns = [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
        for name, value in zip(names, values, strict=True)
    ]
    return {
        "FP32": infer(tensor("FP32", values)),
        "FP64": infer(tensor("FP64", values)),
        "nested": infer(tensor("FP64", [values])),
        "id, outputs": infer(tensor("FP64", values), id="4f2c9a", outputs=outputs),
        "parameters": infer(
            tensor("FP64", values, parameters={"binary_data": False}), id="4f2c9a", outputs=outputs, parameters={}
        ),
        "columns": infer(*columns),
        "columns [1, 1]": infer(*[{**column, "shape": [1, 1]} for column in columns], id="4f2c9a", outputs=outputs),
        "predict": ("predict", json.dumps({"rows": [dict(zip(names, values, strict=True))]}).encode()),
    }
