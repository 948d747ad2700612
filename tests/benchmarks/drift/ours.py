"""Tidemill's own code, as a check Job and `tidemill drift` run it.

python ours.py REFERENCE.profile.json CURRENT OUT.json
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
    counted = time.perf_counter()
    columns = {column.name: dict(column.statistics) for column in compare(before, now)}
    done = time.perf_counter()
    # What the process itself had at most; its parent counts what it had before it became this one too.
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) // 1024
    # Reading and counting are one pass; what reading alone takes is measured by the driver and taken off.
    with open(out, "w") as file:
        json.dump(
            {"read_and_count": counted - start, "statistics": done - counted, "columns": columns, "rss": peak}, file
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
