"""Priorities of threads and processes."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Final

LOWEST_PRIORITY: Final = 19


LOW_PRIORITY: Final = 12
"""A sixteenth of a busy processor, where there is anything else to do."""


def lower_priority(priority: int) -> None:
    """Lower this thread's priority; Linux has one for each thread."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), priority)
