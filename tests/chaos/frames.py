"""What the watches say on its way to the operator: passed on, held back for a while, or lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import aiohttp


class Frames:
    """Watch events of all watches of one operator."""

    def __init__(self) -> None:
        self._held_until = 0.0
        self._lost_until = 0.0
        self.lost = 0
        """Events that never arrived."""

    def hold(self, seconds: float) -> None:
        """Events come so much later; none is lost."""
        self._held_until = time.monotonic() + seconds

    def lose(self, seconds: float) -> None:
        """For so long, events never come."""
        self._lost_until = time.monotonic() + seconds

    async def passed(self, content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
        """The stream as the operator gets it, in whole lines."""
        rest = b""
        async for chunk in content.iter_any():
            whole, newline, rest_of_chunk = (rest + chunk).rpartition(b"\n")
            rest = rest_of_chunk
            if not newline:
                continue
            if (wait := self._held_until - time.monotonic()) > 0:
                # What follows waits in the connection meanwhile.
                await asyncio.sleep(wait)
            if time.monotonic() < self._lost_until:
                self.lost += whole.count(b"\n") + 1
                continue
            yield whole + newline
