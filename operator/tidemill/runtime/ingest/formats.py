"""From bytes to rows: CSV, Parquet and JSON lines, with errors that name the line."""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection
from typing import Final

import pyarrow as pa

from tidemill.runtime.failures import SourceEmpty, SourceUnreadable
from tidemill.runtime.tables import delimited, json_lines, parquet

MAX_UNPACKED: Final = 2 << 30
"""Bytes that a packed file may hold; the whole of it is in memory while it is parsed."""
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
    return read_kind(content, name, format, texts)[1]


def kind_of_name(name: str) -> str:
    """Return the format that a file's name says, packed or not; empty where it says none.

    >>> kind_of_name("day=1/a.CSV.gz"), kind_of_name("b.parquet"), kind_of_name("part-0")
    ('CSV', 'Parquet', '')
    """
    ending = re.search(r"\.\w+$", name.lower().removesuffix(".gz"))
    return _ENDINGS.get(ending[0], "") if ending else ""


def read_kind(content: bytes, name: str, format: str, texts: Collection[str]) -> tuple[str, pa.Table]:
    """Return the format of `content` and its rows, as `read` does."""
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
    return format, table


def _guessed(content: bytes, name: str) -> str:
    if kind := kind_of_name(name):
        return kind
    if content[:4] == b"PAR1":
        return "Parquet"
    return "JSONLines" if content.lstrip()[:1] == b"{" else "CSV"


def _unpacked(content: bytes, name: str) -> bytes:
    """Return the bytes that gzip holds, in any number of members."""
    members: list[bytes] = []
    room, rest = MAX_UNPACKED + 1, content
    while rest:
        member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            members.append(member.decompress(rest, room))
        except zlib.error as error:
            raise SourceUnreadable(f"{name} is damaged gzip ({error}); upload it again") from error
        room -= len(members[-1])
        if room <= 0:
            raise SourceUnreadable(
                f"{name} unpacks to more than {MAX_UNPACKED >> 20:,} MiB; store the rows as Parquet, or in several files"
            )
        if not member.eof:
            raise SourceUnreadable(f"{name} is damaged gzip (it ends too early); upload it again")
        rest = member.unused_data.lstrip(b"\0")
    return members[0] if len(members) == 1 else b"".join(members)


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
