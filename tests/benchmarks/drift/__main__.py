"""How quick and how right drift is against others, interleaved: `python tests/benchmarks/drift --rows 200000`.

Accuracy first: every column's statistics agree with scipy's on the raw rows before a time is printed. Peers have an
environment each, which `make bench-drift-peers` makes; who is absent is said and left out. With `--stream`, tables of so many rows are counted too, for time and memory.
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
from peers import PEERS, how_to_install, python_of  # noqa: E402

KS_TOLERANCE, SHARE_OF_WASSERSTEIN, SPREADS = 0.001, 0.005, 0.0005
SLOW = 30.0
SILENT = {"NML_DISABLE_USAGE_LOGGING": "1", "WHYLOGS_NO_ANALYTICS": "True", "DO_NOT_TRACK": "1"}
"""Peers that would report their use do not, and are not timed while they try."""
JUDGE = "numpy + scipy"
"""Whose distances are exact; without it nothing is timed."""


class Broken(Exception):
    """A contender that did not come to its end."""


def run(python: str, script: str, *arguments: Path) -> dict[str, Any]:
    """One process: what it says, and what it took."""
    out = Path(tempfile.mkstemp(suffix=".json")[1])
    start = time.perf_counter()
    process = subprocess.Popen([python, str(HERE / script), *map(str, arguments), str(out)], env=os.environ | SILENT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Broken(f"{script} ended with {process.returncode}")
    document: dict[str, Any] = json.loads(out.read_text())
    out.unlink()
    return {
        "wall": time.perf_counter() - start,
        "cpu": usage.ru_utime + usage.ru_stime,
        "rss": usage.ru_maxrss // 1024,
        **document,
    }


def disagreements(ours: dict[str, Any], exact: dict[str, Any]) -> list[str]:
    """Distances that differ from the exact ones; PSI and Jensen-Shannon depend on bins that everybody chooses otherwise."""
    results = []
    for column, values in exact.items():
        if "KolmogorovSmirnov" not in values:
            continue
        mine = ours[column]
        spreads = mine["Wasserstein"] / mine["WassersteinNormalised"]
        rooms = {
            "KolmogorovSmirnov": KS_TOLERANCE,
            "Wasserstein": max(SHARE_OF_WASSERSTEIN * values.get("Wasserstein", 0.0), SPREADS * spreads),
        }
        results += [
            f"{column} {name}: {mine[name]:.5f} by ours, {values[name]:.5f}"
            for name, room in rooms.items()
            if name in values and abs(mine[name] - values[name]) > room
        ]
    return results


def agreement(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """By statistic, how far a contender's figures lie from ours: the largest gap, and the largest figure there is."""
    gaps: dict[str, list[tuple[float, float]]] = {}
    for column, values in theirs.items():
        for name in values.keys() & ours[column].keys():
            gaps.setdefault(name, []).append((abs(ours[column][name] - values[name]), abs(values[name])))
    return [
        f"{name} of {len(result)} columns within {max(gap for gap, _ in result):.2g} (up to {max(size for _, size in result):.2g})"
        for name, result in sorted(gaps.items())
    ]


def decode(path: Path) -> float:
    """Seconds to read the file and do nothing with it."""
    start = time.perf_counter()
    texts = [name for name in pq.read_schema(path).names if name.startswith("c")]
    file = pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 16, read_dictionary=texts)
    for _ in file.iter_batches(1 << 17):
        pass
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "tidemill-bench-drift")
    parser.add_argument("--width", type=int, default=data.NUMBERS + data.CATEGORIES)
    parser.add_argument("--peers", default=",".join(PEERS), help="who takes part, separated by commas")
    parser.add_argument("--stream", type=int, nargs="*", default=[], help="rows of streams that ours alone counts")
    given = parser.parse_args()
    if JUDGE not in given.peers.split(","):
        parser.error(f"--peers must have {JUDGE}, by whose distances ours are judged")
    given.folder.mkdir(parents=True, exist_ok=True)
    size = f"{given.rows}x{given.width}"
    before = data.written(given.folder / f"before-{size}.parquet", given.rows, seed=1, moved=False, width=given.width)
    now = data.written(given.folder / f"now-{size}.parquet", given.rows, seed=2, moved=True, width=given.width)
    profile = before.with_suffix(".profile.json")
    subprocess.run(
        [sys.executable, "-m", "tidemill", "profile", str(before), "-o", str(profile)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    absent: dict[str, str] = {}
    contenders = {"tidemill": (sys.executable, "ours.py", profile)}
    for name in filter(None, given.peers.split(",")):
        python = python_of(name)
        if python is None:
            absent[name] = f"is not installed: {how_to_install(name)}"
        else:
            contenders[name] = (python, PEERS[name].script, before)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
    reads = []
    for round_ in range(given.rounds):
        for name, (python, script, reference) in contenders.items():
            # Who takes minutes is not asked as often.
            if name in absent or (round_ and runs[name][0]["wall"] > SLOW):
                continue
            try:
                runs[name].append(run(python, script, reference, now))
            except Broken as error:
                if name == "tidemill":
                    raise SystemExit(str(error)) from error
                absent[name] = f"failed and is left out: {error}; install it anew by {how_to_install(name)}"
                del runs[name]
        reads.append(decode(now))
    differing: dict[str, list[str]] = {}
    for name in runs:
        wrong = [] if name == "tidemill" else disagreements(runs["tidemill"][0]["columns"], runs[name][0]["columns"])
        if wrong and name == JUDGE:
            raise SystemExit(f"not accurate enough to be timed, by {name} (the second of each):\n" + "\n".join(wrong))
        if wrong:
            differing[name] = wrong
    read = statistics.median(reads)
    for result in runs["tidemill"]:
        result["compute"] = max(0.0, result["read_and_count"] - read) + result["statistics"]
    print(f"{given.rows:,} rows against {given.rows:,}, {given.width} columns; {given.rounds} rounds")
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; reading alone takes {read:.2f} s; distances agree with scipy's"
    )
    # For each value, so that tables of different widths can be compared.
    each = (
        statistics.median(result["read_and_count"] + result["statistics"] for result in runs["tidemill"]) / given.width
    )
    print(f"reading, counting and comparing take {1e9 * each / given.rows:.1f} ns for each value")
    print(f"{'':16}{'wall s':>16}{'compute s':>18}{'CPU s':>8}{'RSS MB':>8}{'compute ×':>10}")
    own = statistics.median(result["compute"] for result in runs["tidemill"])
    for name, result in runs.items():
        cells = [sorted(entry[key] for entry in result) for key in ("wall", "compute", "cpu", "rss")]
        wall, compute = (f"{statistics.median(cell):.2f} ({cell[0]:.2f}–{cell[-1]:.2f})" for cell in cells[:2])
        print(
            f"{name:16}{wall:>16}{compute:>18}{statistics.median(cells[2]):8.2f}{statistics.median(cells[3]):8.0f}{statistics.median(cells[1]) / own:10.1f}"
        )
    for name in runs:
        if name != "tidemill" and (close := agreement(runs["tidemill"][0]["columns"], runs[name][0]["columns"])):
            print(f"agreement with {name}: {'; '.join(close)}")
    for name, wrong in differing.items():
        # Some peers estimate from bins of their own: where scipy on the raw rows agrees with ours, theirs is the difference.
        print(f"{name} differs in {len(wrong)} distances that {JUDGE} confirms, such as {wrong[0]} by it")
    for name, why in absent.items():
        print(f"{name:16}{why}")
    for rows in given.stream:
        table = data.written(given.folder / f"stream-{rows}.parquet", rows, seed=3, moved=True)
        result = run(sys.executable, "stream.py", profile, table)
        print(f"a stream of {result['rows']:,} rows: {result['seconds']:.1f} s, at most {result['rss']} MB")


if __name__ == "__main__":
    main()
