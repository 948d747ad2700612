from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

from tidemill.runtime.profile import ProfiledColumn, profile_table
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

    said = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "t.parquet", tmp_path / "t.csv"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "False\n" == said.stdout


def test_a_profile_stands_for_its_table(tmp_path: Path) -> None:
    profile = profile_table(TABLE, COLUMNS)
    (tmp_path / "p").write_bytes(profile.to_json())

    assert profile == profile_file(tmp_path / "p", profile).profile


def test_a_csv_column_that_turns_to_text_late_is_read_where_it_can_be(tmp_path: Path) -> None:
    lines = ["amount,shop"] + [f"{place % 7},a" for place in range(1_100_000)] + ["oops,b", "3,c"]
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
    "an empty file": (b"", "Empty CSV"),
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "convert it to Parquet"),
    "a truncated Parquet file": (b"PAR1" + b"\1" * 100, "cannot be read"),
    "JSON that is no profile": (b'{"rows": 7}', "not a profile"),
    "a table of lists": (pa.table({"x": [[1], [2]]}), "no column of numbers"),
}


@pytest.mark.parametrize(("content", "why"), BAD.values(), ids=BAD.keys())
def test_what_is_no_table_says_so(tmp_path: Path, content: Any, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        profile_file(write(tmp_path / "data", content))


def test_a_csv_with_two_columns_of_one_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="two columns are called 'x'"):
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
