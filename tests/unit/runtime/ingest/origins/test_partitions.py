"""Columns from the names of folders."""

from __future__ import annotations

import pyarrow as pa
import pytest

from tidemill.runtime.failures import SourceUnreadable
from tidemill.runtime.ingest.origins import partitions
from tidemill.runtime.ingest.origins.origin import SourceFile


def files(*paths: str) -> list[SourceFile]:
    return [SourceFile(f"lake/{path}", path, "1") for path in paths]


def values(*paths: str, texts: tuple[str, ...] = ()) -> dict[str, list[object]]:
    columns = partitions.columns(files(*paths), texts, "s3://b/lake/")
    assert columns is not None
    return dict(columns.to_pydict())


def test_values_have_the_types_they_would_have_in_a_csv_file() -> None:
    read = values("year=2025/country=NL/zip=01234/a", "year=2026/country=a%3Db%2C%22/zip=1/a", texts=("zip",))

    assert {"year": [2025, 2026], "country": ["NL", 'a=b,"'], "zip": ["01234", "1"]} == read


def test_days_are_times() -> None:
    columns = partitions.columns(files("day=2026-01-01/a", "day=2026-01-02/a"), (), "s3://b/lake/")

    assert columns is not None
    assert pa.types.is_temporal(columns.column("day").type)


def test_a_value_that_hive_calls_missing_is_missing() -> None:
    assert {"n": [1, None]} == values("n=1/a", "n=__HIVE_DEFAULT_PARTITION__/a")


def test_folders_without_values_make_no_columns() -> None:
    assert partitions.columns(files("a.csv", "raw/b.csv"), (), "s3://b/lake/") is None


def test_folders_that_disagree_are_refused_by_name() -> None:
    with pytest.raises(SourceUnreadable, match=r"'day' is in only one of lake/a.csv and lake/day=1/b.csv"):
        partitions.columns(files("a.csv", "day=1/b.csv"), (), "s3://b/lake/")


def test_a_column_that_is_in_the_file_too_is_refused() -> None:
    with pytest.raises(SourceUnreadable, match=r"lake/a.csv has a column 'day', and so have the names of its folders"):
        partitions.added(pa.table({"day": [1]}), pa.table({"day": [2]}), "lake/a.csv")


def test_every_row_of_a_file_gets_the_values_of_its_folders() -> None:
    table = partitions.added(pa.table({"a": [1, 2]}), pa.table({"day": ["x"], "n": [None]}), "lake/a.csv")

    assert {"a": [1, 2], "day": ["x", "x"], "n": [None, None]} == table.to_pydict()
