"""The pods of one namespace, as far as the operator asks them: what serving pods measured of the candidate, and what a
monitor's worker finds in a window."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from chaos.kubelet import RUN_SECONDS, Script
from chaos.mirror import Mirror
from tidemill.children import names
from tidemill.contract.orders import CHECKS_ROUTE
from tidemill.contract.serving import MEASUREMENTS_ROUTE, SERVING_PORT, Measurements, Routes


class Serving:
    """Answers at the address of the namespace's pods; like them, only about a candidate that the routing table names."""

    def __init__(self, mirror: Mirror, namespace: str, script: Script) -> None:
        self._mirror = mirror
        self._namespace = namespace
        self._script = script
        self._mute_until = 0.0
        self._run, self._order, self._over_at = "", b"", 0.0
        """The worker's newest run, which ends at a moment; one at a time, like the real one."""
        self.problems: list[str] = []
        """What the worker was asked and should not be asked."""

    def mute(self, seconds: float) -> None:
        """No request is answered for so long."""
        self._mute_until = time.monotonic() + seconds

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_get(MEASUREMENTS_ROUTE, self._measurements)
        app.router.add_post(f"{CHECKS_ROUTE}/{{run}}", self._check)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._script.address, SERVING_PORT).start()
            yield
        finally:
            await runner.cleanup()

    async def _heard(self) -> None:
        if (left := self._mute_until - time.monotonic()) > 0:
            await asyncio.sleep(left)

    async def _check(self, request: web.Request) -> web.Response:
        await self._heard()
        run, order = request.match_info["run"], await request.read()
        if run != self._run:
            if time.monotonic() < self._over_at:
                return web.json_response({"message": f"another run is under way: {self._run}"}, status=409)
            self._run, self._order, self._over_at = run, order, time.monotonic() + RUN_SECONDS
        elif order != self._order:
            self.problems.append(f"O2: {run} was asked for with two orders: {self._order!r} and {order!r}")
        if "Check" in self._script.held or time.monotonic() < self._over_at:
            return web.json_response({"message": f"{run} is under way; ask again"}, status=202)
        return web.json_response(text=self._script.reports["Check"](json.loads(order)).to_message())

    async def _measurements(self, request: web.Request) -> web.Response:
        await self._heard()
        for pod in self._mirror.all(self._namespace, "Pod"):
            routes = Routes.model_validate_json((pod["metadata"].get("annotations") or {}).get(names.ROUTES, "{}"))
            if routes.candidate is not None:
                for measured in self._script.measurements(routes.candidate.name):
                    return web.json_response(text=measured.model_dump_json(by_alias=True))
        return web.json_response(text=Measurements().model_dump_json(by_alias=True))
