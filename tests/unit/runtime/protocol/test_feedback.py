from __future__ import annotations

from typing import Any

import orjson
import pytest

from tidemill.runtime.model.labels import ClassLabels
from tidemill.runtime.model.signature import Signature
from tidemill.runtime.protocol.errors import HTTPError
from tidemill.runtime.protocol.feedback import CLOCK_SKEW_SECONDS, Expected, Label, read

NOW = 1_000_000.0
CLASSES = Expected(ClassLabels(("a", "b", "1")))
NUMBERS = Expected(None)


def body(*items: Any) -> bytes:
    return orjson.dumps({"data": list(items)})


def test_row_and_time_may_be_left_out() -> None:
    assert [Label("r", 0, 1, NOW)] == read(body({"id": "r", "label": 1}), CLASSES, now=NOW).labels


def test_a_key_stands_for_a_request_and_its_row() -> None:
    assert [Label("tx-17", 0, 1, NOW)] == read(body({"key": "tx-17", "label": 1}), CLASSES, now=NOW).labels


@pytest.mark.parametrize("time", [60, 60.0, "1970-01-01T00:01:00Z", "1970-01-01T01:01:00+01:00", "1970-01-01T00:01:00"])
def test_a_time_may_be_spelled_in_seconds_or_as_a_date(time: Any) -> None:
    (label,) = read(body({"id": "r", "row": 3, "label": "a", "time": time}), CLASSES, now=NOW).labels

    assert Label("r", 3, "a", 60.0) == label


@pytest.mark.parametrize("time", [NOW + CLOCK_SKEW_SECONDS, NOW + 1, "1970-01-12T13:50:00Z"])
def test_a_label_dated_a_little_ahead_counts_from_now_on(time: Any) -> None:
    (label,) = read(body({"id": "r", "label": "a", "time": time}), CLASSES, now=NOW).labels

    assert NOW == label.time


@pytest.mark.parametrize(
    "time", [NOW + CLOCK_SKEW_SECONDS + 1, 4_070_908_800, "2099-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
)
def test_a_label_from_the_future_is_refused(time: Any) -> None:
    with pytest.raises(HTTPError, match=r"^data\[1\]\.time: must not be in the future"):
        read(body({"id": "r", "label": "a"}, {"id": "r", "label": "a", "time": time}), CLASSES, now=NOW)


def test_a_label_from_before_its_request_is_refused_where_the_request_is_known() -> None:
    message = body({"id": "r", "row": 2, "label": "a", "time": NOW - 1000})

    with pytest.raises(HTTPError, match=r"^data\[0\]\.time: must not be before the request, .* is 600 s before"):
        read(message, CLASSES, now=NOW, answered_at=lambda *row: {("r", 2): NOW - 400.0}.get(row))
    assert 1 == len(read(message, CLASSES, now=NOW, answered_at=lambda *row: {("r", 2): NOW - 800.0}.get(row)).labels)
    assert 1 == len(read(message, CLASSES, now=NOW, answered_at=lambda *_: None).labels)


def test_labels_that_are_no_class_are_counted() -> None:
    message = body(*({"id": "r", "label": label} for label in ("a", "A", 1, 0, True)))

    assert (5, ("A", 0, True)) == (len(read(message, CLASSES, now=NOW).labels), read(message, CLASSES, now=NOW).strange)


def test_numbers_of_a_class_may_be_spelled_in_any_way() -> None:
    message = body(*({"id": "r", "label": label} for label in (0, "0", 1.0, "1.0", True)))

    assert () == read(message, Expected(ClassLabels((0, 1))), now=NOW).strange


NOTES: dict[str, tuple[tuple[Any, ...], str]] = {
    "indices": ((0, 1, 2), "3 labels are indices of classes, not classes; send the names, such as 'a' instead of 0"),
    "an index as text": (
        ("0",),
        "1 label is the index of a class, not a class; send the names, such as 'a' instead of '0'",
    ),
    "an index beyond the classes": ((7,), "1 label is not a class of the model, such as 7; send one of the classes"),
    "a truth value": ((True,), "1 label is not a class of the model, such as True; send one of the classes"),
    "a mixture": ((0, "x"), "2 labels are not classes of the model, such as 'x'; send one of the classes"),
    "not a number": (("nan",), "1 label is not a class of the model, such as 'nan'; send one of the classes"),
}


@pytest.mark.parametrize(("strange", "note"), NOTES.values(), ids=NOTES.keys())
def test_a_client_is_told_what_is_wrong_with_labels_that_are_no_class(strange: tuple[Any, ...], note: str) -> None:
    assert note == CLASSES.note(strange)


def regression(**fields: Any) -> Expected:
    return Expected.of(Signature("Regression", (), "price", **fields))


BOUNDS: dict[str, tuple[Expected, float, bool]] = {
    "a usual price": (regression(target_spread=2.0, target_mean=100.0), 250.0, True),
    "far out": (regression(target_spread=2.0, target_mean=100.0), 1e6, True),
    "farther than anything": (regression(target_spread=2.0, target_mean=100.0), 2.1e6, False),
    "as far below": (regression(target_spread=2.0, target_mean=100.0), -2.1e6, False),
    "far from zero, near the mean": (regression(target_spread=1.0, target_mean=1.7e9), 1.7e9, True),
    "1e200": (regression(), 1e200, False),
    "-1e200": (regression(), -1e200, False),
    "the largest float": (regression(target_spread=1.0), 1.7e308, False),
    "of a constant target": (regression(target_spread=0.0, target_mean=5.0), 7.0, True),
    "a version without a mean": (regression(target_spread=2.0), 1e9, True),
    "a spread beyond all bounds": (regression(target_spread=1e300, target_mean=0.0), 1e99, True),
}


@pytest.mark.parametrize(("expected", "label", "taken"), BOUNDS.values(), ids=BOUNDS.keys())
def test_a_number_must_be_plausible(expected: Expected, label: float, taken: bool) -> None:
    message = body({"id": "r", "label": label})
    if taken:
        assert [label] == [label.label for label in read(message, expected, now=NOW).labels]
        return

    with pytest.raises(HTTPError, match=r"^data\[0\]\.label: must be between ") as refused:
        read(message, expected, now=NOW)
    assert 400 == refused.value.status


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
    "a time that no clock has": (
        body({"id": "r", "label": 1, "time": "0001-01-01T00:00:00+23:59"}),
        True,
        "data[0].time",
    ),
    "a number that is infinite": (b'{"data":[{"id":"r","label":1e999}]}', False, "is not JSON"),
    "not a number": (b'{"data":[{"id":"r","label":NaN}]}', False, "is not JSON"),
    "a key and an id": (body({"id": "r", "key": "k", "label": 1}), True, "data[0].key: names the row already"),
    "a key and a row": (body({"key": "k", "row": 1, "label": 1}), True, "data[0].key: names the row already"),
    "a key that is none": (body({"key": 7, "label": 1}), True, "data[0].key: must be the key"),
    "a key that cannot stand in the log": (body({"key": "ü", "label": 1}), True, "data[0].key: must be at most"),
    "the second one": (body({"id": "r", "label": 1}, {}), True, "data[1].id"),
}


@pytest.mark.parametrize(("body", "classifies", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_wrong_is_refused_by_place(body: bytes, classifies: bool, message: str) -> None:
    with pytest.raises(HTTPError) as refused:
        read(body, CLASSES if classifies else NUMBERS, now=NOW)

    assert 400 == refused.value.status
    assert message in refused.value.message
