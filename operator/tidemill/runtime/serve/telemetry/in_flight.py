"""The load of a process: requests under way, averaged over the last seconds.

A look now and then hardly ever meets a request that takes a millisecond. How long all of them took is summed anyway,
and what that sum grows by within a second is how many were under way on average: nothing is counted for it with a request.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

Key = tuple[str, str]
"""Version and role."""

SAMPLE_INTERVAL_SECONDS: Final = 1.0
WINDOW: Final = 5
"""Seconds that are averaged over, and perhaps one more."""


class Load:
    """Averages of what is under way, by version and role.

    >>> worked, now = {("house-1", "Stable"): 0.0}, 100.0
    >>> load = Load(lambda _: dict(worked), clock=lambda: now)
    >>> worked["house-1", "Stable"], now = 8.0, 104.0
    >>> load.averages()
    {('house-1', 'Stable'): 2.0}
    """

    def __init__(
        self, worked: Callable[[float], Mapping[Key, float]], *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """`worked` says how many seconds all requests of a version have taken until a given time, together and since the start."""
        self._worked = worked
        self._clock = clock
        self._samples: deque[tuple[float, Mapping[Key, float]]] = deque(maxlen=WINDOW + 1)
        self.sample()

    def sample(self) -> None:
        """Remember how things stand."""
        now = self._clock()
        self._samples.append((now, self._worked(now)))

    def averages(self) -> dict[Key, float]:
        """Return how many were under way on average since the oldest sample."""
        now = self._clock()
        since, before = self._samples[0]
        seconds = max(now - since, 1e-9)
        return {key: max(0.0, worked - before.get(key, 0.0)) / seconds for key, worked in self._worked(now).items()}

    async def watch(self) -> None:
        """Sample again and again, until cancelled."""
        while True:
            await asyncio.sleep(SAMPLE_INTERVAL_SECONDS)
            self.sample()
