"""Parquet files, opened one way by everything that reads tables."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from tidemill.runtime.tables.delimited import TableError

BUFFER: Final = 1 << 16
"""Bytes of a column chunk that are read at a time; whole chunks would be hundreds of megabytes."""
BATCH_ROWS: Final = 1 << 17
"""So much of a column is decoded at a time."""


def opened(source: Any, name: str, *, metadata: Any = None, texts: Sequence[str] = ()) -> Any:
    """Return the file at a path, or in a buffer, with the columns `texts` as dictionaries; raise TableError where it is damaged."""
    try:
        return pq.ParquetFile(
            source, metadata=metadata, pre_buffer=False, buffer_size=BUFFER, read_dictionary=list(texts) or None
        )
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise damaged(name, error) from error


def damaged(name: str, error: Exception) -> TableError:
    """Return what to say of a file whose bytes are not what Parquet has there."""
    reason = str(error).split("\n")[0][:300]
    return TableError(f"{name} cannot be read: it is a damaged Parquet file ({reason}); write it again")


def batches(path: Path, columns: Collection[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file a batch at a time, of those of the columns that it has."""
    file = opened(path, str(path))
    names = [name for name in file.schema_arrow.names if name in columns]
    try:
        yield from file.iter_batches(BATCH_ROWS, columns=names, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise damaged(str(path), error) from error
