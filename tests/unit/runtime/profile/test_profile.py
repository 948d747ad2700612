from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tidemill.runtime.profile import Counter, Profile, ProfiledColumn, ProfileError, profile_table
from tidemill.runtime.profile.categorical import CATEGORIES, CategoricalProfile
from tidemill.runtime.profile.numerical import NumericalProfile

AMOUNT = ProfiledColumn("amount", "Numerical")
SHOP = ProfiledColumn("shop", "Categorical")


def numbers(values: Any, like: Any = None) -> NumericalProfile:
    reference = None if like is None else profile_table(pa.table({"amount": pa.array(like)}), [AMOUNT])
    (column,) = profile_table(pa.table({"amount": pa.array(values)}), [AMOUNT], reference).columns
    assert isinstance(column, NumericalProfile)
    return column


def words(values: list[str | None], like: list[str] | None = None) -> CategoricalProfile:
    reference = None if like is None else profile_table(pa.table({"shop": like}), [SHOP])
    (column,) = profile_table(pa.table({"shop": pa.array(values, pa.string())}), [SHOP], reference).columns
    assert isinstance(column, CategoricalProfile)
    return column


def test_bins_hold_about_equally_many_values_of_the_reference() -> None:
    values = np.random.default_rng(0).normal(size=100_000)

    profile = numbers(values)

    assert 1000 <= len(profile.starts) <= 1050
    assert profile.counts.max() <= 2 * 100_000 / 1024


def test_values_over_many_powers_of_ten_are_told_apart_as_well() -> None:
    values = np.random.default_rng(0).lognormal(0, 4, size=100_000)

    profile = numbers(values)

    assert "Floating" == profile.grid.kind
    assert profile.counts.max() <= 4 * 100_000 / 1024


def test_a_value_that_half_of_the_rows_have_gets_a_bin_of_its_own() -> None:
    values = np.random.default_rng(0).exponential(size=10_000)
    values[::2] = 0.0

    profile = numbers(values)

    heavy = int(profile.counts.argmax())
    assert 5000 <= profile.counts[heavy] <= 5010


def test_every_value_of_a_small_table_has_a_bin() -> None:
    values = [5.1, 4.9, 4.7, 4.6, 5.0]

    profile = numbers(values)

    assert 5 == (profile.counts == 1).sum()


def test_the_mean_comes_out_of_the_sums() -> None:
    values = np.random.default_rng(0).lognormal(0, 2, size=50_000)

    bins = numbers(values).bins()

    assert values.mean() == pytest.approx(bins.counts @ bins.means / 50_000, rel=1e-4)


def test_whole_numbers_are_remembered_exactly() -> None:
    values = np.random.default_rng(0).integers(-7, 40, size=5000)

    bins = numbers(values).bins()

    assert values.sum() == bins.counts @ bins.means
    assert bins.sharp.all()


def test_what_lies_far_outside_the_reference_keeps_its_size() -> None:
    current = numbers([1e5, -3e4, 0.5], like=[0.0, 0.5, 1.0])

    bins = current.bins()

    assert (1e5 - 3e4 + 0.5) / 3 == pytest.approx(bins.counts @ bins.means / 3, rel=0.01)
    assert (-3e4, 1e5) == (current.minimum, current.maximum)


def test_missing_infinite_and_unreadable_entries_are_counted_apart() -> None:
    current = numbers(pa.array([1.0, None, math.nan, math.inf, -math.inf, 2.0]), like=[0.0, 1.0, 2.0])

    assert (6, 2, 1, 1, 2) == (
        current.rows,
        current.missing,
        current.positive_infinities,
        current.negative_infinities,
        current.present,
    )
    assert 2 == current.counts.sum()
    assert (1.0, 2.0) == (current.minimum, current.maximum)


def test_a_column_of_numbers_that_turned_into_text_is_read_where_it_can_be() -> None:
    current = numbers(["1.5", "many", " 2 ", "n/a", None], like=[0.0, 1.0, 2.0])

    assert (5, 2, 1, 2) == (current.rows, current.missing, current.invalid, current.present)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(pa.array([True, False, None]), id="booleans"),
        pytest.param(pa.array([1, 0, None], pa.int8()), id="small whole numbers"),
        pytest.param(pa.array([1, 0, None], pa.float32()), id="single precision"),
        pytest.param(pa.array(["1", "0", None]).dictionary_encode(), id="a dictionary"),
        pytest.param(pa.array([1, 0, None]).cast(pa.decimal128(21, 2)), id="decimals"),
    ],
)
def test_numbers_of_any_arrow_type_are_the_same_numbers(values: Any) -> None:
    current = numbers(values, like=[0.0, 1.0, 2.0])

    assert (1, 2, 0.0, 1.0) == (current.missing, current.present, current.minimum, current.maximum)


def test_a_type_that_is_no_number_at_all_is_invalid_rather_than_an_error() -> None:
    current = numbers(pa.array([[1.0], [2.0], None]), like=[0.0, 1.0])

    assert (3, 1, 2, 0) == (current.rows, current.missing, current.invalid, current.present)


@pytest.mark.parametrize(
    "values",
    [
        pytest.param([], id="no rows"),
        pytest.param([3.5], id="one row"),
        pytest.param([0.0] * 50, id="nothing but zero"),
        pytest.param([-2.5] * 50, id="a constant"),
        pytest.param(pa.array([None, None], pa.float64()), id="all missing"),
        pytest.param([math.inf, -math.inf], id="all infinite"),
        pytest.param([1e308, -1e308, 0.0], id="the widest range there is"),
        pytest.param([5e-324, 1e-323, 0.0], id="the smallest numbers there are"),
        pytest.param([1e16, 1e16 + 2, 1e16 + 4], id="neighbours far out"),
    ],
)
def test_no_column_is_too_odd_to_profile(values: Any) -> None:
    profile = numbers(values)

    assert profile.present == profile.counts.sum()
    assert np.isfinite(profile.bins().means).all()
    assert (np.diff(profile.bins().edges) >= 0).all()


def test_one_stray_value_does_not_take_the_room_of_all_others() -> None:
    values = np.random.default_rng(0).normal(size=20_000)
    values[0] = 1e12

    profile = numbers(values)

    assert profile.counts.max() <= 20_000 / 100


def test_categories_are_counted_exactly_and_unseen_ones_apart() -> None:
    current = words(["a", "b", "c", "d", None, "a"], like=["a", "b", "b"])

    assert (("a", "b"), [2, 1], 2, 1, ("c", "d")) == (
        current.categories,
        current.counts.tolist(),
        current.others,
        current.missing,
        current.examples,
    )


def test_a_million_unseen_categories_take_no_room() -> None:
    counter = Counter(profile_table(pa.table({"shop": ["a", "b"]}), [SHOP]))

    for batch in range(10):
        counter.add(pa.table({"shop": [f"s{batch * 100_000 + index}" for index in range(100_000)]}))

    (column,) = counter.profile().columns
    assert isinstance(column, CategoricalProfile)
    assert (1_000_000, 8) == (column.others, len(column.examples))
    assert len(counter.profile().to_json()) < 1000


def test_only_the_most_frequent_categories_of_a_reference_are_kept() -> None:
    values = [f"rare-{index}" for index in range(3000)] + ["often"] * 5

    profile = words(list(values))

    assert CATEGORIES == len(profile.categories)
    assert "often" in profile.categories
    assert 3005 == profile.counts.sum() + profile.others


def test_numbers_and_their_spelling_are_the_same_category() -> None:
    reference = profile_table(pa.table({"shop": [1, 2, 2]}), [SHOP])

    current = profile_table(pa.table({"shop": ["1", "2"]}), [SHOP], reference)

    (column,) = current.columns
    assert [1, 1] == column.counts.tolist()


def test_a_profile_survives_its_json() -> None:
    table = pa.table({"amount": [1.5, None, 3.0, math.inf], "shop": ["a", "b", None, "a"]})
    profile = profile_table(table, [AMOUNT, SHOP])

    assert profile == Profile.from_json(profile.to_json())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b'{"format":"tidemill.dev/profile/v1","rows":1,"columns":[{"name":"x","type":"Numerical"}]}',
        b'{"format":"tidemill.dev/profile/v1","rows":1,"columns":7}',
    ],
)
def test_what_is_no_profile_is_refused_with_a_remedy(text: bytes) -> None:
    with pytest.raises(ProfileError, match="tidemill profile"):
        Profile.from_json(text)


def test_a_profile_whose_counts_were_cut_is_refused() -> None:
    text = profile_table(pa.table({"amount": [1.0, 2.0]}), [AMOUNT]).to_json()

    with pytest.raises(ProfileError, match="damaged"):
        Profile.from_json(text.replace(b'"counts":[0,', b'"counts":['))


def test_profiles_on_other_bins_do_not_add_up() -> None:
    profile = profile_table(pa.table({"amount": [1.0, 2.0]}), [AMOUNT])
    other = profile_table(pa.table({"amount": [1.0, 7.0]}), [AMOUNT])

    with pytest.raises(ProfileError, match="'amount' was counted on other bins"):
        profile.merge(other)


def test_a_column_that_is_not_there_is_named_beside_those_that_are() -> None:
    with pytest.raises(ProfileError, match="no column 'amount'; there are shop"):
        profile_table(pa.table({"shop": ["a"]}), [AMOUNT])


def test_a_column_that_a_batch_lacks_counts_as_missing() -> None:
    counter = Counter(profile_table(pa.table({"amount": [1.0], "shop": ["a"]}), [AMOUNT, SHOP]))

    counter.add(pa.table({"unknown": [1, 2, 3]}))

    assert [3, 3] == [column.missing for column in counter.profile().columns]


FIRST_FORMAT = (
    b'{"format":"tidemill.dev/profile/v1","rows":5,"columns":[{"name":"amount","type":"Numerical","rows":5,"missing":0,'
    b'"negativeInfinities":0,"positiveInfinities":0,"invalid":0,"lattice":true,"between":0,"minimum":0.0,'
    b'"maximum":1000000000000.0,"grid":{"kind":"Linear","origin":0.0,"step":0.5,"cells":81},"starts":[0,3,4,80],'
    b'"counts":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1,1,2,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1],'
    b'"sums":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,10,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,65535]},'
    b'{"name":"shop","type":"Categorical","rows":5,"missing":1,"others":1,"examples":["z"],"categories":["a","b","c"],'
    b'"counts":[1,2,0]}]}'
)


def test_a_profile_of_the_first_format_is_still_read_and_counted_on() -> None:
    profile = Profile.from_json(FIRST_FORMAT)

    current = profile_table(
        pa.table({"amount": [0.0, 1.5, 2.0, 7.0], "shop": ["a", "b", "b", "z"]}), [AMOUNT, SHOP], profile
    )

    amount, shop = profile.columns
    assert isinstance(amount, NumericalProfile)
    assert isinstance(shop, CategoricalProfile)
    assert 5 == amount.counts.sum() == amount.present
    assert 4 == current.columns[0].counts.sum()
    assert (2, 4) == shop.expected_others  # the one that is, and "a", which a row less would not have named
    assert 9 == profile.merge(current).rows
    assert profile == Profile.from_json(profile.to_json())


@pytest.mark.parametrize(
    "damage",
    [(b'"heavy":[', b'"heavy":[0.5,'), (b'"kind":"Linear"', b'"kind":"Round"'), (b'"far":{', b'"far":{"x":"0x1",')],
)
def test_a_profile_whose_bins_do_not_fit_is_refused(damage: tuple[bytes, bytes]) -> None:
    text = profile_table(pa.table({"amount": [1.0, 2.0, 4.0]}), [AMOUNT]).to_json()
    assert damage[0] in text

    with pytest.raises(ProfileError, match="damaged"):
        Profile.from_json(text.replace(*damage))


@pytest.mark.parametrize(
    "kind", ["zeros and amounts", "modes far apart", "whole numbers", "cents", "far values", "single precision"]
)
def test_long_and_short_batches_count_the_same(kind: str) -> None:
    rng = np.random.default_rng(9)
    rows = 20_000
    values = {
        "zeros and amounts": lambda: np.where(rng.random(rows) < 0.6, 0.0, rng.lognormal(3, 3, rows)),
        "modes far apart": lambda: rng.normal(size=rows) + rng.choice([0.0, 1e6, 1e12], rows),
        "whole numbers": lambda: rng.integers(0, 3000, rows).astype(float),
        "cents": lambda: np.round(rng.exponential(20, rows), 2),
        "far values": lambda: np.where(
            rng.random(rows) < 0.01, rng.choice([1e20, -1e30, 3e18], rows), rng.normal(size=rows)
        ),
        "single precision": lambda: np.round(rng.exponential(2, rows), 1),
    }[kind]
    bins = profile_table(pa.table({"amount": values()}), [AMOUNT])
    current = values()
    current[::7] = current[::7].astype(np.float32)
    current[::11] += 0.25
    current[:3] = math.nan, math.inf, -math.inf

    whole, short = Counter(bins), Counter(bins)
    whole.add(pa.table({"amount": current}))
    for start in range(0, rows, 1500):
        short.add(pa.table({"amount": current[start : start + 1500]}))

    assert whole.profile().to_json() == short.profile().to_json()


@pytest.mark.parametrize(
    "kind",
    [pa.int64(), pa.uint64(), pa.string(), pa.decimal128(20, 0)],
    ids=str,
)
def test_whole_numbers_beyond_two_to_the_53_are_told_apart_in_any_type(kind: Any) -> None:
    first = 2**60
    reference = profile_table(pa.table({"amount": [first, first + 1, first + 3]}), [AMOUNT])

    current = profile_table(
        pa.table({"amount": pa.array([first + 1, first + 7, None], pa.int64()).cast(kind)}), [AMOUNT], reference
    )

    (column,) = current.columns
    assert isinstance(column, NumericalProfile)
    exact = kind != pa.decimal128(20, 0)  # decimals become floats first
    assert first == column.offset
    assert (1, 2) == (column.missing, column.present)
    if exact:
        assert (1.0, 7.0) == (column.minimum, column.maximum)
    assert current == Profile.from_json(current.to_json())


def test_a_tail_of_single_categories_says_how_many_new_ones_are_to_be_expected() -> None:
    profile = words(["often"] * 80 + ["twice"] * 2 + [f"once {index}" for index in range(18)])

    assert (18, 100) == profile.expected_others
