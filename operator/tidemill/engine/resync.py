"""Resync: list everything from time to time, to find what a watch has missed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence

from tidemill.engine import errors, metrics
from tidemill.engine.cache import ClusterCache
from tidemill.engine.client import Client
from tidemill.engine.kinds import OURS, WATCHED, Watched
from tidemill.plan.world import Key

log = logging.getLogger(__name__)

PERIOD = 300.0
FIRST_RESYNC_SECONDS = 30.0
"""Seconds until the first resync after the start, and until the next one after a failure."""
MIN_RESYNC_SECONDS = 5.0
"""Seconds after a watch has listed until the resync that it requests, if no other watch lists meanwhile."""
MAX_RETRY_SECONDS = 60.0
"""Seconds that a requested resync is put off, at most, while one watch after the other lists."""
ATTEMPTS = 5


class Resync:
    """List every watched kind, correct the cache, and enqueue every object of our kinds."""

    def __init__(
        self,
        client: Client,
        cache: ClusterCache,
        enqueue: Callable[[set[Key], bool], None],
        *,
        kinds: Sequence[Watched] = WATCHED,
        namespaces: Sequence[str],
        jitter: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        period: float = PERIOD,
    ) -> None:
        self._client = client
        self._cache = cache
        self._enqueue = enqueue
        self._namespaces: Sequence[str | None] = namespaces or (None,)
        self._jitter = jitter
        self._clock = clock
        self._wall_clock = wall_clock
        self._period = period
        self._kinds = kinds
        self._requested = asyncio.Event()
        self.last: float | None = None
        """When the newest resync ended, by the clock."""

    async def list_all(self, *, first: bool = False) -> None:
        """List everything once. Missed changes and deletions are enqueued as they are found, everything else afterwards."""
        began = self._clock()
        for watched in self._kinds:
            for namespace in self._namespaces:
                await self._list(watched, namespace, first=first)
        ended = self._clock()
        self.last = ended
        metrics.RESYNC_SECONDS.set(ended - began)
        metrics.RESYNC_TIMESTAMP.set(self._wall_clock())
        for kind in OURS:
            self._enqueue(set(self._cache.world.keys(kind)), False)
        log.info("listed %d objects in %.1f s", len(self._cache.world), ended - began)

    def request(self) -> None:
        """Request a resync soon: a watch has listed, and deletions in the gap before it are found by a resync alone."""
        self._requested.set()

    async def run(self) -> None:
        """List everything again and again, until cancelled."""
        delay = min(FIRST_RESYNC_SECONDS, self._period)
        while True:
            await self._pause(delay)
            try:
                await self.list_all()
                delay = self._period * (0.9 + 0.2 * self._jitter())
            except errors.OperatorError as problem:
                log.warning(
                    "the resync failed: %s; trying again in %.0f s", problem, min(FIRST_RESYNC_SECONDS, self._period)
                )
                delay = min(FIRST_RESYNC_SECONDS, self._period)

    async def _pause(self, delay: float) -> None:
        """Wait for `delay` seconds, or until the watches that list have all done so."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._requested.wait()
        end = self._clock() + MAX_RETRY_SECONDS
        while self._requested.is_set() and self._clock() < end:
            self._requested.clear()
            await asyncio.sleep(min(MIN_RESYNC_SECONDS, self._period))
        self._requested.clear()

    async def _list(self, watched: Watched, namespace: str | None, *, first: bool) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            listing = self._cache.begin(watched.kind, namespace)
            try:
                async for page in self._client.pages(watched, namespace):
                    self._enqueue(self._cache.listed(listing, page.items, expected=first), True)
            except errors.Expired:
                # The list took longer than the API server keeps its position.
                self._cache.abandon(listing)
                log.info("list %s: the position expired; listing again", watched.plural)
            except errors.Unavailable as problem:
                self._cache.abandon(listing)
                if attempt == ATTEMPTS:
                    raise
                delay = max(problem.retry_after, float(attempt))
                log.info("%s; trying again in %.0f s", problem, delay)
                await asyncio.sleep(delay)
            except BaseException:
                self._cache.abandon(listing)
                raise
            else:
                before = self._cache.missed_deletions
                self._enqueue(self._cache.end(listing), True)
                metrics.RESYNC_MISSED_DELETIONS.inc(self._cache.missed_deletions - before)
                return
        raise errors.Unavailable(f"list {watched.plural}: expired {ATTEMPTS} times in a row")
