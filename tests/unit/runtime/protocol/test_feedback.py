from __future__ import annotations

from typing import Any

import orjson
import pytest

from tidemill.runtime.protocol.errors import HTTPError
from tidemill.runtime.protocol.feedback import Label, read

NOW = 1_000.0


def body(*items: Any) -> bytes:
    return orjson.dumps({"data": list(items)})


def test_row_and_time_may_be_left_out() -> None:
    assert [Label("r", 0, 1, NOW)] == read(body({"id": "r", "label": 1}), classifies=True, now=NOW)


def test_a_key_stands_for_a_request_and_its_row() -> None:
    assert [Label("tx-17", 0, 1, NOW)] == read(body({"key": "tx-17", "label": 1}), classifies=True, now=NOW)


@pytest.mark.parametrize("time", [60, 60.0, "1970-01-01T00:01:00Z", "1970-01-01T01:01:00+01:00", "1970-01-01T00:01:00"])
def test_a_time_may_be_spelled_in_seconds_or_as_a_date(time: Any) -> None:
    (label,) = read(body({"id": "r", "row": 3, "label": "a", "time": time}), classifies=True, now=NOW)

    assert Label("r", 3, "a", 60.0) == label


REFUSED: dict[str, tuple[bytes, bool, str]] = {
    "no list": (b"{}", True, "data: must be a list"),
    "no object": (body(7), True, "data[0]: must be an object"),
    "no id": (body({"label": 1}), True, "data[0].id: must be the id"),
    "a negative row": (body({"id": "r", "row": -1, "label": 1}), True, "data[0].row"),
    "a row that is true": (body({"id": "r", "row": True, "label": 1}), True, "data[0].row"),
    "no label": (body({"id": "r"}), True, "data[0].label: must be the class"),
    "a list for a label": (body({"id": "r", "label": [1]}), True, "data[0].label: must be the class"),
    "a very long label": (body({"id": "r", "label": "a" * 300}), True, "data[0].label: must be the class"),
    "a text where numbers are learnt": (body({"id": "r", "label": "1"}), False, "data[0].label: must be a number"),
    "a time that is none": (body({"id": "r", "label": 1, "time": "soon"}), True, "data[0].time"),
    "a key and an id": (body({"id": "r", "key": "k", "label": 1}), True, "data[0].key: names the row already"),
    "a key and a row": (body({"key": "k", "row": 1, "label": 1}), True, "data[0].key: names the row already"),
    "a key that is none": (body({"key": 7, "label": 1}), True, "data[0].key: must be the key"),
    "a key that cannot stand in the log": (body({"key": "ü", "label": 1}), True, "data[0].key: must be at most"),
    "the second one": (body({"id": "r", "label": 1}, {}), True, "data[1].id"),
}


@pytest.mark.parametrize(("said", "classifies", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_wrong_is_refused_by_place(said: bytes, classifies: bool, message: str) -> None:
    with pytest.raises(HTTPError) as refused:
        read(said, classifies=classifies, now=NOW)

    assert 400 == refused.value.status
    assert message in refused.value.message
