"""Judge whether the process still works, and serve that verdict and the metrics over HTTP."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from tidemill.contract.references import REFERENCES_ROUTE, References

WATCH_STALE_SECONDS = 180.0
QUEUE_STALE_SECONDS = 300.0
RESYNC_PERIODS = 3
REFERENCES_SECONDS = 30.0
"""Seconds for which an answer about what is in use is given again."""


@dataclass(frozen=True, slots=True)
class Signs:
    """The facts that health is judged by; times in seconds."""

    synced: bool
    """True once all objects have been listed once."""
    stale_watches: tuple[str, ...]
    """Kinds whose watch has not delivered a known change for too long."""
    oldest_waiting: float
    """Time that the oldest object in the queue has waited."""
    since_resync: float | None
    """Time since the newest resync; None before the first one."""
    resync_period: float
    waiting_for: str = ""
    """The thing that the process waits for before it can begin."""
    is_standby: bool = False
    """Whether another process is the leader; standing by counts as ready."""


def failures(signs: Signs) -> list[str]:
    """Return why the process should be restarted; nothing while it waits for the Lease or for its kinds."""
    messages = [
        f"the watch of {kind} has not delivered a change for {WATCH_STALE_SECONDS:.0f} s"
        for kind in signs.stale_watches
    ]
    if signs.oldest_waiting > QUEUE_STALE_SECONDS:
        messages.append(f"an object has waited to be reconciled for {signs.oldest_waiting:.0f} s")
    if signs.since_resync is not None and signs.since_resync > RESYNC_PERIODS * signs.resync_period:
        messages.append(f"the last resync was {signs.since_resync:.0f} s ago")
    return messages


def unready(signs: Signs) -> list[str]:
    """Return why the process does not act yet."""
    if signs.waiting_for:
        return [signs.waiting_for]
    return [] if signs.synced or signs.is_standby else ["the first list of all objects has not ended yet"]


def incomplete(signs: Signs) -> list[str]:
    """Return why the view of the cluster is not complete: what is not seen there must not pass for deleted."""
    if signs.is_standby:
        return ["another process is the leader; ask that one"]
    return unready(signs) or failures(signs)


class HealthServer:
    """Serve `/metrics`, `/healthz`, `/readyz` and `/references`."""

    def __init__(
        self, signs: Callable[[], Signs], page: Callable[[], bytes], references: Callable[[], References]
    ) -> None:
        self._signs = signs
        self._page = page
        self._references = references
        self._answer: tuple[float, bytes] = (-math.inf, b"")
        self._answering = asyncio.Lock()
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port, which is a free one if 0 was given."""
        application = web.Application()
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/healthz", self._healthy)
        application.router.add_get("/readyz", self._ready)
        application.router.add_get(REFERENCES_ROUTE, self._used)
        self._runner = web.AppRunner(application, handle_signals=False, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=self._page(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _healthy(self, request: web.Request) -> web.Response:
        return _verdict(failures(self._signs()))

    async def _ready(self, request: web.Request) -> web.Response:
        return _verdict(unready(self._signs()))

    async def _used(self, request: web.Request) -> web.Response:
        """Answer with what is in use, once in half a minute: it takes a look at every object."""
        problems = incomplete(self._signs())
        if problems:
            return _verdict(problems)
        async with self._answering:
            if time.monotonic() - self._answer[0] > REFERENCES_SECONDS:
                references = await asyncio.to_thread(self._references)
                self._answer = time.monotonic(), references.model_dump_json().encode()
        return web.Response(body=self._answer[1], content_type="application/json")


def _verdict(messages: list[str]) -> web.Response:
    return web.Response(text="\n".join(messages or ["ok"]) + "\n", status=503 if messages else 200)
