"""Limit the rate of requests: a token bucket, and pauses that the API server asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class RateLimiter:
    """Allow `rate` requests per second and bursts of `burst`; a pause stops all requests."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._tokens = float(burst)
        self._filled_at = clock()
        self._closed_until = 0.0

    def reserve(self) -> float:
        """Take one request out of the budget, and return the seconds to wait before sending it."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        self._tokens -= 1
        return max(0.0 if self._tokens >= 0 else -self._tokens / self._rate, self._closed_until - now)

    def pause(self, seconds: float) -> None:
        """Allow no request for so many seconds."""
        self._closed_until = max(self._closed_until, self._clock() + seconds)

    async def spend(self) -> None:
        """Wait until the budget allows one more request."""
        delay = self.reserve()
        if delay > 0:
            await asyncio.sleep(delay)
