"""The API server or its store is killed, and comes back; one outage at a time, however many plans ask for one."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter

from cluster import Plane

DOWN = 1.0
"""Seconds that a server is down before it is started again."""


class Outages:
    """Outages of one control plane. All who play on it see each of them."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self.counted: Counter[str] = Counter()
        self.ended = -math.inf
        """When the last one was over, by the monotonic clock; in an outage, now or later."""

    def begin(self, deed: str) -> None:
        """SIGKILL to the server; it is back some seconds later."""
        task = asyncio.create_task(self._pass(deed))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def over(self) -> None:
        """Return when everything is up again."""
        await asyncio.gather(*self._tasks)

    async def _pass(self, deed: str) -> None:
        component = self._plane.apiserver if deed == "KillApiServer" else self._plane.etcd
        async with self._turn:
            self.ended = math.inf
            self.counted[deed] += 1
            component.kill()
            await asyncio.sleep(DOWN)
            component.start()
            # An API server that lost its store for long ends by itself.
            self._plane.apiserver.start()
            await asyncio.to_thread(self._plane.wait_ready, seconds=120)
            self.ended = time.monotonic()
