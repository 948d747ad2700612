"""`TIDEMILL_FAST_PATH=no`: every answer and every logged row is the same without the ways that only speed requests up."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tidemill.contract.serving import VersionOrder
from tidemill.runtime.store.objects import ObjectStore

from .conftest import Pod, all_ready
from .test_processes import logged

Publish = Callable[..., VersionOrder]
MakePod = Callable[..., Pod]


def tensor(**more: Any) -> dict[str, Any]:
    return {"name": "input", "shape": [1, 2], "datatype": "FP64", "data": [2.5, 1.0], **more}


def column(name: str, value: Any) -> dict[str, Any]:
    return {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}


BODIES: list[tuple[str, dict[str, Any]]] = [
    ("infer", {"inputs": [tensor()]}),
    ("infer", {"inputs": [tensor(data=[[2.5, 1.0]])]}),
    ("infer", {"inputs": [tensor(parameters={"binary_data": False})], "outputs": [{"name": "predict"}]}),
    ("infer", {"inputs": [tensor()], "outputs": [{"name": "predict"}, {"name": "predict_proba"}]}),
    ("infer", {"inputs": [column("size", 1.5), column("age", 2.5)]}),
    ("infer", {"inputs": [column("size", -1.5), column("age", 2.5)]}),
    ("infer", {"inputs": [column("age", 7), column("size", None)]}),
    ("infer", {"inputs": [tensor(shape=[600, 2], data=[0.5, -0.25] * 600)]}),
    ("infer", {"inputs": [tensor(shape=[1, 3])]}),
    ("infer", {"inputs": [column("size", "x"), column("age", 1)]}),
    ("infer", {"inputs": [tensor(data=[1e39, 1.0])]}),
    ("predict", {"rows": [{"size": 2.0, "age": 1.0}]}),
    ("predict", {"rows": [{"size": 2.0, "age": None}, {"size": -2.0, "age": 1}]}),
    ("predict", {"rows": []}),
]


def test_answers_and_logged_rows_are_the_same_without_the_fast_path(
    publish: Publish, store: ObjectStore, pod: MakePod
) -> None:
    version = publish("house-1")
    fast, slow = (pod(version, environment={"TIDEMILL_FAST_PATH": switch}) for switch in ("yes", "no"))
    all_ready(fast, slow)
    answers: list[list[Any]] = []
    for server, name in ((fast, "fast"), (slow, "slow")):
        answers.append([])
        for number, (path, body) in enumerate(BODIES * 2):  # what was seen once is known the second time
            content = json.dumps({**body, "id": f"{name}-{number}"} if number % 3 else body)
            response = server.client.post(f"/v2/models/house/{path}", content=content)
            document = response.json()
            document.pop("id", None)
            answers[-1].append((response.status_code, document))
        assert 0 == server.stop()

    assert answers[0] == answers[1]
    assert {200, 400} == {status for status, _ in answers[0]}
    rows = logged(store, "ns/predictions/houses")
    values = [
        sorted(
            (repr(row["feature:size"]), repr(row["feature:age"]), row["prediction"], row["score"])
            for row in rows
            if name in row["request_id"]
        )
        for name in ("fast-", "slow-")
    ]
    assert values[0] == values[1]
    assert values[0]
