"""kopf as the shell of the watches: it logs in, starts them, and stops them. Holds for kopf 1.45, by its public API alone.

kopf's own watching is not used: for every object it makes a task and a queue, and for every event views, loggers and causes
for handlers of changes that the operator does not have, which costs more than all of the operator's own work. `engine.watch`
lists and watches instead, and gives each event to the cache at once.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import Any, Final

import kopf

from tidemill.engine import metrics
from tidemill.engine.cache import ClusterCache
from tidemill.engine.connection import Connection
from tidemill.engine.kinds import Watched
from tidemill.engine.watch import Deliver, Watch
from tidemill.plan.world import Key, Manifest

SUPPORTED: Final = "1.45."
"""The versions of kopf that this module was tried with."""

Enqueue = Callable[[set[Key]], None]


class Jittered(tuple[float, ...]):
    """Delays that differ a little each time they are used; kopf iterates over them for every request."""

    def __iter__(self) -> Iterator[float]:
        return (delay * random.uniform(0.9, 1.1) for delay in super().__iter__())


def require_supported(installed: str) -> None:
    """Raise RuntimeError where another kopf is installed than this module was tried with.

    >>> require_supported("1.45.2")
    """
    if not installed.startswith(SUPPORTED):
        raise RuntimeError(f"kopf '{installed}' is not supported; install kopf {SUPPORTED}*")


def settings() -> kopf.OperatorSettings:
    """Return kopf's settings: standalone, no discovery of kinds, nothing written, and errors that pass are outlasted."""
    chosen = kopf.OperatorSettings()
    chosen.peering.standalone = True
    # The kinds are known, and the process waits for them before it begins: no need to list definitions and namespaces.
    chosen.scanning.disabled = True
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


def deliver(cache: ClusterCache, enqueue: Enqueue, watched: Watched) -> Deliver:
    """Return the function that takes events of one kind into the cache, and enqueues what they concern."""
    last_event = metrics.WATCH_LAST_EVENT.labels(watched.kind)

    def take(change: str | None, manifest: Manifest) -> None:
        last_event.set_to_current_time()
        enqueue(cache.apply_event(change, manifest))

    return take


async def run(
    watches: Sequence[Watch], connection: Connection, *, stop: asyncio.Event, on_signal: Callable[[], None]
) -> None:
    """Watch until `stop` is set; raises what ended kopf or a watch before.

    Signals go to `on_signal`, not to kopf: the reconciliations in progress end before the watches.
    """
    require_supported(version("kopf"))
    registry = kopf.OperatorRegistry()
    running: list[asyncio.Task[None]] = []

    @kopf.on.login(registry=registry)  # type: ignore[untyped-decorator]
    async def login(**_: Any) -> kopf.AiohttpSession:
        return kopf.AiohttpSession(server=connection.server, aiohttp_session=connection.session())

    @kopf.on.startup(registry=registry)  # type: ignore[untyped-decorator]
    async def start(**_: Any) -> None:
        for watch in watches:
            task = asyncio.create_task(watch.run(), name=f"watch {watch}")
            # A watch never ends by itself: one that does, by a bug, ends the process, which is started again.
            task.add_done_callback(lambda _: stop.set())
            running.append(task)

    @kopf.on.cleanup(registry=registry)  # type: ignore[untyped-decorator]
    async def end(**_: Any) -> None:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    # kopf cancels every task it does not know when it ends; those that are there already end by themselves.
    ours = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry, settings=settings(), clusterwide=True, standalone=True, stop_flag=stop
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    await kopf.run_tasks(tasks, ignored=ours)
    for task in running:
        if not task.cancelled() and (failure := task.exception()):
            raise failure
