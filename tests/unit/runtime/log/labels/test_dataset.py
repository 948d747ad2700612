"""Labels from a Dataset: how rows are named, when labels became known, and what cannot be read."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from support import revisions
from tidemill.api.feedback import PinnedLabels
from tidemill.runtime.failures import SchemaMismatch
from tidemill.runtime.log.labels import dataset as label_table
from tidemill.runtime.log.labels.dataset import as_times
from tidemill.runtime.log.training_rows import Served, read
from tidemill.runtime.store.objects import ObjectStore
from tidemill.runtime.tables.schema import Column

FEATURES = (Column(name="size", role="Feature", type="Numerical"),)
ROWS = pa.table({"size": [1.0, 2.0, 3.0]})
COLUMNS = [{"name": "request", "role": "Id"}, {"name": "known", "role": "Timestamp"}]
HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore.open(f"file://{tmp_path}/store")


def outcomes(store: ObjectStore, data: str, **fields: Any) -> PinnedLabels:
    columns = [column for column in COLUMNS if column["name"] in data.split("\n")[0]]
    made = revisions.revision(store, data=data, dataset="outcomes", columns=columns)
    known: dict[str, Any] = {"name": "outcomes", "id": "request", "label": "label", "createdAt": "2026-03-01T18:00:00Z"}
    return PinnedLabels.model_validate({**known, "digest": made.digest, "uri": made.uri, **fields})


def served(store: ObjectStore, labels: PinnedLabels) -> Served:
    return read(store, "team", "answers", revisions.NOON, revisions.NOON + HOUR, FEATURES, labels)


def labels_of(rows: Served) -> list[str | None]:
    texts: list[str | None] = rows.table.column("label").to_pylist()
    return texts


def test_labels_are_joined_by_the_id_of_the_request(store: ObjectStore) -> None:
    revisions.served(store, ROWS, None)
    labels = outcomes(store, "request,label\nr2,yes\nr0,no\nelsewhere,yes\n")

    assert ["no", None, "yes"] == labels_of(served(store, labels))
    assert () == served(store, labels).warnings


def test_one_row_of_a_request_is_named_by_its_place(store: ObjectStore) -> None:
    labels = outcomes(store, "request,label\nr7/2,yes\nr7,no\norder/12a,no\n")

    (table,) = label_table.batches(labels, store)

    assert ["r7/2", "r7/0", "order/12a/0"] == table.column("key").to_pylist()


def test_ids_that_are_numbers_keep_their_spelling(store: ObjectStore) -> None:
    labels = outcomes(store, "request,label\n9007199254740993,yes\n007,no\n")

    (table,) = label_table.batches(labels, store)

    assert ["9007199254740993/0", "007/0"] == table.column("key").to_pylist()


def test_rows_that_are_held_out_are_labels_too(store: ObjectStore) -> None:
    lines = [f"r{row},{'yes' if row % 2 else 'no'}" for row in range(400)]

    tables = list(label_table.batches(outcomes(store, "request,label\n" + "\n".join(lines) + "\n"), store))

    assert 400 == sum(table.num_rows for table in tables)


def test_rows_without_an_id_a_label_or_a_time_are_left_out(store: ObjectStore) -> None:
    data = "request,label,known\nr0,,2026-03-01T13:00:00Z\n,yes,2026-03-01T13:00:00Z\nr1,yes,\nr2,yes,2026-03-01T13:00:00Z\n"

    (table,) = label_table.batches(outcomes(store, data, time="known"), store)

    assert ["r2/0"] == table.column("key").to_pylist()


def test_the_newest_label_counts_wherever_it_comes_from(store: ObjectStore) -> None:
    revisions.served(store, ROWS, ["a", "a", "a"])  # an hour after the rows
    data = "request,label,known\nr0,b,2026-03-01 12:30:00\nr1,b,2026-03-01 14:00:00\n"

    rows = served(store, outcomes(store, data, time="known"))

    assert ["a", "b", "a"] == labels_of(rows)
    assert ("2 served rows have contradictory labels; the newest counts",) == rows.warnings


def test_a_label_from_before_the_prediction_does_not_belong_to_it(store: ObjectStore) -> None:
    revisions.served(store, ROWS, None)
    data = "request,label,known\nr0,old,2026-02-01T00:00:00Z\nr1,yes,2026-03-02T12:00:00+14:00\n"

    rows = served(store, outcomes(store, data, time="known", createdAt="2026-04-01T00:00:00Z"))

    assert [None, "yes", None] == labels_of(rows)
    assert "1 label is dated in the future or before the served rows and left out" in rows.warnings[0]


def test_a_label_from_the_future_does_not_outlast_the_truth(store: ObjectStore) -> None:
    revisions.served(store, ROWS, ["no", "no", "no"])
    data = "request,label,known\nr0,forged,2999-01-01T00:00:00Z\nr1,yes,2026-03-01T18:00:00Z\n"

    assert ["no", "yes", "no"] == labels_of(served(store, outcomes(store, data, time="known")))


def test_without_a_time_the_creation_of_the_revision_counts(store: ObjectStore) -> None:
    revisions.served(store, ROWS, ["no", "no", "no"])
    data = "request,label\nr0,yes\n"

    assert ["yes", "no", "no"] == labels_of(served(store, outcomes(store, data)))
    earlier = outcomes(store, data, createdAt="2026-03-01T12:30:00Z")
    assert ["no", "no", "no"] == labels_of(served(store, earlier))


@pytest.mark.parametrize("field", ["id", "label", "time"])
def test_a_column_that_is_not_there_is_named_with_the_remedy(store: ObjectStore, field: str) -> None:
    labels = outcomes(store, "request,label\nr0,yes\n", **{field: "absent"})

    with pytest.raises(SchemaMismatch, match="Dataset 'outcomes' has no column 'absent' to read labels by; declare it"):
        list(label_table.batches(labels, store))


SECOND = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1772366400]),
        pa.array([1772366400.0]),
        pa.array([1772366400000]),
        pa.array([1772366400000000]),
        pa.array([1772366400000000000]),
        pa.array(["2026-03-01T12:00:00Z"]),
        pa.array([" 2026-03-01 12:00:00 "]),
        pa.array(["2026-03-01T13:00:00+01:00"]),
        pa.array([SECOND]),
        pa.array([SECOND.replace(tzinfo=None)], pa.timestamp("ns")),
        pa.array([1772366400000000000], pa.timestamp("ns", tz="America/New_York")),
    ],
    ids=lambda values: f"{values.type} {values[0]}",
)
def test_a_time_is_read_in_each_way_it_is_written(values: Any) -> None:
    assert [SECOND] == as_times(values, "column 'known'").to_pylist()


def test_a_day_begins_at_midnight_in_utc() -> None:
    midnight = SECOND.replace(hour=0)

    assert [midnight] == as_times(pa.array([date(2026, 3, 1)]), "x").to_pylist()
    assert [midnight, None] == as_times(pa.array(["2026-03-01", ""]), "x").to_pylist()


@pytest.mark.parametrize("values", [pa.array([float("nan"), None]), pa.array([None, ""]), pa.nulls(2)], ids=str)
def test_what_is_missing_is_no_time(values: Any) -> None:
    assert [None, None] == as_times(values, "x").to_pylist()


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (pa.array(["2026-03-01T12:00:00Z", "yesterday"]), "'yesterday'"),
        (pa.array([1e30]), "1e\\+30, which is not a time"),
        (pa.array([True]), "bool, not times"),
    ],
    ids=["a word", "a huge number", "a truth value"],
)
def test_what_is_no_time_is_told(values: Any, problem: str) -> None:
    with pytest.raises(SchemaMismatch, match=problem):
        as_times(values, "column 'known' of Dataset 'outcomes'")
