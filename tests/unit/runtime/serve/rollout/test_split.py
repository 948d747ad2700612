from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tidemill.runtime.serve.rollout.split import Split


@given(percent=st.integers(0, 100), hundreds=st.integers(1, 5))
def test_of_every_hundred_requests_exactly_the_percentage_is_taken(percent: int, hundreds: int) -> None:
    split = Split(percent)

    taken = sum(split.takes() for _ in range(100 * hundreds))

    assert percent * hundreds == taken


def test_a_share_is_spread_and_not_taken_in_one_go() -> None:
    split = Split(10)

    by_tens = [sum(split.takes() for _ in range(10)) for _ in range(10)]

    assert [1] * 10 == by_tens


@given(key=st.text(min_size=1, max_size=20), low=st.integers(1, 100), more=st.integers(0, 99))
def test_a_key_taken_at_a_small_share_is_taken_at_a_larger_one(key: str, low: int, more: int) -> None:
    taken = Split(low).takes(key)

    assert not taken or Split(min(100, low + more)).takes(key)


def test_keys_are_taken_in_about_the_right_number() -> None:
    taken = Counter(Split(30).takes(f"customer-{number}") for number in range(10_000))

    assert 2_700 < taken[True] < 3_300


def test_a_share_of_nothing_takes_no_key() -> None:
    assert not any(Split(0).takes(f"customer-{number}") for number in range(1000))
