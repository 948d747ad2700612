"""Queue the objects to reconcile: each key once, with delays and a backoff for each key.

The rules are those of client-go's work queue. A key waits at most once, however often it is added. A key that is being
reconciled is reconciled again afterwards if it was added meanwhile, and never by two workers at a time. Time and randomness
are arguments; the queue itself never sleeps.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


def backoff(failures: int, jitter: float, *, base: float = 0.5, limit: float = 300.0) -> float:
    """Return the seconds to wait after so many failures in a row: doubling up to `limit`, spread by ± 20 % so that keys do not retry at once.

    `jitter` is a number from 0 to 1.

    >>> [backoff(failures, 0.5) for failures in (1, 2, 3, 20)]
    [0.5, 1.0, 2.0, 300.0]
    """
    doubled = base * 2.0 ** min(max(failures - 1, 0), 30)
    return float(min(doubled, limit) * (0.8 + 0.4 * jitter))


class WorkQueue(Generic[K]):
    """Keys to reconcile, now or later, each at most once."""

    def __init__(self, clock: Callable[[], float], jitter: Callable[[], float]) -> None:
        self._clock = clock
        self._jitter = jitter
        # Two lanes: a change that someone waits for must not wait behind ten thousand routine reconciliations.
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
        """Return how many keys wait for a worker now."""
        return len(self._dirty)

    @property
    def busy(self) -> int:
        """Return how many keys are being visited."""
        return len(self._busy)

    @property
    def delayed(self) -> int:
        """Return how many keys wait for their time."""
        return len(self._due)

    def add(self, key: K, *, urgent: bool = True) -> None:
        """Reconcile `key` soon; once, however often it is added before that begins."""
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
        """Reconcile `key` after so many seconds, unless it is added earlier; the newest delay counts."""
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
        """Reconcile `key` again after its backoff, which grows with every failure in a row; returns the delay in seconds."""
        self.retries += 1
        failures = self._failures.get(key, 0) + 1
        self._failures[key] = failures
        delay = max(backoff(failures, self._jitter()), at_least)
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """Reset the backoff of `key` after a success."""
        self._failures.pop(key, None)

    def drop(self, key: K) -> None:
        """Forget `key` and its delay, because the object is gone."""
        self._failures.pop(key, None)
        self._due.pop(key, None)

    def failures(self, key: K) -> int:
        """Return how often in a row `key` has failed."""
        return self._failures.get(key, 0)

    def take(self) -> K | None:
        """Return the next key to reconcile and mark it as busy; None when nothing is due."""
        self._add_due()
        for lane in (self._urgent, self._routine):
            while lane:
                key = lane.popleft()
                # A key that moved to the urgent lane is still in the other one.
                if key in self._dirty and key not in self._busy:
                    del self._dirty[key]
                    self._is_urgent.discard(key)
                    self._busy.add(key)
                    return key
        return None

    def done(self, key: K) -> None:
        """Mark `key` as no longer busy; it is queued again if it was added meanwhile."""
        self._busy.discard(key)
        if key in self._dirty:
            (self._urgent if key in self._is_urgent else self._routine).append(key)

    def seconds_to_next(self) -> float | None:
        """Return the seconds until a delayed key is due; None when there is none."""
        while self._delays and self._due.get(self._delays[0][2]) != self._delays[0][0]:
            heapq.heappop(self._delays)
        return max(0.0, self._delays[0][0] - self._clock()) if self._delays else None

    def oldest_seconds(self) -> float:
        """Return the seconds that the oldest key has waited for a worker."""
        # The dictionary keeps the order in which keys came.
        return self._clock() - next(iter(self._dirty.values())) if self._dirty else 0.0

    def _add_due(self) -> None:
        now = self._clock()
        while self._delays and self._delays[0][0] <= now:
            due, _, key = heapq.heappop(self._delays)
            if self._due.get(key) == due:
                self.add(key, urgent=False)
