"""Kubernetes Events: what they say and what they are called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tidemill.engine.events import event
from tidemill.plan.types import Notice

NOON = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
IRIS = {
    "apiVersion": "tidemill.dev/v1alpha1",
    "kind": "Dataset",
    "metadata": {"name": "iris", "namespace": "science", "uid": "u1", "resourceVersion": "7"},
}
FAILED = Notice("SourceNotFound", "there is no such file", "Warning")


def name(notice: Notice = FAILED, about: dict[str, object] = IRIS, at: datetime = NOON) -> str:
    return str(event(notice, about, at, "pod")["metadata"]["name"])


def test_the_same_words_within_ten_minutes_are_the_same_event() -> None:
    changed = {**IRIS, "metadata": {**IRIS["metadata"], "resourceVersion": "8"}}

    assert name() == name(about=changed, at=NOON + timedelta(minutes=9, seconds=59))


def test_ten_minutes_later_they_are_another() -> None:
    assert name() != name(at=NOON + timedelta(minutes=10))


def test_other_words_and_other_objects_are_other_events() -> None:
    other = {**IRIS, "metadata": {**IRIS["metadata"], "uid": "u2"}}

    assert len({name(), name(Notice("SourceNotFound", "another")), name(about=other)}) == 3


def test_an_event_fits_the_limits_of_the_api() -> None:
    long = {**IRIS, "metadata": {**IRIS["metadata"], "name": "n" * 253}}

    made = event(Notice("R" * 200, "ä" * 2000), long, NOON, "p" * 300)

    assert len(made["metadata"]["name"]) <= 253
    assert len(made["note"].encode()) <= 1024
    assert made["note"].endswith("…")
    assert (len(made["reason"]), len(made["reportingInstance"])) == (128, 128)
