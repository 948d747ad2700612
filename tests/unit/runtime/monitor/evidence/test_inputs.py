"""Inputs are counted whichever version answered; what no check needs is not gathered."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from tidemill.api.checks import Check
from tidemill.contract.layout import LogColumn
from tidemill.runtime.log.conforming import conformed, kinds_of
from tidemill.runtime.monitor.evidence.evidence import InputEvidence, ReferenceData
from tidemill.runtime.monitor.evidence.inputs import InputAccumulator
from tidemill.runtime.monitor.evidence.reference import load_reference
from tidemill.runtime.profile import Counter

AMOUNT = LogColumn.FEATURE + "amount"
DRIFT = Check(name="inputs", type="FeatureDrift", method="PSI", threshold=0.2)
TOGETHER = Check(name="joint", type="Multivariate", threshold=0.1)


@pytest.fixture
def reference(shop: Any) -> ReferenceData:
    return load_reference(shop.version, shop.store)


def gathered(
    shop: Any, reference: ReferenceData, *tables: pa.Table, checks: tuple[Check, ...] = (DRIFT,)
) -> InputEvidence:
    inputs = InputAccumulator(shop.order(*checks), reference)
    for table in tables:
        inputs.add(table, conformed(table, kinds_of(reference.signature)))
    return inputs.evidence(sum(table.num_rows for table in tables), None)


def test_columns_are_compared_over_all_parts(shop: Any, reference: ReferenceData) -> None:
    sample = shop.model.sample

    evidence = gathered(shop, reference, sample.slice(0, 300), sample.slice(300, 200))

    assert [LogColumn.FEATURE + name for name in ("country", "channel", "items", "amount")] == [
        column.name for column in evidence.columns
    ]
    assert {500} == {column.current.rows for column in evidence.columns}
    assert ({}, (), 0.0) == (evidence.joints, evidence.mismatched, evidence.duplicate_share)


def test_what_pods_counted_adds_up_with_what_was_read(shop: Any, reference: ReferenceData) -> None:
    sample = shop.model.sample
    pods = Counter(reference.features)
    pods.add(sample.slice(300, 200))
    inputs = InputAccumulator(shop.order(DRIFT), reference)
    inputs.add(sample.slice(0, 300), sample.slice(0, 300))

    evidence = inputs.evidence(500, pods.profile())

    read = gathered(shop, reference, sample.slice(0, 500))
    assert [dict(column.statistics) for column in read.columns] == [
        dict(column.statistics) for column in evidence.columns
    ]


@pytest.mark.parametrize("lacking, expected", [(40, ()), (50, ()), (60, ("amount",))])
def test_a_feature_that_most_rows_lack_is_mismatched(
    shop: Any, reference: ReferenceData, lacking: int, expected: tuple[str, ...]
) -> None:
    sample = shop.model.sample

    evidence = gathered(
        shop, reference, sample.slice(0, 100 - lacking), sample.slice(0, lacking).drop_columns([AMOUNT])
    )

    assert expected == evidence.mismatched


def test_a_number_that_is_sent_as_text_is_mismatched(shop: Any, reference: ReferenceData) -> None:
    sample = shop.model.sample.slice(0, 100)
    texts = pa.array([str(value) for value in sample.column(AMOUNT).to_pylist()])

    evidence = gathered(shop, reference, sample.set_column(sample.column_names.index(AMOUNT), AMOUNT, texts))

    assert ("amount",) == evidence.mismatched


def test_several_columns_are_measured_at_once_where_a_check_needs_it(shop: Any, reference: ReferenceData) -> None:
    evidence = gathered(shop, reference, shop.model.sample.slice(0, 300), checks=(DRIFT, TOGETHER))

    assert ["joint"] == list(evidence.joints)
    assert evidence.joints["joint"].discrepancy is not None
