"""Answers are matched with their labels; labels that cannot be theirs are left out and reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tidemill.contract.layout import LogColumn
from tidemill.runtime.log.labels.index import NO_LABELS, LabelIndex
from tidemill.runtime.monitor.evidence.evidence import ReferenceData
from tidemill.runtime.monitor.evidence.labelled import LabelMatcher
from tidemill.runtime.monitor.evidence.reference import load_reference
from tidemill.runtime.monitor.performance.measured import Classified, Predicted

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DIGEST = "sha256:" + "1" * 64


def microseconds(minutes: float) -> int:
    return int((NOON + timedelta(minutes=minutes)).timestamp() * 1e6)


def rows(*minutes: float, answers: Sequence[Any], first: int = 0, digest: str = DIGEST, **columns: Any) -> pa.Table:
    """Rows of the log, answered so many minutes after noon."""
    return pa.table(
        {
            LogColumn.REQUEST: [f"r{first + index}" for index in range(len(minutes))],
            LogColumn.ROW: [0] * len(minutes),
            LogColumn.TIME: pa.array([microseconds(minute) for minute in minutes], pa.timestamp("us", tz="UTC")),
            LogColumn.DIGEST: [digest] * len(minutes),
            LogColumn.PREDICTION: answers,
            **{LogColumn.FEATURE + name: column for name, column in columns.items()},
        }
    )


def labelled(*pairs: tuple[str, float]) -> LabelIndex:
    """Labels of the requests `r0`, `r1`, …, each with when it came in minutes after noon."""
    return replace(
        NO_LABELS,
        keys=pa.array([f"r{index}/0" for index in range(len(pairs))]),
        values=pa.array([label for label, _ in pairs]),
        times=np.array([microseconds(minute) for _, minute in pairs], np.int64),
    )


@pytest.fixture
def reference(shop: Any) -> ReferenceData:
    return load_reference(shop.version, shop.store)


@pytest.fixture
def power(station: Any) -> ReferenceData:
    return load_reference(station.version, station.store)


def matcher(labels: LabelIndex, reference: ReferenceData, *columns: str, limit: int = 100) -> LabelMatcher:
    return LabelMatcher(labels, DIGEST, reference, columns, limit=limit)


def test_rows_with_labels_are_put_in_the_order_of_time(reference: ReferenceData) -> None:
    kept = matcher(labelled(("1", 30), ("0", 30), ("1", 30)), reference, "country")
    kept.add(rows(20, 10, answers=["1", "1"], country=["de", "fr"]))
    kept.add(rows(5, 6, answers=["0", "0"], first=2, country=[None, "it"]))

    evidence = kept.evidence(counted=True)

    assert evidence.answers is not None and isinstance(evidence.answers.rows, Classified)
    assert [1, 0, 1] == evidence.answers.rows.labels.tolist()
    assert [0, 1, 1] == evidence.answers.rows.answers.tolist()
    assert {"country": (None, "fr", "de")} == evidence.answers.columns
    assert (3, 0, NOON + timedelta(minutes=20)) == (evidence.count, evidence.unknown, evidence.newest)
    assert () == kept.warnings()


def test_answers_of_another_version_are_left_out(reference: ReferenceData) -> None:
    kept = matcher(labelled(("1", 30)), reference)

    kept.add(rows(10, answers=["1"], digest="sha256:" + "2" * 64))

    assert 0 == kept.evidence(counted=True).count


def test_a_label_from_long_before_its_row_is_left_out_and_one_from_just_before_is_kept(
    reference: ReferenceData,
) -> None:
    kept = matcher(labelled(("1", 0), ("0", 9)), reference)

    kept.add(rows(10, 10, answers=["1", "1"]))

    assert 1 == kept.evidence(counted=True).count
    assert (
        "1 label is older than its row; synchronize the clocks of the pods and of the senders of labels",
        "1 label is dated long before the rows were answered and left out; correct the clock of the sender",
    ) == kept.warnings()


def test_only_the_newest_rows_are_kept_and_the_others_reported(reference: ReferenceData) -> None:
    kept = matcher(labelled(*[("1", 30)] * 5), reference, limit=3)

    kept.add(rows(1, 5, 2, 4, 3, answers=["1", "1", "0", "1", "1"]))

    assert ("2 labelled rows are beyond the limit; only the newest are evaluated",) == kept.warnings()
    assert 3 == kept.evidence(counted=True).count


def test_labels_that_are_not_classes_are_counted(reference: ReferenceData) -> None:
    kept = matcher(labelled(("1", 30), ("yes", 30), ("yes", 30)), reference)

    kept.add(rows(1, 2, 3, answers=["1", "1", "0"]))

    evidence = kept.evidence(counted=True)
    assert (3, 2, True) == (evidence.count, evidence.unknown, evidence.disbelieved)
    assert "'yes'" in evidence.unknown_note()


def test_a_number_that_is_missing_is_no_labelled_answer(power: ReferenceData) -> None:
    kept = matcher(labelled(("1.5", 30), ("none", 30), ("2.5", 30)), power)

    kept.add(rows(1, 2, 3, answers=[1.0, 2.0, 3.0]))

    evidence = kept.evidence(counted=True)
    assert evidence.answers is not None and isinstance(evidence.answers.rows, Predicted)
    assert ([1.5, 2.5], [1.0, 3.0]) == (
        evidence.answers.rows.labels.tolist(),
        evidence.answers.rows.answers.tolist(),
    )
    assert (2, None, False) == (evidence.count, evidence.unknown, evidence.disbelieved)


def test_without_labels_there_is_nothing_to_keep(reference: ReferenceData) -> None:
    kept = matcher(NO_LABELS, reference)

    kept.add(rows(1, answers=["1"]))

    evidence = kept.evidence(counted=False)
    assert (False, None, None, 0, 0) == (
        evidence.counted,
        evidence.answers,
        evidence.newest,
        evidence.count,
        evidence.unknown,
    )
