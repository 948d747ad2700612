"""The composition root: every part of the operator is made here, and handed to those that need it."""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import time
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import uvloop

from tidemill.engine import errors, health, kopf_watch, logs, metrics
from tidemill.engine.apply import Applier
from tidemill.engine.cache import ClusterCache
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
from tidemill.engine.workqueue import WorkQueue
from tidemill.plan.world import Key, World

log = logging.getLogger(__name__)

CONNECTIONS = 32
SHUTDOWN_TIMEOUT_SECONDS = 10.0
"""Seconds that visits under way get to end after the process was told to stop."""


def run(settings: Settings, planner: Planner | None = None) -> int:
    """Run the operator until it is told to stop; answers with the process's exit code."""
    logs.configure(settings.log_level, settings.log_format)
    if planner is None:
        from tidemill import plan

        planner = plan
    connection = connect(settings.kubeconfig or None)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(operate(settings, planner, connection))


async def operate(settings: Settings, planner: Planner, connection: Connection) -> int:
    """Everything there is in one process, from the first connection to the last visit."""
    async with connection.session(connections=CONNECTIONS) as api, aiohttp.ClientSession() as outside:
        return await Operator(settings, planner, connection, api, outside).run()


class Operator:
    """One process of the operator and its life: wait for the kinds, lead, look around, work, stop."""

    def __init__(
        self,
        settings: Settings,
        planner: Planner,
        connection: Connection,
        api: aiohttp.ClientSession,
        outside: aiohttp.ClientSession,
    ) -> None:
        clock = time.monotonic
        self._settings = settings
        self._connection = connection
        self._client = Client(api, RateLimiter(settings.requests_per_second, settings.burst, clock))
        self._world = World()
        self._store = ClusterCache(self._world, planner.dependents, clock)
        self._queue: WorkQueue[Key] = WorkQueue(clock, random.random)
        self._controller = Controller(
            planner,
            settings.installation,
            self._store,
            Applier(self._client, self._store, self._nudge),
            self._queue,
            Recorder(self._client, now, settings.identity),
            Inputs(now, Pods(outside, Prometheus(outside, settings.prometheus))),
        )
        self._resync = Resync(
            self._client,
            self._store,
            lambda keys, urgent: self._controller.nudge(keys, urgent=urgent),
            namespaces=settings.namespaces,
            chance=random.random,
            clock=clock,
            period=settings.resync_seconds,
        )
        self._lease = Lease(
            self._client,
            namespace=settings.namespace,
            name="tidemill",
            identity=settings.identity,
            now=now,
            clock=clock,
        )
        self._server = health.HealthServer(self._signs, self._page)
        self._kinds: Sequence[Watched] = WATCHED
        self._told = asyncio.Event()
        self._keeping: tuple[asyncio.Task[None], ...] = ()
        self._waits_for = "the process is starting"
        self._stands_by = False

    async def run(self) -> int:
        """Live; 0 when told to stop, 1 when the process should be started afresh."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told.set)
        port = await self._server.start(self._settings.metrics_host, self._settings.metrics_port)
        log.info("metrics and probes on port %d", port)
        try:
            for step in (
                self._wait_for_kinds(),
                self._look_for_gateways(),
                self._wait_for_turn(),
                self._look_around(),
            ):
                if not await self._unless_interrupted(step):
                    return 0 if self._told.is_set() else 1
            return await self._work()
        finally:
            await _cancel(*self._keeping)
            await self._server.stop()
            await self._lease.release()

    async def _wait_for_kinds(self) -> None:
        ours = {watched.plural: watched for watched in WATCHED if watched.ours}
        root = next(iter(ours.values()))
        missing = sorted(ours)
        while True:
            try:
                served = await self._client.get(f"/apis/{root.group}/{root.version}", "look up which kinds are served")
                missing = sorted(ours.keys() - {one.get("name") for one in served.get("resources") or ()})
            except errors.Missing:
                missing = sorted(ours)
            except errors.OperatorError as problem:
                log.warning("%s", problem)
            if not missing:
                self._waits_for = ""
                return
            waits_for = (
                f"the API server does not serve {', '.join(missing)} of {root.group} yet; apply the folder crds/"
            )
            if waits_for != self._waits_for:
                log.warning("%s", waits_for)
            self._waits_for = waits_for
            await asyncio.sleep(2.0)

    async def _look_for_gateways(self) -> None:
        """HTTPRoutes are watched where they are asked for and served; where they are not served, services say so."""
        if not self._settings.gateway_api:
            return
        [route] = GATEWAY
        try:
            served = await self._client.get(f"/apis/{route.api_version}", "look up whether HTTPRoutes are served")
            there = route.plural in {one.get("name") for one in served.get("resources") or ()}
        except errors.Missing:
            there = False
        if there:
            self._kinds = (*WATCHED, route)
            self._resync.kinds = self._kinds
        else:
            log.warning(
                "the API server serves no HTTPRoutes; services whose traffic.provider is GatewayAPI will say so"
            )
        self._controller.installation = replace(self._settings.installation, gateway="On" if there else "Absent")

    async def _wait_for_turn(self) -> None:
        if self._settings.leader_elect:
            self._stands_by = True
            metrics.LEADER.set(0)
            await self._lease.acquire()
            # From now on: the first look may take longer than a Lease lasts.
            self._keeping = (asyncio.create_task(self._lease.keep(), name="lease"),)
            self._stands_by = False
        metrics.LEADER.set(1)

    async def _look_around(self) -> None:
        while True:
            try:
                await self._resync.look(first=True)
                return
            except errors.OperatorError as problem:
                log.warning("the first look failed: %s; again in 5 s", problem)
                await asyncio.sleep(5.0)

    async def _work(self) -> int:
        workers = [
            asyncio.create_task(self._controller.work(), name=f"worker {n}") for n in range(self._settings.workers)
        ]
        others: list[asyncio.Task[Any]] = [asyncio.create_task(self._resync.keep_looking(), name="resync")]
        others += self._keeping
        others.append(asyncio.create_task(self._told.wait(), name="told to stop"))
        enough = asyncio.Event()
        registry = kopf_watch.register(self._store, self._controller.nudge, self._connection, self._kinds)
        watch = asyncio.create_task(
            kopf_watch.run(
                registry,
                namespaces=self._settings.namespaces,
                stop=enough,
                on_signal=self._told.set,
                listed=self._resync.hasten,
            ),
            name="watch",
        )
        await asyncio.wait({watch, *workers, *others}, return_when=asyncio.FIRST_COMPLETED)
        # Whoever ended first ended it for all. Without the Lease not even what was begun may be finished.
        lost = any(task.done() and task.get_name() == "lease" for task in others)
        self._controller.stop()
        _, unfinished = await asyncio.wait(workers, timeout=0 if lost else SHUTDOWN_TIMEOUT_SECONDS)
        await _cancel(*unfinished, *others)
        await self._server.stop()
        enough.set()
        await asyncio.wait({watch})
        return self._verdict([watch, *workers, *others])

    def _verdict(self, tasks: list[asyncio.Task[Any]]) -> int:
        for task in tasks:
            if not task.cancelled() and (failure := task.exception()):
                log.error("%s ended: %r", task.get_name(), failure, exc_info=failure)
        if self._told.is_set():
            log.info("told to stop, and stopped")
            return 0
        return 1

    async def _unless_interrupted(self, step: Coroutine[Any, Any, None]) -> bool:
        """Take a step, unless the process is told to stop or loses its Lease before; answers whether it was done."""
        if self._told.is_set():
            step.close()
            return False
        task = asyncio.create_task(step)
        told = asyncio.create_task(self._told.wait())
        await asyncio.wait({task, told, *self._keeping}, return_when=asyncio.FIRST_COMPLETED)
        done = task.done() and not any(keeping.done() for keeping in self._keeping)
        await _cancel(told, *(() if task.done() else (task,)))
        if done:
            task.result()
        return done

    def _nudge(self, keys: set[Key]) -> None:
        self._controller.nudge(keys)

    def _signs(self) -> health.Signs:
        last = self._resync.last
        return health.Signs(
            synced=last is not None,
            stale_watches=tuple(self._store.stale_kinds(health.WATCH_STALE_SECONDS)),
            oldest_waiting=self._queue.oldest_seconds() if last is not None else 0.0,
            since_resync=None if last is None else time.monotonic() - last,
            resync_period=self._settings.resync_seconds,
            waits_for=self._waits_for,
            stands_by=self._stands_by,
        )

    def _page(self) -> bytes:
        metrics.observe_queue(self._queue)
        return metrics.page([metrics.WorldCollector(self._world)])


def now() -> datetime:
    """This moment."""
    return datetime.now(UTC)


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
