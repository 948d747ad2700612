from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from tidemill.runtime.monitor.statistics.comparison import compare
from tidemill.runtime.profile import Profile, ProfiledColumn, delimited, parquet, profile_table
from tidemill.runtime.profile.categorical import CategoricalProfile
from tidemill.runtime.profile.files import Unreadable, profile_file

_random = np.random.default_rng(2)
TABLE = pa.table(
    {
        "amount": pa.array(_random.normal(size=3000), mask=_random.random(3000) < 0.1),
        "count": _random.integers(0, 9, 3000),
        "shop": _random.choice(["a", "b", "c"], 3000),
    }
)
COLUMNS = (
    ProfiledColumn("amount", "Numerical"),
    ProfiledColumn("count", "Numerical"),
    ProfiledColumn("shop", "Categorical"),
)


def test_parquet_csv_and_the_table_in_memory_have_the_same_profile(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "t.parquet", row_group_size=700)
    csv.write_csv(TABLE, tmp_path / "t.csv")
    expected = profile_table(TABLE, COLUMNS)

    assert expected == profile_file(tmp_path / "t.parquet").profile
    assert expected == profile_file(tmp_path / "t.csv").profile


def test_any_number_of_threads_counts_the_same(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "t.parquet")

    assert profile_file(tmp_path / "t.parquet", threads=1) == profile_file(tmp_path / "t.parquet", threads=5)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_column_that_the_reference_has_and_the_file_has_not_counts_as_missing(suffix: str, tmp_path: Path) -> None:
    reference = profile_table(TABLE, COLUMNS)
    narrow = TABLE.select(["shop"])
    path = tmp_path / f"t.{suffix}"
    pq.write_table(narrow, path) if suffix == "parquet" else csv.write_csv(narrow, path)

    amount, count, shop = profile_file(path, reference).profile.columns

    assert [("amount", 3000, 3000), ("count", 3000, 3000), ("shop", 3000, 0)] == [
        (column.name, column.rows, column.missing) for column in (amount, count, shop)
    ]


def test_a_parquet_file_that_is_damaged_in_the_middle_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(TABLE, path, row_group_size=700)
    content = bytearray(path.read_bytes())
    half = len(content) // 2
    content[1000:half] = b"\xff" * (half - 1000)
    path.write_bytes(content)

    with pytest.raises(Unreadable, match="cannot be read"):
        profile_file(path, profile_table(TABLE, COLUMNS))


def test_nobody_loads_pandas_to_profile_a_file(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "t.parquet")
    csv.write_csv(TABLE, tmp_path / "t.csv")
    program = (
        "import sys; from pathlib import Path; from tidemill.runtime.profile.files import profile_file\n"
        "for path in sys.argv[1:]: profile_file(Path(path))\n"
        "print('pandas' in sys.modules)"
    )

    completed = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "t.parquet", tmp_path / "t.csv"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "False\n" == completed.stdout


def test_a_profile_stands_for_its_table(tmp_path: Path) -> None:
    profile = profile_table(TABLE, COLUMNS)
    (tmp_path / "p").write_bytes(profile.to_json())

    assert profile == profile_file(tmp_path / "p", profile).profile


def test_a_csv_column_that_turns_to_text_late_is_read_where_it_can_be(tmp_path: Path) -> None:
    lines = ["amount,shop"] + [f"{index % 7},a" for index in range(1_100_000)] + ["oops,b", "3,c"]
    (tmp_path / "t.csv").write_text("\n".join(lines))

    amount, shop = profile_file(tmp_path / "t.csv").profile.columns

    assert (1_100_002, 1, 1_100_001) == (amount.rows, amount.invalid, amount.present)  # type: ignore[union-attr]
    assert 1_100_002 == shop.rows


def write(path: Path, content: Any) -> Path:
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
    elif content is not None:
        path.write_bytes(content)
    return path


BAD = {
    "no file": (None, "cannot be opened"),
    "an empty file": (b"", "is empty; put a header"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is a picture, not CSV; convert it to CSV or Parquet"),
    "a truncated Parquet file": (b"PAR1" + b"\1" * 100, "cannot be read"),
    "JSON that is no profile": (b'{"rows": 7}', "not a profile"),
    "a table of lists": (pa.table({"x": [[1], [2]]}), "no column of numbers, texts or truth values"),
}


@pytest.mark.parametrize(("content", "why"), BAD.values(), ids=BAD.keys())
def test_what_is_no_table_says_so(tmp_path: Path, content: Any, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        profile_file(write(tmp_path / "data", content))


def test_a_csv_with_two_columns_of_one_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="more than one column 'x'"):
        profile_file(write(tmp_path / "t.csv", b"x,x\n1,2\n"))


def test_a_table_without_rows_has_an_empty_profile(tmp_path: Path) -> None:
    assert 0 == profile_file(write(tmp_path / "t.parquet", TABLE.slice(0, 0))).profile.rows


def test_a_profile_on_other_bins_is_refused_with_the_command_that_helps(tmp_path: Path) -> None:
    reference = profile_table(TABLE, COLUMNS)
    other = profile_table(TABLE.slice(0, 100), COLUMNS)

    with pytest.raises(Unreadable, match="--like"):
        profile_file(write(tmp_path / "p.json", other.to_json()), reference)


def test_a_table_that_shares_no_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="shares no column"):
        profile_file(write(tmp_path / "t.csv", b"colour\nred\n"), profile_table(TABLE, COLUMNS))


def _texts(rows: int) -> pa.Table:
    values = np.random.default_rng(5)
    return pa.table(
        {
            "region": np.repeat(["north", "east", "south", "west"], rows // 4),
            "amount": np.sort(values.lognormal(0, 2, rows)),
            "few": np.sort(values.integers(0, 5, rows)),
        }
    )


@settings(deadline=None, max_examples=15)
@given(some.integers(0, 2**32), some.integers(1, 900), some.sampled_from(["parquet", "csv"]))
def test_the_order_and_the_grouping_of_rows_decide_nothing(seed: int, group: int, suffix: str) -> None:
    sorted_ = _texts(800)
    shuffled = sorted_.take(pa.array(np.random.default_rng(seed).permutation(800)))
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / "a.parquet", Path(folder) / f"b.{suffix}"
        pq.write_table(sorted_, first)
        if suffix == "csv":
            csv.write_csv(shuffled, second)
        else:
            pq.write_table(shuffled, second, row_group_size=group)

        assert profile_file(first).profile == profile_file(second).profile


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_rows_that_are_drawn_come_from_all_of_a_sorted_file(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "SAMPLE_ROWS", 2000)
    monkeypatch.setattr(delimited, "_MAX_SAMPLE_ROWS", 2000)
    rows = 40_000
    random = np.random.default_rng(7)
    sorted_ = _texts(rows)
    moved = pa.table(
        {**{name: sorted_.column(name) for name in ("region", "few")}, "amount": random.lognormal(0.3, 2, rows)}
    )
    verdicts, distances = [], []
    for order in (np.arange(rows), random.permutation(rows)):
        path, window = tmp_path / f"r.{suffix}", tmp_path / "w.parquet"
        reference = sorted_.take(pa.array(order))
        csv.write_csv(reference, path) if suffix == "csv" else pq.write_table(reference, path, row_group_size=9000)
        pq.write_table(moved, window)
        before = profile_file(path).profile
        columns = compare(before, profile_file(window, before).profile)
        distances.append([column.statistics.get("KolmogorovSmirnov", 0.0) for column in columns])
        verdicts.append([0.1 < column.statistics["PSI"] for column in columns])

    assert verdicts[0] == verdicts[1]
    assert distances[0] == pytest.approx(distances[1], abs=0.002)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_identifiers_are_told_by_how_many_distinct_values_the_file_has(suffix: str, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    rows = 4000
    table = pa.table(
        {
            "uuid": [f"u{random.integers(2**60)}" for _ in range(rows)],
            "row": random.permutation(rows) + 500,
            "amount": random.normal(size=rows),
            "product": [f"p{int(each)}" for each in random.zipf(1.3, rows) % 1500],
            "year": random.integers(1990, 2020, rows),
        }
    )
    path = tmp_path / f"t.{suffix}"
    csv.write_csv(table, path) if suffix == "csv" else pq.write_table(table, path, row_group_size=700)

    result = profile_file(path).profile

    assert sorted(column.name for column in result.left_out if column.identifier) == ["row", "uuid"]
    assert {column.name for column in result.columns} == set(table.column_names)
    assert Profile.from_json(result.to_json()).left_out == result.left_out


def test_more_distinct_texts_than_are_counted_are_still_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "MAX_DISTINCT", 100)
    monkeypatch.setattr(parquet, "SAMPLE_ROWS", 500)
    random = np.random.default_rng(3)
    table = pa.table(
        {"id": [f"u{row}" for row in range(9000)], "shop": [f"s{each}" for each in random.integers(0, 900, 9000)]}
    )
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=1000)
    csv.write_csv(table, tmp_path / "t.csv")

    for path in (tmp_path / "t.parquet", tmp_path / "t.csv"):
        assert [column.name for column in profile_file(path).profile.left_out] == ["id"]


def test_the_index_of_a_pandas_table_is_left_out_with_the_reason(tmp_path: Path) -> None:
    table = pa.table({"x": [1.5, 2.5], "__index_level_0__": [7, 3]})
    metadata = {"pandas": json.dumps({"index_columns": ["__index_level_0__"]})}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "t.parquet")

    (left_out,) = profile_file(tmp_path / "t.parquet").profile.left_out

    assert (left_out.name, left_out.reason) == ("__index_level_0__", "is the index of a pandas table")


def _kinds_of_csv(path: Path, *columns: list[str]) -> dict[str, str]:
    names = [f"c{number}" for number in range(len(columns))]
    rows = [",".join(cells) for cells in zip(*columns, strict=True)]
    path.write_text("\n".join([",".join(names), *rows]) + "\n")
    result = profile_file(path).profile
    return {**{c.name: c.type for c in result.columns}, **{c.name: c.reason for c in result.left_out}}


def test_the_type_of_a_csv_column_is_that_of_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.runtime.tables.delimited.BLOCK", 1 << 12)
    size = 3000
    columns = {
        "empty at first": (["", *[""] * (size - 2), "5"], "Numerical"),
        "fractions at last": (["1"] * (size - 1) + ["1.5"], "Numerical"),
        "truth values": (["1"] * (size - 1) + ["true"], "Categorical"),
        "a text at last": (["7"] * (size - 30) + ["seven"] * 30, "Categorical"),
        "one stray among numbers": (["7"] * (size - 1) + ["oops"], "Numerical"),
        "times": (["2024-01-01T10:00:00Z"] * size, "holds dates or times, which are not compared"),
        "clock": (["10:30"] * size, "holds dates or times, which are not compared"),
        "nothing": (["NA"] * size, "has no values at all"),
    }

    result = _kinds_of_csv(tmp_path / "t.csv", *(cells for cells, _ in columns.values()))

    assert list(dict(sorted(result.items())).values()) == [kind for _, kind in columns.values()]


WINDOWS = {
    "zip codes": (["01067", "D-106", "10115"] * 20, ["01067", "10115"] * 20),
    "versions": (["1.0", "1.10", "beta"] * 20, ["1.0", "1.10"] * 20),
    "days": (["2024-01-01", "unknown"] * 20, ["2024-01-01"] * 20),
    "truth values in capitals": (["true", "false"] * 20, ["TRUE", "False", "NA"] * 20),
    "truth values": (["true", "unknown"] * 20, ["true"] * 20),
    "Namibia": (["NA", "DE"] * 20, ["NA"] * 20),
}


@pytest.mark.parametrize(("before", "now"), WINDOWS.values(), ids=WINDOWS.keys())
def test_a_window_is_read_with_the_types_of_the_reference(before: list[str], now: list[str], tmp_path: Path) -> None:
    for name, cells in (("before", before), ("now", now)):
        (tmp_path / name).write_text("c,d\n" + "".join(f"{cell},x\n" for cell in cells))
    reference = profile_file(tmp_path / "before").profile

    column = profile_file(tmp_path / "now", reference).profile.columns[0]

    assert isinstance(column, CategoricalProfile)
    assert column.others == 0


@pytest.mark.parametrize("content", ["a;b\n1;2\n", "a\tb\n1\t2\n", 'a,b\n"1",2\n', "sep=|\na|b\n1|2\n"])
def test_a_csv_file_is_read_as_a_dataset_is(content: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(content)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(content.encode()))

    for path in (tmp_path / "t.csv", tmp_path / "t.csv.gz"):
        assert [column.name for column in profile_file(path).profile.columns] == ["a", "b"]


def test_quoted_line_breaks_may_stand_at_the_end_of_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.runtime.tables.delimited.BLOCK", 1 << 10)
    path = tmp_path / "t.csv"
    path.write_text("n,text\n" + "".join(f'{row},"first\nsecond, third"\n' for row in range(900)))

    assert profile_file(path).profile.rows == 900


def test_bytes_that_are_not_utf8_are_named_wherever_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,town\n" + b"1,Bonn\n" * 20_000 + b"1,M\xfcnchen\n")

    with pytest.raises(Unreadable, match=r"not UTF-8 \(byte 140010: 0xfc\), perhaps Latin-1"):
        profile_file(path)
