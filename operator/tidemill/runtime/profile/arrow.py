"""From Arrow columns to what is counted: floats with NaN for missing, or rows per category."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.runtime.profile.grid import Floats
from tidemill.runtime.tables.spelling import MISSING_WORDS, spell


def texts_of(words: Sequence[str]) -> Any:
    """Return texts as an Arrow array; `pa.array` would load pandas, which takes longer than counting a small table."""
    encoded = [word.encode() for word in words]
    ends = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    return pa.StringArray.from_buffers(len(words), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


MISSING: Final = texts_of(MISSING_WORDS)
_FIRST = 64
"""So many entries are read as numbers before all."""
_LOOK = 256
"""Among so many rows a value is looked for that can fill gaps."""
_MAX_WHOLE = 2**53
"""Floats hold whole numbers up to here."""


class Numbers(NamedTuple):
    """A column as floats; entries that are no numbers are left out and counted."""

    values: Floats
    missing: int
    invalid: int
    padding: int = 0
    """So many entries of `values` stand for missing ones and equal `filler`, which is a value of the column as well."""
    filler: float = math.nan

    def present(self) -> Floats:
        """The values without padding, in no particular order."""
        if not self.padding:
            return self.values
        same = np.flatnonzero(self.values == self.filler)
        return np.delete(self.values, same[: self.padding])


def offset_of(column: pa.Array | pa.ChunkedArray) -> int:
    """Return what to take off the whole numbers of `column` so that they keep their differences as floats; mostly 0."""
    kind = column.type
    wide = kind.bit_width >= 64 if pa.types.is_integer(kind) else pa.types.is_decimal(kind)
    if not wide or len(column) == column.null_count:
        return 0
    ends = pc.min_max(column)
    low, high = math.floor(ends["min"].as_py()), math.ceil(ends["max"].as_py())
    return low if max(abs(low), abs(high)) > _MAX_WHOLE else 0


def numbers(column: pa.Array | pa.ChunkedArray, offset: int = 0) -> Numbers:
    """Return the numbers of `column` less `offset`; text is read as numbers where it is some, anything else is invalid."""
    kind = column.type
    if offset:
        return _less(column, offset)
    if pa.types.is_null(kind):
        return Numbers(np.empty(0), len(column), 0)
    if pa.types.is_dictionary(kind):
        return numbers(_cast(column, kind.value_type))
    if pa.types.is_float64(kind) and column.null_count == 0:
        return Numbers(_to_numpy(column), 0, 0)
    if (
        pa.types.is_floating(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    ):
        missing = column.null_count
        if not pa.types.is_float64(kind):
            column = pc.cast(column, pa.float64(), safe=False)
        if not missing:
            return Numbers(_to_numpy(column), 0, 0)
        # Filling gaps with a value that is there anyway is far quicker than closing them.
        first = column.slice(0, _LOOK).drop_null()
        filler = first[0].as_py() if len(first) else math.nan
        if not math.isfinite(filler):
            return Numbers(_to_numpy(column.drop_null()), missing, 0)
        whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        # The scalar of Arrow and not its value, for which `fill_null` would import pandas.
        return Numbers(_raw(pc.fill_null(whole, first[0]), np.float64), missing, 0, missing, filler)
    if is_text(kind):
        return _parse(column)
    return Numbers(np.empty(0), column.null_count, len(column) - column.null_count)


def _less(column: Any, offset: int) -> Numbers:
    """Numbers less an offset beyond 2^53, each rounded once, so that differences of whole numbers are kept."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _less(_cast(column, kind.value_type), offset)
    if is_text(kind):
        return _parse(column, offset)
    if pa.types.is_decimal(kind):
        scale = max(kind.scale, 0)
        exact = pc.cast(column, pa.decimal256(75 - scale, scale))
        return numbers(pc.subtract(exact, pa.scalar(Decimal(offset), pa.decimal256(75 - scale, scale))))
    if not pa.types.is_integer(kind):
        parsed = numbers(column)
        return parsed._replace(values=parsed.values - float(offset), filler=parsed.filler - float(offset))
    missing = column.null_count
    column = _cast(column.drop_null(), pa.uint64() if kind == pa.uint64() else pa.int64())
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    whole = _raw(column, np.uint64 if kind == pa.uint64() else np.int64) if len(column) else np.empty(0, np.int64)
    # In halves of 32 bits, whose differences floats hold exactly; then their sum is rounded once.
    shift, mask = whole.dtype.type(32), whole.dtype.type(0xFFFF_FFFF)
    upper = (whole >> shift).astype(np.float64) - float(offset >> 32)
    lower = (whole & mask).astype(np.float64) - float(offset & 0xFFFF_FFFF)
    return Numbers(upper * 2.0**32 + lower, missing, 0)


def is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _to_numpy(column: Any) -> Floats:
    """Floats without gaps; Arrow's own word for it would load pandas, which takes longer than counting a small table."""
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return _raw(column, np.float64) if len(column) else np.empty(0)


def _raw(array: Any, kind: Any) -> Any:
    """An array's own buffer of values, without a copy; where a value is missing anything may stand."""
    return np.frombuffer(array.buffers()[1], kind, len(array), array.offset * np.dtype(kind).itemsize)


def _gaps(array: Any) -> Any:
    """Return where values are missing, from the bits that say so."""
    bits = np.frombuffer(array.buffers()[0], np.uint8)
    first = array.offset // 8
    there = np.unpackbits(bits[first : (array.offset + len(array) + 7) // 8], bitorder="little")
    start = array.offset - 8 * first
    return np.flatnonzero(there[start : start + len(array)] == 0)


def _parse(column: Any, offset: int = 0) -> Numbers:
    """Text as numbers less `offset`; the words for a missing value are missing, and any other text is invalid."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    trimmed = pc.utf8_trim_whitespace(column.drop_null())
    present = trimmed.filter(pc.invert(pc.is_in(trimmed, value_set=MISSING)))
    missing = len(column) - len(present)
    invalid, values, repeats = 0, [], []
    if not offset:
        try:
            _cast(present[:_FIRST], pa.float64())  # Arrow spells an error for each entry that cannot be read, slowly
            return Numbers(_to_numpy(_cast(present, pa.float64())), missing, 0)
        except pa.ArrowInvalid:
            pass  # some of it is not a number
    for text, count in _value_counts(present):
        try:
            values.append(_less_offset(text, offset) if offset else float(text))
            repeats.append(count)
        except ValueError:
            invalid += count
    return Numbers(np.repeat(np.array(values, np.float64), np.array(repeats, np.int64)), missing, invalid)


def _less_offset(text: str, offset: int) -> float:
    try:
        return float(int(text) - offset)
    except ValueError:
        return float(text) - float(offset)


def categories(column: pa.Array | pa.ChunkedArray) -> tuple[dict[str, int], int]:
    """Rows per category, spelled as text, and how many rows have none."""
    if pa.types.is_null(column.type):
        return {}, len(column)
    missing = column.null_count
    if pa.types.is_nested(column.type):
        # Whatever they hold, they are not a category that a text can be.
        return ({f"<{column.type}>"[:80]: len(column) - missing} if missing < len(column) else {}), missing
    counted: dict[str, int] = {}
    coded = pa.types.is_dictionary(column.type)
    for value, count in _value_counts(column.drop_null() if missing and not coded else column):
        text = spell(value)
        if text is None:
            missing += count
        else:
            counted[text] = counted.get(text, 0) + count
    return counted, missing


def _value_counts(column: Any) -> list[tuple[Any, int]]:
    if pa.types.is_dictionary(column.type):
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        pairs: list[tuple[Any, int]] = []
        for chunk in chunks:
            indices = chunk.indices
            codes = _raw(indices, _whole_number(indices.type))
            gaps = _gaps(indices) if indices.null_count else ()
            if len(gaps):
                codes = codes.copy()
                codes[gaps] = 0
            counts = np.bincount(codes, minlength=max(1, len(chunk.dictionary)))
            if len(gaps):
                counts[0] -= len(gaps)
            used = np.flatnonzero(counts)
            pairs += zip(chunk.dictionary.take(indexes(used)).to_pylist(), counts[used].tolist(), strict=True)
        return pairs
    counted = pc.value_counts(column)
    return list(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))


def indexes(used: Any) -> Any:
    """Return positions as an Arrow array; `pa.array` would load pandas too."""
    return pa.Array.from_buffers(pa.int64(), len(used), [None, pa.py_buffer(np.ascontiguousarray(used, np.int64))])


def _whole_number(kind: Any) -> Any:
    """A type's name in numpy, without pandas as well."""
    return np.dtype(f"{'i' if pa.types.is_signed_integer(kind) else 'u'}{kind.bit_width // 8}")


def _cast(column: Any, kind: Any) -> Any:
    return pc.cast(column, kind)
