"""How kopf runs the watches, and how their events come into the cache."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tidemill.engine import kopf_watch
from tidemill.engine.cache import ClusterCache
from tidemill.engine.kinds import BY_KIND
from tidemill.plan.world import Key, World


def test_events_go_into_the_cache_and_what_they_concern_is_enqueued() -> None:
    cache = ClusterCache(World(), lambda _manifest, _world: set(), lambda: 0.0)
    enqueued: list[set[Key]] = []
    take = kopf_watch.deliver(cache, enqueued.append, BY_KIND["Dataset"])
    metadata = {"name": "iris", "namespace": "science", "uid": "u1", "resourceVersion": "1"}

    take("ADDED", {"apiVersion": "tidemill.dev/v1alpha1", "kind": "Dataset", "metadata": metadata})

    assert [{Key("Dataset", "science", "iris")}] == enqueued
    assert cache.world.get("Dataset", "science", "iris") is not None


def test_the_installed_kopf_is_one_that_was_tried() -> None:
    kopf_watch.require_supported(version("kopf"))
    with pytest.raises(RuntimeError, match=r"install kopf 1\.45\."):
        kopf_watch.require_supported("1.46.0")


def test_nothing_private_of_kopf_is_used() -> None:
    engine = Path(kopf_watch.__file__).parent
    assert [] == [path.name for path in engine.glob("*.py") if "kopf._" in path.read_text()]


class Endless:
    """A watch that ends as a test wants it."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.ended = False

    async def run(self) -> None:
        if self.failure is not None:
            raise self.failure
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


class Unreachable:
    """A connection to a server that refuses every connection."""

    server = "http://127.0.0.1:1"

    def session(self) -> Any:
        import aiohttp

        return aiohttp.ClientSession(base_url=self.server)


async def test_the_watches_end_when_a_stop_is_requested() -> None:
    watch, stop = Endless(), asyncio.Event()
    asyncio.get_running_loop().call_later(0.3, stop.set)

    await kopf_watch.run([watch], Unreachable(), stop=stop, on_signal=lambda: None)  # type: ignore[arg-type,list-item]

    assert watch.ended


async def test_a_watch_that_ends_by_a_bug_ends_all_and_says_so() -> None:
    other = Endless()
    watches: Any = [Endless(KeyError("a bug")), other]
    connection: Any = Unreachable()

    with pytest.raises(KeyError, match="a bug"):
        await kopf_watch.run(watches, connection, stop=asyncio.Event(), on_signal=lambda: None)

    assert other.ended
