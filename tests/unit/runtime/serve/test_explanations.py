"""Explanations that a pod gives of models other than one that tells numbers apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tidemill.contract.serving import VersionOrder
from tidemill.runtime.model.signature import Feature

from .conftest import Pod, signature
from .hostility import BASE

Publish = Callable[..., VersionOrder]
MakePod = Callable[..., Pod]


def explained(server: Pod, *rows: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters and the outputs, by name and in their shape."""
    answer = server.client.post(f"{BASE}/explain", json={"rows": list(rows)})
    assert 200 == answer.status_code, answer.text
    body = answer.json()
    return body["parameters"], {
        output["name"]: np.array(output["data"]).reshape(output["shape"]) for output in body["outputs"]
    }


def test_the_attributions_of_a_regression_are_weight_times_distance(publish: Publish, pod: MakePod) -> None:
    server = pod(publish("house-1", [[2.0], [1.0]], signature(task="Regression", classes=()))).ready()

    parameters, outputs = explained(server, {"size": 2.5, "age": 1.0}, {"size": 4.5, "age": 0.0})

    attributions = outputs["attributions"]
    assert ((2, 2, 1), ["size", "age"], []) == (attributions.shape, parameters["features"], parameters["outputs"])
    assert [6.0, 9.0] == outputs["predict"].tolist()
    assert outputs["predict"] == pytest.approx(outputs["expected"][0] + attributions[:, :, 0].sum(axis=1))
    assert [4.0, -1.0] == pytest.approx((attributions[1] - attributions[0])[:, 0])


def test_a_category_is_given_its_share_of_an_answer(publish: Publish, pod: MakePod) -> None:
    model_signature = signature(
        features=(
            Feature(name="size", type="Numerical"),
            Feature(name="city", type="Categorical", categories=("Bonn", "Ulm")),
        ),
        classes=("no", "yes"),
    )
    server = pod(publish("house-1", [[0.0, 0.0], [0.0, 4.0]], model_signature)).ready()

    parameters, outputs = explained(server, {"size": 2, "city": "Bonn"}, {"size": 2, "city": "Ulm"})

    attributions = outputs["attributions"]
    assert (["size", "city"], ["no", "yes"]) == (parameters["features"], parameters["outputs"])
    assert outputs["predict_proba"] == pytest.approx(outputs["expected"] + attributions.sum(axis=1), abs=1e-6)
    assert [0.0, 0.0] == pytest.approx(attributions[:, 0, 1], abs=1e-6), "size does not matter to this model"
    assert attributions[1, 1, 1] - attributions[0, 1, 1] == pytest.approx(0.982 - 0.5, abs=1e-3)
