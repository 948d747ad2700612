"""Read the Events about objects that do not start; a failure to do so is logged, and the plan is made without them."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tidemill.engine import errors
from tidemill.engine.client import Client
from tidemill.plan.types import EventsQuery, ObservedEvents
from tidemill.plan.world import Manifest

log = logging.getLogger(__name__)

MAX_EVENTS: Final = 50
"""Events that are read about one object; Kubernetes counts repetitions in one Event."""
CACHE_SECONDS: Final = 5.0
"""How long an answer holds: an object may be reconciled many times in a second."""
MAX_CACHED: Final = 256


class EventReader:
    """Ask the API server for Events, each object at most once in `CACHE_SECONDS`."""

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._cache: OrderedDict[str, tuple[float, ObservedEvents]] = OrderedDict()

    async def read(self, queries: Sequence[EventsQuery]) -> tuple[ObservedEvents, ...]:
        """Return the Events of each query that was answered."""
        answers = [await self._read(query) for query in queries]
        return tuple(answer for answer in answers if answer is not None)

    async def _read(self, query: EventsQuery) -> ObservedEvents | None:
        until, known = self._cache.get(query.uid, (0.0, None))
        if known is not None and self._clock() < until:
            return known
        params = {"fieldSelector": f"involvedObject.uid={query.uid}", "limit": str(MAX_EVENTS)}
        what = f"list Events about {query.uid} in {query.namespace}"
        try:
            answer = await self._client.get(f"/api/v1/namespaces/{query.namespace}/events", what, params=params)
        except errors.OperatorError as problem:
            log.info("%s; planning without them", problem)
            return None
        events = sorted(answer.get("items") or (), key=_last_seen, reverse=True)
        observed = ObservedEvents(query.uid, tuple(_brief(event) for event in events))
        self._cache[query.uid] = (self._clock() + CACHE_SECONDS, observed)
        self._cache.move_to_end(query.uid)
        if len(self._cache) > MAX_CACHED:
            self._cache.popitem(last=False)
        return observed


def _last_seen(event: Mapping[str, Any]) -> str:
    """Return when an Event happened last, as text that sorts by time."""
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    # The fraction of a second is there in one form and missing in the other.
    return max((text[:19] for text in times if text), default="")


def _brief(event: Mapping[str, Any]) -> Manifest:
    return {"type": event.get("type"), "reason": event.get("reason"), "message": event.get("message")}
