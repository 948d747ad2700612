"""Served rows joined with their labels: each row once, the newest label, and what is odd said."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from support import revisions
from tidemill.runtime.log.training_rows import Served, read
from tidemill.runtime.store.objects import ObjectStore
from tidemill.runtime.tables.schema import Column

FEATURES = (
    Column(name="size", role="Feature", type="Numerical"),
    Column(name="colour", role="Feature", type="Categorical"),
)
ROWS = pa.table({"size": [1.0, 2.0, None], "colour": ["red", None, "blue"]})


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore.open(f"file://{tmp_path}/store")


def served_rows(store: ObjectStore, hours: float = 1.0) -> Served:
    return read(store, "team", "answers", revisions.NOON, revisions.NOON + timedelta(hours=hours), FEATURES)


def rows(served: Served) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in ("size", "colour", "label")) for row in served.table.to_pylist()]


def test_rows_come_with_the_labels_that_came_back(store: ObjectStore) -> None:
    revisions.served(store, ROWS, ["yes", "no", "yes"])

    assert [(1.0, "red", "yes"), (2.0, None, "no"), (None, "blue", "yes")] == rows(served_rows(store))
    assert () == served_rows(store).warnings


def test_rows_without_labels_come_too(store: ObjectStore) -> None:
    revisions.served(store, ROWS, None)

    assert [None, None, None] == [label for *_, label in rows(served_rows(store))]
    assert 0 == served_rows(store).labelled.num_rows


def test_only_rows_of_the_window_come_however_late_their_labels(store: ObjectStore) -> None:
    revisions.served(store, ROWS, ["a", "b", "c"], step=timedelta(minutes=20))

    assert ["a", "b"] == [label for *_, label in rows(served_rows(store, hours=0.5))]


def test_a_row_that_was_logged_twice_counts_once(store: ObjectStore) -> None:
    revisions.served(store, ROWS, ["a", "b", "c"])
    revisions.served(store, ROWS, ["a", "b", "c"], start=revisions.NOON + timedelta(seconds=10))

    assert 3 == served_rows(store).table.num_rows


def test_of_several_labels_the_newest_counts_and_contradictions_are_told(store: ObjectStore) -> None:
    revisions.served(store, ROWS, ["a", "b", "c"])
    key = {
        "request_id": ["r0", "r1"],
        "row": [0, 0],
        "time": pa.array([revisions.NOON + timedelta(hours=30)] * 2, pa.timestamp("us", tz="UTC")),
    }
    revisions.put(
        store, "team/labels/answers/date=2026-03-02/hour=18/late.parquet", pa.table({**key, "label": ["z", "b"]})
    )

    served = served_rows(store)

    assert ["z", "b", "c"] == [label for *_, label in rows(served)]
    assert ("1 served row has contradictory labels; the newest counts",) == served.warnings


def test_parts_of_other_versions_are_brought_into_line(store: ObjectStore) -> None:
    revisions.served(store, ROWS, None)
    other = pa.table({"size": pa.array([7], pa.int32()), "taste": ["sour"]})
    revisions.served(store, other, None, request="s", start=revisions.NOON + timedelta(minutes=1))

    assert [(1.0, "red"), (2.0, None), (None, "blue"), (7.0, None)] == [row[:2] for row in rows(served_rows(store))]


def test_a_feature_that_was_never_logged_is_told(store: ObjectStore) -> None:
    revisions.served(store, ROWS.select(["size"]), None)

    assert "the log of answers holds no values of colour" in served_rows(store).warnings[0]


def test_a_damaged_part_is_left_out_and_told(store: ObjectStore) -> None:
    revisions.served(store, ROWS, None)
    store.put("team/predictions/answers/date=2026-03-01/hour=12/half.parquet", b"PAR1")

    served = served_rows(store)

    assert 3 == served.table.num_rows
    assert "half.parquet" in served.warnings[0]


def test_a_service_that_was_never_asked_has_no_rows(store: ObjectStore) -> None:
    assert [] == rows(served_rows(store))


def test_labels_from_the_future_or_from_before_their_rows_are_not_trained_on(store: ObjectStore) -> None:
    revisions.served(store, ROWS, ["a", "b", "c"])
    key = {
        "request_id": ["r0", "r1"],
        "row": [0, 0],
        "time": pa.array(
            [revisions.NOON + timedelta(days=25_000), revisions.NOON - timedelta(hours=1)],
            pa.timestamp("us", tz="UTC"),
        ),
    }
    late = revisions.NOON + timedelta(hours=6)
    folder = late.strftime("team/labels/answers/date=%Y-%m-%d/hour=%H")
    revisions.put(store, f"{folder}/forged.parquet", pa.table({**key, "label": ["z", "z"]}))

    served = served_rows(store)

    assert ["a", "b", "c"] == [label for *_, label in rows(served)]
    assert any("1 label is dated in the future or before the served rows" in warning for warning in served.warnings)
