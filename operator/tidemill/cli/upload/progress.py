"""How far an upload is: a line that is written over on a terminal, and nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TextIO

_UNITS = ("B", "KiB", "MiB", "GiB")


class ProgressLine:
    """The line of one step of an upload."""

    def __init__(self, label: str, clock: Callable[[], float], stream: TextIO | None = None) -> None:
        self._label, self._clock = label, clock
        self._stream = stream if stream is not None else sys.stderr
        self._start, self._written = clock(), 0
        self._first: int | None = None

    def show(self, done: int, total: int) -> None:
        """Write how much is done."""
        if not self._stream.isatty():
            return
        if self._first is None:
            self._first = done
        text = f"{self._label}: {describe(done, total, done - self._first, self._clock() - self._start)}"
        self._stream.write("\r" + text.ljust(self._written))
        self._stream.flush()
        self._written = len(text)

    def end(self) -> None:
        """Leave the line, so that the next output begins a new one."""
        if self._written:
            self._stream.write("\n")
            self._written = 0


def describe(done: int, total: int, moved: int, seconds: float) -> str:
    """Return share, sizes, speed and the remaining time; `moved` bytes took `seconds`.

    >>> describe(3 << 20, 12 << 20, 2 << 20, 4.0)
    ' 25%, 3.0 MiB of 12.0 MiB, 512.0 KiB/s, 0:18 left'
    """
    text = f"{done * 100 // total:3d}%, {size(done)} of {size(total)}"
    if moved <= 0 or seconds <= 0:
        return text
    speed = moved / seconds
    left = round((total - done) / speed)
    return f"{text}, {size(speed)}/s, {left // 60}:{left % 60:02d} left"


def size(count: float) -> str:
    """Return a number of bytes for people.

    >>> size(1), size(1536), size(5 << 40)
    ('1 B', '1.5 KiB', '5120.0 GiB')
    """
    unit = 0
    while count >= 1024 and unit < len(_UNITS) - 1:
        count, unit = count / 1024, unit + 1
    return f"{count:.1f} {_UNITS[unit]}" if unit else f"{count:.0f} B"
