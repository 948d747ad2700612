"""Parts of the log that are damaged, forged or too large: left out and named, and the others are judged."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tidemill.api.checks import Check
from tidemill.contract.layout import label_folder, prediction_folder
from tidemill.runtime.log import part, reader
from tidemill.runtime.log.labels.index import read_labels
from tidemill.runtime.monitor.evidence import collect

Life = Any  # the builder of conftest.py
MINUTE = timedelta(minutes=1)

INPUTS = Check(name="inputs", type="FeatureDrift", failing=0.2, share=0.15)
QUALITY = Check(name="quality", type="Performance", metric="accuracy", maximum_regression=0.05)


def with_column(content: bytes, name: str, values: list[Any]) -> bytes:
    """A part's own rows, as many as there are values or all with the one there is, with another column in place of its own."""
    table = parquet.read_table(io.BytesIO(content))
    array = pa.array(values if len(values) > 1 else values * table.num_rows)
    if pa.types.is_binary(array.type):  # as text that has not been looked at
        array = pa.StringArray.from_buffers(len(array), array.buffers()[1], array.buffers()[2])
    table = table.take(pa.array(np.arange(len(array)) % table.num_rows))
    return written(table.set_column(table.schema.get_field_index(name), name, array))


def with_long_word(content: bytes, word: str) -> bytes:
    """A part's first row a hundred thousand times with one digest, which is as long as one likes."""
    table = parquet.read_table(io.BytesIO(content)).select(["request_id", "row", "time"])
    nothing = pa.array(np.zeros(100_000, np.int32))
    return written(table.take(nothing).append_column("model_digest", pa.DictionaryArray.from_arrays(nothing, [word])))


def repeated(content: bytes, count: int) -> bytes:
    """A part's first row so many times."""
    table = parquet.read_table(io.BytesIO(content)).select(["request_id", "row", "time"])
    return written(table.take(pa.array(np.zeros(count, np.int64))))


def written(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: content[: len(content) // 2], id="truncated"),
        pytest.param(lambda _: b"", id="empty"),
        pytest.param(lambda _: b"PAR1 nonsense PAR1", id="forged"),
        pytest.param(lambda content: with_column(content, "row", ["first"]), id="wrong types"),
        pytest.param(lambda content: with_column(content, "feature:mean radius", [[1.0]]), id="lists of values"),
        pytest.param(lambda content: with_column(content, "prediction", [b"\xff"]), id="text that is none"),
        pytest.param(lambda content: repeated(content, 1_000_001), id="a million rows in a kB"),
        pytest.param(lambda content: with_long_word(content, "x" * 400_000), id="a long word said over and over"),
    ],
)
def test_a_part_that_cannot_be_read_is_left_out_and_named(life: Life, damage: Any) -> None:
    rows, _ = life.draw(150)
    life.serve(rows)
    life.serve(rows)
    *_, last = [entry.key for entry in life.store.list(prediction_folder("ns", "fraud"))]
    life.store.put(last, damage(life.store.get(last)))

    report = life.report(INPUTS)

    assert 150 == report.checked.samples
    assert "1 part of the log could not be read and was left out: date=2026-03-01/hour=10/pod-" in report.warnings[0]


def test_a_part_that_is_larger_than_any_pod_writes_is_left_out_without_being_fetched(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, _ = life.draw(150)
    life.serve(rows)
    folder = prediction_folder("ns", "fraud")
    [entry] = life.store.list(folder)
    monkeypatch.setattr(part, "MAX_BYTES", 4 * entry.size)
    life.store.put(f"{folder}/date=2026-03-01/hour=10/zz.parquet", bytes(4 * entry.size + 1))

    report = life.report(INPUTS)

    assert 150 == report.checked.samples
    assert f"zz.parquet: it has {4 * entry.size + 1:,} bytes" in report.warnings[0]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: with_column(content, "row", ["first"]), id="wrong types"),
        pytest.param(lambda content: with_column(content, "label", [{"is": "1"}]), id="labels of many words"),
        pytest.param(lambda content: repeated(content, 1_000_001), id="a million rows in a kB"),
    ],
)
def test_a_label_part_that_cannot_be_read_is_left_out_and_named(life: Life, damage: Any) -> None:
    rows, labels = life.draw(150)
    life.serve(rows, labels=labels)
    life.serve(rows, labels=labels)
    *_, last = [entry.key for entry in life.store.list(label_folder("ns", "fraud"))]
    life.store.put(last, damage(life.store.get(last)))

    report = life.report(QUALITY)

    assert (300, 150) == (report.checked.samples, report.checked.labelled)
    assert "1 part of the log could not be read and was left out: date=2026-03-01/hour=10/pod-" in report.warnings[0]


def test_a_digest_of_another_type_is_no_digest_of_the_version(life: Life) -> None:
    rows, labels = life.draw(150)
    life.serve(rows, labels=labels)
    life.serve(rows, labels=labels)
    *_, last = [entry.key for entry in life.store.list(prediction_folder("ns", "fraud"))]
    life.store.put(last, with_column(life.store.get(last), "model_digest", [7]))

    checked = life.check(INPUTS, QUALITY)

    assert (300, 150) == (checked.samples, checked.labelled)


def test_parts_in_which_a_column_is_of_another_type_are_judged_with_the_others(life: Life) -> None:
    rows, labels = life.draw(150)
    life.serve(rows, labels=labels)
    life.serve(rows, labels=labels)
    *_, last = [entry.key for entry in life.store.list(prediction_folder("ns", "fraud"))]
    life.store.put(last, with_column(life.store.get(last), "feature:mean radius", ["unknown"]))
    by_size = {"column": "mean radius", "metric": "DemographicParityDifference", "maximum": 1.0}

    checked = life.check(
        QUALITY.model_copy(update={"slices": ("mean radius",)}),
        Check(name="joint", type="Multivariate", failing=2.0),
        Check(name="odd", type="OutlierShare", maximum=0.5),
        Check(name="estimate", type="EstimatedPerformance", metric="accuracy", minimum=0.5),
        Check(name="fair", type="Fairness", **by_size),
    )

    assert ["Passing"] * 5 == [outcome.verdict for outcome in checked.checks]
    assert (300, 300) == (checked.samples, checked.labelled)


def test_a_flood_of_labels_is_looked_at_as_far_as_memory_allows_and_the_newest_count(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "MAX_LABELS", 100)
    rows, labels = life.draw(200)
    order = life.order()
    life.serve(rows, labels=1 - labels, at=order.start + MINUTE)
    life.serve(rows[:100], labels=labels[:100], at=order.end - 5 * MINUTE)

    report = life.report(QUALITY)

    assert (100, "Passing") == (report.checked.labelled, report.checked.verdict)
    assert "200 labelled rows are beyond the limit; only the newest are evaluated" in report.warnings


def test_of_too_many_labels_in_the_store_the_newest_are_held(life: Life) -> None:
    order = life.order()
    for minute in range(10):
        life.label([(f"r{minute}-{index}", minute % 2) for index in range(50)], at=order.start + minute * MINUTE)
    parts = [entry.key for entry in life.store.list(label_folder("ns", "fraud"))]

    result = read_labels(life.store, parts, reader.Skipped([]), most=60)

    assert ({f"r9-{index}/0" for index in range(50)} <= set(result.keys.to_pylist()), 60) == (True, len(result.keys))
    assert ("440 labels were beyond the limit; only the newest count",) == result.warnings()


def test_a_part_with_other_columns_is_left_out_and_named(life: Life) -> None:
    rows, _ = life.draw(150)
    life.serve(rows)
    forged = written(pa.table({"request_id": ["x"], "row": [0]}))
    life.store.put(f"{prediction_folder('ns', 'fraud')}/date=2026-03-01/hour=10/zz.parquet", forged)

    report = life.report(INPUTS)

    assert (150, True) == (report.checked.samples, "no column 'time'" in report.warnings[0])
