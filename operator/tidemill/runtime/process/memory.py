"""How much memory this container may still take.

Where a process of a container takes more than its limit, the kernel ends all of them, the server too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

GROUP: Final = Path("/sys/fs/cgroup")
"""Where a container finds its own control group, as version 2 has it."""


def memory_headroom(group: Path = GROUP) -> int | None:
    """Bytes up to the limit, without what the kernel gives up by itself; None where there is no limit, or none that is told."""
    try:
        limit = (group / "memory.max").read_text().strip()
        if limit == "max":
            return None
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        used = int((group / "memory.current").read_text())
        return int(limit) - used + int(stat["inactive_file"])
    except (OSError, ValueError, KeyError):
        return None
