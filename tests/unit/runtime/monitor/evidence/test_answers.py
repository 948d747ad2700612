"""Answers are those of the monitored version alone, also while a candidate answers a part."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from tidemill.api.checks import Check
from tidemill.contract.layout import LogColumn
from tidemill.runtime.monitor.evidence.answers import AnswerAccumulator, answered_by
from tidemill.runtime.monitor.evidence.evidence import OUTPUTS, AnswerEvidence, ReferenceData
from tidemill.runtime.monitor.evidence.reference import load_reference
from tidemill.runtime.profile import Counter

ANSWERS = Check(name="answers", type="PredictionDrift", method="PSI", threshold=0.2)
ESTIMATE = Check(name="estimate", type="EstimatedPerformance", metric="accuracy", minimum=0.8)
FAIR = Check(name="fair", type="Fairness", metric="DemographicParityDifference", column="country", maximum=0.2)


@pytest.fixture
def reference(shop: Any) -> ReferenceData:
    return load_reference(shop.version, shop.store)


def answered(shop: Any, count: int, *, digest: str | None = None) -> pa.Table:
    """Rows of the hold-out, as a version answered them."""
    rows = shop.model.answers.slice(0, count)
    return rows.append_column(LogColumn.DIGEST, pa.array([digest or shop.version.digest] * count))


def gathered(shop: Any, reference: ReferenceData, *tables: pa.Table, checks: tuple[Check, ...]) -> AnswerEvidence:
    answers = AnswerAccumulator(shop.order(*checks), reference, OUTPUTS)
    for table in tables:
        answers.add(table)
    return answers.evidence(None)


def test_only_the_versions_own_answers_are_counted(shop: Any, reference: ReferenceData) -> None:
    other = answered(shop, 50, digest="sha256:" + "2" * 64)

    evidence = gathered(shop, reference, answered(shop, 100), other, checks=(ANSWERS,))

    assert (100, [LogColumn.PREDICTION, LogColumn.SCORE]) == (
        evidence.rows,
        [column.name for column in evidence.columns],
    )
    assert {100} == {column.current.rows for column in evidence.columns}
    assert (None, {}, {}) == (evidence.sample, evidence.groups, evidence.ungrouped)


def test_what_pods_counted_adds_up_with_what_was_read(shop: Any, reference: ReferenceData) -> None:
    pods = Counter(reference.outputs)
    pods.add(answered(shop, 70))
    answers = AnswerAccumulator(shop.order(ANSWERS), reference, OUTPUTS)
    answers.add(answered(shop, 100))

    evidence = answers.evidence(pods.profile())

    assert (170, {170}) == (evidence.rows, {column.current.rows for column in evidence.columns})


def test_some_rows_are_kept_where_a_check_needs_them(shop: Any, reference: ReferenceData) -> None:
    evidence = gathered(shop, reference, answered(shop, 100), checks=(ESTIMATE,))

    assert evidence.sample is not None
    assert 100 == evidence.sample.num_rows
    assert {*OUTPUTS, LogColumn.FEATURE + "country"} <= set(evidence.sample.column_names)


def test_groups_are_counted_where_a_check_compares_them(shop: Any, reference: ReferenceData) -> None:
    evidence = gathered(shop, reference, answered(shop, 100), checks=(FAIR,))

    assert 100 == sum(sum(answers.values()) for answers in evidence.groups["country"].values())
    assert {"country": 0} == evidence.ungrouped


def test_rows_of_a_log_without_versions_are_of_none(shop: Any) -> None:
    rows = shop.model.answers.slice(0, 10)

    assert (0, rows.schema) == (answered_by(shop.version.digest, rows).num_rows, rows.schema)
