"""The composition root: make every part of the operator, and hand it to the parts that need it."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import uvloop

from tidemill.children.installation import Installation
from tidemill.contract.references import References
from tidemill.engine import errors, health, kopf_watch, logs, metrics
from tidemill.engine.apply import Applier
from tidemill.engine.cache import ClusterCache, compact_world
from tidemill.engine.child_events import EventReader
from tidemill.engine.client import Client
from tidemill.engine.connection import Connection, connect
from tidemill.engine.controller import Controller, Inputs, Planner
from tidemill.engine.events import Recorder
from tidemill.engine.kinds import GATEWAY, WATCHED, Watched
from tidemill.engine.leader import Lease
from tidemill.engine.measurements import Pods
from tidemill.engine.prometheus import Prometheus
from tidemill.engine.rate_limit import RateLimiter
from tidemill.engine.resync import Resync
from tidemill.engine.settings import Settings
from tidemill.engine.watch import Watch
from tidemill.engine.workqueue import WorkQueue
from tidemill.plan.references import in_use
from tidemill.plan.world import Key

log = logging.getLogger(__name__)

CONNECTIONS = 32
KINDS_SECONDS = 2.0
"""Seconds between two looks for the kinds."""
FIRST_LIST_RETRY_SECONDS = 5.0
SHUTDOWN_TIMEOUT_SECONDS = 10.0
"""Seconds in which reconciliations in progress may end after a stop was requested."""


def run(settings: Settings, planner: Planner | None = None) -> int:
    """Run the operator until it is stopped, and return the exit code of the process."""
    logs.configure(settings.log_level, settings.log_format)
    if planner is None:
        from tidemill import plan

        planner = plan
    connection = connect(settings.kubeconfig or None)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(operate(settings, planner, connection))


async def operate(settings: Settings, planner: Planner, connection: Connection) -> int:
    """Open the connections, and run the operator with them until it ends."""
    async with (
        connection.session(connections=CONNECTIONS) as api,
        connection.session() as watching,
        aiohttp.ClientSession() as outside,
    ):
        return await Operator(settings, planner, connection, Sessions(api, watching, outside)).run()


@dataclass(frozen=True, slots=True)
class Sessions:
    """The HTTP sessions of the process."""

    api: aiohttp.ClientSession
    watching: aiohttp.ClientSession
    """For the watches alone: each holds a connection for as long as it is open."""
    outside: aiohttp.ClientSession
    """To pods and Prometheus, without our credentials."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What the API server serves, and so what is watched and written."""

    kinds: Sequence[Watched]
    installation: Installation


class Engine:
    """What works once it is known what the API server serves: controller, resync and watches around one cache."""

    def __init__(
        self,
        settings: Settings,
        planner: Planner,
        connection: Connection,
        sessions: Sessions,
        client: Client,
        discovery: Discovery,
        rate_limit: RateLimiter,
    ) -> None:
        clock = time.monotonic
        self._connection = connection
        self.world = compact_world()
        self.cache = ClusterCache(self.world, planner.dependents, clock)
        self.queue: WorkQueue[Key] = WorkQueue(clock, random.random)
        self.controller = Controller(
            planner,
            discovery.installation,
            self.cache,
            Applier(client, self.cache, self._enqueue),
            self.queue,
            Recorder(client, now, settings.identity),
            Inputs(
                now,
                Pods(sessions.outside, Prometheus(sessions.outside, settings.prometheus)),
                EventReader(client, clock),
            ),
        )
        self.resync = Resync(
            client,
            self.cache,
            lambda keys, urgent: self.controller.enqueue(keys, urgent=urgent),
            kinds=discovery.kinds,
            namespaces=settings.namespaces,
            jitter=random.random,
            clock=clock,
            period=settings.resync_seconds,
        )
        watching = Client(sessions.watching, rate_limit)
        self._watches = [
            Watch(
                watching,
                watched,
                namespace,
                deliver=kopf_watch.deliver(self.cache, self._enqueue, watched),
                listed=self.resync.request,
                jitter=random.random,
            )
            for watched in discovery.kinds
            for namespace in settings.namespaces or (None,)
        ]

    async def watch(self, stop: asyncio.Event, on_signal: Callable[[], None]) -> None:
        """Watch until `stop` is set."""
        await kopf_watch.run(self._watches, self._connection, stop=stop, on_signal=on_signal)

    def _enqueue(self, keys: set[Key]) -> None:
        self.controller.enqueue(keys)


class Operator:
    """One process of the operator and its life: wait for the kinds, become the leader, list everything, work, stop."""

    def __init__(self, settings: Settings, planner: Planner, connection: Connection, sessions: Sessions) -> None:
        clock = time.monotonic
        self._settings = settings
        self._planner = planner
        self._connection = connection
        self._sessions = sessions
        self._rate_limit = RateLimiter(settings.requests_per_second, settings.burst, clock)
        self._client = Client(sessions.api, self._rate_limit)
        self._lease = Lease(
            self._client,
            namespace=settings.namespace,
            name=settings.lease,
            identity=settings.identity,
            now=now,
            clock=clock,
        )
        self._server = health.HealthServer(self._signs, self._page, self._references)
        self._engine: Engine | None = None
        self._stopping = asyncio.Event()
        self._renewing: tuple[asyncio.Task[None], ...] = ()
        self._waiting_for = "the process is starting"
        self._is_standby = False

    async def run(self) -> int:
        """Run until stopped; returns 0 after a request to stop, 1 if the process should be started again."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        port = await self._server.start(self._settings.metrics_host, self._settings.metrics_port)
        log.info("serving metrics and probes on port %d", port)
        try:
            for step in (self._wait_for_kinds, self._build, self._wait_for_lease, self._list_all):
                if not await self._unless_interrupted(step()):
                    return 0 if self._stopping.is_set() else 1
            return await self._work(self._built)
        finally:
            await _cancel(*self._renewing)
            await self._server.stop()
            await self._lease.release()

    @property
    def _built(self) -> Engine:
        assert self._engine is not None, "the engine is built before anything uses it"
        return self._engine

    async def _wait_for_kinds(self) -> None:
        ours = {watched.plural: watched for watched in WATCHED if watched.ours}
        root = next(iter(ours.values()))
        missing = sorted(ours)
        while True:
            try:
                served = await self._client.get(f"/apis/{root.group}/{root.version}", "look up which kinds are served")
                missing = sorted(ours.keys() - {resource.get("name") for resource in served.get("resources") or ()})
            except errors.Missing:
                missing = sorted(ours)
            except errors.OperatorError as problem:
                log.warning("%s", problem)
            if not missing:
                self._waiting_for = ""
                return
            waiting_for = (
                f"the API server does not serve {', '.join(missing)} of {root.group} yet; apply the folder crds/"
            )
            if waiting_for != self._waiting_for:
                log.warning("%s", waiting_for)
            self._waiting_for = waiting_for
            await asyncio.sleep(KINDS_SECONDS)

    async def _build(self) -> None:
        self._engine = Engine(
            self._settings,
            self._planner,
            self._connection,
            self._sessions,
            self._client,
            await self._discover(),
            self._rate_limit,
        )

    async def _discover(self) -> Discovery:
        """Return what to watch: HTTPRoutes too, if the settings ask for them and the API server serves them."""
        if not self._settings.gateway_api:
            return Discovery(WATCHED, self._settings.installation)
        [route] = GATEWAY
        try:
            served = await self._client.get(f"/apis/{route.api_version}", "look up whether HTTPRoutes are served")
            is_served = route.plural in {resource.get("name") for resource in served.get("resources") or ()}
        except errors.Missing:
            is_served = False
        if is_served:
            return Discovery((*WATCHED, route), replace(self._settings.installation, gateway="On"))
        log.warning(
            "the API server does not serve HTTPRoutes; services with traffic.provider GatewayAPI say so in their status"
        )
        return Discovery(WATCHED, replace(self._settings.installation, gateway="Absent"))

    async def _wait_for_lease(self) -> None:
        if self._settings.leader_elect:
            self._is_standby = True
            metrics.LEADER.set(0)
            await self._lease.acquire()
            # From now on: the first list may take longer than a Lease lasts.
            self._renewing = (asyncio.create_task(self._lease.renew(), name="lease"),)
            self._is_standby = False
        metrics.LEADER.set(1)

    async def _list_all(self) -> None:
        while True:
            try:
                await self._built.resync.list_all(first=True)
                return
            except errors.OperatorError as problem:
                log.warning("the first list failed: %s; trying again in %.0f s", problem, FIRST_LIST_RETRY_SECONDS)
                await asyncio.sleep(FIRST_LIST_RETRY_SECONDS)

    async def _work(self, engine: Engine) -> int:
        controller = engine.controller
        workers = [asyncio.create_task(controller.work(), name=f"worker {n}") for n in range(self._settings.workers)]
        others: list[asyncio.Task[Any]] = [asyncio.create_task(engine.resync.run(), name="resync")]
        others += self._renewing
        others.append(asyncio.create_task(self._stopping.wait(), name="stop"))
        stop_watching = asyncio.Event()
        watch = asyncio.create_task(engine.watch(stop_watching, self._stopping.set), name="watch")
        await asyncio.wait({watch, *workers, *others}, return_when=asyncio.FIRST_COMPLETED)
        # The first task that ends ends all. Without the Lease not even what was begun may be finished.
        is_lease_lost = any(task.done() and task.get_name() == "lease" for task in others)
        controller.stop()
        _, unfinished = await asyncio.wait(workers, timeout=0 if is_lease_lost else SHUTDOWN_TIMEOUT_SECONDS)
        await _cancel(*unfinished, *others)
        await self._server.stop()
        stop_watching.set()
        await asyncio.wait({watch})
        return self._exit_code([watch, *workers, *others])

    def _exit_code(self, tasks: list[asyncio.Task[Any]]) -> int:
        for task in tasks:
            if not task.cancelled() and (failure := task.exception()):
                log.error("%s ended: %r", task.get_name(), failure, exc_info=failure)
        if self._stopping.is_set():
            log.info("stopped on request")
            return 0
        return 1

    async def _unless_interrupted(self, step: Coroutine[Any, Any, None]) -> bool:
        """Run a step unless a stop is requested or the Lease is lost before, and return whether it ended."""
        if self._stopping.is_set():
            step.close()
            return False
        task = asyncio.create_task(step)
        stopped = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({task, stopped, *self._renewing}, return_when=asyncio.FIRST_COMPLETED)
        done = task.done() and not any(renewing.done() for renewing in self._renewing)
        await _cancel(stopped, *(() if task.done() else (task,)))
        if done:
            task.result()
        return done

    def _signs(self) -> health.Signs:
        engine, period = self._engine, self._settings.resync_seconds
        if engine is None or engine.resync.last is None:
            return health.Signs(False, (), 0.0, None, period, self._waiting_for, self._is_standby)
        return health.Signs(
            synced=True,
            stale_watches=tuple(engine.cache.stale_kinds(health.WATCH_STALE_SECONDS)),
            oldest_waiting=engine.queue.oldest_seconds(),
            since_resync=time.monotonic() - engine.resync.last,
            resync_period=period,
            waiting_for=self._waiting_for,
            is_standby=self._is_standby,
        )

    def _page(self) -> bytes:
        if self._engine is None:
            return metrics.page()
        metrics.observe_queue(self._engine.queue)
        return metrics.page([metrics.WorldCollector(self._engine.world)])

    def _references(self) -> References:
        return in_use(self._built.world)


def now() -> datetime:
    """Return the current time, in UTC."""
    return datetime.now(UTC)


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
