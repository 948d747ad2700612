"""What is sent and what comes back, in the words of the Open Inference Protocol."""

from collections.abc import Mapping
from typing import Any

from traffic.rows import Row

REQUEST_ID = "x-request-id"
VERSION = "x-model-version"
DIGEST = "x-model-digest"
PREDICT = "predict"


class Wrong(Exception):
    """An answer that is none."""


def infer_path(model: str) -> str:
    return f"/v2/models/{model}/infer"


def feedback_path(model: str) -> str:
    return f"/v2/models/{model}/feedback"


def question(row: Row) -> dict[str, Any]:
    """One row, as one tensor for each column.

    >>> question({"size": 1.5, "colour": "red"})["inputs"][1]
    {'name': 'colour', 'shape': [1], 'datatype': 'BYTES', 'data': ['red']}
    """
    return {
        "inputs": [
            {"name": name, "shape": [1], "datatype": "BYTES" if isinstance(value, str) else "FP64", "data": [value]}
            for name, value in row.items()
        ]
    }


def answer(document: Mapping[str, Any]) -> float | str:
    """The prediction in a response.

    >>> answer({"outputs": [{"name": "predict", "shape": [1], "datatype": "INT64", "data": [1]}]})
    1
    """
    for output in document.get("outputs") or ():
        if output.get("name") == PREDICT and len(output.get("data") or ()) == 1:
            return output["data"][0]
    raise Wrong(f"no output {PREDICT} with one value")


def label(request: str, value: str) -> dict[str, Any]:
    """The right answer to an earlier request."""
    return {"id": request, "label": value}


def same(predicted: float | str, wanted: str) -> bool:
    """Whether a prediction is the right class.

    >>> same(1, "1"), same("red", "blue")
    (True, False)
    """
    return str(predicted) == wanted
