"""What is read as a table, and what is refused with the place where it goes wrong."""

from __future__ import annotations

import gzip
import io
import pickle

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some
from pyarrow import parquet

from tidemill.runtime.failures import RunFailed, SourceEmpty, SourceUnreadable
from tidemill.runtime.ingest import formats

CSV = b"a,b\n1,x\n2,y\n"


def as_parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    return buffer.getvalue()


READ = {
    "CSV by its name": (CSV, "t.csv", "Auto"),
    "CSV with semicolons": (CSV.replace(b",", b";"), "t.csv", "Auto"),
    "CSV with tabs": (CSV.replace(b",", b"\t"), "t.tsv", "Auto"),
    "CSV with a byte order mark and Windows line ends": (b"\xef\xbb\xbf" + CSV.replace(b"\n", b"\r\n"), "t.csv", "CSV"),
    "CSV packed with gzip": (gzip.compress(CSV), "t.csv.gz", "Auto"),
    "CSV under a name that says nothing": (CSV, "table", "Auto"),
    "Parquet by its name": (as_parquet(pa.table({"a": [1, 2], "b": ["x", "y"]})), "t.parquet", "Auto"),
    "Parquet by its first bytes": (as_parquet(pa.table({"a": [1, 2], "b": ["x", "y"]})), "t", "Auto"),
    "JSON lines by its name": (b'{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}\n', "t.jsonl", "Auto"),
    "JSON lines by their first byte": (b'{"a": 1, "b": "x"}\n{"a": 2, "b": "y"}', "t", "Auto"),
}


@pytest.mark.parametrize("case", READ)
def test_the_same_rows_come_from_every_format(case: str) -> None:
    table = formats.read(*READ[case])

    assert {"a": [1, 2], "b": ["x", "y"]} == table.to_pydict()


REFUSED = {
    "an empty file": (b"", "t.csv", SourceEmpty, "t.csv is empty"),
    "nothing but blanks": (b" \n\n", "t.csv", SourceEmpty, "t.csv is empty"),
    "a header alone": (b"a,b\n", "t.csv", SourceEmpty, "names columns .a, b. but has no rows"),
    "a Parquet file without rows": (
        as_parquet(pa.table({"a": pa.array([], pa.int64())})),
        "t.parquet",
        SourceEmpty,
        "has no rows",
    ),
    "a line that is too long": (
        b"a,b\n1,2\n3,4,5\n6,7\n",
        "t.csv",
        SourceUnreadable,
        "line 3 of t.csv has 3 values where there are 2 columns: '3,4,5'",
    ),
    "a line that is too short": (b"a,b\n1,2\n3\n", "t.csv", SourceUnreadable, "line 3 of t.csv has 1 values"),
    "no header": (b"5.1,3.5\n4.9,3.0\n", "t.csv", SourceUnreadable, "first line of t.csv holds numbers"),
    "one name twice": (b"a,b,a\n1,2,3\n", "t.csv", SourceUnreadable, "more than one column 'a'"),
    "another encoding": ("name\nMüller\n".encode("latin-1"), "t.csv", SourceUnreadable, "not UTF-8 .byte 6: 0xfc."),
    "bytes": (bytes(range(256)) * 9, "t.csv", SourceUnreadable, "binary, not CSV"),
    "a spreadsheet": (b"PK\x03\x04" + bytes(60), "t.csv", SourceUnreadable, "a ZIP archive or a spreadsheet, not CSV"),
    "Parquet that is called CSV": (
        as_parquet(pa.table({"a": [1]})),
        "t.csv",
        SourceUnreadable,
        "a Parquet file, not CSV",
    ),
    "CSV that is called Parquet": (CSV, "t.parquet", SourceUnreadable, "not a Parquet file"),
    "half a Parquet file": (
        as_parquet(pa.table({"a": [1, 2]}))[:60],
        "t.parquet",
        SourceUnreadable,
        "damaged Parquet file",
    ),
    "an error page": (b"<html><h1>404</h1>", "t.csv", SourceUnreadable, "HTML or XML"),
    "half a gzip file": (gzip.compress(CSV * 99)[:40], "t.csv.gz", SourceUnreadable, "damaged gzip"),
    "a pickle": (pickle.dumps({"a": 1}, 4), "t.csv", SourceUnreadable, "a Python pickle, not CSV"),
    "a JSON list": (b'[{"a": 1}]', "t.jsonl", SourceUnreadable, "one JSON list; write one object per line"),
    "broken JSON": (b'{"a": 1}\n{"a": \n', "t.jsonl", SourceUnreadable, "not readable as JSON lines"),
    "words in JSON lines": (b"hello\n", "t.jsonl", SourceUnreadable, "does not begin with a JSON object"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_table_is_refused_by_name_and_place(case: str) -> None:
    content, name, failure, message = REFUSED[case]

    with pytest.raises(failure, match=message):
        formats.read(content, name)


def test_the_type_of_a_column_is_that_of_all_its_rows() -> None:
    rows = b"a\n" + b"1\n" * 400_000 + b"1.5\n"

    assert formats.read(rows, "t.csv").schema.field("a").type == pa.float64()


def test_a_column_that_is_declared_text_keeps_its_zeros() -> None:
    assert ["01234"] == formats.read(b"zip\n01234\n", "t.csv", texts=["zip"]).column("zip").to_pylist()


@example(b"\x1c", "t.csv")
@settings(deadline=None)
@given(some.binary(max_size=300), some.sampled_from(["t.csv", "t.parquet", "t.jsonl", "t.csv.gz", "t"]))
def test_whatever_comes_is_read_or_refused(content: bytes, name: str) -> None:
    try:
        assert formats.read(content, name).num_rows > 0
    except RunFailed as refused:
        assert name.removesuffix(".gz") in refused.message
