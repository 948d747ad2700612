"""Priorities of threads and processes.

The thread that writes the prediction log has a low one: encoding a part takes tens of milliseconds of a processor that predictions
need too, and a thread of the same priority would make them wait. A sixteenth of a busy processor is half as much again as the log
needs for single rows of 50 numbers. If a processor is busy with large batches only, most of their rows are dropped from the log
and counted.
"""

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
