"""The tables that are compared: 40 columns of numbers, 10 of categories, 3 % missing, the first five numbers moved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NUMBERS, CATEGORIES, MISSING = 40, 10, 0.03
MOVED = tuple(f"n{place}" for place in range(5))
_ROWS_PER_GROUP = 1 << 17


def write(path: Path, rows: int, *, seed: int, moved: bool) -> Path:
    """A table of `rows` rows; the same arguments are the same table. Kept where it is there already."""
    if path.exists():
        return path
    random = np.random.default_rng(seed)
    columns: dict[str, pa.Array] = {}
    for place in range(NUMBERS):
        kind = place % 4
        if kind == 0:
            values = random.normal(size=rows)
        elif kind == 1:
            values = random.lognormal(0, 1, rows)
        elif kind == 2:
            values = random.gamma(2, 2, rows)
        else:
            values = random.integers(0, 100, rows).astype(float)
        if moved and f"n{place}" in MOVED:
            values = values * 1.3 + 0.1
        columns[f"n{place}"] = pa.array(values, mask=random.random(rows) < MISSING)
    for place in range(CATEGORIES):
        words = np.array([f"v{word}" for word in range(5 + 3 * place)])
        columns[f"c{place}"] = pa.array(words[random.integers(0, len(words), rows)], mask=random.random(rows) < MISSING)
    partial = path.with_suffix(".part")
    pq.write_table(pa.table(columns), partial, row_group_size=_ROWS_PER_GROUP)
    return partial.rename(path)
