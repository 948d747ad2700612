"""Answers are counted by groups: a category itself, a number by the quarter of the training data in which it lies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tidemill.contract.layout import LogColumn
from tidemill.runtime.monitor.evidence.evidence import ReferenceData
from tidemill.runtime.monitor.evidence.groups import MAX_GROUPS, GroupCounter, groups_of
from tidemill.runtime.monitor.evidence.reference import load_reference

COUNTRY, AMOUNT = LogColumn.FEATURE + "country", LogColumn.FEATURE + "amount"


@pytest.fixture
def reference(shop: Any) -> ReferenceData:
    return load_reference(shop.version, shop.store)


def answered(countries: list[str | None], answers: list[str | None]) -> pa.Table:
    return pa.table({COUNTRY: pa.array(countries, pa.string()), LogColumn.PREDICTION: pa.array(answers, pa.string())})


def test_answers_are_counted_by_group_over_all_parts(reference: ReferenceData) -> None:
    counter = GroupCounter(["country"], reference)

    counter.add(answered(["de", "de", "fr", None], ["1", "0", "1", "1"]))
    counter.add(answered(["de", "fr"], ["1", None]))

    assert {"country": {"de": {"1": 2, "0": 1}, "fr": {"1": 1}}} == counter.groups()
    assert {"country": 1} == counter.ungrouped()


def test_rows_of_a_part_without_the_column_have_no_group(reference: ReferenceData) -> None:
    counter = GroupCounter(["country"], reference)

    counter.add(answered(["de", "fr"], ["1", "0"]).drop_columns([COUNTRY]))

    assert ({"country": {}}, {"country": 2}) == (counter.groups(), counter.ungrouped())


def test_a_result_does_not_change_with_later_rows(reference: ReferenceData) -> None:
    counter = GroupCounter(["country"], reference)
    counter.add(answered(["de"], ["1"]))
    groups, ungrouped = counter.groups(), counter.ungrouped()

    counter.add(answered(["de", None], ["1", "1"]))

    assert ({"country": {"de": {"1": 1}}}, {"country": 0}) == (groups, ungrouped)


def test_only_so_many_groups_are_kept(reference: ReferenceData) -> None:
    names = [f"c{index}" for index in range(MAX_GROUPS + 5)]
    counter = GroupCounter(["country"], reference)

    counter.add(answered(list(names), ["1"] * len(names)))

    assert MAX_GROUPS == len(counter.groups()["country"])


def test_numbers_are_grouped_by_the_quarters_of_the_training_data(shop: Any, reference: ReferenceData) -> None:
    trained = np.asarray(shop.model.sample.column(AMOUNT))

    groups = groups_of(reference, "amount", pa.chunked_array([pa.array([*trained, None], pa.float64())]))

    assert groups[-1] is None
    named = {name: groups.count(name) / len(trained) for name in dict.fromkeys(groups[:-1])}
    assert 4 == len(named)
    assert all(share == pytest.approx(0.25, abs=0.01) for share in named.values())
    lowest, highest = groups[int(trained.argmin())], groups[int(trained.argmax())]
    low, high = (np.asarray([group == name for group in groups[:-1]]) for name in (lowest, highest))
    assert trained[low].max() <= np.quantile(trained, 0.26)
    assert trained[high].min() >= np.quantile(trained, 0.74)
