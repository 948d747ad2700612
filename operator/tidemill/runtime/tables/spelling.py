"""The spelling of values as text, one for ingest, profiles, logs and the serving protocol, and the words for a missing value."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

EXACT: Final = 2.0**53
"""Whole numbers below this are told apart by a float."""
MISSING_WORDS: Final = (
    "",
    "NA",
    "N/A",
    "n/a",
    "na",
    "NaN",
    "nan",
    "-NaN",
    "-nan",
    "NULL",
    "Null",
    "null",
    "None",
    "none",
    "<NA>",
    "#N/A",
    "#N/A N/A",
    "#NA",
    "NaT",
    "1.#QNAN",
    "-1.#QNAN",
    "1.#IND",
    "-1.#IND",
)
"""Entries of a column of numbers, truth values or times that mean a missing value; in a column of text only the first does."""
TRUE: Final = "true"
FALSE: Final = "false"
TRUTH_AS_NUMBER: Final = MappingProxyType({TRUE: "1", FALSE: "0"})
_NUMBER: Final = re.compile(r"[+-]?(?:0|[1-9]\d*)(?:\.\d*)?(?:[eE][+-]?\d+)?")


def spell(value: object) -> str | None:
    """Return a value as text: whole floats like whole numbers, truth values in small letters; None for NaN and empty text.

    >>> spell(3.0), spell(True), spell("a"), spell(float("nan")), spell(0.5), spell("")
    ('3', 'true', 'a', None, '0.5', None)
    """
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool):
        return TRUE if value else FALSE
    if isinstance(value, float):
        if value != value:
            return None
        return str(int(value)) if value.is_integer() and abs(value) < EXACT else repr(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace") or None
    return str(value)


def canonical(text: str) -> str:
    """Return one spelling of what other programs spell differently: whole numbers without a point, truth values in small letters.

    >>> canonical("1.0"), canonical("+2"), canonical("True"), canonical("01"), canonical("-0.0"), canonical(" M ")
    ('1', '2', 'true', '01', '0', 'M')
    """
    text = text.strip()
    if text.lower() in TRUTH_AS_NUMBER:
        return text.lower()
    if not _NUMBER.fullmatch(text):
        return text
    whole = text.lstrip("+-")
    if whole.isdigit():
        return text.lstrip("+") if int(whole) else "0"
    number = float(text)
    return str(int(number)) if number.is_integer() else repr(number)


def spellings(text: str) -> tuple[str, ...]:
    """Return the other spellings of a truth value; of any other text there are none.

    >>> spellings("true"), spellings("FALSE"), spellings("1")
    (('True', 'TRUE'), ('false', 'False'), ())
    """
    if text.lower() not in (TRUE, FALSE):
        return ()
    return tuple(other for other in (text.lower(), text.capitalize(), text.upper()) if other != text)


def is_missing(text: str) -> bool:
    """Return whether an entry of a column of numbers means a missing value.

    >>> is_missing(" NA "), is_missing("0")
    (True, False)
    """
    return text.strip() in _MISSING


_MISSING: Final = frozenset(MISSING_WORDS)
