"""kopf as the shell: it watches and re-connects, as us. Every event goes into the store; nothing else happens in a handler."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import kopf
from kopf._cogs.clients import watching
from kopf._core.reactor import queueing

from tidemill.engine import metrics
from tidemill.engine.cache import ClusterCache
from tidemill.engine.client import PAGE
from tidemill.engine.connection import Connection
from tidemill.engine.kinds import GATEWAY, WATCHED, Watched
from tidemill.plan.world import Key

log = logging.getLogger(__name__)

Nudge = Callable[[set[Key]], None]


class Jittered(tuple[float, ...]):
    """Delays that differ a little each time they are used; kopf goes through them anew for every request."""

    def __iter__(self) -> Iterator[float]:
        return (delay * random.uniform(0.9, 1.1) for delay in super().__iter__())


async def watch_kind(
    *,
    settings: kopf.OperatorSettings,
    resource: Any,
    namespace: str | None,
    processor: Any,
    operator_paused: Any = None,
    listed: Callable[[], None],
    **_: Any,
) -> None:
    """Follow one kind for ever, and give each event to the handlers of `kopf.on.event` at once, in the order of the watch.

    `listed` is told whenever the watch has begun, or begun anew, with a list: of what went before it there is no event.

    It stands in for kopf's `queueing.watcher`, which makes a task and a queue for every object, and for every event a
    dozen views, loggers and causes for handlers of changes that we do not have: more work than all of our own.
    Listing, watching, credentials and what to do when they fail stay kopf's.
    """
    registry: kopf.OperatorRegistry = processor.keywords["registry"]
    handlers = [one for one in registry._watching.get_all_handlers() if one.selector.check(resource)]
    events = watching.infinite_watch(
        settings=settings, resource=resource, namespace=namespace, operator_paused=operator_paused
    )
    async with contextlib.aclosing(events):
        async for event in events:
            if isinstance(event, watching.Bookmark):
                listed()
                continue
            if event["type"] == "BOOKMARK":
                continue
            for handler in handlers:
                try:
                    await handler.fn(event=event)
                except Exception:  # one object that cannot be taken in must not end the watch of all others
                    log.exception("an event of %s was lost to a bug; the next full look heals it", resource)


def settings() -> kopf.OperatorSettings:
    """kopf's settings, each for a reason that is written in the design: never hang, never lose, never write."""
    chosen = kopf.OperatorSettings()
    chosen.peering.standalone = True
    # The kinds are known, and the process waits for them before it begins: no need to list definitions and namespaces.
    chosen.scanning.disabled = True
    chosen.watching.server_timeout = 300
    chosen.watching.client_timeout = 330
    chosen.watching.connect_timeout = 5
    chosen.watching.inactivity_timeout = 70  # bookmarks come each 60 s
    chosen.watching.reconnect_backoff = 1.0
    chosen.watching.chunk_size = PAGE
    chosen.watching.initial_streaming = False
    for watched in (*WATCHED, *GATEWAY):
        if watched.selector:
            chosen.watching.label_selectors[watched.group, watched.version, watched.plural] = watched.selector
    chosen.networking.request_timeout = 30
    chosen.networking.connect_timeout = 5
    chosen.networking.error_backoffs = Jittered((1, 2, 3, 5, 8, 13, 21, 34))
    chosen.networking.enforce_retry_after = False
    chosen.posting.enabled = False
    chosen.posting.loggers = False
    chosen.posting.level = logging.WARNING
    chosen.execution.max_workers = 2
    chosen.process.ultimate_exiting_timeout = 25  # below the pod's terminationGracePeriodSeconds
    return chosen


def register(
    store: ClusterCache, nudge: Nudge, connection: Connection, kinds: Sequence[Watched] = WATCHED
) -> kopf.OperatorRegistry:
    """One handler for each watched kind, and the login; no other."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)  # type: ignore[untyped-decorator]
    async def login(**_: Any) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=connection.server, aiohttp_session=connection.session())

    for watched in kinds:
        _watch(registry, watched, store, nudge)
    return registry


def _watch(registry: kopf.OperatorRegistry, watched: Watched, store: ClusterCache, nudge: Nudge) -> None:
    last_event = metrics.WATCH_LAST_EVENT.labels(watched.kind)

    async def changed(event: kopf.RawEvent, **_: Any) -> None:
        last_event.set_to_current_time()
        nudge(store.absorb(event["type"], dict(event["object"])))

    changed.__qualname__ = f"{watched.plural}_changed"
    kopf.on.event(watched.group, watched.version, watched.plural, registry=registry)(changed)


async def run(
    registry: kopf.OperatorRegistry,
    *,
    namespaces: Sequence[str],
    stop: asyncio.Event,
    on_signal: Callable[[], None],
    listed: Callable[[], None],
) -> None:
    """Watch until `stop` is set, and tell `listed` of each watch that begins; raises what made kopf give up.

    Signals go to `on_signal`, not to kopf: the visits that are under way are ended before the watches.
    """
    # No handler of ours needs more than the events as they come.
    queueing.watcher = functools.partial(watch_kind, listed=listed)
    # kopf cancels every task it does not know when it ends; those that are there already end by themselves.
    ours = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=settings(),
        namespaces=list(namespaces),
        clusterwide=not namespaces,
        standalone=True,
        stop_flag=stop,
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    await kopf.run_tasks(tasks, ignored=ours)
