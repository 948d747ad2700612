"""What clients ask of two versions of a model, and what the pods have counted of it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from .conftest import Pod


def versions(pod: Pod, count: int, **more: Any) -> Counter[str]:
    """Which versions answered `count` requests, all of which must be answered."""
    answers = [pod.ask(1.0, **more) for _ in range(count)]
    assert [200] * count == [answer.status_code for answer in answers], [answer.text for answer in answers]
    return Counter(answer.headers["x-model-version"] for answer in answers)


def counted(name: str, *several: Pod) -> Counter[tuple[str, str, str]]:
    """What several pods have counted under a name, together: by version, role and code."""
    results: Counter[tuple[str, str, str]] = Counter()
    for pod in several:
        for family in text_string_to_metric_families(pod.client.get("/metrics").text):
            for sample in family.samples:
                if sample.name == name:
                    results[sample.labels["model_version"], sample.labels["role"], sample.labels["code"]] += int(
                        sample.value
                    )
    return results


WORDED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "all outputs": ({"outputs": [{"name": "predict_proba"}, {"name": "predict"}]}, ("predict_proba", "predict")),
    "the class alone": ({"outputs": [{"name": "predict"}]}, ("predict",)),
    "the probabilities alone": ({"outputs": [{"name": "predict_proba"}]}, ("predict_proba",)),
    "the probabilities alone, as bytes": (
        {"outputs": [{"name": "predict_proba", "parameters": {"binary_data": True}}]},
        ("predict_proba",),
    ),
    "everything as bytes": ({"parameters": {"binary_data_output": True}}, ("predict", "predict_proba")),
}
"""What clients may say of outputs, and what they get in which order."""


def asked_of(pod: Pod, body: dict[str, Any], id: str) -> tuple[str, dict[str, list[float]]]:
    """Who answers a house of size 1, and the outputs in their order."""
    tensor = {"name": "input", "shape": [1, 2], "datatype": "FP64", "data": [1.0, 1.0]}
    answer = pod.client.post("/v2/models/house/infer", json={"id": id, "inputs": [tensor], **body})
    assert 200 == answer.status_code, answer.text
    end = int(answer.headers.get("inference-header-content-length", len(answer.content)))
    raw, document = answer.content[end:], json.loads(answer.content[:end])
    assert (id, answer.headers["x-model-version"]) == (document["id"], document["model_version"])
    results = {}
    for output in document["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size", 0)
        values = np.frombuffer(raw[:size], {"INT64": "<i8", "FP32": "<f4"}[output["datatype"]])
        results[output["name"]] = values.tolist() if size else output["data"]
        raw = raw[size:]
    assert b"" == raw
    return answer.headers["x-model-version"], results
