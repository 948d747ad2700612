"""What an engineer writes with polars: PSI on twenty groups and Kolmogorov-Smirnov of every column, all lazily and threaded.

python polars_report.py REFERENCE CURRENT OUT.json
"""

from __future__ import annotations

import json
import sys
import time


def main(reference: str, current: str, out: str) -> None:
    import numpy as np
    import polars as pl

    start = time.perf_counter()
    before, now = pl.read_parquet(reference), pl.read_parquet(current)
    loaded = time.perf_counter()
    names = [name for name in before.columns if name.startswith("n")]
    sides = [table.select(pl.col(name).sort() for name in names) for table in (before, now)]
    columns = {}
    for name in names:
        first, second = (side[name].drop_nulls().to_numpy() for side in sides)
        everything = np.concatenate((first, second))
        ranks = [np.searchsorted(side, everything, side="right") / len(side) for side in (first, second)]
        cuts = np.unique(np.quantile(first, np.linspace(0, 1, 21))[1:-1])
        p, q = (
            np.maximum(np.diff([0, *np.searchsorted(side, cuts), len(side)]) / len(side), 1e-4)
            for side in (first, second)
        )
        columns[name] = {
            "KolmogorovSmirnov": float(np.abs(ranks[0] - ranks[1]).max()),
            "PSI": float(((q - p) * np.log(q / p)).sum()),
        }
    for name in (name for name in before.columns if name.startswith("c")):
        counts = [dict(table[name].drop_nulls().value_counts().iter_rows()) for table in (before, now)]
        keys = sorted({key for side in counts for key in side})
        p, q = (np.maximum(np.array([side.get(key, 0) for key in keys]) / sum(side.values()), 1e-4) for side in counts)
        columns[name] = {"PSI": float(((q - p) * np.log(q / p)).sum())}
    done = time.perf_counter()
    with open(out, "w") as file:
        json.dump({"load": loaded - start, "compute": done - loaded, "columns": columns}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
