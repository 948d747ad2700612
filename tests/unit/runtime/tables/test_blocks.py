"""A CSV file in blocks has the rows that it has as a whole, however it is cut."""

from __future__ import annotations

import io
import random

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import csv

from tidemill.runtime.tables import blocks, delimited
from tidemill.runtime.tables.blocks import Block, HexadecimalError, Rest

_FIELDS = st.sampled_from(
    ["", "1", "-2.5", "NA", "word", '5" pipe', '"quoted"', '"a\nb"', '"a ""b"""', '"a,b"', "\ufeff", " x "]
)
_ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def rows(content: bytes, names: list[str], header: int, threads: int) -> list[dict[str, str]]:
    dialect = delimited.Dialect(",", tuple(names), frozenset(), header)
    types = dict.fromkeys(names, pa.string())
    try:
        batches = list(delimited.open_blocks(io.BytesIO(content), dialect, types, threads=threads))
    except pa.ArrowInvalid as error:
        if delimited.is_without_rows(error):
            return []
        raise
    return [row for batch in batches for row in batch.to_pylist()]


def at_once(content: bytes, names: list[str], header: int) -> list[dict[str, str]]:
    """The rows by Arrow's own reader of whole files."""
    options = {
        "read_options": csv.ReadOptions(column_names=names, skip_rows=header, block_size=1 << 20),
        "parse_options": csv.ParseOptions(newlines_in_values=True),
        "convert_options": csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    }
    try:
        table: pa.Table = csv.read_csv(pa.BufferReader(content), **options)
    except pa.ArrowInvalid as error:
        if delimited.is_without_rows(error):
            return []
        raise
    return table.to_pylist()


@settings(max_examples=1000, deadline=None)
@given(
    st.lists(st.tuples(_FIELDS, _FIELDS), max_size=40),
    _ENDS,
    st.integers(64, 400),
    st.sampled_from([1, 3]),
    st.sampled_from(["a,b", '"a","b"', ""]),
    st.booleans(),
)
@example([("1", "2")] * 40, "\r\n", 64, 3, "a,b", True)
@example([("1", "2")] * 39 + [('"a\nb"', "2")], "\n", 64, 3, "a,b", False)
def test_rows_are_those_of_the_whole_file(
    pairs: list[tuple[str, str]], end: str, size: int, threads: int, header: str, ended: bool
) -> None:
    lines = ([header] if header else []) + [",".join(pair) for pair in pairs]
    content = (end.join(lines) + (end if ended and lines else "")).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "BLOCK", size)
        assert at_once(content, ["a", "b"], bool(header)) == rows(content, ["a", "b"], int(bool(header)), threads)


@pytest.mark.parametrize("size", [5, 64, 100, 1 << 20])
def test_no_byte_is_lost(size: int) -> None:
    source_of_bytes = random.Random(7)
    for _ in range(200):
        content = "".join(
            source_of_bytes.choice('ab,1\n\n\r"x') for _ in range(source_of_bytes.randrange(300))
        ).encode()
        source = io.BytesIO(content)
        pieces = list(blocks.cut(source, size, source_of_bytes.randrange(2)))

        given = b"".join(
            piece.content if isinstance(piece, Block) else piece.read(7) + piece.read() for piece in pieces
        )

        assert given == content
        assert all(isinstance(piece, Block) for piece in pieces[:-1])


@pytest.mark.parametrize("threads", [1, 2])
def test_a_row_of_another_length_is_named_by_its_line(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCK", 100)
    content = b"a,b\n" + b"1,2\n" * 120 + b"3\n" + b"1,2\n" * 90

    with pytest.raises(pa.ArrowInvalid, match="Row #122: Expected 2 columns, got 1"):
        rows(content, ["a", "b"], 1, threads)


@pytest.mark.parametrize("quoted", ["", '5" q,1\n'], ids=["cut", "read by Arrow"])
def test_hexadecimal_numbers_are_refused_wherever_they_stand(quoted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCK", 64)
    content = ("a,b\n" + quoted + "x,2\n" * 50 + "3,0X1f\n").encode()
    dialect = delimited.Dialect(",", ("a", "b"), frozenset(), 1)
    types = {"a": pa.string(), "b": pa.int64()}

    with pytest.raises(HexadecimalError):
        list(delimited.open_blocks(io.BytesIO(content), dialect, types, threads=2, hexadecimals=False))


def test_what_follows_a_mark_within_a_field_is_left_to_arrow() -> None:
    content = b"a,b\n" + b"1,2\n" * 10 + b'5" pipe,"x\ny"\n' + b"1,2\n" * 10

    *cut, rest = blocks.cut(io.BytesIO(content), 16, 1)

    assert all(isinstance(piece, Block) for piece in cut)
    assert isinstance(rest, Rest)
    assert b'5" pipe' in rest.read()


def test_quoted_fields_are_cut_between_rows() -> None:
    content = b'"a","b"\n' + b'"x, ""y""\nz",""\n' * 100

    pieces = list(blocks.cut(io.BytesIO(content), 64, 1))

    assert len(pieces) > 20
    assert all(isinstance(piece, Block) and piece.content.endswith(b',""\n') for piece in pieces)
