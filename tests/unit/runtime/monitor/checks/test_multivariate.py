"""Checks of several columns at once keep their level and have power on shifts that no single column shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from tidemill.runtime.log.sampling import RowSample
from tidemill.runtime.monitor.statistics import classifier, embedding, outliers, reconstruction
from tidemill.runtime.monitor.statistics.space import Space

LEVEL = 0.05


def drawn(rows: int, seed: int, correlation: float = 0.0, width: int = 6, shift: float = 0.0) -> Any:
    """Normal columns, the first two correlated; their own distributions never change with the correlation."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, width)) + shift
    values[:, 1] = correlation * values[:, 0] + np.sqrt(1 - correlation**2) * values[:, 1]
    return values


def points(values: Any, like: Any = None) -> Any:
    names = [f"x{index}" for index in range(values.shape[1])]

    def table(of: Any) -> pa.Table:
        return pa.table(dict(zip(names, of.T, strict=True)))

    return Space.of(table(values if like is None else like), names).points(table(values))


def mmd(reference: Any, window: Any) -> embedding.Discrepancy:
    result = embedding.EmbeddedReference.of(points(reference))
    return result.discrepancy(result.directions.embed(points(window, reference)))


@pytest.mark.slow
def test_the_discrepancy_of_tables_alike_is_significant_as_often_as_its_level_says() -> None:
    runs = 200
    alarms = sum(mmd(drawn(400, 2 * seed), drawn(300, 2 * seed + 1)).p_value <= LEVEL for seed in range(runs))

    # Three standard errors of a share of 5 % of 200.
    assert alarms / runs <= LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / runs)
    assert alarms / runs >= LEVEL - 3 * np.sqrt(LEVEL * (1 - LEVEL) / runs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changed"),
    [("a small shift of every column", {"shift": 0.25}), ("a correlation that was not there", {"correlation": 0.7})],
)
def test_the_discrepancy_finds_a_shift_nearly_always(name: str, changed: Any) -> None:
    runs = 30
    result = sum(
        mmd(drawn(1000, 2 * seed), drawn(1000, 2 * seed + 1, **changed)).p_value <= 0.05 for seed in range(runs)
    )

    assert result / runs >= 0.95, name


def test_the_discrepancy_is_zero_on_average_where_nothing_moved_and_grows_with_the_shift() -> None:
    reference = drawn(2000, 1)
    values = [mmd(reference, drawn(2000, 2, shift=shift)).value for shift in (0.0, 0.5, 1.0, 3.0)]

    assert values[0] < 0.03
    assert values == sorted(values)
    assert 0.3 < values[-1] <= np.sqrt(2)


def test_embeddings_of_shards_add_up_to_that_of_all_rows_bit_for_bit() -> None:
    reference = drawn(500, 1, width=30)
    rows = points(drawn(7001, 2, width=30), reference)
    directions = embedding.Directions.drawn(points(reference))
    whole = directions.embed(rows)
    shuffled = np.random.default_rng(3).permutation(len(rows))

    shards = [directions.embed(rows[index]) for index in np.array_split(shuffled, 13)]
    together = shards[0]
    for shard in shards[1:]:
        together = shard.merge(together)

    assert whole.rows == together.rows
    assert np.array_equal(whole.sums, together.sums)


def test_the_estimate_is_near_the_exact_discrepancy_of_the_same_kernels() -> None:
    before, now = points(drawn(400, 1)), points(drawn(400, 2, shift=0.7), drawn(400, 1))
    reference = embedding.EmbeddedReference.of(before)
    apart = np.sqrt(np.square(before[:, None] - before[None]).sum(-1))
    median = np.median(apart[apart > 0])

    def kernel(left: Any, right: Any) -> Any:
        squared = np.square(left[:, None] - right[None]).sum(-1)
        return np.mean([np.exp(-squared / (2 * (width * median) ** 2)) for width in (0.5, 1.0, 2.0)], axis=0)

    n = len(before)
    within = (kernel(before, before).sum() - n) / (n * (n - 1)) + (kernel(now, now).sum() - n) / (n * (n - 1))
    exact = np.sqrt(within - 2 * kernel(before, now).mean())

    assert exact == pytest.approx(reference.discrepancy(reference.directions.embed(now)).value, rel=0.1)


def test_a_broken_relation_shows_in_the_reconstruction_though_no_column_moved() -> None:
    random = np.random.default_rng(1)

    def related(rows: int, *, broken: bool) -> Any:
        hidden = random.normal(size=(rows, 2))
        values = hidden @ random_weights + 0.2 * random.normal(size=(rows, 8))
        if broken:
            values = np.column_stack([random.permutation(column) for column in values.T])
        return values

    random_weights = np.random.default_rng(5).normal(size=(2, 8))
    reference = related(2000, broken=False)
    components = reconstruction.Components.of(points(reference))

    steady = components.shift(components.add(points(related(1000, broken=False), reference)))
    broken = components.shift(components.add(points(related(1000, broken=True), reference)))

    assert abs(steady.z) < 3
    assert broken.value > 1 and broken.z > 10


def test_reconstruction_errors_keep_their_level() -> None:
    alarms = 0
    for seed in range(200):
        components = reconstruction.Components.of(points(drawn(600, 2 * seed, 0.8)))
        shift = components.shift(components.add(points(drawn(400, 2 * seed + 1, 0.8), drawn(600, 2 * seed, 0.8))))
        alarms += abs(shift.z) > 1.96

    # Components are fitted to half of the reference and measured on the other, so there is a little more than chance.
    assert alarms / 200 <= 0.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changed"),
    [("a relation that is weaker", {"correlation": 0.3}), ("a relation that is turned round", {"correlation": -0.8})],
)
def test_reconstruction_errors_show_a_relation_that_changed_nearly_always(name: str, changed: Any) -> None:
    runs = 60
    results = 0
    for seed in range(runs):
        reference = drawn(1000, 2 * seed, 0.8)
        components = reconstruction.Components.of(points(reference))
        window = drawn(1000, 2 * seed + 1, **{"correlation": 0.8, **changed})
        results += abs(components.shift(components.add(points(window, reference))).z) > 2.576

    assert results / runs >= 0.95, name


@pytest.mark.slow
def test_reconstruction_errors_alarm_no_more_often_than_their_level_and_a_half_says() -> None:
    runs, level = 500, 0.01
    alarms = 0
    for seed in range(runs):
        reference = drawn(1000, 2 * seed, 0.8)
        components = reconstruction.Components.of(points(reference))
        shift = components.shift(components.add(points(drawn(1000, 2 * seed + 1, 0.8), reference)))
        alarms += abs(shift.z) > 2.576

    # Three standard errors of a share of 1.5 % of 500: components are fitted to half of the reference.
    assert alarms / runs <= 1.5 * level + 3 * np.sqrt(1.5 * level * (1 - 1.5 * level) / runs)


def test_delongs_area_is_scikit_learns_and_its_interval_covers_the_truth() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(300):
        positive = random.random(200) < 0.4
        scores = random.normal(size=200) + positive
        value, variance = classifier.delong(scores, positive)
        assert roc_auc_score(positive, scores) == pytest.approx(value)
        # Two normal distributions one apart: Φ(1/√2).
        covered += abs(value - 0.7602) <= 1.96 * np.sqrt(variance)

    assert covered / 300 >= 0.92


def test_a_classifier_tells_nothing_where_there_is_nothing() -> None:
    results = [classifier.two_sample_test(drawn(600, 2 * seed), drawn(400, 2 * seed + 1)) for seed in range(5)]

    assert 0.5 == pytest.approx(np.mean([event.auc for event in results]), abs=0.03)
    assert sum(event.low > 0.5 for event in results) <= 1


@pytest.mark.slow
def test_a_classifier_tells_tables_alike_apart_no_more_often_than_its_level_says() -> None:
    runs, level = 40, 0.025
    results = [
        classifier.two_sample_test(drawn(300, 2 * seed, width=4), drawn(300, 2 * seed + 1, width=4))
        for seed in range(runs)
    ]

    # One end of an interval of 95 %, and three standard errors of such a share of 40.
    assert sum(event.low > 0.5 for event in results) / runs <= level + 3 * np.sqrt(level * (1 - level) / runs)
    assert 0.5 == pytest.approx(np.mean([event.auc for event in results]), abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changed"),
    [("a shift of every column", {"shift": 0.4}), ("a correlation that was not there", {"correlation": 0.8})],
)
def test_a_classifier_tells_moved_tables_apart_nearly_always(name: str, changed: Any) -> None:
    runs = 20
    results = [
        classifier.two_sample_test(drawn(500, 2 * seed, width=4), drawn(500, 2 * seed + 1, width=4, **changed))
        for seed in range(runs)
    ]

    assert sum(event.low > 0.5 for event in results) / runs >= 0.95, name


def test_a_classifier_tells_a_relation_that_changed_and_which_columns_it_went_by() -> None:
    results = classifier.two_sample_test(drawn(800, 1), drawn(800, 2, correlation=0.9))

    assert results.auc > 0.75
    assert results.low < results.auc < results.high
    assert {0, 1} == {column for column, _ in results.importances[:2]}


def test_requests_that_are_repeated_are_not_told_by_that() -> None:
    window = drawn(150, 2)

    results = classifier.two_sample_test(drawn(600, 1), np.repeat(window, 4, axis=0))

    assert results.auc < 0.65


def test_telling_apart_needs_rows_on_both_sides() -> None:
    with pytest.raises(ValueError, match="50 different rows on both sides"):
        classifier.two_sample_test(drawn(600, 1), drawn(20, 2))


def test_one_row_in_a_hundred_is_an_outlier_where_nothing_moved() -> None:
    ordinary = outliers.OutlierModel.of(drawn(4000, 1, 0.8))

    assert 0.01 == pytest.approx(ordinary.outliers(drawn(20_000, 2, 0.8)) / 20_000, abs=0.006)


def test_rows_against_the_usual_relation_are_outliers_though_each_value_is_ordinary() -> None:
    ordinary = outliers.OutlierModel.of(drawn(4000, 1, 0.99, width=2))

    assert 1 == ordinary.outliers(np.array([[1.5, -1.5], [1.5, 1.5]]))


def test_a_sample_is_the_same_in_whatever_order_and_pieces_rows_come() -> None:
    rows = pa.table({"x": np.random.default_rng(1).normal(size=20_000), "word": ["a", "b"] * 10_000})
    whole, pieces = RowSample(500, rows.column_names), RowSample(500, rows.column_names)
    whole.add(rows)
    for start in reversed(range(0, 20_000, 700)):
        pieces.add(rows.slice(start, 700))

    assert whole.table() == pieces.table()
    assert 0 == pytest.approx(float(np.mean(whole.table().column("x").to_numpy())), abs=0.15)  # type: ignore[union-attr]


def test_missing_values_lie_at_the_centre_and_unseen_categories_in_a_corner_of_their_own() -> None:
    before = pa.table({"x": [0.0, 1.0, 2.0, 3.0], "c": ["a", "a", "b", "b"]})
    space = Space.of(before, ["x", "c"])

    result = space.points(pa.table({"x": [None, np.inf, -np.inf], "c": ["new", "a", None]}))

    assert [0.0, 16.0, -16.0] == result[:, 0].tolist()
    assert [[0, 0, 1], [1, 0, 0], [0, 0, 0]] == (result[:, 1:] > 0).astype(int).tolist()
