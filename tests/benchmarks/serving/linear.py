"""A model for the comparison where none is given: logistic regression, written down as ONNX with weights by chance."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tidemill.runtime.predictor import Answer, Golden
from tidemill.runtime.signature import Feature, Signature


def write(folder: Path, *, features: int, seed: int) -> Path:
    """The model in a new folder, as `tidemill serve` takes it."""
    chance = np.random.default_rng(seed)
    weights = chance.normal(size=(features, 2)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["rows", "weights"], ["scores"]),
            helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
            helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
        ],
        "linear",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, features])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
        ],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    rows = chance.normal(size=(8, features))
    scores = rows @ weights
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    signature = Signature(
        task="Classification",
        features=tuple(Feature(name=f"f{place}", type="Numerical") for place in range(features)),
        target="target",
        classes=(0, 1),
    )
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    (folder / "signature.json").write_text(json.dumps(signature.to_wire()))
    golden = Golden(rows, Answer(scores.argmax(axis=1), powers / powers.sum(axis=1, keepdims=True)))
    (folder / "golden.json").write_bytes(golden.to_json())
    return folder
