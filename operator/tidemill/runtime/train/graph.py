"""An ONNX graph with the same answers, spelled so that ONNX Runtime gives them sooner."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tidemill.runtime.model.answer import Matrix
from tidemill.runtime.train.branches import ENSEMBLES, turned

FLOAT: Final = 1
"""TensorProto.FLOAT"""
DOUBLE: Final = 11
"""TensorProto.DOUBLE"""
CARRYING: Final = frozenset({"ArrayFeatureExtractor", "Concat", "Gather", "Identity", "Reshape"})
"""Operators whose output holds values of their inputs."""


def quickened(model: Any, rows: Matrix, *, takes_missing: bool) -> Any:
    """A graph like `model`, an onnx.ModelProto, which is asked for rows like `rows`: the same bits, sooner.

    `takes_missing` says whether it is also asked for rows in which values are missing, as NaN.
    """
    from onnx import ModelProto

    quick = ModelProto()
    quick.CopyFrom(model)
    floats, whole = _floats(model), _whole(model, takes_missing=takes_missing)
    widened = {node.output[0]: node.input[0] for node in model.graph.node if _widens(node)}
    nodes: list[Any] = []
    for node in model.graph.node:
        if node.op_type == "Scaler" and node.input[0] in floats:
            nodes += _scaled(node, quick.graph)
        elif node.op_type in ENSEMBLES and widened.get(node.input[0], node.input[0]) in floats & whole:
            nodes += _turned(node, _values(model, widened.get(node.input[0], node.input[0]), rows))
        else:
            nodes.append(node)
    del quick.graph.node[:]
    quick.graph.node.extend(nodes)
    return quick


def gaps_reach_trees(model: Any, *, takes_missing: bool) -> bool:
    """Return whether rows with missing values come to trees of the graph with their gaps."""
    whole = _whole(model, takes_missing=takes_missing)
    return any(node.op_type in ENSEMBLES and node.input[0] not in whole for node in model.graph.node)


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


def _turned(node: Any, values: NDArray[np.float32]) -> list[Any]:
    """An ensemble of trees that is asked for the features and their negatives, where that pays."""
    from onnx import helper

    ensemble = turned(node, values)
    if ensemble is None:
        return [node]
    given, out = node.input[0], node.output[0]
    ensemble.input[0] = f"{out}_both"
    return [
        helper.make_node("Neg", [given], [f"{out}_negative"]),
        helper.make_node("Concat", [given, f"{out}_negative"], [f"{out}_both"], axis=1),
        ensemble,
    ]


def _values(model: Any, tensor: str, rows: Matrix) -> NDArray[np.float32]:
    """Return the values of a tensor of the graph when the model is asked for `rows`."""
    import onnxruntime
    from onnx import ModelProto, TensorProto, helper

    given = {model.graph.input[0].name: rows.astype(np.float32)}
    if tensor in given:
        return given[tensor]
    part = ModelProto()
    part.CopyFrom(model)
    del part.graph.output[:]
    part.graph.output.append(helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(part.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run([tensor], given)[0])


def _floats(model: Any) -> set[str]:
    """The names of tensors that are known to be float32."""
    from onnx import shape_inference

    graph = shape_inference.infer_shapes(model).graph
    names = {value.name for value in [*graph.input, *graph.value_info] if value.type.tensor_type.elem_type == FLOAT}
    for node in model.graph.node:
        # Of these onnx infers nothing: some have the type of what they are given, a Scaler's output is always float32.
        if node.op_type == "Scaler" or (node.op_type in CARRYING | {"Imputer"} and node.input[0] in names):
            names.add(node.output[0])
    return names


def _whole(model: Any, *, takes_missing: bool) -> set[str]:
    """The names of tensors in which no value is NaN."""
    constants = {constant.name for constant in model.graph.initializer}
    names = set() if takes_missing else {model.graph.input[0].name}
    for node in model.graph.node:
        carries = (node.op_type in CARRYING or _widens(node)) and names | constants >= set(node.input)
        if carries or node.op_type == "OneHotEncoder" or _fills(node):
            names.add(node.output[0])
    return names


def _widens(node: Any) -> bool:
    """Return whether the node says in double precision what it is given."""
    return node.op_type == "Cast" and any(item.name == "to" and item.i == DOUBLE for item in node.attribute)


def _fills(node: Any) -> bool:
    """Return whether the node replaces each NaN by a number."""
    from onnx import helper

    if node.op_type != "Imputer":
        return False
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    filling = attributes.get("imputed_value_floats", ())
    return bool(np.isnan(attributes.get("replaced_value_float", 0.0)) and len(filling) and np.isfinite(filling).all())
