"""Pairs of tables that other tools are reported to stumble over: types, constants, units, spellings, and how files are written."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tidemill.api.methods import CheckVerdict
from tidemill.runtime.monitor import tables
from tidemill.runtime.profile.files import profile_file

N: Final = 2000
RNG: Final = np.random.default_rng(0)
NORMAL: Final = RNG.normal(size=N)
Verdicts = tuple[CheckVerdict, ...]
PASSING: Final[Verdicts] = ("Passing",)
FAILING: Final[Verdicts] = ("Failing",)
MOVED: Final[Verdicts] = ("Warning", "Failing")
ANY: Final[Verdicts] = ("Passing", "Warning", "Failing", "NoData")
T = pa.table

PAIRS: Final[dict[str, tuple[Any, Any, Verdicts, str, dict[str, Any]]]] = {
    "float16": (T({"x": NORMAL.astype(np.float16)}), T({"x": NORMAL}), PASSING, "parquet", {}),
    "string view": (
        T({"x": pa.array(RNG.choice(list("abc"), N).tolist(), pa.string_view())}),
        T({"x": RNG.choice(list("abc"), N)}),
        PASSING,
        "parquet",
        {},
    ),
    "large string vs dict": (
        T({"x": pa.array(RNG.choice(list("abc"), N).tolist(), pa.large_string())}),
        T({"x": pa.array(RNG.choice(list("abc"), N).tolist()).dictionary_encode()}),
        PASSING,
        "parquet",
        {},
    ),
    "dict of ints": (
        T({"x": pa.array(RNG.integers(0, 5, N)).dictionary_encode()}),
        T({"x": RNG.integers(0, 5, N)}),
        PASSING,
        "parquet",
        {},
    ),
    "duration": (
        T({"x": NORMAL, "d": pa.array(RNG.integers(0, 5, N), pa.duration("s"))}),
        T({"x": NORMAL, "d": pa.array(RNG.integers(0, 5, N), pa.duration("s"))}),
        PASSING,
        "parquet",
        {},
    ),
    "all null both": (
        T({"x": NORMAL, "e": pa.nulls(N, pa.float64())}),
        T({"x": NORMAL, "e": pa.nulls(N, pa.float64())}),
        PASSING,
        "parquet",
        {},
    ),
    "became non-null": (
        T({"x": NORMAL, "e": pa.nulls(N, pa.float64())}),
        T({"x": NORMAL, "e": NORMAL}),
        ANY,
        "parquet",
        {},
    ),
    "all nan": (
        T({"x": NORMAL, "e": np.full(N, np.nan)}),
        T({"x": NORMAL, "e": np.full(N, np.nan)}),
        PASSING,
        "parquet",
        {},
    ),
    "inf appears": (T({"x": NORMAL}), T({"x": np.where(RNG.random(N) < 0.5, np.inf, NORMAL)}), MOVED, "parquet", {}),
    "inf both": (
        T({"x": np.where(np.arange(N) % 2, np.inf, NORMAL)}),
        T({"x": np.where(np.arange(N) % 2, np.inf, NORMAL)}),
        PASSING,
        "parquet",
        {},
    ),
    "neg inf only": (T({"x": np.full(N, -np.inf)}), T({"x": np.full(N, -np.inf)}), ANY, "parquet", {}),
    "constant text": (T({"x": ["a"] * N}), T({"x": ["a"] * N}), PASSING, "parquet", {}),
    "constant text other": (T({"x": ["a"] * N}), T({"x": ["b"] * N}), FAILING, "parquet", {}),
    "bool constant flip": (T({"x": [True] * N}), T({"x": [False] * N}), FAILING, "parquet", {}),
    "bool vs int01": (T({"x": RNG.random(N) < 0.3}), T({"x": (RNG.random(N) < 0.3).astype(int)}), ANY, "parquet", {}),
    "int vs bool": (T({"x": (RNG.random(N) < 0.3).astype(int)}), T({"x": RNG.random(N) < 0.3}), PASSING, "parquet", {}),
    "unsigned wrap": (
        T({"x": RNG.integers(0, 100, N).astype(np.uint8)}),
        T({"x": (256 - RNG.integers(1, 100, N)).astype(np.uint8)}),
        FAILING,
        "parquet",
        {},
    ),
    "date ints": (
        T({"x": 20240101 + RNG.integers(0, 28, N)}),
        T({"x": 20240201 + RNG.integers(0, 28, N)}),
        FAILING,
        "parquet",
        {},
    ),
    "unit change cm m": (T({"x": RNG.normal(170, 10, N)}), T({"x": RNG.normal(1.7, 0.1, N)}), FAILING, "parquet", {}),
    "sign flip": (T({"x": RNG.exponential(1, N)}), T({"x": -RNG.exponential(1, N)}), FAILING, "parquet", {}),
    "huge 1e308": (T({"x": NORMAL * 1e307}), T({"x": NORMAL * 1e307}), PASSING, "parquet", {}),
    "huge range": (
        T({"x": np.where(np.arange(N) % 2, 1.7e308, -1.7e308)}),
        T({"x": np.where(np.arange(N) % 2, 1.7e308, -1.7e308)}),
        PASSING,
        "parquet",
        {},
    ),
    "max float const": (
        T({"x": np.full(N, 1.7976931348623157e308)}),
        T({"x": np.full(N, 1.7976931348623157e308)}),
        PASSING,
        "parquet",
        {},
    ),
    "one row ref": (T({"x": [1.0]}), T({"x": NORMAL}), ANY, "parquet", {}),
    "two rows each": (T({"x": [1.0, 2.0]}), T({"x": [1.0, 2.0]}), PASSING, "parquet", {}),
    "case of categories": (
        T({"x": RNG.choice(["A", "B"], N)}),
        T({"x": RNG.choice(["a", "b"], N)}),
        FAILING,
        "parquet",
        {},
    ),
    "trailing blanks": (
        T({"x": RNG.choice(["a", "b"], N)}),
        T({"x": RNG.choice(["a ", "b"], N)}),
        FAILING,
        "parquet",
        {},
    ),
    "empty strings": (T({"x": ["a", ""] * (N // 2)}), T({"x": ["", ""] * (N // 2)}), MOVED, "parquet", {}),
    "empty name col": (T({"": NORMAL}), T({"": NORMAL}), PASSING, "parquet", {}),
    "name with slash": (
        T({"a/b": NORMAL, "a\\b": NORMAL}),
        T({"a/b": NORMAL, "a\\b": NORMAL + 5}),
        FAILING,
        "parquet",
        {},
    ),
    "decimal neg scale": (
        T({"x": pa.array([Decimal("1.23"), Decimal("-4.5")] * N, pa.decimal128(10, 2))}),
        T({"x": pa.array([1.23, -4.5] * N)}),
        PASSING,
        "parquet",
        {},
    ),
    "decimal256": (
        T({"x": pa.array([Decimal("1.23")] * N + [Decimal("3")] * N, pa.decimal256(50, 2))}),
        T({"x": pa.array([1.23] * N + [3.0] * N)}),
        PASSING,
        "parquet",
        {},
    ),
    "binary": (
        T({"x": NORMAL, "b": pa.array([b"\xff"] * N)}),
        T({"x": NORMAL, "b": pa.array([b"\xff"] * N)}),
        PASSING,
        "parquet",
        {},
    ),
    "map": (
        T({"x": NORMAL, "m": pa.array([[("a", 1)]] * N, pa.map_(pa.string(), pa.int64()))}),
        T({"x": NORMAL}),
        PASSING,
        "parquet",
        {},
    ),
    "text to number": (T({"x": RNG.choice(["a", "b"], N)}), T({"x": RNG.integers(0, 2, N)}), FAILING, "parquet", {}),
    "num to date": (T({"x": NORMAL}), T({"x": pa.array(np.arange(N), pa.timestamp("s"))}), MOVED, "parquet", {}),
    "num to list": (T({"x": NORMAL}), T({"x": pa.array([[1.0]] * N)}), MOVED, "parquet", {}),
    "num to null": (T({"x": NORMAL, "y": NORMAL}), T({"x": NORMAL, "y": pa.nulls(N)}), MOVED, "parquet", {}),
    "swap two cols": (T({"a": NORMAL, "b": NORMAL + 10}), T({"a": NORMAL + 10, "b": NORMAL}), FAILING, "parquet", {}),
    "mixture var same mean": (
        T({"x": NORMAL}),
        T({"x": np.where(RNG.random(N) < 0.5, -1, 1) * 3 + NORMAL * 0.1}),
        FAILING,
        "parquet",
        {},
    ),
    "rare spike 1%": (T({"x": NORMAL}), T({"x": np.where(RNG.random(N) < 0.01, 1e6, NORMAL)}), ANY, "parquet", {}),
    "sentinel -1": (
        T({"x": RNG.exponential(10, N)}),
        T({"x": np.where(RNG.random(N) < 0.3, -1, RNG.exponential(10, N))}),
        FAILING,
        "parquet",
        {},
    ),
    "rounding to ints": (
        T({"x": RNG.normal(0, 100, N)}),
        T({"x": np.round(RNG.normal(0, 100, N))}),
        PASSING,
        "parquet",
        {},
    ),
    "uuid both": (
        T({"u": [f"{v:032x}" for v in RNG.integers(0, 2**62, N)], "x": NORMAL}),
        T({"u": [f"{v:032x}" for v in RNG.integers(0, 2**62, N)], "x": NORMAL}),
        PASSING,
        "parquet",
        {},
    ),
    "dup rows x10": (T({"x": NORMAL}), T({"x": np.tile(NORMAL, 10)}), PASSING, "parquet", {}),
    "int id decreasing": (
        T({"id": np.arange(N)[::-1], "x": NORMAL}),
        T({"id": np.arange(N, 2 * N), "x": NORMAL}),
        PASSING,
        "parquet",
        {},
    ),
    "int id with gaps/null": (
        T({"id": pa.array([None if i % 50 == 0 else i for i in range(N)]), "x": NORMAL}),
        T({"id": np.arange(N, 2 * N), "x": NORMAL}),
        PASSING,
        "parquet",
        {},
    ),
    "csv percent": (
        b"x\n" + b"".join(b"%d%%\n" % v for v in RNG.integers(0, 100, N)),
        b"x\n" + b"".join(b"%d%%\n" % v for v in RNG.integers(0, 100, N)),
        PASSING,
        "csv",
        {},
    ),
    "csv currency": (
        b"x\n" + b"".join(b"$%d.50\n" % v for v in RNG.integers(0, 20, N)),
        b"x\n" + b"".join(b"$%d.50\n" % v for v in RNG.integers(0, 20, N)),
        PASSING,
        "csv",
        {},
    ),
    "csv plus sign": (b"x,y\n" + b"+1,a\n-2,b\n" * 500, b"x,y\n1,a\n-2,b\n" + b"1,a\n-2,b\n" * 499, PASSING, "csv", {}),
    "csv hex": (b"x\n" + b"0x1F\n0x20\n" * 500, b"x\n" + b"0x1F\n0x20\n" * 500, PASSING, "csv", {}),
    "csv exp": (b"x\n" + b"1e3\n2E-3\n" * 500, b"x\n" + b"1000\n0.002\n" * 500, PASSING, "csv", {}),
    "csv infs": (b"x\n" + b"inf\n1\n-inf\n2\n" * 500, b"x\n" + b"inf\n1\n-inf\n2\n" * 500, PASSING, "csv", {}),
    "csv blank lines": (
        b"x,y\n\n1,2\n\n3,4\n" * 1 + b"1,2\n3,4\n" * 300,
        b"x,y\n" + b"1,2\n3,4\n" * 300,
        PASSING,
        "csv",
        {},
    ),
    "csv trailing delimiter": (
        b"x,y,\n" + b"1,2,\n3,4,\n" * 200,
        b"x,y,\n" + b"1,2,\n3,4,\n" * 200,
        PASSING,
        "csv",
        {},
    ),
    "csv spaces after comma": (
        b"x, y\n" + b"1, a\n2, b\n" * 200,
        b"x, y\n" + b"1, a\n2, b\n" * 200,
        PASSING,
        "csv",
        {},
    ),
    "csv quotes in quotes": (
        b"x,y\n" + b'1,"a ""q"" b"\n2,c\n' * 200,
        b"x,y\n" + b'1,"a ""q"" b"\n2,c\n' * 200,
        PASSING,
        "csv",
        {},
    ),
    "csv yes/no": (b"x\n" + b"yes\nno\n" * 300, b"x\n" + b"yes\nyes\n" * 300, FAILING, "csv", {}),
    "csv T/F": (b"x\n" + b"T\nF\n" * 300, b"x\n" + b"T\nF\n" * 300, PASSING, "csv", {}),
    "csv NULL text": (b"x\n" + b"a\nNULL\n" * 300, b"x\n" + b"a\na\n" * 300, FAILING, "csv", {}),
    "csv pipe": (b"x|y\n" + b"1|2\n3|4\n" * 200, b"x|y\n" + b"1|2\n3|4\n" * 200, PASSING, "csv", {}),
    "csv BOM both": (
        b"\xef\xbb\xbfx;y\n" + b"1,5;2\n2,5;3\n" * 200,
        b"x;y\n" + b"1.5;2\n2.5;3\n" * 200,
        PASSING,
        "csv",
        {},
    ),
    "jsonl missing keys": (
        b'{"a":1,"b":"x"}\n{"a":2}\n' * 200,
        b'{"a":1,"b":"x"}\n{"a":2,"b":"x"}\n' * 200,
        ANY,
        "jsonl",
        {},
    ),
    "jsonl nested": (b'{"a":1,"b":{"c":1}}\n' * 200, b'{"a":1,"b":{"c":1}}\n' * 200, PASSING, "jsonl", {}),
    "jsonl big ints": (
        b"".join(b'{"a":%d}\n' % (2**60 + i % 100) for i in range(1000)),
        b"".join(b'{"a":%d}\n' % (2**60 + i % 100 + 300) for i in range(1000)),
        FAILING,
        "jsonl",
        {},
    ),
    "jsonl blank lines": (b'{"a":1}\n\n{"a":2}\n' * 200, b'{"a":1}\n{"a":2}\n' * 200, PASSING, "jsonl", {}),
    "jsonl crlf": (b'{"a":1}\r\n{"a":2}\r\n' * 200, b'{"a":1}\n{"a":2}\n' * 200, PASSING, "jsonl", {}),
    "jsonl bom": (
        b'\xef\xbb\xbf{"a":1}\n{"a":2}\n' * 1 + b'{"a":1}\n{"a":2}\n' * 100,
        b'{"a":1}\n{"a":2}\n' * 200,
        PASSING,
        "jsonl",
        {},
    ),
    "jsonl no suffix bom": (
        b'\xef\xbb\xbf{"a":1}\n{"a":2}\n' * 1 + b'{"a":1}\n{"a":2}\n' * 100,
        b'{"a":1}\n{"a":2}\n' * 200,
        PASSING,
        "dat",
        {},
    ),
    "parquet brotli/zstd": (T({"x": NORMAL}), T({"x": NORMAL}), PASSING, "parquet", {"compression": "zstd"}),
    "parquet v1 + no dict": (
        T({"x": NORMAL}),
        T({"x": NORMAL}),
        PASSING,
        "parquet",
        {"version": "1.0", "use_dictionary": False},
    ),
    "byte stream split": (
        T({"x": NORMAL}),
        T({"x": NORMAL}),
        PASSING,
        "parquet",
        {"use_byte_stream_split": True, "use_dictionary": False},
    ),
}


def written(path: Path, content: Any, how: dict[str, Any]) -> Path:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        pq.write_table(content, path, **how)
    return path


@pytest.mark.parametrize("name", PAIRS)
def test_an_awkward_pair_has_the_right_verdict(name: str, tmp_path: Path) -> None:
    before, now, expected, ending, how = PAIRS[name]
    paths = [written(tmp_path / f"{side}.{ending}", content, how) for side, content in (("a", before), ("b", now))]

    reference = profile_file(paths[0])
    current = profile_file(paths[1], reference.profile)
    result = tables.drift(reference.profile, current.profile, tables.Limits(), current.unknown)

    assert result.verdict in expected, tables.to_text(result)
    assert tables.to_json(result) and tables.every_statistic(result) and "<html" in tables.to_html(result, "a", "b")
