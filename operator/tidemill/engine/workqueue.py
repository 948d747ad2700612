"""Which object is visited next: a deduplicating queue with delays and a back-off for each key.

The rules are those of client-go's work queue. A key waits at most once, however often it is nudged. A key that is being
visited is visited again afterwards if it was nudged meanwhile, and never by two workers at a time. Time and chance are
arguments; the queue itself never sleeps.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


def backoff(failures: int, chance: float, *, base: float = 0.5, limit: float = 300.0) -> float:
    """Seconds to wait after so many failures in a row: doubling up to `limit`, spread by ± 20 % so that keys do not march in step.

    `chance` is a number from 0 to 1.

    >>> [backoff(failures, 0.5) for failures in (1, 2, 3, 20)]
    [0.5, 1.0, 2.0, 300.0]
    """
    doubled = base * 2.0 ** min(max(failures - 1, 0), 30)
    return float(min(doubled, limit) * (0.8 + 0.4 * chance))


class WorkQueue(Generic[K]):
    """Keys to visit, now or later, each at most once."""

    def __init__(self, clock: Callable[[], float], chance: Callable[[], float]) -> None:
        self._clock = clock
        self._chance = chance
        # Two lanes: a change that someone waits for must not stand behind ten thousand routine visits.
        self._urgent: deque[K] = deque()
        self._routine: deque[K] = deque()
        self._dirty: dict[K, float] = {}
        self._is_urgent: set[K] = set()
        self._busy: set[K] = set()
        self._due: dict[K, float] = {}
        self._delays: list[tuple[float, int, K]] = []
        self._failures: dict[K, int] = {}
        self._order = 0
        self.adds = 0
        self.retries = 0

    def __len__(self) -> int:
        """How many keys wait for a worker now."""
        return len(self._dirty)

    @property
    def busy(self) -> int:
        """How many keys are being visited."""
        return len(self._busy)

    @property
    def delayed(self) -> int:
        """How many keys wait for their time."""
        return len(self._due)

    def add(self, key: K, *, urgent: bool = True) -> None:
        """Visit `key` soon; once, however often this is said before the visit begins."""
        self._due.pop(key, None)
        if key in self._dirty:
            if urgent and key not in self._is_urgent:
                self._is_urgent.add(key)
                if key not in self._busy:
                    self._urgent.append(key)
            return
        self.adds += 1
        self._dirty[key] = self._clock()
        if urgent:
            self._is_urgent.add(key)
        if key not in self._busy:
            (self._urgent if urgent else self._routine).append(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Visit `key` after so many seconds, unless something else leads there earlier; the newest wish counts."""
        if seconds <= 0:
            self.add(key, urgent=False)
            return
        if key in self._dirty:
            return
        due = self._clock() + seconds
        self._due[key] = due
        self._order += 1
        heapq.heappush(self._delays, (due, self._order, key))

    def retry(self, key: K, *, at_least: float = 0.0) -> float:
        """Visit `key` again after its back-off, which grows with every failure in a row; answers with the delay in seconds."""
        self.retries += 1
        failures = self._failures.get(key, 0) + 1
        self._failures[key] = failures
        delay = max(backoff(failures, self._chance()), at_least)
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """`key` went well: its next failure is its first."""
        self._failures.pop(key, None)

    def drop(self, key: K) -> None:
        """`key` is gone: nothing is due for it any more."""
        self._failures.pop(key, None)
        self._due.pop(key, None)

    def failures(self, key: K) -> int:
        """How often in a row `key` has failed."""
        return self._failures.get(key, 0)

    def take(self) -> K | None:
        """The next key to visit, now marked as being visited; None when nothing is due."""
        self._ripen()
        for lane in (self._urgent, self._routine):
            while lane:
                key = lane.popleft()
                # A key moved to the urgent lane leaves its older place behind.
                if key in self._dirty and key not in self._busy:
                    del self._dirty[key]
                    self._is_urgent.discard(key)
                    self._busy.add(key)
                    return key
        return None

    def done(self, key: K) -> None:
        """The visit to `key` ended; it begins again if the key was nudged meanwhile."""
        self._busy.discard(key)
        if key in self._dirty:
            (self._urgent if key in self._is_urgent else self._routine).append(key)

    def seconds_to_next(self) -> float | None:
        """How long until a delayed key is due; None when there is none."""
        while self._delays and self._due.get(self._delays[0][2]) != self._delays[0][0]:
            heapq.heappop(self._delays)
        return max(0.0, self._delays[0][0] - self._clock()) if self._delays else None

    def oldest_seconds(self) -> float:
        """How long the key that waits longest has waited for a worker."""
        # The dictionary keeps the order in which keys came.
        return self._clock() - next(iter(self._dirty.values())) if self._dirty else 0.0

    def _ripen(self) -> None:
        now = self._clock()
        while self._delays and self._delays[0][0] <= now:
            due, _, key = heapq.heappop(self._delays)
            if self._due.get(key) == due:
                self.add(key, urgent=False)
