"""What an engineer writes with DuckDB: per column the counts on twenty groups in SQL, then PSI.

python duckdb_report.py REFERENCE CURRENT OUT.json
"""

from __future__ import annotations

import json
import sys
import time


def main(reference: str, current: str, out: str) -> None:
    import duckdb
    import numpy as np

    start = time.perf_counter()
    database = duckdb.connect()
    for name, path in (("before", reference), ("now", current)):
        database.execute(f"create table {name} as select * from read_parquet('{path}')")
    loaded = time.perf_counter()
    columns = {}
    names = [row[0] for row in database.execute("describe before").fetchall()]
    for name in names:
        if name.startswith("n"):
            shares = [index / 20 for index in range(1, 20)]
            (cuts,) = database.execute(f"select quantile_cont({name}, {shares}) from before").fetchone()
            group = " + ".join(f"({name} >= {cut!r})::int" for cut in sorted(set(cuts)))
        else:
            group = name
        counts = [
            dict(
                database.execute(
                    f"select {group}, count(*) from {table} where {name} is not null group by 1"
                ).fetchall()
            )
            for table in ("before", "now")
        ]
        keys = sorted({key for side in counts for key in side}, key=str)
        p, q = (np.maximum(np.array([side.get(key, 0) for key in keys]) / sum(side.values()), 1e-4) for side in counts)
        columns[name] = {"PSI": float(((q - p) * np.log(q / p)).sum())}
    done = time.perf_counter()
    with open(out, "w") as file:
        json.dump({"load": loaded - start, "compute": done - loaded, "columns": columns}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
