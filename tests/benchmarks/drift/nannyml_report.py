"""NannyML's univariate drift with the methods that the others compute too, from Parquet; run by a Python that has nannyml.

python nannyml_report.py REFERENCE CURRENT OUT.json
"""

from __future__ import annotations

import json
import sys
import time


def main(reference: str, current: str, out: str) -> None:
    import nannyml
    import pandas as pd

    start = time.perf_counter()
    before, now = pd.read_parquet(reference), pd.read_parquet(current)
    loaded = time.perf_counter()
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=list(before.columns),
        treat_as_categorical=[name for name in before if name.startswith("c")],
        continuous_methods=["jensen_shannon", "kolmogorov_smirnov", "wasserstein"],
        categorical_methods=["jensen_shannon", "chi2"],
        chunk_number=1,
    )
    calculator.fit(before)
    result = calculator.calculate(now).filter(period="analysis").to_df()
    done = time.perf_counter()
    numbers = {"KolmogorovSmirnov": "kolmogorov_smirnov", "Wasserstein": "wasserstein"}
    categories = {"JensenShannon": "jensen_shannon", "ChiSquare": "chi2"}
    columns = {
        name: {
            ours: float(result[(name, theirs, "value")].iloc[0])
            for ours, theirs in (numbers if name.startswith("n") else categories).items()
        }
        for name in before.columns
    }
    with open(out, "w") as file:
        json.dump({"load": loaded - start, "compute": done - loaded, "columns": columns}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
