"""Labels sent to a real serving process: taken, not understood, or refused by name."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tidemill.runtime.store.objects import ObjectStore

from .conftest import Pod, pods, publisher, signature, until


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """A pod whose classes are names."""
    store = ObjectStore.open(f"file://{tmp_path_factory.mktemp('store')}")
    with pods(tmp_path_factory.mktemp("pods"), store) as prepare:
        yield prepare(publisher(store)("house-1", model_signature=signature(classes=("kept", "sold")))).ready()


def send(pod: Pod, *items: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = pod.client.post("/v2/models/house/feedback", json={"data": list(items)})
    return answer.status_code, answer.json()


def test_labels_that_are_not_classes_are_taken_and_counted_with_the_classes_named(house: Pod) -> None:
    asked = house.ask(1.0).headers["x-request-id"]

    code, answer = send(house, {"id": asked, "label": "sold"}, {"id": asked, "label": 0}, {"id": asked, "label": "1"})

    assert (200, 3, 2, ["kept", "sold"]) == (code, answer["accepted"], answer["unknown"], answer["classes"])
    assert (
        "2 labels are indices of classes, not classes; send the names, such as 'kept' instead of 0" == answer["message"]
    )
    assert (200, {"accepted": 1, "unknown": 0}) == send(house, {"id": asked, "label": "kept"})
    assert 'tidemill_feedback_unknown_total{service="houses"} 2' in house.client.get("/metrics").text


def test_a_label_from_the_future_or_from_before_its_request_is_refused(house: Pod) -> None:
    asked = house.ask(1.0).headers["x-request-id"]
    now = time.time()
    before = house.state()["logs"]["labels"]["written"]

    future = send(house, {"id": asked, "label": "sold", "time": "2099-01-01T00:00:00Z"})
    taken = send(house, {"id": asked, "label": "sold", "time": now + 200})
    # The process knows the times of requests that it has logged.
    until(lambda: send(house, {"id": asked, "label": "sold", "time": now - 1_000})[0] == 400, "the request is known")
    code, refused = send(house, {"id": asked, "label": "sold", "time": now - 1_000})

    assert (400, True) == (future[0], future[1]["error"].startswith("data[0].time: must not be in the future"))
    assert (200, {"accepted": 1, "unknown": 0}) == taken
    assert (400, True) == (code, refused["error"].startswith("data[0].time: must not be before the request"))
    until(lambda: house.state()["logs"]["labels"]["written"] > before, "the label that was taken is logged")
