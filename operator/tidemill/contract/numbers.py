"""How a number is written for people: in messages, statuses, reports and on axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

_DIGITS: Final = 3
_MAX_DIGITS: Final = 17
"""With so many every double has a spelling of its own."""
_MIN_PLAIN: Final = 1e-4
_MAX_PLAIN: Final = 1e15
"""Between these two a number is written without a power of ten."""
_GROUPED: Final = 10_000
"""From here on counts have commas between groups of digits."""
NONE: Final = "–"


def number(value: float | None, digits: int = _DIGITS) -> str:
    """Return a number in three digits or as many as its whole part has, or in `digits`; a dash for none.

    >>> number(0.96491), number(569), number(12345.6), number(1234567.0), number(999.7), number(0.00001234)
    ('0.965', '569', '12,346', '1,234,567', '1,000', '1.23e-05')
    >>> number(None), number(float("nan")), number(float("-inf")), number(-0.0)
    ('–', '–', '-∞', '0')
    """
    if value is None or math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == 0:
        return "0"
    size = abs(value)
    if not _MIN_PLAIN <= size < _MAX_PLAIN:
        return f"{value:.{digits}g}"
    digits = max(digits, math.floor(math.log10(size)) + 1)
    text = f"{Decimal(f'{value:.{digits - 1}e}'):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def quantity(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun in the singular or the plural; `plural` says it where it is not the noun with an s.

    >>> quantity(1, "row"), quantity(0, "row"), quantity(12_345, "row"), quantity(1, "row is", "rows are")
    ('1 row', '0 rows', '12,345 rows', '1 row is')
    >>> quantity(3, "category", "categories"), quantity(1_000, "row")
    ('3 categories', '1000 rows')
    """
    words = noun if count == 1 else plural or f"{noun}s"
    return f"{count:,} {words}" if count >= _GROUPED else f"{count} {words}"


def distinct(values: Sequence[float]) -> tuple[str, ...]:
    """Return the numbers in as few digits as tell them apart, as an axis needs them.

    >>> distinct([0.0, 0.25, 0.5])
    ('0', '0.25', '0.5')
    >>> distinct([1_700_000_000.0, 1_700_000_021.5, 1_700_000_043.0])
    ('1,700,000,000', '1,700,000,022', '1,700,000,043')
    >>> distinct([1e9, 1e9 + 0.005, 1e9 + 0.01])
    ('1,000,000,000', '1,000,000,000.005', '1,000,000,000.01')
    >>> distinct([2**60, 2**60 + 1])
    ('1,152,921,504,606,846,976', '1,152,921,504,606,846,977')
    """
    wanted = len(set(values))
    texts: tuple[str, ...] = ()
    for digits in range(_DIGITS, _MAX_DIGITS + 1):
        texts = tuple(number(value, digits) for value in values)
        if len(set(texts)) == wanted:
            return texts
    if all(isinstance(value, int) for value in values):
        return tuple(f"{value:,}" for value in values)
    return texts
