"""An ONNX graph with the same answers, spelled so that ONNX Runtime gives them sooner."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from tidemill.runtime.answer import Matrix
from tidemill.runtime.train.branches import turned

FLOAT: Final = 1
"""TensorProto.FLOAT"""


def quickened(model: Any, rows: Matrix, *, takes_missing: bool) -> Any:
    """A graph like `model`, an onnx.ModelProto, which is asked for rows like `rows`: the same bits, sooner.

    `takes_missing` says whether it is also asked for rows in which values are missing, as NaN.
    """
    from onnx import ModelProto

    quick = ModelProto()
    quick.CopyFrom(model)
    floats = _floats(model)
    nodes: list[Any] = []
    for node in model.graph.node:
        if node.op_type == "Scaler" and node.input[0] in floats:
            nodes += _scaled(node, quick.graph)
        elif not takes_missing and node.input[0] == model.graph.input[0].name and node.input[0] in floats:
            nodes += _turned(node, rows)
        else:
            nodes.append(node)
    del quick.graph.node[:]
    quick.graph.node.extend(nodes)
    return quick


def _scaled(node: Any, graph: Any) -> list[Any]:
    """A Scaler as a subtraction and a multiplication: ONNX Runtime scales one number at a time, and does these many at once."""
    from onnx import helper, numpy_helper

    given, out = node.input[0], node.output[0]
    for attribute in node.attribute:
        values = np.asarray(helper.get_attribute_value(attribute), np.float32)
        graph.initializer.append(numpy_helper.from_array(values, f"{out}_{attribute.name}"))
    return [
        helper.make_node("Sub", [given, f"{out}_offset"], [f"{out}_centered"]),
        helper.make_node("Mul", [f"{out}_centered", f"{out}_scale"], [out]),
    ]


def _turned(node: Any, rows: Matrix) -> list[Any]:
    """An ensemble of trees that is asked for the features and their negatives, where that pays."""
    from onnx import helper

    found = turned(node, rows)
    if found is None:
        return [node]
    given, out = node.input[0], node.output[0]
    found.input[0] = f"{out}_both"
    return [
        helper.make_node("Neg", [given], [f"{out}_negative"]),
        helper.make_node("Concat", [given, f"{out}_negative"], [f"{out}_both"], axis=1),
        found,
    ]


def _floats(model: Any) -> set[str]:
    """The names of tensors that are known to be float32."""
    from onnx import shape_inference

    graph = shape_inference.infer_shapes(model).graph
    found = {value.name for value in [*graph.input, *graph.value_info] if value.type.tensor_type.elem_type == FLOAT}
    for node in model.graph.node:
        if node.op_type == "Imputer" and node.input[0] in found:
            found.add(node.output[0])  # has the type of its input, which onnx does not infer
    return found
