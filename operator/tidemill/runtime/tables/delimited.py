"""CSV: how a file is written is found out from its beginning, and its rows are read all at once or block by block.

Only an empty field is missing, and in columns of numbers, truth values and times the usual words; a text is its text,
quoted or not.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from tidemill.runtime.tables import blocks
from tidemill.runtime.tables.spelling import MISSING_WORDS

HEAD: Final = 1 << 16
"""So many bytes of a file are looked at to find out how it is written."""
BLOCK: Final = 1 << 21
SIGNATURES: Final[Mapping[bytes, str]] = {
    b"PAR1": "a Parquet file",
    b"PK\x03\x04": "a ZIP archive or a spreadsheet",
    b"\x1f\x8b": "gzip",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x80\x04\x95": "a Python pickle",
    b"ARROW1": "an Arrow file",
    b"SQLite format 3": "an SQLite database",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"\x04\x22\x4d\x18": "LZ4",
    b"FEA1": "a Feather file",
    b"ORC": "an ORC file",
    b"Obj\x01": "an Avro file",
    b"\x89HDF\r\n": "an HDF5 file",
    b"\x93NUMPY": "a numpy array",
}
_DELIMITERS: Final = "\t;|,"
"""In the order of preference where several would do: texts and decimal numbers have commas more often than the others."""
_ROWS_LOOKED_AT: Final = 64
_NO_TEXT: Final = pa.nulls(1, pa.string())[0]
"""A missing text; `pa.scalar` would import pandas."""
_DECIMAL_COMMA: Final = r"^(\s*[+-]?\d*),(\d+(?:[eE][+-]?\d+)?\s*)$"
_DECIMAL_POINT: Final = r"^\s*[+-]?\d*\.\d+(?:[eE][+-]?\d+)?\s*$"


class TableError(ValueError):
    """The bytes are not a table; the message names the file and what to do."""


class EmptyTableError(TableError):
    """There is not even a header."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """The dialect of a CSV file."""

    delimiter: str
    names: tuple[str, ...]
    """Names of the columns; one that has no name is called by its position."""
    nameless: frozenset[str]
    header_lines: int
    """Lines before the first row."""
    decimal_point: str = "."
    """A comma where the first numbers with a fraction have one; others may still have a point."""

    @property
    def decimal_commas(self) -> bool:
        """Return whether 1,5 is a number: wherever a comma does not end a field."""
        return self.delimiter != ","


def decoded(head: bytes, name: str, *, whole: bool, format: str = "CSV") -> str:
    """Return the beginning of a file as text; raise TableError where it is not UTF-8, with what it is instead."""
    for signature, what in SIGNATURES.items():
        if head.startswith(signature):
            raise TableError(f"{name} is {what}, not {format}; convert it to CSV or Parquet")
    if head[257:262] == b"ustar":
        raise TableError(f"{name} is a tar archive, not {format}; convert it to CSV or Parquet")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or _alternates(head):
        raise TableError(f"{name} is UTF-16, not UTF-8; save it as UTF-8")
    if head.lstrip()[:1] == b"<":
        raise TableError(
            f"{name} is HTML or XML, not {format}; check whether an error page was saved instead of the data"
        )
    if b"\0" in head:
        raise TableError(f"{name} is binary, not {format}; convert it to CSV or Parquet")
    try:
        return head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if not whole and error.start >= len(head) - 4:
            return head[: error.start].decode("utf-8-sig")
        raise TableError(_not_utf8(name, error.start, head[error.start], head)) from error


def _alternates(head: bytes) -> bool:
    """Return whether every other byte is 0, as in UTF-16 of Latin letters without a byte order mark."""
    return len(head) >= 4 and any(
        not any(head[start : len(head) & ~1 : 2]) and all(head[1 - start : len(head) & ~1 : 2]) for start in (0, 1)
    )


def _not_utf8(name: str, position: int, byte: int, around: bytes) -> str:
    windows = any(0x80 <= each <= 0x9F for each in around)
    guess, code = ("Windows-1252", "CP1252") if windows else ("Latin-1", "ISO-8859-1")
    return (
        f"{name} is not UTF-8 (byte {position}: 0x{byte:02x}), perhaps {guess}; save it as UTF-8, "
        f"for example with `iconv -f {code} -t UTF-8`"
    )


def find_invalid_utf8(source: Any, name: str) -> str | None:
    """Return what to say of the first bytes in a stream that are not UTF-8, or None where all are."""
    decoder, position = codecs.getincrementaldecoder("utf-8")(), 0
    while True:
        block = source.read(BLOCK)
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            content = bytes(error.object)
            return _not_utf8(name, position - pending + error.start, content[error.start], content)
        if not block:
            return None
        position += len(block)


def sniff(head: bytes, name: str, *, whole: bool) -> Dialect:
    """Return how the CSV file that begins with `head` is written; `whole` says that there is nothing else.

    Raises EmptyTableError where there is no header, and TableError where this is not CSV in UTF-8.
    """
    text = decoded(head, name, whole=whole)
    if not text.strip():
        raise EmptyTableError(f"{name} is empty; put a header and rows into it")
    body, lines, delimiter = text, 0, ""
    first, _, rest = text.replace("\r\n", "\n").replace("\r", "\n").partition("\n")
    if (
        first.lower().removeprefix("\ufeff").strip().strip('"').startswith("sep=")
        and len(first.strip().strip('"')) == 5
    ):
        # Excel's own way to say it, in a line before the header.
        delimiter, body, lines = first.strip().strip('"')[4], rest, 1
    if not delimiter:
        delimiter = max(_DELIMITERS, key=lambda each: _fitness(body, each, whole=whole))
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter)
    header = next((row for row in reader if row), None)
    if header is None:
        raise EmptyTableError(f"{name} is empty; put a header and rows into it")
    stripped = [cell.strip() for cell in header]
    if _are_values(stripped):
        raise TableError(
            f"the first line of {name} holds numbers ({delimiter.join(header)[:60]}), not the names of the columns; add a line with names"
        )
    names = tuple(cell or f"column {number}" for number, cell in enumerate(stripped, start=1))
    twice = next((cell for cell in names if names.count(cell) > 1), None)
    if twice is not None:
        raise TableError(f"{name} has more than one column {twice!r}; give each a name of its own")
    nameless = frozenset(spelled for spelled, cell in zip(names, stripped, strict=True) if not cell)
    return Dialect(delimiter, names, nameless, lines + reader.line_num, _decimal_point(reader, delimiter))


def _decimal_point(reader: Iterator[list[str]], delimiter: str) -> str:
    """Return what the first numbers with a fraction have before it."""
    with suppress(csv.Error):
        for row in islice(reader, _ROWS_LOOKED_AT if delimiter != "," else 0):
            for cell in row:
                if re.match(_DECIMAL_COMMA, cell):
                    return ","
                if re.match(_DECIMAL_POINT, cell):
                    return "."
    return "."


def with_points(texts: Any) -> Any:
    """Return texts with a point where a number has a comma before its fraction; every other text stays as it is.

    >>> with_points(pa.array(["1,5", "-,25", "1,2,3", "a,5", "7", None])).to_pylist()
    ['1.5', '-.25', '1,2,3', 'a,5', '7', None]
    """
    return pc.replace_substring_regex(texts, _DECIMAL_COMMA, r"\1.\2")


def _fitness(text: str, delimiter: str, *, whole: bool) -> tuple[bool, int, bool]:
    """Return how well a delimiter fits: whether it cuts rows into equally many fields, and how many, outside of quotes."""
    try:
        rows = list(islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), _ROWS_LOOKED_AT))
    except csv.Error:
        return False, 0, False
    if not whole and len(rows) > 1 and len(rows) < _ROWS_LOOKED_AT:
        rows.pop()  # the head may end within it
    lengths = [len(row) for row in rows if row]
    even = len(set(lengths)) == 1
    columns = lengths[0] if lengths else 0
    return even and columns > 1, columns, even


def _are_values(names: list[str]) -> bool:
    """Return whether a header is a row of numbers; libraries that have no names for columns count them from 0, and those are names."""
    cells = [cell for cell in names if cell]
    if not cells or [str(number) for number in range(len(cells))] == cells:
        return False
    return len(cells) == len(names) and all(map(_is_number, cells))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parsing(dialect: Dialect, invalid_row_handler: Any = None) -> Any:
    return arrow_csv.ParseOptions(
        delimiter=dialect.delimiter, newlines_in_values=True, invalid_row_handler=invalid_row_handler
    )


def _conversion(dialect: Dialect, types: Mapping[str, Any] | None) -> Any:
    return arrow_csv.ConvertOptions(
        decimal_point=dialect.decimal_point,
        column_types=dict(types) if types else None,
        null_values=list(MISSING_WORDS),
        strings_can_be_null=False,
        # A column of numbers may be quoted throughout.
        quoted_strings_can_be_null=True,
    )


def _reading(dialect: Dialect, block: int, *, header: int, threads: bool = True) -> Any:
    return arrow_csv.ReadOptions(
        use_threads=threads, block_size=block, column_names=list(dialect.names), skip_rows=header
    )


def open_blocks(
    source: Any, dialect: Dialect, types: Mapping[str, Any], *, threads: int, hexadecimals: bool = True
) -> Iterator[pa.RecordBatch]:
    """Yield record batches with columns in the given types, `threads` blocks of the file parsed at a time.

    Raises pyarrow.ArrowInvalid, and HexadecimalError where 0x stands in the file and `hexadecimals` says that it may not.
    """
    conversion, parsing = _conversion(dialect, types), _parsing(dialect)

    def parse(piece: blocks.Block | blocks.Rest) -> Iterator[pa.RecordBatch]:
        if isinstance(piece, blocks.Rest):
            watched = piece if hexadecimals else blocks.WithoutHexadecimals(piece)
            reading = _reading(dialect, 2 * BLOCK, header=piece.header)
            yield from arrow_csv.open_csv(pa.PythonFile(watched, mode="r"), reading, parsing, conversion)
            return
        if not hexadecimals:
            blocks.refuse_hexadecimals(piece.content)
        # Only one thread knows in which line it is.
        reading = _reading(dialect, len(piece.content) + 1, header=piece.header, threads=False)
        try:
            table = arrow_csv.read_csv(pa.BufferReader(piece.content), reading, parsing, conversion)
        except pa.ArrowInvalid as error:
            if is_without_rows(error):
                return
            raise blocks.with_line(error, piece) from error
        yield from table.to_batches()

    pieces = blocks.cut(source, BLOCK, dialect.header_lines, dialect.delimiter)
    yield from blocks.parsed(pieces, parse, threads)


def read(content: bytes, name: str, texts: Iterable[str] = ()) -> pa.Table:
    """Return the rows of a CSV file, types inferred from all of them; the columns `texts` are text whatever they look like.

    Raises EmptyTableError or TableError, which names the line.
    """
    dialect = sniff(content[:HEAD], name, whole=len(content) <= HEAD)
    complaint = find_invalid_utf8(io.BytesIO(content), name)
    if complaint is not None:
        raise TableError(complaint)
    wrong: list[Any] = []

    def refuse(row: Any) -> str:
        wrong.append(row)
        return "error"

    as_texts = {column: pa.string() for column in texts if column in dialect.names}

    def parse(*, threads: bool, more: Iterable[str] = ()) -> pa.Table:
        return arrow_csv.read_csv(
            pa.BufferReader(content),
            # One block as large as the file: types are inferred from all rows, not from the first megabyte.
            read_options=_reading(
                dialect, min(len(content) + 1, (1 << 31) - 1), header=dialect.header_lines, threads=threads
            ),
            parse_options=_parsing(dialect, refuse),
            convert_options=_conversion(dialect, as_texts | dict.fromkeys(more, pa.string())),
        )

    try:
        table = parse(threads=True)
        whole = [field.name for field in table.schema if pa.types.is_integer(field.type)]
        # Arrow reads 0x1f as a whole number, which it is nowhere else here.
        again = whole if b"0x" in content or b"0X" in content else ()
        if again:
            table = parse(threads=True, more=again)
        return _read_again(table, dialect, frozenset(texts), frozenset(again))
    except pa.ArrowInvalid as error:
        if wrong:
            # Only one thread knows in which line it is.
            wrong.clear()
            try:
                parse(threads=False)
            except pa.ArrowInvalid:
                raise TableError(_ragged(wrong[0], name)) from error
        if is_without_rows(error):
            return pa.table({column: pa.nulls(0) for column in dialect.names})
        raise TableError(f"{name} is not readable CSV: {_first_line(error)}; correct it") from error


def _read_again(table: pa.Table, dialect: Dialect, texts: frozenset[str], again: frozenset[str]) -> pa.Table:
    """Return the table with columns that Arrow leaves as texts as the numbers or truth values that they are.

    These are numbers of which some have a comma before the fraction, entries with blanks around them, as in `1, NA` and
    `1, true`, and the columns `again`.
    """
    for index, field in enumerate(table.schema):
        if not pa.types.is_string(field.type) or field.name in texts:
            continue
        column = table.column(index)
        trimmed = pc.utf8_trim_whitespace(column)
        any_kind = field.name in again or not trimmed.equals(column)
        if not any_kind and not dialect.decimal_commas:
            continue
        missing = pc.is_in(trimmed, value_set=pa.array(MISSING_WORDS, pa.string()))
        plain = pc.if_else(missing, _NO_TEXT, with_points(trimmed) if dialect.decimal_commas else trimmed)
        for kind in _kinds(plain) if any_kind else (pa.float64(),):
            with suppress(pa.ArrowInvalid):
                table = table.set_column(index, field.name, pc.cast(plain, kind))
                break
    return table


def _kinds(texts: Any) -> tuple[Any, ...]:
    """The types that texts may have, the narrowest first; Arrow would take 0x1f for a whole number."""
    if texts.null_count == len(texts):
        return ()
    hexadecimal = pc.any(pc.match_substring(texts, "x", ignore_case=True)).as_py()
    return (*(() if hexadecimal else (pa.int64(),)), pa.float64(), pa.bool_())


def is_without_rows(error: Exception) -> bool:
    """Return whether Arrow says by `error` that nothing stands behind the header."""
    return "Empty CSV" in str(error) or "Could not skip initial" in str(error)


def _ragged(row: Any, name: str) -> str:
    """Return what to say of a row with too few or too many values."""
    where = f"line {row.number}" if row.number else "a line"
    return (
        f"{where} of {name} has {row.actual_columns} values where there are {row.expected_columns} columns: "
        f"{row.text[:80]!r}; correct or remove it"
    )


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0][:300]
