"""One part of a log as rows: anyone who can write to the store can forge one, so that its size and types are checked before anything else looks at it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tidemill.contract.layout import LogColumn

MAX_ROWS: Final = 1_000_000
"""Pods seal a part at some ten thousand rows; what claims to have far more was not written by one."""
MAX_BYTES: Final = 256 * 1024 * 1024
"""The size of a part's columns in memory. Values that repeat take next to nothing in the file, and all their room here."""
TIME: Final = pa.timestamp("us", tz="UTC")
_AT_ONCE: Final = 1 << 15
"""Rows that are decoded before their size is looked at."""
_NEEDED: Final = (LogColumn.REQUEST, LogColumn.ROW, LogColumn.TIME)
_TYPES: Final[Mapping[str, Any]] = MappingProxyType(
    {
        LogColumn.REQUEST: pa.string(),
        LogColumn.ROW: pa.int32(),
        LogColumn.TIME: TIME,
        LogColumn.VERSION: pa.string(),
        LogColumn.DIGEST: pa.string(),
        LogColumn.ROLE: pa.string(),
        LogColumn.SCORE: pa.float64(),
        LogColumn.PROBABILITIES: pa.list_(pa.float32()),
        LogColumn.LABEL: pa.string(),
    }
)
"""One spelling for all, whatever a part holds."""


class UnusableError(ValueError):
    """A part of which nothing can be used; the message says why."""


def decoded(content: bytes, columns: Callable[[list[str]], list[str]]) -> pa.Table:
    """The rows of a Parquet file with its own columns of those names that `columns` chooses; raises UnusableError."""
    try:
        known = pq.read_metadata(pa.BufferReader(content))
        texts = [column.path for column in map(known.schema.column, range(known.num_columns)) if _is_text(column)]
        # Texts stay coded, each once, until it is known how long they are all together.
        file = pq.ParquetFile(pa.BufferReader(content), metadata=known, read_dictionary=texts)
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise UnusableError("two of its columns have one name")
        table = _bounded(file, columns(names))
        for name in _NEEDED:
            if name not in table.schema.names:
                raise UnusableError(f"it has no column {name!r}")
        for index, name in enumerate(table.schema.names):
            table = table.set_column(index, name, _typed(name, table.column(index)))
        table.validate(full=True)  # text may be none
    except UnusableError:
        raise
    except (pa.ArrowException, OSError, ValueError, NotImplementedError) as error:
        raise UnusableError(str(error).split("\n")[0][:120] or "it is not a Parquet file") from error
    return table


def _is_text(column: Any) -> bool:
    return bool(column.physical_type == "BYTE_ARRAY" and column.max_repetition_level == 0)


def _bounded(file: Any, names: list[str]) -> pa.Table:
    rows = file.metadata.num_rows
    if rows > MAX_ROWS:
        raise UnusableError(f"it has {rows:,} rows; a part has {MAX_ROWS:,} at most")
    batches, size = [], 0
    if 8 * rows * len(names) <= MAX_BYTES:
        for batch in file.iter_batches(batch_size=_AT_ONCE, columns=names, use_threads=False):
            size += sum(map(_decoded_size, batch.columns))
            if size > MAX_BYTES:
                break
            batches.append(pa.record_batch(list(map(_plain, batch.columns)), names=batch.schema.names))
    else:
        size = MAX_BYTES + 1
    if size > MAX_BYTES:
        raise UnusableError(f"its values take more than {MAX_BYTES >> 20} MiB")
    if not batches:
        chosen = file.schema_arrow.empty_table().select([name for name in file.schema_arrow.names if name in names])
        return pa.table({name: _plain(chosen.column(name).combine_chunks()) for name in chosen.column_names})
    return pa.Table.from_batches(batches)


def _decoded_size(column: Any) -> int:
    if not pa.types.is_dictionary(column.type):
        return int(column.nbytes)
    lengths = pc.fill_null(pc.binary_length(column.dictionary), 0).to_numpy(zero_copy_only=False)
    codes = column.indices.drop_null().to_numpy(zero_copy_only=False)
    return 4 * len(column) + int(lengths[codes].sum(dtype="int64"))


def _plain(column: Any) -> Any:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _typed(name: str, column: Any) -> Any:
    kind = _TYPES.get(name)
    if kind is None:
        if pa.types.is_nested(column.type) and (name == LogColumn.PREDICTION or name.startswith(LogColumn.FEATURE)):
            raise UnusableError(f"column {name!r} holds {column.type}")
        return column
    try:
        return column.cast(kind)
    except (pa.ArrowException, NotImplementedError):
        raise UnusableError(f"column {name!r} holds {column.type} that is no {kind}") from None
