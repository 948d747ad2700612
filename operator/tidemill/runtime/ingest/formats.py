"""From bytes to rows: CSV, Parquet and JSON lines, with errors that name the line."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Collection
from typing import Any, Final

import pyarrow as pa

from tidemill.runtime.failures import SourceEmpty, SourceUnreadable

_ENDINGS: Final = {
    ".csv": "CSV",
    ".tsv": "CSV",
    ".txt": "CSV",
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".jsonl": "JSONLines",
    ".ndjson": "JSONLines",
}
_SIGNS: Final = {
    b"PAR1": "a Parquet file",
    b"PK\x03\x04": "a ZIP archive or a spreadsheet",
    b"\x1f\x8b": "gzip",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x80\x04\x95": "a Python pickle",
}
_DELIMITERS: Final = ",;\t|"


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


def _text(content: bytes, name: str, format: str) -> str:
    """The beginning of the content as text; raises SourceUnreadable where it is none."""
    for sign, what in _SIGNS.items():
        if content.startswith(sign):
            raise SourceUnreadable(
                f"{name} is {what}, not {format}; set spec.format to what it is, or convert it to CSV or Parquet"
            )
    if content.lstrip()[:1] == b"<":
        raise SourceUnreadable(
            f"{name} is HTML or XML, not {format}: perhaps an error page was saved instead of the data"
        )
    if b"\0" in content[:65536]:
        raise SourceUnreadable(
            f"{name} is binary, not {format}; set spec.format to what it is, or convert it to CSV or Parquet"
        )
    head = content[:65536]
    try:
        return head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start >= len(head) - 4 and len(content) > len(head):
            return head[: error.start].decode("utf-8-sig")
        raise SourceUnreadable(
            f"{name} is not UTF-8 (byte {error.start}: 0x{head[error.start]:02x}); save it as UTF-8"
        ) from error


def _csv(content: bytes, name: str, texts: Collection[str]) -> pa.Table:
    from pyarrow import csv

    head = _text(content, name, "CSV")
    first = next((line for line in head.splitlines() if line.strip()), None)
    if first is None:
        raise SourceEmpty(f"{name} holds nothing but blanks; put rows into it")
    delimiter = max(_DELIMITERS, key=first.count)
    names = [cell.strip().strip('"') for cell in first.split(delimiter)]
    if all(_is_number(cell) for cell in names):
        raise SourceUnreadable(
            f"the first line of {name} holds numbers ({first[:60]}), not the names of the columns; add a line with names"
        )
    wrong: list[Any] = []

    def refuse(row: Any) -> str:
        wrong.append(row)
        return "error"

    def parse(*, threads: bool) -> pa.Table:
        return csv.read_csv(
            pa.BufferReader(content),
            # One block as large as the file: types are inferred from all rows, not from the first megabyte.
            read_options=csv.ReadOptions(use_threads=threads, block_size=min(len(content) + 1, (1 << 31) - 1)),
            parse_options=csv.ParseOptions(delimiter=delimiter, invalid_row_handler=refuse),
            convert_options=csv.ConvertOptions(
                strings_can_be_null=True, column_types={column: pa.string() for column in texts if column in names}
            ),
        )

    try:
        table = parse(threads=True)
    except pa.ArrowInvalid as error:
        if wrong:
            # Only one thread knows in which line it is.
            wrong.clear()
            try:
                parse(threads=False)
            except pa.ArrowInvalid:
                row = wrong[0]
                line = f"line {row.number}" if row.number else "a line"
                said = f"{row.actual_columns} values where there are {row.expected_columns} columns"
                raise SourceUnreadable(f"{line} of {name} has {said}: {row.text[:80]!r}; mend or remove it") from error
        raise SourceUnreadable(
            f"{name} is no readable CSV: {_first_line(error)}; mend it, or set spec.format"
        ) from error
    return table.rename_columns([column.strip().removeprefix("\ufeff") for column in table.column_names])


def _parquet(content: bytes, name: str, texts: Collection[str]) -> pa.Table:
    from pyarrow import parquet

    if content[:4] != b"PAR1":
        raise SourceUnreadable(
            f"{name} is no Parquet file (it begins with {content[:8]!r}); set spec.format to what it is"
        )
    try:
        return parquet.ParquetFile(pa.BufferReader(content)).read()
    except (pa.ArrowException, OSError) as error:
        raise SourceUnreadable(f"{name} is a damaged Parquet file: {_first_line(error)}; write it again") from error


def _json_lines(content: bytes, name: str, texts: Collection[str]) -> pa.Table:
    from pyarrow import json

    head = _text(content, name, "JSONLines")
    if head.lstrip()[:1] == "[":
        raise SourceUnreadable(f"{name} is one JSON list; write one object per line instead")
    if head.lstrip()[:1] != "{":
        raise SourceUnreadable(
            f"{name} does not begin with a JSON object ({head.strip()[:40]!r}); write one object per line"
        )
    try:
        return json.read_json(
            pa.BufferReader(content), read_options=json.ReadOptions(block_size=min(len(content) + 1, (1 << 31) - 1))
        )
    except pa.ArrowInvalid as error:
        raise SourceUnreadable(f"{name} is no readable JSON lines: {_first_line(error)}; mend that line") from error


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0][:300]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
