"""What it brings to ask for waiting requests together, where scikit-learn answers: pairs of servers, with and without.

    python tests/benchmarks/serving/batching.py [--models boosting forest] [--connections 1 16] [--rounds 3]

One server at a time on core 0, wrk on core 1, interleaved; answers are held against scikit-learn's before anything is timed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

import joblib
import models
import numpy as np
from compare import GAP, PORT, WARM, Asked, Running, probabilities_in

from tidemill.runtime.model.artifact import write_estimator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=models.MODELS, default=["boosting", "forest"])
    parser.add_argument("--connections", nargs="+", type=int, default=[1, 16])
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for name in chosen.models:
            folder = models.write(name, Path(scratch) / name / "1")
            write_estimator(joblib.load(folder / "model.joblib"), folder / "model.skops")
            (folder / "model.onnx").unlink()
            for connections in chosen.connections:
                compare(chosen, folder, connections)


def compare(chosen: argparse.Namespace, folder: Path, connections: int) -> None:
    """Measure and print."""
    rows = np.random.default_rng(7).normal(size=(1, models.FEATURES)).round(6)
    asked, truth = Asked.of(rows, binary=False), models.probabilities(folder, rows)
    rates: dict[int, list[float]] = {1: [], 64: []}
    tails: dict[int, list[float]] = {1: [], 64: []}
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as scratch:
        script = asked.script(Path(scratch))
        for _ in range(chosen.rounds):
            for most in rates:
                server = Running(
                    ["env", f"TIDEMILL_BATCH_ROWS={most}", "TIDEMILL_BENTOML=no", sys.executable, "-m", "tidemill", "serve", str(folder), "--name", "m", "--port", str(PORT)],
                    "/v2/models/m/infer",
                )  # fmt: skip
                try:
                    _, answer = server.first_answer(asked)
                    gap = float(np.abs(probabilities_in(answer) - truth).max())
                    if gap > GAP:
                        raise SystemExit(f"the answer differs by {gap:.2g} from what scikit-learn says")
                    server.load(script, WARM, connections)
                    _, rate, tail = server.load(script, chosen.seconds, connections)
                finally:
                    server.stop()
                rates[most].append(rate)
                tails[most].append(tail)
    ratios = [together / alone for alone, together in zip(rates[1], rates[64], strict=True)]
    print(
        f"{folder.parent.name}, {connections} connections: {statistics.median(rates[64]):.0f} requests/s (p99 {statistics.median(tails[64]):.1f} ms)"
        f" together, {statistics.median(rates[1]):.0f} (p99 {statistics.median(tails[1]):.1f} ms) alone; pairs {min(ratios):.2f} to {max(ratios):.2f},"
        f" median {statistics.median(ratios):.2f}; load average {before:.1f} before and {os.getloadavg()[0]:.1f} after"
    )


if __name__ == "__main__":
    main()
