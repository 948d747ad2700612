"""The full look around: everything is listed now and then, so that nothing a watch has lost stays lost."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from tidemill.engine import errors, metrics
from tidemill.engine.client import Client
from tidemill.engine.kinds import OURS, WATCHED, Watched
from tidemill.engine.store import Store
from tidemill.plan.world import Key

log = logging.getLogger(__name__)

PERIOD = 300.0
SOON = 30.0
"""The first look after the start comes early: it closes the gap between the first list and the beginning of the watches."""
ATTEMPTS = 5


class Resync:
    """Lists every watched kind, heals the store, and has every object of ours visited."""

    def __init__(
        self,
        client: Client,
        store: Store,
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

    async def keep_looking(self) -> None:
        """Look again and again, for ever."""
        delay = min(SOON, self._period)
        while True:
            await asyncio.sleep(delay)
            try:
                await self.look()
            except errors.OperatorError as problem:
                log.warning("the full look failed: %s", problem)
            delay = self._period * (0.9 + 0.2 * self._chance())

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
