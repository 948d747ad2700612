"""How CSV files are written in the world, and what is read of them."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tidemill.runtime.tables import delimited

READ = {
    "commas": (b"a,b\n1,2\n", {"a": [1], "b": [2]}),
    "semicolons": (b"a;b\n1;2\n", {"a": [1], "b": [2]}),
    "tabs": (b"a\tb\n1\t2\n", {"a": [1], "b": [2]}),
    "bars": (b"a|b\n1|2\n", {"a": [1], "b": [2]}),
    "carriage returns": (b"a,b\r1,2\r3,4\r", {"a": [1, 3], "b": [2, 4]}),
    "Windows line ends": (b"a,b\r\n1,2\r\n", {"a": [1], "b": [2]}),
    "a byte order mark before a quoted header": (b'\xef\xbb\xbf"a",b\n1,2\n', {"a": [1], "b": [2]}),
    "Excel's line that names the delimiter": (b"sep=;\r\na;b\r\n1;2\r\n", {"a": [1], "b": [2]}),
    "the same after a byte order mark": (b"\xef\xbb\xbfsep=;\r\na;b\r\n1;2\r\n", {"a": [1], "b": [2]}),
    "delimiters within quotes": (b'"price, net, EUR";"name"\n1;x\n', {"price, net, EUR": [1], "name": ["x"]}),
    "quoted delimiters in rows": (b'a;b\n"x;y";2\n', {"a": ["x;y"], "b": [2]}),
    "blanks after commas": (
        b"a, price, paid, shop\n1, 2.5, true, DE\n2, NA, NA, FR\n",
        {"a": [1, 2], "price": [2.5, None], "paid": [True, None], "shop": [" DE", " FR"]},
    ),
    "blanks and a hexadecimal number": (b"a, b\nx, 0x1f\ny, 7\n", {"a": ["x", "y"], "b": [" 0x1f", " 7"]}),
    "a hexadecimal number": (b"a,b,c\n1,0x1f,7\nNA,7,8\n", {"a": [1, None], "b": ["0x1f", "7"], "c": [7, 8]}),
    "blanks alone": (b"a, b\nx, NA\ny, NA\n", {"a": ["x", "y"], "b": [" NA", " NA"]}),
    "decimal commas": (b"name;price\nx;1,5\ny;2,5\n", {"name": ["x", "y"], "price": [1.5, 2.5]}),
    "one column of sentences": (b"comment\nhello, world\nfoo\n", {"comment": ["hello, world", "foo"]}),
    "a line break in a header": (b'"a\nb",c\n1,2\n', {"a\nb": [1], "c": [2]}),
    "line breaks in values": (b'a,b\n"x\ny",2\n', {"a": ["x\ny"], "b": [2]}),
    "doubled quotes": (b'a,b\n"say ""hi""",2\n', {"a": ['say "hi"'], "b": [2]}),
    "blank lines before the header": (b"\n\na,b\n1,2\n", {"a": [1], "b": [2]}),
    "no line end at the end": (b"a,b\n1,2", {"a": [1], "b": [2]}),
    "a header alone": (b"a,b\n", {"a": [], "b": []}),
    "a header alone without a line end": (b"a,b", {"a": [], "b": []}),
    "a column without a name": (b",x\n7,1\n", {"column 1": [7], "x": [1]}),
    "columns that a library counted": (b"0,1\n7,8\n", {"0": [7], "1": [8]}),
    "Namibia": (b"country,n\nNA,1\nDE,2\n", {"country": ["NA", "DE"], "n": [1, 2]}),
    "words for missing numbers": (b'n,m\nNA,x\n"NA",y\n5,z\n', {"n": [None, None, 5], "m": ["x", "y", "z"]}),
    "words for missing truth values": (b"n,m\nnull,x\nTRUE,y\n", {"n": [None, True], "m": ["x", "y"]}),
    "braces": (b"{id},v\n1,2\n", {"{id}": [1], "v": [2]}),
}


@pytest.mark.parametrize(("content", "expected"), READ.values(), ids=READ.keys())
def test_rows_are_read_however_they_are_written(content: bytes, expected: dict[str, list[object]]) -> None:
    assert delimited.read(content, "t.csv").to_pydict() == expected


REFUSED = {
    "nothing": (b"", "is empty"),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), "is UTF-16, not UTF-8"),
    "UTF-16 without a mark": ("a,b\n1,2\n".encode("utf-16-le"), "is UTF-16, not UTF-8"),
    "Latin-1 in a header": ("größe,b\n1,2\n".encode("latin-1"), r"byte 2: 0xf6.*perhaps Latin-1.*iconv -f ISO-8859-1"),
    "Windows-1252": ("a,b\n“x”,2\n".encode("cp1252"), "perhaps Windows-1252; save it as UTF-8"),
    "Latin-1 far behind": (b"a,b\n" + b"x,1\n" * 50_000 + b"\xfc,1\n", r"not UTF-8 \(byte 200004: 0xfc\)"),
    "a short row": (b"a,b\n1,2\n3\n", "line 3 of t.csv has 1 values where there are 2 columns: '3'"),
    "a long row after sep=": (b"sep=,\na,b\n1,2,3\n", "line 3 of t.csv has 3 values where there are 2"),
    "one name twice": (b"n,v,n\n1,2,3\n", "more than one column 'n'"),
    "values for a header": (b"5.1,3.5\n4.9,3.0\n", "holds numbers"),
    "a spreadsheet": (b"PK\x03\x04" + bytes(60), "a ZIP archive or a spreadsheet"),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_read_is_refused_with_its_place(content: bytes, message: str) -> None:
    with pytest.raises(delimited.TableError, match=message):
        delimited.read(content, "t.csv")


_cells = some.text(
    some.characters(codec="utf-8", exclude_categories=("Cs", "Cc")) | some.sampled_from(',;"\n|'), max_size=6
)


@settings(deadline=None)
@given(
    some.lists(some.tuples(_cells, _cells), min_size=1, max_size=8),
    some.sampled_from(",;\t|"),
    some.sampled_from([0, 1]),
)
def test_texts_come_back_as_they_were_written(rows: list[tuple[str, str]], delimiter: str, quoting: int) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter, quoting=csv.QUOTE_ALL if quoting else csv.QUOTE_NONNUMERIC)
    writer.writerow(("first", "second"))
    writer.writerows(rows)

    table = delimited.read(buffer.getvalue().encode(), "t.csv", texts=["first", "second"])

    assert [tuple(row.values()) for row in table.to_pylist()] == rows
