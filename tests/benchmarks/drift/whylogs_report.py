"""whylogs: both tables profiled, and their drift scores with the defaults; run by a Python that has whylogs.

python whylogs_report.py REFERENCE CURRENT OUT.json
"""

from __future__ import annotations

import json
import sys
import time


def main(reference: str, current: str, out: str) -> None:
    import pandas as pd
    import whylogs
    from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores

    before = whylogs.log(pd.read_parquet(reference)).view()  # the reference is profiled already, as ours is
    start = time.perf_counter()
    now = pd.read_parquet(current)
    loaded = time.perf_counter()
    result = calculate_drift_scores(target_view=whylogs.log(now).view(), reference_view=before, with_thresholds=True)
    done = time.perf_counter()
    with open(out, "w") as file:
        json.dump(
            {
                "load": loaded - start,
                "compute": done - loaded,
                "columns": {},
                "scored": sum(map(bool, result.values())),
            },
            file,
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
