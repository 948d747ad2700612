"""The serving pods of one namespace, as far as the operator asks them: what they measured of the candidate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from chaos.kubelet import Script
from chaos.mirror import Mirror
from tidemill.children import names
from tidemill.contract import MEASUREMENTS_ROUTE, SERVING_PORT, Measurements, Routes


@asynccontextmanager
async def serving(mirror: Mirror, namespace: str, script: Script) -> AsyncIterator[None]:
    """Answer at the address of the namespace's pods; like them, only about a candidate that the routing table names."""

    async def measurements(request: web.Request) -> web.Response:
        for pod in mirror.all(namespace, "Pod"):
            routes = Routes.model_validate_json((pod["metadata"].get("annotations") or {}).get(names.ROUTES, "{}"))
            if routes.candidate is not None:
                for said in script.measurements(routes.candidate.name):
                    return web.json_response(text=said.model_dump_json(by_alias=True))
        return web.json_response(text=Measurements().model_dump_json(by_alias=True))

    app = web.Application()
    app.router.add_get(MEASUREMENTS_ROUTE, measurements)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, script.address, SERVING_PORT).start()
        yield
    finally:
        await runner.cleanup()
