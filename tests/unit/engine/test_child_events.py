"""Events about objects that do not start: asked for by uid, the newest first, seldom, and never a reason to stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidemill.engine import errors
from tidemill.engine.child_events import CACHE_SECONDS, EventReader
from tidemill.plan.types import EventsQuery

OLD = {"reason": "Scheduled", "message": "a", "type": "Normal", "lastTimestamp": "2026-01-05T12:00:00Z"}
NEW = {"reason": "FailedMount", "message": "b", "type": "Warning", "eventTime": "2026-01-05T12:00:01.000000Z"}
REPEATED = {
    "reason": "FailedCreate",
    "message": "c",
    "type": "Warning",
    "eventTime": "2026-01-05T11:00:00.000000Z",
    "series": {"lastObservedTime": "2026-01-05T12:00:02.000000Z"},
}


class ApiServer:
    """Answers each list of Events with these, and remembers what it was asked for."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        self.items = items
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.available = True

    async def get(self, path: str, what: str, *, params: Mapping[str, str]) -> dict[str, Any]:
        self.asked.append((path, params))
        if not self.available:
            raise errors.Refused("events is forbidden")
        return {"items": self.items}


async def test_events_come_newest_first_and_are_read_once_in_a_while() -> None:
    api, now = ApiServer([OLD, NEW, REPEATED]), 100.0
    reader = EventReader(api, lambda: now)  # type: ignore[arg-type]

    [observed] = await reader.read([EventsQuery("shop", "u-1")])
    await reader.read([EventsQuery("shop", "u-1")])

    assert ["FailedCreate", "FailedMount", "Scheduled"] == [event["reason"] for event in observed.events]
    [(path, params)] = api.asked
    assert ("/api/v1/namespaces/shop/events", "involvedObject.uid=u-1") == (path, params["fieldSelector"])
    now += CACHE_SECONDS + 1
    await reader.read([EventsQuery("shop", "u-1"), EventsQuery("shop", "u-2")])
    assert 3 == len(api.asked)


async def test_without_the_right_to_read_events_the_plan_is_made_without_them() -> None:
    api = ApiServer([OLD])
    api.available = False

    assert () == await EventReader(api).read([EventsQuery("shop", "u-1")])  # type: ignore[arg-type]
