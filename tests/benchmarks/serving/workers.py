"""What another serving process costs in memory: `tidemill serve --workers N`, idle and with everything loaded.

    python tests/benchmarks/serving/workers.py [--models logistic forest] [--workers 1 2 4]

RSS counts a page that processes share in each of them, PSS divides it among them; the private rest is what one more takes.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import models
import numpy as np
from compare import PORT, Asked, Running, tree


def megabytes(process: int) -> dict[str, float]:
    """RSS, PSS and what is private, in megabytes."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}
    return {
        "RSS": sizes["Rss"],
        "PSS": sizes["Pss"],
        "private": sizes["Private_Clean"] + sizes["Private_Dirty"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=models.MODELS, default=["logistic", "forest"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2, 4])
    parser.add_argument("--settle", type=float, default=10.0, help="seconds until everything is loaded")
    chosen = parser.parse_args()
    rows = np.random.default_rng(7).normal(size=(1, models.FEATURES)).round(6)
    asked = Asked.of(rows, binary=False)
    with tempfile.TemporaryDirectory() as scratch:
        for name in chosen.models:
            folder = models.write(name, Path(scratch) / name / "1")
            before = 0.0, 0
            for count in chosen.workers:
                server = Running(
                    [sys.executable, "-m", "tidemill", "serve", str(folder), "--name", "m", "--port", str(PORT), "--workers", str(count)],
                    "/v2/models/m/infer",
                )  # fmt: skip
                try:
                    first, _ = server.first_answer(asked)
                    for _ in range(20 * count):
                        server.first_answer(asked)
                    time.sleep(chosen.settle)
                    server.settled()
                    results = [megabytes(pid) for pid in tree(server.process.pid)]
                finally:
                    server.stop()
                total = sum(pid["PSS"] for pid in results)
                worker = results[-1]
                more = f", {(total - before[0]) / (count - before[1]):.0f} MB for each more" if before[1] else ""
                print(
                    f"{name}, {count} workers: {total:.0f} MB in all{more}; one has RSS {worker['RSS']:.0f}, PSS {worker['PSS']:.0f},"
                    f" private {worker['private']:.0f} MB; first answer {first:.2f} s; load average {os.getloadavg()[0]:.1f}"
                )
                before = total, count


if __name__ == "__main__":
    main()
