"""Numbers as people write them, and apart where an axis needs them apart."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.contract import numbers
from tidemill.contract.numbers import distinct, number

WRITTEN = {
    0.0: "0",
    0.5: "0.5",
    0.12345: "0.123",
    99.96: "100",
    999.4: "999",
    999.96: "1,000",
    1234.5: "1,234",
    86400000.0: "86,400,000",
    1e15: "1e+15",
    -0.00001: "-1e-05",
}


@pytest.mark.parametrize(("value", "text"), WRITTEN.items())
def test_a_number_is_written_in_few_digits_and_never_rounded_to_hundreds(value: float, text: str) -> None:
    assert text == number(value)


@given(st.floats(-1e300, 1e300))
def test_a_number_is_near_what_is_written(value: float) -> None:
    assert float(number(value).replace(",", "")) == pytest.approx(value, rel=5.1e-3, abs=5e-324)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8, unique=True))
def test_numbers_that_differ_are_written_apart(values: list[float]) -> None:
    assert len(values) == len(set(distinct(values)))


def test_examples_hold() -> None:
    assert 0 == doctest.testmod(numbers).failed
