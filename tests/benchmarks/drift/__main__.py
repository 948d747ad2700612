"""How quick and how right drift is against others, interleaved: `python tests/benchmarks/drift --rows 200000`.

Accuracy first: every column's statistics agree with scipy's on the raw rows before a time is printed. Evidently takes part
where `--evidently` names a Python that has it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import data  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

KS_TOLERANCE, SHARE_OF_WASSERSTEIN, SPREADS = 0.001, 0.005, 0.0005


def run(python: str, script: str, *arguments: Path) -> dict[str, Any]:
    """One process: what it says, and what it took."""
    out = Path(tempfile.mkstemp(suffix=".json")[1])
    start = time.perf_counter()
    process = subprocess.Popen([python, str(HERE / script), *map(str, arguments), str(out)])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{script} failed")
    found: dict[str, Any] = json.loads(out.read_text())
    out.unlink()
    return found | {
        "wall": time.perf_counter() - start,
        "cpu": usage.ru_utime + usage.ru_stime,
        "rss": usage.ru_maxrss // 1024,
    }


def disagreements(ours: dict[str, Any], exact: dict[str, Any]) -> list[str]:
    """Distances that differ from the exact ones; PSI and Jensen-Shannon depend on bins that everybody chooses otherwise."""
    found = []
    for column, values in exact.items():
        if "Wasserstein" not in values:
            continue
        mine = ours[column]
        spread = mine["Wasserstein"] / mine["WassersteinNormalised"]
        rooms = {
            "KolmogorovSmirnov": KS_TOLERANCE,
            "Wasserstein": max(SHARE_OF_WASSERSTEIN * values["Wasserstein"], SPREADS * spread),
        }
        found += [
            f"{column} {name}: {mine[name]:.5f}, exactly {values[name]:.5f}"
            for name, room in rooms.items()
            if abs(mine[name] - values[name]) > room
        ]
    return found


def decode(path: Path) -> float:
    """Seconds to read the file and do nothing with it."""
    start = time.perf_counter()
    texts = [f"c{place}" for place in range(data.CATEGORIES)]
    file = pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 16, read_dictionary=texts)
    for _ in file.iter_batches(1 << 16):
        pass
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "tidemill-bench-drift")
    parser.add_argument("--evidently", default="", help="a Python that has evidently")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    before = data.write(given.folder / f"before-{given.rows}.parquet", given.rows, seed=1, moved=False)
    now = data.write(given.folder / f"now-{given.rows}.parquet", given.rows, seed=2, moved=True)
    profile = before.with_suffix(".profile.json")
    subprocess.run(
        [sys.executable, "-m", "tidemill", "profile", str(before), "-o", str(profile)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    contenders = {
        "tidemill": (sys.executable, "ours.py", profile),
        "numpy + scipy": (sys.executable, "expert.py", before),
    }
    if given.evidently:
        contenders["evidently"] = (given.evidently, "evidently_report.py", before)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
    reads = []
    for _ in range(given.rounds):
        for name, (python, script, reference) in contenders.items():
            runs[name].append(run(python, script, reference, now))
        reads.append(decode(now))
    wrong = disagreements(runs["tidemill"][0]["columns"], runs["numpy + scipy"][0]["columns"])
    if wrong:
        raise SystemExit("not accurate enough to be timed:\n" + "\n".join(wrong))
    read = statistics.median(reads)
    for found in runs["tidemill"]:
        found["compute"] = max(0.0, found["read_and_count"] - read) + found["statistics"]
    print(
        f"{given.rows:,} rows against {given.rows:,}, {data.NUMBERS} numbers and {data.CATEGORIES} categories; {given.rounds} rounds"
    )
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; reading alone takes {read:.2f} s; distances agree with scipy's"
    )
    print(f"{'':16}{'wall s':>16}{'compute s':>18}{'CPU s':>8}{'RSS MB':>8}")
    for name, found in runs.items():
        cells = [sorted(entry[key] for entry in found) for key in ("wall", "compute", "cpu", "rss")]
        wall, compute = (f"{statistics.median(cell):.2f} ({cell[0]:.2f}–{cell[-1]:.2f})" for cell in cells[:2])
        print(f"{name:16}{wall:>16}{compute:>18}{statistics.median(cells[2]):8.2f}{statistics.median(cells[3]):8.0f}")


if __name__ == "__main__":
    main()
