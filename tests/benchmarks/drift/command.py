"""The whole command, as a person waits for it: `tidemill drift REFERENCE CURRENT` from two raw files next to the expert's script.

    python tests/benchmarks/drift/command.py [--rows 1000000] [--rounds 3] [--forms parquet csv]

Both start from nothing, read both files and print or write what they found; they take turns, and the ratio is that of each turn.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import data  # noqa: E402

MAX_MEGABYTES, MIN_RATIO = 300, 5.0


def timed(*command: str) -> tuple[float, float, int]:
    """Return seconds, seconds of processor and megabytes of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 3, 4):
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024


def main() -> int:
    """Print a line for each form of files."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--forms", nargs="+", default=["parquet", "csv"], choices=["parquet", "csv"])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "tidemill-bench-drift")
    wanted = parser.parse_args()
    wanted.folder.mkdir(parents=True, exist_ok=True)
    size = f"{wanted.rows}x{data.NUMBERS + data.CATEGORIES}"
    short = 0
    print(f"{wanted.rows:,} rows against {wanted.rows:,}, {wanted.rounds} turns, load {os.getloadavg()[0]:.1f}")
    for form in wanted.forms:
        sides = []
        for name, seed, moved in (("before", 1, False), ("now", 2, True)):
            path = data.written(wanted.folder / f"{name}-{size}.parquet", wanted.rows, seed=seed, moved=moved)
            sides.append(str(path if form == "parquet" else data.as_csv(path)))
        ours, theirs = [], []
        for _ in range(wanted.rounds):
            ours.append(timed(sys.executable, "-m", "tidemill", "drift", *sides))
            theirs.append(timed(sys.executable, str(HERE / "expert.py"), *sides, os.devnull))
        ratios = sorted(other[0] / own[0] for own, other in zip(ours, theirs, strict=True))
        ratio, memory = statistics.median(ratios), max(run[2] for run in ours)
        for who, runs in (("tidemill drift", ours), ("numpy + scipy", theirs)):
            seconds, cpu = (statistics.median(run[index] for run in runs) for index in (0, 1))
            print(f"{form:8} {who:16} {seconds:7.2f} s {cpu:7.2f} s of processor {max(run[2] for run in runs):6} MB")
        print(f"{form:8} {ratio:.1f} times as fast ({ratios[0]:.1f} to {ratios[-1]:.1f})", flush=True)
        short += ratio < MIN_RATIO or memory > MAX_MEGABYTES
    return int(short > 0)


if __name__ == "__main__":
    sys.exit(main())
