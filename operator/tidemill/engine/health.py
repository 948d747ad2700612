"""Whether the process still does what it is for: a list of signs of illness, and a small server that tells them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

WATCH_STALE_SECONDS = 180.0
QUEUE_STALE_SECONDS = 300.0
RESYNC_PERIODS = 3


@dataclass(frozen=True, slots=True)
class Signs:
    """What health is judged by; times in seconds."""

    synced: bool
    """Whether everything has been listed once."""
    stale_watches: tuple[str, ...]
    """Kinds whose watch has owed a change for too long."""
    oldest_waiting: float
    """How long the object that waits longest has waited."""
    since_resync: float | None
    """Time since the newest full look; None before the first one."""
    resync_period: float
    waits_for: str = ""
    """What has to happen before work can begin."""
    stands_by: bool = False
    """Whether another process leads; standing by is being ready."""


def illnesses(signs: Signs) -> list[str]:
    """Why the process should be restarted; nothing while it waits for its turn or for its kinds."""
    found = [
        f"the watch of {kind} has not delivered a change for {WATCH_STALE_SECONDS:.0f} s"
        for kind in signs.stale_watches
    ]
    if signs.oldest_waiting > QUEUE_STALE_SECONDS:
        found.append(f"an object has waited for a visit for {signs.oldest_waiting:.0f} s")
    if signs.since_resync is not None and signs.since_resync > RESYNC_PERIODS * signs.resync_period:
        found.append(f"the last full look was {signs.since_resync:.0f} s ago")
    return found


def unready(signs: Signs) -> list[str]:
    """Why the process does not act yet."""
    if signs.waits_for:
        return [signs.waits_for]
    return [] if signs.synced or signs.stands_by else ["not everything has been listed yet"]


class HealthServer:
    """`/metrics`, `/healthz` and `/readyz` on a port of their own."""

    def __init__(self, signs: Callable[[], Signs], page: Callable[[], bytes]) -> None:
        self._signs = signs
        self._page = page
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; answers with the port, which is a free one where 0 was asked for."""
        application = web.Application()
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/healthz", self._healthy)
        application.router.add_get("/readyz", self._ready)
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
        return _verdict(illnesses(self._signs()))

    async def _ready(self, request: web.Request) -> web.Response:
        return _verdict(unready(self._signs()))


def _verdict(complaints: list[str]) -> web.Response:
    return web.Response(text="\n".join(complaints or ["ok"]) + "\n", status=503 if complaints else 200)
