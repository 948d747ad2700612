"""Categories that clients send as numbers or truth values: each is its exact spelling first, then the one that is the same number.

A Dataset keeps categories as texts, and JSON and tensors have types. A value means the category that is spelled as the value is in its own
type: the integer 1234 means "1234" and never "01234" while both are there. Only where no category is spelled so, the one that
is the same number is meant: 1 means "1.0" or "01", and true, like the text "true", means "True" or "TRUE". Integers are compared as integers,
so that identifiers of 19 digits keep their last digits. Where a number may be several categories, or has lost the digits that tell them apart, it is refused.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np

from tidemill.runtime.tables.spelling import spellings

NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
"""Texts that are numbers; `nan`, `inf` and `1_000` are words."""
MAX_DIGITS: Final = 320
"""Whole numbers of more digits are not compared with others: no float is as large."""
MAX_NAMED: Final = 5


class Precision(NamedTuple):
    """A floating-point datatype."""

    exact: float
    """Whole numbers below this are distinct."""
    rounded: Callable[[float], float]
    """Return the number of this datatype that is nearest."""
    spelled: Callable[[float], str]
    """Return the shortest text that means the number in this datatype."""


def _narrow(kind: Any) -> Callable[[float], Any]:
    def rounded(value: float) -> Any:
        with np.errstate(over="ignore"):
            return kind(value)

    return rounded


def _brain_float(value: float) -> float:
    bits = int(_narrow(np.float32)(value).view(np.uint32))
    upper = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16
    return float(np.array([upper & 0xFFFFFFFF], np.uint32).view(np.float32)[0])


FP64: Final = Precision(2.0**53, float, repr)
PRECISIONS: Final = {
    "FP64": FP64,
    "FP32": Precision(2.0**24, lambda value: float(_narrow(np.float32)(value)), lambda value: str(np.float32(value))),
    "FP16": Precision(2.0**11, lambda value: float(_narrow(np.float16)(value)), lambda value: str(np.float16(value))),
    "BF16": Precision(2.0**8, _brain_float, repr),
}


class Elements(list[Any]):
    """A tensor's elements in their own types: integers, truth values, floats, texts; None where a value is missing."""

    precision: Precision = FP64
    """The precision of those that are floats."""


class Ambiguous(Exception):
    """A number that may be several categories, or that has lost the digits which tell them apart."""

    def __init__(self, value: object, categories: Sequence[str]) -> None:
        names = ", ".join(repr(category) for category in categories[:MAX_NAMED])
        more = f" and {len(categories) - MAX_NAMED} more" if len(categories) > MAX_NAMED else ""
        super().__init__(f"{value} does not tell which category is meant ({names}{more}); send a string")


class Spellings:
    """The spellings of one column's categories."""

    def __init__(self, categories: Sequence[str]) -> None:
        self._categories = categories
        self._known = frozenset(categories)

    def of(self, value: str | float, precision: Precision = FP64) -> str:
        """Return the category that a value means, or its own spelling where it means none; raise Ambiguous."""
        if isinstance(value, str):
            return self.truth_words.get(value, value)
        if isinstance(value, bool):
            return self._of_truth(value)
        if isinstance(value, int):
            text = str(value)
            return text if text in self._known else _only(self._integers.get(value, ()), value, text)
        return self._of_float(value, precision)

    def _of_truth(self, value: bool) -> str:
        text = "true" if value else "false"
        if text in self._known:
            return text
        spelled = [category for category in self._categories if category.lower() == text]
        return _only(spelled, value, text)

    def _of_float(self, value: float, precision: Precision) -> str:
        spelled = precision.spelled(value)
        if spelled in self._known or not math.isfinite(value):
            return spelled
        if value != value // 1:
            if precision is FP64:
                same: Sequence[str] = self._fractions.get(value, ())
            else:
                same = [text for number, texts in self._fractions.items() if precision.rounded(number) == value for text in texts]  # fmt: skip
            return _only(same, value, spelled)
        whole = int(value)
        text = str(whole)
        if abs(value) < precision.exact:
            return text if text in self._known else _only(self._integers.get(whole, ()), value, text)
        near = [name for number, names in self._integers.items() if _rounds_to(number, value, precision) for name in names]  # fmt: skip
        if len(near) == 1 and whole in self._integers:
            return near[0]
        if near:
            raise Ambiguous(value, near)
        return text

    @cached_property
    def truth_words(self) -> dict[str, str]:
        """Categories that are truth values, by their other spellings: as in tables, "true" is "True" where only that is known."""
        meant: dict[str, list[str]] = defaultdict(list)
        for category in self._categories:
            for other in spellings(category):
                meant[other].append(category)
        return {
            other: categories[0]
            for other, categories in meant.items()
            if len(categories) == 1 and other not in self._known
        }

    @cached_property
    def _integers(self) -> dict[int, list[str]]:
        """Categories that are whole numbers, by their exact value."""
        by_value: dict[int, list[str]] = defaultdict(list)
        for category, number in self._numbers:
            if number == number.to_integral_value():
                by_value[int(number)].append(category)
        return dict(by_value)

    @cached_property
    def _fractions(self) -> dict[float, list[str]]:
        """Categories that are other numbers, by the nearest float."""
        by_value: dict[float, list[str]] = defaultdict(list)
        for category, number in self._numbers:
            if number != number.to_integral_value():
                by_value[float(number)].append(category)
        return dict(by_value)

    @cached_property
    def _numbers(self) -> list[tuple[str, Decimal]]:
        numbers = [
            (text, Decimal(text)) for text in self._categories if len(text) <= MAX_DIGITS and NUMBER.fullmatch(text)
        ]
        return [(text, number) for text, number in numbers if number.adjusted() <= MAX_DIGITS]


def _rounds_to(number: int, value: float, precision: Precision) -> bool:
    try:
        return precision.rounded(float(number)) == value
    except OverflowError:
        return False


def _only(categories: Sequence[str], value: object, otherwise: str) -> str:
    if len(categories) > 1:
        raise Ambiguous(value, categories)
    return categories[0] if categories else otherwise
