"""Stands between the operator and the API server, numbers every write, and lets it go wrong where the plan says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from chaos.mirror import FOR_EVER
from chaos.plans import SILENCE, Fault

CARRIED = ("User-Agent", "Accept", "Content-Type")


@dataclass(frozen=True, slots=True)
class Write:
    """One write request as it came by."""

    number: int
    method: str
    path: str
    struck: str = ""
    """The fault that it met."""

    def __str__(self) -> str:
        return f"{self.number}: {self.method} {self.path}" + (f" [{self.struck}]" if self.struck else "")


class Proxy:
    """Forwards requests; its faults strike by the number of the write, counted over all lives of the operator."""

    def __init__(self, upstream: aiohttp.ClientSession, faults: Sequence[Fault], kill: Callable[[], None]) -> None:
        self._upstream = upstream
        self._faults = faults
        self._kill = kill
        self._watches: dict[int, web.Request] = {}
        self.writes: list[Write] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return await (self._watch(request) if "watch" in request.query else self._forward(request))
        number = len(self.writes) + 1
        fault = next((fault for fault in self._faults if fault.strikes(number)), None)
        self.writes.append(Write(number, request.method, request.path, str(fault or "")))
        if fault is None:
            return await self._forward(request)
        if fault.deed == "Kill" and not fault.committed:
            self._kill()
            return web.Response(status=503)
        answer = await self._forward(request) if fault.committed or fault.deed == "CutWatches" else None
        return await self._go_wrong(request, fault, answer)

    async def _go_wrong(self, request: web.Request, fault: Fault, answer: web.Response | None) -> web.Response:
        match fault.deed:
            case "Kill":
                self._kill()
            case "Answer":
                return _refusal(fault.code)
            case "Silence":
                await asyncio.sleep(SILENCE)
                _cut(request)
            case "Reset":
                _cut(request)
            case "CutWatches":
                for watch in list(self._watches.values()):
                    _cut(watch)
        return answer or web.Response(status=503)

    async def _forward(self, request: web.Request) -> web.Response:
        body = await request.read()
        async with self._upstream.request(
            request.method, request.path_qs, data=body or None, headers=_carried(request)
        ) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "application/json"})
        self._watches[id(request)] = request
        try:
            async with self._upstream.get(request.path_qs, headers=_carried(request), timeout=FOR_EVER) as answer:
                stream.set_status(answer.status)
                await stream.prepare(request)
                async for chunk in answer.content.iter_any():
                    await stream.write(chunk)
        except (ConnectionError, aiohttp.ClientError):
            _cut(request)
        finally:
            self._watches.pop(id(request), None)
        return stream


def _carried(request: web.Request) -> dict[str, str]:
    return {name: request.headers[name] for name in CARRIED if name in request.headers}


def _refusal(code: int) -> web.Response:
    reasons = {409: "Conflict", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}
    status = {"kind": "Status", "status": "Failure", "code": code, "reason": reasons[code], "message": "on purpose"}
    return web.json_response(status, status=code, headers={"Retry-After": "1"} if code == 429 else None)


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


@asynccontextmanager
async def listening(proxy: Proxy) -> AsyncIterator[str]:
    """The proxy at work; yields its URL."""
    app = web.Application(client_max_size=16 << 20)
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
