"""When everything is looked at."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tidemill.engine import errors, resync
from tidemill.engine.cache import ClusterCache
from tidemill.engine.client import Client, Page
from tidemill.engine.resync import Resync
from tidemill.plan.world import World


class Lists(Client):
    """Counts the looks, each of which asks for the first kind once, and fails while it is told to."""

    def __init__(self) -> None:
        self.looks = 0
        self.failing = False

    async def pages(self, watched: Any, namespace: str | None = None) -> AsyncIterator[Page]:
        self.looks += watched.kind == "Dataset"
        if self.failing:
            raise errors.Conflict("the list failed")
        yield Page([], "1")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resync, "FIRST_RESYNC_SECONDS", 0.05)
    monkeypatch.setattr(resync, "MIN_RESYNC_SECONDS", 0.05)


async def begun(lists: Lists) -> tuple[Resync, asyncio.Task[None]]:
    store = ClusterCache(World(), lambda _manifest, _world: set(), time.monotonic)
    made = Resync(lists, store, lambda _keys, _urgent: None, namespaces=(), jitter=lambda: 0.5)
    return made, asyncio.create_task(made.run())


async def until(happens: Callable[[], bool]) -> None:
    for _ in range(2000):
        if happens():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


@pytest.mark.usefixtures("quick")
async def test_a_watch_that_begins_anew_has_everything_looked_at_long_before_its_time() -> None:
    lists = Lists()
    made, looking = await begun(lists)
    await until(lambda: lists.looks == 1)
    await asyncio.sleep(0.2)
    assert lists.looks == 1, "the next one is minutes away"

    for _ in range(4):
        made.request()
        await asyncio.sleep(0.02)
    await until(lambda: lists.looks == 2)
    await asyncio.sleep(0.2)

    assert lists.looks == 2, "one look for all watches that began together"
    looking.cancel()


@pytest.mark.usefixtures("quick")
async def test_a_look_that_failed_is_repeated_soon() -> None:
    lists = Lists()
    lists.failing = True
    _, looking = await begun(lists)
    await until(lambda: lists.looks >= 3)

    lists.failing = False
    seen = lists.looks
    await until(lambda: lists.looks > seen)
    await asyncio.sleep(0.2)

    assert lists.looks == seen + 1
    looking.cancel()
