"""Tidemill alone on a long stream: time and memory.

python stream.py REFERENCE.profile.json CURRENT OUT.json
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def main(reference: str, current: str, out: str) -> None:
    from tidemill.runtime.process.allocator import release_memory_soon

    release_memory_soon()  # as the command does
    from tidemill.runtime.monitor.statistics.comparison import compare
    from tidemill.runtime.profile.files import profile_file

    before = profile_file(Path(reference)).profile
    start = time.perf_counter()
    now = profile_file(Path(current), before).profile
    columns = compare(before, now)
    seconds = time.perf_counter() - start
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) // 1024
    with open(out, "w") as file:
        json.dump({"seconds": seconds, "rss": peak, "rows": now.rows, "columns": len(columns)}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
