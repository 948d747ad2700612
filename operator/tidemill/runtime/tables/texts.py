"""Columns of any type as text, spelled as everywhere."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.runtime.tables.spelling import spell


def as_text(values: Any) -> Any:
    """A column as text, spelled as everywhere: whole numbers without a fraction; NaN and empty text are missing."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        values, kind = values.cast(kind.value_type), kind.value_type
    if pa.types.is_floating(kind):
        # Each distinct number is spelled once; NaN, which is not null in files of other libraries, is missing.
        coded = values.cast(pa.float64()).dictionary_encode()
        coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
        return pa.array([spell(value) for value in coded.dictionary.to_pylist()], pa.string()).take(coded.indices)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        values = values.cast(pa.string())
    texts = values.cast(pa.string())
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
