"""Bodies with a tensor for each column, which differ from one request to the next in their numbers alone.

Such a body for 50 columns becomes 250 Python objects, which takes longer than the model's answer. A client sends the same bytes around its
numbers each time: what was read with care once is a template, and a body that consists of its constants and other numbers means
the same. That it does is checked by putting it together again from both.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import Final, NamedTuple

import orjson

DATA: Final = b'"data"'
NUMBER: Final = re.compile(rb"(\s*:\s*(?:\[\s*){1,2})(-?[0-9][0-9.eE+-]*)")
"""Matches what follows the key of a column's data: brackets, and its number."""
MAX_BYTES: Final = 64 * 1024


class ColumnTemplate(NamedTuple):
    """The bytes around the numbers of a body."""

    constants: tuple[bytes, ...]
    """One more than there are numbers."""
    slices: tuple[slice, ...]
    """The number's slice of the part behind each key."""

    @classmethod
    def of(cls, body: bytes, columns: int) -> ColumnTemplate | None:
        """Return the template of a body that holds one number for each column; None where that cannot be seen."""
        parts = body.split(DATA)
        if len(parts) != columns + 1 or len(body) > MAX_BYTES:
            return None
        constants, slices = [parts[0]], []
        for part in parts[1:]:
            match = NUMBER.match(part)
            if match is None:
                return None
            constants[-1] += DATA + match[1]
            constants.append(part[match.end() :])
            slices.append(slice(match.end(1), match.end() - len(part)))
        return cls(tuple(constants), tuple(slices))

    def numbers(self, body: bytes) -> list[object] | None:
        """Return the numbers of a body, one for each column and possibly null; None where it is not like this one."""
        parts = body.split(DATA)
        if len(parts) != len(self.constants):
            return None
        texts = [part[where] for part, where in zip(parts[1:], self.slices, strict=True)]
        if b"".join(chain.from_iterable(zip(self.constants, (*texts, b""), strict=True))) != body:
            return None
        try:
            # As one list: a text that is more or less than one number makes it longer, nested, or no JSON.
            numbers: list[object] = orjson.loads(b"[" + b",".join(texts) + b"]")
        except orjson.JSONDecodeError:
            return None
        return numbers if len(numbers) == len(texts) else None
