"""From bytes to rows: CSV, Parquet and JSON lines, with errors that name the line."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Collection
from typing import Final

import pyarrow as pa

from tidemill.runtime.failures import SourceEmpty, SourceUnreadable
from tidemill.runtime.tables import delimited, json_lines, parquet

_ENDINGS: Final = {
    ".csv": "CSV",
    ".tsv": "CSV",
    ".txt": "CSV",
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".jsonl": "JSONLines",
    ".ndjson": "JSONLines",
}


def read(content: bytes, name: str, format: str = "Auto", texts: Collection[str] = ()) -> pa.Table:
    """The rows in `content`; `texts` names columns that are text whatever they look like, such as postal codes.

    Raises SourceEmpty where there are no rows, and SourceUnreadable where there is something else.
    """
    if content[:2] == b"\x1f\x8b" and name.endswith(".gz"):
        content, name = _unpacked(content, name), name.removesuffix(".gz")
    if not content.strip():
        raise SourceEmpty(f"{name} is empty; put rows into it")
    if format == "Auto":
        format = _guessed(content, name)
    table = {"CSV": _csv, "Parquet": _parquet, "JSONLines": _json_lines}[format](content, name, texts)
    if table.num_rows == 0:
        raise SourceEmpty(
            f"{name} names columns ({', '.join(table.column_names[:5])}) but has no rows; put rows into it"
        )
    twice = sorted({column for column in table.column_names if table.column_names.count(column) > 1})
    if twice:
        raise SourceUnreadable(f"{name} has more than one column {twice[0]!r}; give each a name of its own")
    return table


def _guessed(content: bytes, name: str) -> str:
    ending = re.search(r"\.\w+$", name.lower())
    if ending and ending[0] in _ENDINGS:
        return _ENDINGS[ending[0]]
    if content[:4] == b"PAR1":
        return "Parquet"
    return "JSONLines" if content.lstrip()[:1] == b"{" else "CSV"


def _unpacked(content: bytes, name: str) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceUnreadable(f"{name} is damaged gzip ({error}); upload it again") from error


def _csv(content: bytes, name: str, texts: Collection[str]) -> pa.Table:
    try:
        return delimited.read(content, name, texts)
    except delimited.EmptyTableError as error:
        raise SourceEmpty(str(error)) from error
    except delimited.TableError as error:
        raise SourceUnreadable(str(error)) from error


def _parquet(content: bytes, name: str, texts: Collection[str]) -> pa.Table:
    if content[:4] != b"PAR1":
        raise SourceUnreadable(
            f"{name} is not a Parquet file (it begins with {content[:8]!r}); set spec.format to what it is"
        )
    try:
        return parquet.opened(pa.BufferReader(content), name).read()
    except delimited.TableError as error:
        raise SourceUnreadable(str(error)) from error
    except (pa.ArrowException, OSError) as error:
        raise SourceUnreadable(str(parquet.damaged(name, error))) from error


def _json_lines(content: bytes, name: str, texts: Collection[str]) -> pa.Table:
    try:
        return json_lines.read(content, name, texts)
    except delimited.TableError as error:
        raise SourceUnreadable(str(error)) from error
