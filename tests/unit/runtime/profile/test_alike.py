"""The same rows have the same profile and the same drift however they are stored: Parquet, CSV with points or commas, JSON Lines."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
import scipy.stats

from tidemill.runtime.ingest import formats
from tidemill.runtime.ingest.columns import understand
from tidemill.runtime.monitor.statistics.comparison import compare
from tidemill.runtime.profile.categorical import CategoricalProfile
from tidemill.runtime.profile.files import Unreadable, profile_file

RNG = np.random.default_rng(12)


def as_parquet(table: pa.Table, path: Path) -> Path:
    pq.write_table(table, path.with_suffix(".parquet"), row_group_size=300)
    return path.with_suffix(".parquet")


def as_csv(table: pa.Table, path: Path) -> Path:
    csv.write_csv(table, path.with_suffix(".csv"))
    return path.with_suffix(".csv")


def as_json_lines(table: pa.Table, path: Path) -> Path:
    path = path.with_suffix(".jsonl")
    path.write_text("".join(json.dumps(row, default=str) + "\n" for row in table.to_pylist()))
    return path


def as_packed_json_lines(table: pa.Table, path: Path) -> Path:
    packed = path.with_suffix(".jsonl.gz")
    packed.write_bytes(gzip.compress(as_json_lines(table, path).read_bytes()))
    return packed


FORMS: dict[str, Callable[[pa.Table, Path], Path]] = {
    "Parquet": as_parquet,
    "CSV": as_csv,
    "JSON Lines": as_json_lines,
    "JSON Lines in gzip": as_packed_json_lines,
}


def statistics(before: Path, now: Path, column: str) -> Any:
    reference = profile_file(before).profile
    comparison = compare(reference, profile_file(now, reference).profile)
    return next(each.statistics for each in comparison if each.name == column)


TABLE = pa.table(
    {
        "amount": pa.array(RNG.normal(size=900), mask=RNG.random(900) < 0.1),
        "count": RNG.integers(0, 9, 900),
        "shop": RNG.choice(["a", "b", "NA", "1.10"], 900),
        "open": RNG.random(900) < 0.3,
    }
)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_every_form_has_the_profile_of_parquet(form: Callable[[pa.Table, Path], Path], tmp_path: Path) -> None:
    expected = profile_file(as_parquet(TABLE, tmp_path / "t")).profile

    assert expected == profile_file(form(TABLE, tmp_path / "u")).profile


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("reference", ["Parquet", "CSV", "JSON Lines"])
def test_a_window_in_another_form_has_not_moved(
    form: Callable[[pa.Table, Path], Path], reference: str, tmp_path: Path
) -> None:
    before, now = FORMS[reference](TABLE, tmp_path / "before"), form(TABLE, tmp_path / "now")

    assert [0.0] * 4 == [statistics(before, now, name)["PSI"] for name in TABLE.column_names]


OFFSETS = {
    "snowflake ids": (2**60, pa.int64()),
    "nanoseconds since 1970": (1_700_000_000_000_000_000, pa.int64()),
    "below zero": (-(2**62), pa.int64()),
    "beyond signed 64 bits": (2**63 + 12_345, pa.uint64()),
    "twenty-five digits": (10**24, pa.decimal128(38, 0)),
}


@pytest.mark.parametrize("form", ["Parquet", "CSV"])
@pytest.mark.parametrize(("offset", "kind"), OFFSETS.values(), ids=OFFSETS.keys())
def test_whole_numbers_beyond_2_53_keep_their_differences(form: str, offset: int, kind: Any, tmp_path: Path) -> None:
    sides = RNG.integers(0, 1000, 2000), RNG.integers(100, 1100, 1500)
    before, now = (
        FORMS[form](
            pa.table(
                {
                    "x": pa.array(
                        [
                            *(
                                Decimal(offset + each) if pa.types.is_decimal(kind) else offset + each
                                for each in side.tolist()
                            ),
                            None,
                        ],
                        kind,
                    )
                }
            ),
            tmp_path / name,
        )
        for name, side in zip(("before", "now"), sides, strict=True)
    )

    result = statistics(before, now, "x")

    assert scipy.stats.ks_2samp(*sides).statistic == pytest.approx(result["KolmogorovSmirnov"], abs=1e-3)
    assert scipy.stats.wasserstein_distance(*sides) == pytest.approx(result["Wasserstein"], rel=1e-3)


@pytest.mark.parametrize("form", ["Parquet", "CSV"])
def test_a_running_number_beyond_2_53_is_an_identifier(form: str, tmp_path: Path) -> None:
    table = pa.table({"id": pa.array([2**60 + row for row in range(500)]), "x": RNG.normal(size=500)})

    [left_out] = profile_file(FORMS[form](table, tmp_path / "t")).profile.left_out

    assert ("id", f"counts the rows from {2**60} to {2**60 + 499}, as a running number does") == (
        left_out.name,
        left_out.reason,
    )


def test_ingest_leaves_whole_numbers_out_that_floats_do_not_tell_apart() -> None:
    result = understand(pa.table({"id": [2**60, 2**60 + 1], "x": [1, 2]}), ())

    assert ["x"] == result.table.column_names
    assert [
        "column 'id' is ignored: it holds whole numbers beyond 2^53, which a float does not tell apart; declare its role and type to keep it"
    ] == list(result.warnings)


GERMAN = "shop;price;note\n" + "".join(f"s{row % 3};{row},5;1,a\n" for row in range(200))
COMMAS = {
    "decimal commas": (GERMAN, [row + 0.5 for row in range(200)]),
    "tabs": (GERMAN.replace(";", "\t"), [row + 0.5 for row in range(200)]),
    "whole numbers first": ("shop;price\n" + "s;7\n" * 150 + "s;-1,25\n", [7.0] * 150 + [-1.25]),
    "points and commas": ("shop;price\ns;1.5\ns;2,5\ns;\n", [1.5, 2.5, None]),
    "commas and points": ("shop;price\ns;2,5\ns;1.5\ns;NA\n", [2.5, 1.5, None]),
}


@pytest.mark.parametrize(("text", "prices"), COMMAS.values(), ids=COMMAS.keys())
def test_decimal_commas_are_numbers_in_ingest_profile_and_drift(
    text: str, prices: list[float | None], tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    table = pa.table({"shop": ["s"] * len(prices), "price": prices})
    expected = profile_file(as_parquet(table, tmp_path / "u")).profile.column("price")

    assert prices == formats.read(text.encode(), "t.csv").column("price").to_pylist()
    result = profile_file(path).profile.column("price")
    assert expected is not None and result is not None and expected.type == result.type == "Numerical"
    assert (expected.rows, expected.missing) == (result.rows, result.missing)
    assert 0 == statistics(as_parquet(table, tmp_path / "u"), path, "price")["KolmogorovSmirnov"]
    assert 0 == statistics(path, as_parquet(table, tmp_path / "u"), "price")["KolmogorovSmirnov"]


def test_a_comma_in_a_text_is_a_comma(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(GERMAN)

    note = profile_file(tmp_path / "t.csv").profile.column("note")

    assert isinstance(note, CategoricalProfile)
    assert ("1,a",) == note.categories
    assert "1,a" == formats.read(GERMAN.encode(), "t.csv").column("note")[0].as_py()


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("t.csv", "a,b\n1,2\n")
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("t.csv")
        info.size = 8
        archive.addfile(info, io.BytesIO(b"a,b\n1,2\n"))
    return buffer.getvalue()


REFUSED = {
    "zip": (zipped(), "is a ZIP archive or a spreadsheet, not CSV; convert it to CSV or Parquet"),
    "bzip2": (bz2.compress(b"a,b\n1,2\n"), "is bzip2, not CSV; convert it"),
    "xz": (lzma.compress(b"a,b\n1,2\n"), "is xz, not CSV; convert it"),
    "tar": (tarred(), "is a tar archive, not CSV; convert it"),
    "zip in gzip": (gzip.compress(zipped()), "is a ZIP archive or a spreadsheet, not CSV"),
    "half of gzip": (gzip.compress(GERMAN.encode())[:60], "is damaged gzip .*; copy it again"),
    "a JSON list": (b'[{"a": 1}]', "is one JSON list; write one object per line"),
    "broken JSON lines": (b'{"a": 1}\n{"a": \n', "not readable as JSON lines"),
    "half of a Parquet file": (
        b"PAR1" + b"\1" * 100,
        "cannot be read: it is a damaged Parquet file .*; write it again",
    ),
}


@pytest.mark.parametrize(("content", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_a_table_is_named(content: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl" if b"JSON" in why.encode() else tmp_path / "t").write_bytes(content)
    [path] = tmp_path.iterdir()

    with pytest.raises(Unreadable, match=why):
        profile_file(path)
