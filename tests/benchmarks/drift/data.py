"""The tables that are compared: 40 columns of numbers, 10 of categories, 3 % missing, the first five numbers moved."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NUMBERS, CATEGORIES, MISSING = 40, 10, 0.03
MOVED = tuple(f"n{index}" for index in range(5))
_ROWS_PER_GROUP = 1 << 17
_ROWS_AT_ONCE = 1_000_000


def written(path: Path, rows: int, *, seed: int, moved: bool, width: int = NUMBERS + CATEGORIES) -> Path:
    """As `write`, in a process of its own: what this one takes at its most is counted to each that it starts later."""
    words = [str(path), str(rows), str(seed), str(int(moved)), str(width)]
    subprocess.run([sys.executable, __file__, *words], check=True)
    return path


def write(path: Path, rows: int, *, seed: int, moved: bool, width: int = NUMBERS + CATEGORIES) -> Path:
    """A table of `rows` rows, four numbers to a category; the same arguments are the same table. Kept where it is there already.

    Written a million rows at a time, so that a long table needs no more memory than a short one.
    """
    if path.exists():
        return path
    partial = path.with_suffix(".part")
    writer = None
    for start in range(0, rows, _ROWS_AT_ONCE):
        table = _made(min(_ROWS_AT_ONCE, rows - start), seed * 1000 + start // _ROWS_AT_ONCE, moved, width)
        writer = writer or pq.ParquetWriter(partial, table.schema)
        writer.write_table(table, row_group_size=_ROWS_PER_GROUP)
    assert writer is not None
    writer.close()
    return partial.rename(path)


def as_csv(path: Path) -> Path:
    """Return the same table as CSV next to its Parquet file, written in a process of its own and a batch at a time."""
    target = path.with_suffix(".csv")
    if not target.exists():
        program = (
            "import sys, pyarrow.csv as csv, pyarrow.parquet as pq; file = pq.ParquetFile(sys.argv[1])\n"
            "with csv.CSVWriter(sys.argv[2], file.schema_arrow) as writer:\n"
            "    for batch in file.iter_batches(1 << 16): writer.write_batch(batch)"
        )
        partial = target.with_suffix(".part")
        subprocess.run([sys.executable, "-c", program, str(path), str(partial)], check=True)
        partial.rename(target)
    return target


def _made(rows: int, seed: int, moved: bool, width: int) -> pa.Table:
    random = np.random.default_rng(seed)
    columns: dict[str, pa.Array] = {}
    categories = width // 5
    for index in range(width - categories):
        kind = index % 4
        if kind == 0:
            values = random.normal(size=rows)
        elif kind == 1:
            values = random.lognormal(0, 1, rows)
        elif kind == 2:
            values = random.gamma(2, 2, rows)
        else:
            values = random.integers(0, 100, rows).astype(float)
        if moved and f"n{index}" in MOVED:
            values = values * 1.3 + 0.1
        columns[f"n{index}"] = pa.array(values, mask=random.random(rows) < MISSING)
    for index in range(categories):
        words = np.array([f"v{word}" for word in range(5 + 3 * (index % CATEGORIES))])
        columns[f"c{index}"] = pa.array(words[random.integers(0, len(words), rows)], mask=random.random(rows) < MISSING)
    return pa.table(columns)


if __name__ == "__main__":
    where, *numbers = sys.argv[1:]
    rows, seed, moved, width = map(int, numbers)
    write(Path(where), rows, seed=seed, moved=bool(moved), width=width)
