"""The serving pods of one namespace, as far as the operator asks them: what they measured of the candidate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from chaos.kubelet import Script
from chaos.mirror import Mirror
from tidemill.children import names
from tidemill.contract import MEASUREMENTS_ROUTE, SERVING_PORT, Measurements, Routes


class Serving:
    """Answers at the address of the namespace's pods; like them, only about a candidate that the routing table names."""

    def __init__(self, mirror: Mirror, namespace: str, script: Script) -> None:
        self._mirror = mirror
        self._namespace = namespace
        self._script = script
        self._mute_until = 0.0

    def mute(self, seconds: float) -> None:
        """Nobody gets an answer for so long."""
        self._mute_until = time.monotonic() + seconds

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_get(MEASUREMENTS_ROUTE, self._measurements)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._script.address, SERVING_PORT).start()
            yield
        finally:
            await runner.cleanup()

    async def _measurements(self, request: web.Request) -> web.Response:
        if (left := self._mute_until - time.monotonic()) > 0:
            await asyncio.sleep(left)
        for pod in self._mirror.all(self._namespace, "Pod"):
            routes = Routes.model_validate_json((pod["metadata"].get("annotations") or {}).get(names.ROUTES, "{}"))
            if routes.candidate is not None:
                for said in self._script.measurements(routes.candidate.name):
                    return web.json_response(text=said.model_dump_json(by_alias=True))
        return web.json_response(text=Measurements().model_dump_json(by_alias=True))
