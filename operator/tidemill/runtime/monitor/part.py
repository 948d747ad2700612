"""One part of a log as rows: whoever can write to the store can forge one, so that its size and types are checked before anything else looks at it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from tidemill.contract import LogColumn

MOST_ROWS: Final = 1_000_000
"""Pods seal a part at some ten thousand rows; what claims to have far more was not written by one."""
MOST_BYTES: Final = 256 * 1024 * 1024
"""Of a part's columns in memory. Values that repeat take next to nothing in the file, and all their room here."""
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
        LogColumn.LABEL: pa.string(),
    }
)
"""One spelling for all, whatever a part holds."""


class UnusableError(ValueError):
    """A part of which nothing can be used; the message says why."""


def decoded(content: bytes, columns: Callable[[list[str]], list[str]]) -> pa.Table:
    """The rows of a Parquet file with its own columns of those names that `columns` chooses; raises UnusableError."""
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise UnusableError("two of its columns have one name")
        table = _bounded(file, columns(names))
        for name in _NEEDED:
            if name not in table.schema.names:
                raise UnusableError(f"it has no column {name!r}")
        for place, name in enumerate(table.schema.names):
            table = table.set_column(place, name, _typed(name, table.column(place)))
        table.validate(full=True)  # text may be none
    except UnusableError:
        raise
    except (pa.ArrowException, OSError, ValueError, NotImplementedError) as error:
        raise UnusableError(str(error).split("\n")[0][:120] or "it is not a Parquet file") from error
    return table


def _bounded(file: Any, names: list[str]) -> pa.Table:
    if file.metadata.num_rows > MOST_ROWS:
        raise UnusableError(f"it has {file.metadata.num_rows:,} rows; a part has {MOST_ROWS:,} at most")
    batches, size = [], 0
    for batch in file.iter_batches(batch_size=_AT_ONCE, columns=names, use_threads=False):
        size += batch.nbytes
        if size > MOST_BYTES:
            raise UnusableError(f"its values take more than {MOST_BYTES >> 20} MiB")
        batches.append(batch)
    if not batches:
        return pa.schema([field for field in file.schema_arrow if field.name in names]).empty_table()
    return pa.Table.from_batches(batches)


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
