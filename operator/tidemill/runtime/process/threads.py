"""Threads of numerical libraries, bounded by the processors that the container may use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def bound_threads() -> None:
    """Let numerical libraries use as many threads as the container may use processors, unless the environment says otherwise.

    They would start one for each processor of the node, and wait for each other most of the time. Must come before numpy.
    """
    for name in _THREADS:
        os.environ.setdefault(name, str(processors()))
    # Threads that wait by spinning take the processor from those they wait for: on two busy cores a fit took ten times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def processors(limit: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """How many processors this process may keep busy: those it may run on, or fewer where its control group says so."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = limit.read_text().split()
        return count if quota == "max" else max(1, min(count, -(-int(quota) // int(period))))
    except (OSError, ValueError):
        return count
