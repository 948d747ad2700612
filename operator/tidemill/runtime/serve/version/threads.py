"""Work that would hold the event loop up, in a few threads with a bounded queue and a bound on its time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from tidemill.runtime.process.priority import LOWEST_PRIORITY, lower_priority
from tidemill.runtime.protocol.errors import HTTPError

T = TypeVar("T")


class BoundedExecutor:
    """Threads for one sort of work."""

    def __init__(self, name: str, *, threads: int, max_waiting: int, seconds: float, gives_way: bool = False) -> None:
        """At most `max_waiting` pieces of work wait or are under way; who waits does so for `seconds` at most.

        `gives_way` to whatever else the processor has to do.
        """
        self.under_way = 0
        """Pieces of work that wait or run, also those whose client has gone."""
        self._name = name
        self._threads = ThreadPoolExecutor(
            threads,
            thread_name_prefix=name,
            initializer=partial(lower_priority, LOWEST_PRIORITY) if gives_way else None,
        )
        self._max_waiting = max_waiting
        self._seconds = seconds

    async def ask(self, work: Callable[..., T], *arguments: Any) -> T:
        """Return the result of `work`; raises HTTPError: 503 where too much waits already, 504 where it takes too long."""
        if self.under_way >= self._max_waiting:
            raise HTTPError(503, f"{self._name}: too many queued requests ({self.under_way}); retry later")
        loop = asyncio.get_running_loop()
        self.under_way += 1
        future = self._threads.submit(work, *arguments)
        future.add_done_callback(lambda _: _call_soon(loop, self._done))
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            raise HTTPError(
                504, f"{self._name}: no answer within {self._seconds:g} s; send fewer rows at once"
            ) from None

    def _done(self) -> None:
        self.under_way -= 1


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback)
