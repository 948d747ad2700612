"""Columns whose values are in the names of folders, as in `day=2026-01-01/country=NL/part-0.parquet` (Hive's layout)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Sequence
from typing import Final
from urllib.parse import unquote

import pyarrow as pa

from tidemill.runtime.failures import SourceUnreadable
from tidemill.runtime.ingest.origins.origin import SourceFile
from tidemill.runtime.tables import delimited

_MISSING: Final = "__HIVE_DEFAULT_PARTITION__"
_FOLDER: Final = re.compile(r"([^=]+)=(.*)", re.DOTALL)


def values_of(path: str) -> dict[str, str]:
    """Return the columns that the folders of a path name, and their values; escapes of Hive are undone.

    >>> values_of("day=2026-01-01/country=C%C3%B4te/a.csv")
    {'day': '2026-01-01', 'country': 'Côte'}
    >>> values_of("raw/a=1.csv")
    {}
    """
    written = (_FOLDER.fullmatch(folder) for folder in path.split("/")[:-1])
    return {unquote(match[1]): unquote(match[2]) for match in written if match}


def columns(files: Sequence[SourceFile], texts: Collection[str], uri: str) -> pa.Table | None:
    """Return a row for each file with what its folders say, typed as in a CSV file; None where they say nothing.

    Raises SourceUnreadable where they do not name the same columns.
    """
    values = [values_of(file.path) for file in files]
    names = list(values[0])
    for file, row in zip(files, values, strict=True):
        if set(row) != set(names):
            odd = sorted(set(row) ^ set(names))[0]
            raise SourceUnreadable(
                f"the folders of {uri} do not name the same columns: {odd!r} is in only one of {files[0].name} and {file.name}; "
                "move the files, or read one layout"
            )
    if not names:
        return None
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["", *names])
    for row in values:
        writer.writerow([0, *("" if row[name] == _MISSING else row[name] for name in names)])
    try:
        return delimited.read(text.getvalue().encode(), f"the folders of {uri}", texts).select(range(1, len(names) + 1))
    except delimited.TableError as error:
        raise SourceUnreadable(str(error)) from error


def added(table: pa.Table, row: pa.Table, name: str) -> pa.Table:
    """Return the table of one file with the columns of its folders, `row`; raise SourceUnreadable where it has one already."""
    twice = sorted(set(table.column_names) & set(row.column_names))
    if twice:
        raise SourceUnreadable(
            f"{name} has a column {twice[0]!r}, and so have the names of its folders; rename one of the two"
        )
    for column in row.column_names:
        table = table.append_column(column, pa.repeat(row.column(column)[0], table.num_rows))
    return table
