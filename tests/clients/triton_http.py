"""What NVIDIA's client for Triton gets from a server: `python triton_http.py HOST:PORT MODEL VERSION`; prints JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

url, model, version = sys.argv[1:]
client = triton.InferenceServerClient(url)
rows = np.array([[2.0, 1.0], [-2.0, 1.0]])
body: dict[str, Any] = {
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "model ready": client.is_model_ready(model),
    "version ready": client.is_model_ready(model, version),
    "other version ready": client.is_model_ready(model, "another"),
    "server": client.get_server_metadata(),
    "metadata": client.get_model_metadata(model, version),
}


def infer(name: str, inputs: list[Any], outputs: list[Any] | None = None, **more: Any) -> None:
    try:
        result = client.infer(model, inputs, outputs=outputs, **more)
    except InferenceServerException as error:
        body[name] = {"status": error.status(), "error": error.message()}
        return
    response = result.get_response()
    names = [output["name"] for output in response["outputs"]]
    body[name] = {
        "id": response["id"],
        "version": response["model_version"],
        **{name: listed(result.as_numpy(name)) for name in names},
    }


def listed(values: Any) -> Any:
    return [word.decode() if isinstance(word, bytes) else word for word in values.tolist()]


def tensor(values: Any, datatype: str, name: str = "input", *, binary: bool) -> Any:
    given = triton.InferInput(name, list(values.shape), datatype)
    given.set_data_from_numpy(values, binary_data=binary)
    return given


def columns(size: Any, city: list[str], *, binary: bool) -> list[Any]:
    words = np.array([word.encode() for word in city], dtype=np.object_)
    return [tensor(size, "FP64", "size", binary=binary), tensor(words, "BYTES", "city", binary=binary)]


if "city" in body["metadata"]["parameters"]["features"]:
    for binary in (True, False):
        infer(
            f"words, {'binary' if binary else 'json'}",
            columns(np.array([2.0, -2.0]), ["Ulm", "Bonn"], binary=binary),
            [triton.InferRequestedOutput("predict", binary_data=binary)],
        )
else:
    for datatype, kind in (
        ("FP64", np.float64), ("FP32", np.float32), ("FP16", np.float16), ("INT8", np.int8), ("INT16", np.int16),
        ("INT32", np.int32), ("INT64", np.int64),
    ):  # fmt: skip
        for binary in (True, False):
            if datatype == "FP16" and not binary:
                continue  # the client itself sends FP16 as bytes only
            infer(f"{datatype}, {'binary' if binary else 'json'}", [tensor(rows.astype(kind), datatype, binary=binary)])
    for datatype, kind in (
        ("UINT8", np.uint8),
        ("UINT16", np.uint16),
        ("UINT32", np.uint32),
        ("UINT64", np.uint64),
        ("BOOL", np.bool_),
    ):
        for binary in (True, False):
            infer(
                f"{datatype}, {'binary' if binary else 'json'}",
                [tensor(np.abs(rows).astype(kind), datatype, binary=binary)],
            )
    row = [tensor(rows, "FP64", binary=True)]
    infer(
        "one output as bytes", row, [triton.InferRequestedOutput("predict_proba", binary_data=True)], request_id="r-1"
    )
    infer("one output as JSON", row, [triton.InferRequestedOutput("predict", binary_data=False)], model_version=version)
    infer("unknown output", row, [triton.InferRequestedOutput("nothing")])
    infer("unknown version", row, model_version="another")
    infer("wrong shape", [tensor(np.ones((1, 3)), "FP64", binary=False)])
    many = np.tile(rows, (2_000, 1))
    for coding in ("gzip", "deflate"):
        infer(
            f"compressed with {coding}",
            [tensor(many.astype(np.float32), "FP32", binary=True)],
            request_compression_algorithm=coding,
            response_compression_algorithm="gzip",
        )
    for name in ("compressed with gzip", "compressed with deflate"):
        body[name] = {key: value[:2] if isinstance(value, list) else value for key, value in body[name].items()}
print(json.dumps(body))
