"""The end of what is kept: whole days of the log and its labels that are older than the service's retention.

Every stable pod looks once in a while, each at a time of its own; that two of them find the same day does no harm.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tidemill.runtime.log.layout import date_of

if TYPE_CHECKING:
    from tidemill.runtime.store.objects import ObjectStore

logger = logging.getLogger(__name__)

SWEEP_INTERVAL_SECONDS: Final = 3600.0
FIRST: Final = 60.0
"""Seconds after the start of the first look: a pod that has just started has better things to do."""
MAX_DELETED: Final = 5_000
"""Parts removed at a time; what is left over waits for the next look."""


class Retention:
    """Removes old parts below some folders."""

    def __init__(
        self,
        folders: Sequence[str],
        seconds: float,
        *,
        clock: Callable[[], float],
        uniform: Callable[[], float],
        first: float = FIRST,
        every: float = SWEEP_INTERVAL_SECONDS,
    ) -> None:
        """Keep rows for `seconds`, by whole days; `uniform` spreads the looks of many pods around `first` and `every`."""
        self.removed = 0
        self.failures = 0
        self._folders = folders
        self._seconds = seconds
        self._clock = clock
        self._uniform = uniform
        self._first = first
        self._every = every

    async def run(self, store: ObjectStore) -> None:
        """Look again and again, until cancelled."""
        await asyncio.sleep(self._first * (1 + self._uniform()))
        while True:
            more = await asyncio.to_thread(self.sweep, store)
            await asyncio.sleep(self._first if more else self._every * (0.75 + 0.5 * self._uniform()))

    def sweep(self, store: ObjectStore) -> bool:
        """Remove what is too old and return whether there is more of it; a store that refuses is tried again later."""
        first_kept = datetime.fromtimestamp(self._clock() - self._seconds, UTC).strftime("%Y-%m-%d")
        left = MAX_DELETED
        try:
            for folder in self._folders:
                for entry in store.list(folder):
                    date = date_of(entry.key)
                    if date is None:
                        continue
                    if date >= first_kept:
                        break  # the keys come in order of their dates
                    if left == 0:
                        return True
                    store.delete(entry.key)
                    left -= 1
                    self.removed += 1
        except Exception as error:  # whatever is wrong with the store, answers go on
            self.failures += 1
            logger.warning("old parts of the log cannot be removed: %s", error)
        return False
