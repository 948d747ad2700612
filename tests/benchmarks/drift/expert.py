"""A good engineer's afternoon: PSI, Jensen-Shannon, Kolmogorov-Smirnov and Wasserstein of every column with numpy and scipy.

python expert.py REFERENCE CURRENT OUT.json
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
from scipy.spatial.distance import jensenshannon
from scipy.stats import ks_2samp, wasserstein_distance


def of_numbers(before: Any, now: Any) -> dict[str, float]:
    before, now = np.sort(before[~np.isnan(before)]), np.sort(now[~np.isnan(now)])
    edges = np.unique(np.quantile(before, np.linspace(0, 1, 21))[1:-1])
    counts = [np.diff(np.concatenate(([0], np.searchsorted(side, edges), [len(side)]))) for side in (before, now)]
    return {
        **of_counts(*counts),
        "KolmogorovSmirnov": float(ks_2samp(before, now, method="asymp").statistic),
        "Wasserstein": float(wasserstein_distance(before, now)),
    }


def of_counts(before: Any, now: Any) -> dict[str, float]:
    p, q = np.maximum(before / before.sum(), 1e-4), np.maximum(now / now.sum(), 1e-4)
    return {"PSI": float(((q - p) * np.log(q / p)).sum()), "JensenShannon": float(jensenshannon(p, q, base=2))}


def of_categories(before: Any, now: Any) -> dict[str, float]:
    names = sorted({name for side in (before, now) for name in side})
    return of_counts(*(np.array([side.get(name, 0) for name in names]) for side in (before, now)))


def count(column: Any) -> dict[str, int]:
    return {pair["values"]: pair["counts"] for pair in column.drop_null().value_counts().to_pylist()}


def read(path: str) -> pa.Table:
    if path.endswith(".parquet"):
        return pq.read_table(path)
    texts = csv.ConvertOptions(strings_can_be_null=True)
    return csv.read_csv(path, convert_options=texts)


def main(reference: str, current: str, out: str) -> None:
    start = time.perf_counter()
    before, now = (read(path) for path in (reference, current))
    loaded = time.perf_counter()

    def compare(name: str) -> tuple[str, dict[str, float]]:
        sides = before.column(name), now.column(name)
        if name.startswith("c"):
            return name, of_categories(*map(count, sides))
        return name, of_numbers(*(side.to_numpy() for side in sides))

    with ThreadPoolExecutor(2) as pool:
        result = dict(pool.map(compare, before.column_names))
    done = time.perf_counter()
    with open(out, "w") as file:
        json.dump({"load": loaded - start, "compute": done - loaded, "columns": result}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
