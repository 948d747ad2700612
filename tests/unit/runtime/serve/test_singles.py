"""Requests of one row that wait for the log as columns: the same file comes out as from records of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tidemill.runtime.log.records import Author, Prediction, PredictionFile
from tidemill.runtime.log.single_rows import MAX_ROWS, SingleRowBatch, SinglesLog
from tidemill.runtime.log.writer import Log
from tidemill.runtime.model.labels import ClassLabels
from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.protocol.features import NO_CATEGORIES, Features, Rows
from tidemill.runtime.protocol.feedback import Label
from tidemill.runtime.serve.telemetry.label_lag import Lags

from .conftest import signature

STABLE = Author("house-1", "sha256:1", "Stable", ClassLabels((0, 1)))
CANDIDATE = Author("house-2", "sha256:2", "Candidate", ClassLabels((0, 1)))
FILE = PredictionFile(Features(signature()), classifies=True)
Given = tuple[Author, str, float, np.ndarray, Answer]


def given(count: int, *, began: float = 1000.0, every: float = 0.001, author: Author = STABLE) -> list[Given]:
    """Requests by chance, one after the other."""
    rng = np.random.default_rng(7)
    results = []
    for index in range(count):
        probabilities = rng.dirichlet([1, 1])[None]
        row = rng.normal(size=(1, 2))
        if index % 5 == 0:
            row[0, 1] = np.nan
        answer = Answer(probabilities.argmax(axis=1), probabilities.astype(np.float32))
        results.append((author, f"r-{index}", began + index * every, row, answer))
    return results


def log(max_bytes: int = 1 << 24) -> Log:
    return Log("folder", "pod-boot", FILE, every=60, max_bytes=max_bytes)


def kept(requests: Sequence[Given], into: Log | None = None) -> list[Any]:
    into, singles = into or log(), SinglesLog()
    for author, request, now, row, answer in requests:
        singles.append(into, author, request, now, row, answer)
    return into._records


def alone(requests: Sequence[Given]) -> list[Prediction]:
    return [
        Prediction(request, now, Rows(row, NO_CATEGORIES), answer, author)
        for author, request, now, row, answer in requests
    ]


MIXED = {
    "few": given(3),
    "more than one record holds": given(2 * MAX_ROWS + 1),
    "over the end of a slot": given(50, began=1009.0, every=0.1),
    "two versions in turn": [
        record for pair in zip(given(9), given(9, author=CANDIDATE), strict=True) for record in pair
    ],
}  # fmt: skip


@pytest.mark.parametrize("requests", MIXED.values(), ids=MIXED.keys())
def test_the_file_is_the_one_that_records_of_their_own_make(requests: list[Given]) -> None:
    together: pa.Table = FILE.table(kept(requests))

    assert together.equals(FILE.table(alone(requests)))


def test_no_record_reaches_over_the_end_of_a_slot() -> None:
    records = kept(MIXED["over the end of a slot"])

    assert [10, 40] == [record.rows for record in records]
    assert all(1 == len({int(moment // 10) for moment in record.times}) for record in records)


def test_what_is_being_written_does_not_grow_any_more() -> None:
    into, singles = log(), SinglesLog()
    [first, second] = given(2)
    singles.append(into, *first)
    written = into._records
    into._records = []

    singles.append(into, *second)

    assert [1] == [record.rows for record in written]
    assert [["r-1"]] == [record.keys for record in into._records]


def test_past_its_bound_the_log_drops_single_rows_and_counts_them() -> None:
    requests = given(10)
    size = requests[0][3].nbytes + 400
    into = log(max_bytes=4 * size)

    records = kept(requests, into)

    assert (4, 6) == (sum(record.rows for record in records), into.state.dropped)
    assert (4, 4 * size) == (into.backlog, into.backlog_bytes)


def test_wide_rows_share_less_room() -> None:
    row, answer = np.zeros((1, 100_000)), Answer(np.zeros(1))
    batch = SingleRowBatch(STABLE, row, answer, 0.0)
    batch.add("r", 0.0, row, answer)

    assert not batch.takes(STABLE, 0.0)


def test_labels_find_each_of_them_as_if_it_were_alone() -> None:
    requests = given(3_000)
    labels = [(request, now + 30.0) for _, request, now, _, _ in requests[::10]]
    results = []
    for records in (kept(requests), alone(requests)):
        lags = Lags()
        lags.written(records)
        lags.came([Label(request, 0, 1, moment) for request, moment in labels])
        lags.written([])
        results.append({version: (lag.buckets, round(lag.seconds, 6)) for version, lag in lags.of.items()})

    assert results[0] == results[1]
    assert results[0]["house-1"][0][2] > 0
