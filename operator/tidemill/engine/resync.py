"""The full look around: everything is listed now and then, so that nothing a watch has lost stays lost."""

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
"""The first look after the start comes early, and so does the one after a look that failed."""
MIN_RESYNC_SECONDS = 5.0
"""Seconds after a watch has begun anew until everything is looked at, when no other has begun anew meanwhile."""
MAX_RETRY_SECONDS = 60.0
"""Seconds that a look waits for, at most, while one watch after the other begins anew."""
ATTEMPTS = 5


class Resync:
    """Lists every watched kind, heals the store, and has every object of ours visited."""

    def __init__(
        self,
        client: Client,
        store: ClusterCache,
        nudge: Callable[[set[Key], bool], None],
        *,
        namespaces: Sequence[str],
        chance: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        period: float = PERIOD,
    ) -> None:
        self._client = client
        self._store = store
        self._nudge = nudge
        self._places: Sequence[str | None] = namespaces or (None,)
        self._chance = chance
        self._clock = clock
        self._wall = wall
        self._period = period
        self.kinds: Sequence[Watched] = WATCHED
        """What is listed."""
        self._doubt = asyncio.Event()
        self.last: float | None = None
        """When the newest full look ended, by the clock."""

    async def look(self, *, first: bool = False) -> None:
        """List everything once. Ghosts and changes are nudged as they are found, everything else afterwards."""
        began = self._clock()
        for watched in self.kinds:
            for place in self._places:
                await self._list(watched, place, first=first)
        ended = self._clock()
        self.last = ended
        metrics.RESYNC_SECONDS.set(ended - began)
        metrics.RESYNC_TIMESTAMP.set(self._wall())
        for kind in OURS:
            self._nudge(set(self._store.world.keys(kind)), False)
        log.info("listed %d objects in %.1f s", len(self._store.world), ended - began)

    def hasten(self) -> None:
        """A watch has begun anew with a list: what was deleted in the gap before it, nothing but a look will tell."""
        self._doubt.set()

    async def keep_looking(self) -> None:
        """Look again and again, for ever."""
        delay = min(FIRST_RESYNC_SECONDS, self._period)
        while True:
            await self._pause(delay)
            try:
                await self.look()
                delay = self._period * (0.9 + 0.2 * self._chance())
            except errors.OperatorError as problem:
                log.warning("the full look failed: %s", problem)
                delay = min(FIRST_RESYNC_SECONDS, self._period)

    async def _pause(self, delay: float) -> None:
        """Wait for so long, or until the watches that began anew have all done so."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._doubt.wait()
        end = self._clock() + MAX_RETRY_SECONDS
        while self._doubt.is_set() and self._clock() < end:
            self._doubt.clear()
            await asyncio.sleep(min(MIN_RESYNC_SECONDS, self._period))
        self._doubt.clear()

    async def _list(self, watched: Watched, place: str | None, *, first: bool) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            listing = self._store.begin(watched.kind, place)
            try:
                async for page in self._client.pages(watched, place):
                    self._nudge(self._store.listed(listing, page, expected=first), True)
            except errors.Expired:
                # The list took longer than the API server remembers; a fresh one has a new chance.
                self._store.abandon(listing)
                log.info("list %s: begun again, the API server no longer knows where we were", watched.plural)
            except errors.Unavailable as problem:
                self._store.abandon(listing)
                if attempt == ATTEMPTS:
                    raise
                delay = max(problem.retry_after, float(attempt))
                log.info("%s; again in %.0f s", problem, delay)
                await asyncio.sleep(delay)
            except BaseException:
                self._store.abandon(listing)
                raise
            else:
                before = self._store.ghosts
                self._nudge(self._store.end(listing), True)
                metrics.RESYNC_GHOSTS.inc(self._store.ghosts - before)
                return
        raise errors.Unavailable(f"list {watched.plural}: expired {ATTEMPTS} times in a row")
