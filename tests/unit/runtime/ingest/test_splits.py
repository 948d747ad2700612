"""The frozen hold-out: a row's side never changes, and the shares are right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tidemill.api.dataset import ColumnSpec, Splits
from tidemill.runtime.failures import SchemaMismatch
from tidemill.runtime.ingest import bundled
from tidemill.runtime.ingest.columns import Understood, understand
from tidemill.runtime.ingest.splits import hold_out
from tidemill.runtime.tables.schema import Schema

CANCER = bundled.read("sklearn://breast_cancer")
STRATIFIED, RANDOM = Splits(), Splits(strategy="Random")


def sides(rows: Understood, splits: Splits, before: Schema | None = None) -> tuple[Any, Schema, tuple[str, ...]]:
    held_out, rule, warnings = hold_out(rows, splits, before)
    return held_out, Schema(columns=rows.columns, target=rows.target, split=rule), warnings


def by_row(table: pa.Table, held_out: Any) -> dict[str, bool]:
    return {str(row): bool(side) for row, side in zip(table.to_pylist(), held_out, strict=True)}


@pytest.mark.parametrize("splits", [STRATIFIED, RANDOM], ids=["stratified", "random"])
@settings(max_examples=15, deadline=None)
@given(
    kept=some.lists(some.integers(0, 568), min_size=30, max_size=300, unique=True),
    order=some.randoms(use_true_random=False),
)
def test_a_row_stays_on_its_side_when_rows_come_go_and_move(splits: Splits, kept: list[int], order: Any) -> None:
    first = CANCER.take(kept)
    before, schema, _ = sides(understand(first, []), splits)
    positions = list(range(CANCER.num_rows))
    order.shuffle(positions)
    grown = CANCER.take(positions)

    after, _, warnings = sides(understand(grown, []), splits, schema)

    assert () == warnings
    known = by_row(grown, after)
    assert all(known[row] == side for row, side in by_row(first, before).items())


def test_stratified_holds_out_the_wanted_share_of_each_class() -> None:
    held_out, _, _ = sides(understand(CANCER, []), STRATIFIED)

    target = np.array(CANCER.column("target").to_pylist())
    assert {"malignant": 42, "benign": 71} == {
        label: int(held_out[target == label].sum()) for label in ("malignant", "benign")
    }
    assert [212, 357] == [int((target == label).sum()) for label in ("malignant", "benign")]


def test_random_needs_no_memory() -> None:
    half = CANCER.slice(0, 280)

    alone = by_row(half, sides(understand(half, []), RANDOM)[0])
    together = by_row(CANCER, sides(understand(CANCER, []), RANDOM)[0])

    assert alone == {row: together[row] for row in alone}


def test_copies_of_a_row_are_never_on_both_sides() -> None:
    twice = pa.concat_tables([CANCER, CANCER])

    held_out, _, _ = sides(understand(twice, []), STRATIFIED)

    assert (held_out[:569] == held_out[569:]).all()


def test_another_seed_is_another_split() -> None:
    first, two = (sides(understand(CANCER, []), Splits(seed=seed))[0] for seed in (1, 2))

    assert 60 < int((first & ~two).sum())


def test_a_new_column_moves_no_row() -> None:
    before, schema, _ = sides(understand(CANCER, []), STRATIFIED)
    wider = CANCER.append_column("noted", pa.array(np.arange(569.0)))

    after, _, _ = sides(understand(wider, []), STRATIFIED, schema)

    assert (before == after).all()


def test_rows_are_told_apart_anew_where_a_column_they_were_told_apart_by_is_gone() -> None:
    _, schema, _ = sides(understand(CANCER, []), STRATIFIED)

    _, _, warnings = sides(understand(CANCER.drop_columns(["mean_area"]), []), STRATIFIED, schema)

    assert "drawn again: column 'mean_area'" in warnings[0]


def test_with_an_id_a_corrected_row_stays_on_its_side() -> None:
    declared = [ColumnSpec(name="patient", role="Id")]
    numbered = CANCER.append_column("patient", pa.array(np.arange(569)))
    corrected = numbered.set_column(0, "mean_radius", pa.array(np.full(569, 1.0)))

    before, schema, _ = sides(understand(numbered, declared), STRATIFIED)
    after, _, _ = sides(understand(corrected, declared), STRATIFIED, schema)

    assert (before == after).all()


def test_rows_that_share_an_id_stay_together_whatever_their_class() -> None:
    declared = [ColumnSpec(name="patient", role="Id")]
    visits = CANCER.append_column("patient", pa.array(np.arange(569) // 5))

    held_out, _, _ = sides(understand(visits, declared), STRATIFIED)

    assert all(len(set(held_out[start : start + 5])) == 1 for start in range(0, 569, 5))


@pytest.mark.parametrize("test", [0.0, 1.0])
def test_nothing_and_everything_can_be_held_out(test: float) -> None:
    for strategy in ("Random", "Stratified"):
        held_out, _, _ = sides(understand(CANCER, []), Splits(strategy=strategy, test=test))

        assert int(test) * 569 == int(held_out.sum())


def test_a_class_of_few_rows_draws_no_line_for_thousands() -> None:
    few = pa.table({"a": [1.0, 2.0, 3.0], "target": ["x", "x", "x"]})
    many = pa.table({"a": np.arange(1.0, 5001.0), "target": ["x"] * 5000})
    _, schema, _ = sides(understand(few, []), STRATIFIED)

    held_out, _, _ = sides(understand(many, []), STRATIFIED, schema)

    assert 0.09 < held_out.mean() < 0.31


def test_rows_of_one_group_are_on_one_side() -> None:
    customers = [f"customer-{number % 40}" for number in range(400)]
    table = pa.table({"customer": customers, "amount": np.arange(400.0), "fraud": ["no", "yes"] * 200})
    declared = [ColumnSpec(name="customer", role="Entity"), ColumnSpec(name="fraud", role="Target")]
    held_out, schema, _ = sides(understand(table, declared), Splits(strategy="Group", column="customer", test=0.3))
    of_group: dict[str, set[bool]] = {}
    for customer, side in zip(customers, held_out, strict=True):
        of_group.setdefault(customer, set()).add(bool(side))

    assert {1} == {len(result) for result in of_group.values()}
    assert 0.1 < held_out.mean() < 0.5
    assert ("Group", ("customer",)) == (schema.split.strategy, schema.split.keys)


def test_a_group_s_side_is_the_same_in_the_next_revision() -> None:
    first = pa.table({"customer": ["a", "b", "c", "d"] * 5, "amount": np.arange(20.0)})
    later = pa.table({"customer": ["d", "c", "b", "a", "e"] * 5, "amount": np.arange(100.0, 125.0)})
    by_customer = Splits(strategy="Group", column="customer", test=0.5)
    before, schema, _ = sides(understand(first, []), by_customer)
    after, _, _ = sides(understand(later, []), by_customer, schema)
    known = dict(zip(first.column("customer").to_pylist(), before.tolist(), strict=True))

    assert known == {
        customer: side
        for customer, side in zip(later.column("customer").to_pylist(), after.tolist(), strict=True)
        if customer in known
    }


def test_a_group_by_a_column_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(SchemaMismatch, match="goes by column 'customer'"):
        sides(understand(CANCER, []), Splits(strategy="Group", column="customer"))
