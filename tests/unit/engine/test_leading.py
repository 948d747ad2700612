"""What a leader does before it works: it keeps its Lease, however long the first look takes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from aiohttp import web

from tidemill import app, plan
from tidemill.api import KINDS
from tidemill.children.installation import Installation
from tidemill.engine.connection import connect
from tidemill.engine.settings import Settings


class SlowServer:
    """An API server with nothing in it, whose lists take until a Lease has been renewed twice."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.renewals = 0
        self.listed = asyncio.Event()
        self.renewed_twice = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        if request.path.endswith("/tidemill.dev/v1alpha1"):
            return web.json_response({"resources": [{"name": kind.plural} for kind in KINDS]})
        if "/leases" in request.path:
            return await self._lease(request)
        await self.renewed_twice.wait()
        self.listed.set()
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": []})

    async def _lease(self, request: web.Request) -> web.Response:
        if request.method == "GET" and self.lease is None:
            return web.json_response({"message": "there is none"}, status=404)
        if request.method != "GET":
            self.renewals += request.method == "PUT"
            self.lease = await request.json()
            self.lease["metadata"]["resourceVersion"] = str(self.renewals + 1)
            if self.renewals >= 2:
                self.renewed_twice.set()
        return web.json_response(self.lease)


async def test_a_leader_renews_its_lease_while_it_looks_around(tmp_path: Path) -> None:
    server = SlowServer()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    settings = Settings(
        installation=Installation(workload_image="workload:1", server_image="server:1"),
        metrics_address="127.0.0.1:0",
        leader_elect=True,
    )
    config = tmp_path / "kubeconfig"
    cluster = {"name": "it", "cluster": {"server": f"http://127.0.0.1:{runner.addresses[0][1]}"}}
    context = {"name": "it", "context": {"cluster": "it", "user": "it"}}
    user = {"name": "it", "user": {}}
    config.write_text(
        json.dumps({"current-context": "it", "clusters": [cluster], "contexts": [context], "users": [user]})
    )
    living = asyncio.create_task(app.operate(settings, plan, connect(str(config))))
    try:
        async with asyncio.timeout(30):
            await server.listed.wait()
    finally:
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
        await runner.cleanup()

    assert 2 <= server.renewals
