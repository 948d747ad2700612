"""Whatever the bytes of a file are, its profile is made or a sentence says why not; nothing else is raised."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest

from tidemill.runtime.monitor import tables
from tidemill.runtime.profile.files import Unreadable, profile_file

RNG = np.random.default_rng(4)
TABLE = pa.table(
    {
        "amount": pa.array(RNG.normal(size=120), mask=RNG.random(120) < 0.1),
        "id": np.arange(120) + 2**60,
        "shop": RNG.choice(["a", "b", "NA", "Köln"], 120),
        "open": RNG.random(120) < 0.3,
        "when": pa.array(np.arange(120), pa.timestamp("ms")),
    }
)


def parquet() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(TABLE, buffer, row_group_size=50)
    return buffer.getvalue()


def comma_separated() -> bytes:
    buffer = io.BytesIO()
    csv.write_csv(TABLE, buffer)
    return buffer.getvalue()


def json_lines() -> bytes:
    return "".join(json.dumps(row, default=str) + "\n" for row in TABLE.to_pylist()).encode()


WHOLE = {
    "t.parquet": parquet(),
    "t.csv": comma_separated(),
    "semicolons.csv": comma_separated().replace(b",", b";").replace(b".", b","),
    "t.jsonl": json_lines(),
    "t.csv.gz": gzip.compress(comma_separated()),
    "t": json_lines(),
}
MARKS = (
    b"\0",
    b'"',
    b",",
    b";",
    b"\n",
    b"\r",
    b"{",
    b"}",
    b"\xff",
    b"1e999",
    b"-",
    b"NaN",
    b"9" * 40,
    b"\\",
    b"PAR1",
    b" ",
)


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes changed, cut out, doubled or put in."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.integers(0, max(1, len(changed))))
        match rng.integers(5):
            case 0:
                changed[at : at + 1] = bytes([int(rng.integers(256))])
            case 1:
                del changed[at : at + int(rng.integers(1, 60))]
            case 2:
                changed[at:at] = changed[at : at + int(rng.integers(1, 60))]
            case 3:
                changed[at:at] = MARKS[int(rng.integers(len(MARKS)))]
            case _:
                del changed[at:]
    return bytes(changed)


@pytest.mark.parametrize("name", WHOLE)
def test_damaged_bytes_are_profiled_or_refused_with_a_sentence(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(len(name))
    (tmp_path / "whole").mkdir()
    whole = tmp_path / "whole" / name
    whole.write_bytes(WHOLE[name])
    reference = profile_file(whole).profile
    refused = 0
    for _ in range(60):
        path = tmp_path / name
        path.write_bytes(mutated(WHOLE[name], rng) if rng.random() < 0.9 else rng.bytes(int(rng.integers(300))))
        try:
            before = profile_file(path)
            now = profile_file(path, reference)
            result = tables.drift(reference, now.profile, tables.Limits(), now.unknown)
            assert tables.to_text(result) and tables.to_json(result) and tables.to_csv(result)
            assert before.profile.to_json()
        except Unreadable as error:
            refused += 1
            assert str(path) in str(error) and "\n" not in str(error) and len(str(error)) < 700

    assert refused
