"""Evidently's drift preset with its defaults, from Parquet; run by a Python that has evidently.

python evidently_report.py REFERENCE CURRENT OUT.json
"""

from __future__ import annotations

import json
import math
import sys
import time


def main(reference: str, current: str, out: str) -> None:
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    start = time.perf_counter()
    before, now = pd.read_parquet(reference), pd.read_parquet(current)
    loaded = time.perf_counter()
    definition = DataDefinition(
        numerical_columns=[name for name in before if name.startswith("n")],
        categorical_columns=[name for name in before if name.startswith("c")],
    )
    sides = [Dataset.from_pandas(side, data_definition=definition) for side in (now, before)]
    result = Report([DataDriftPreset()]).run(*sides)
    observed = result.dict()
    done = time.perf_counter()
    columns = {}
    for metric in observed["metrics"]:
        if "column" in metric.get("config", {}) and not isinstance(metric["value"], dict):
            name, value = metric["config"]["column"], float(metric["value"])
            # Of tables this long its default is Wasserstein in deviations of the reference, and Jensen-Shannon in nats.
            if name.startswith("n"):
                columns[name] = {"Wasserstein": value * max(float(before[name].std(ddof=0)), 0.001)}
            else:
                columns[name] = {"JensenShannon": value / math.sqrt(math.log(2))}
    with open(out, "w") as file:
        json.dump({"load": loaded - start, "compute": done - loaded, "columns": columns}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
