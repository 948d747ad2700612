"""Stands between the operator and the API server, numbers every request, and lets it go wrong where the plan says so."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from yarl import URL

from chaos.frames import Frames
from chaos.mirror import FOR_EVER
from chaos.plans import SILENCE, WRITES, Fault

CARRIED = ("User-Agent", "Accept", "Content-Type")
LATENCY = 0.3
LOSS = 0.05
_SILENT = logging.Logger("silent", logging.CRITICAL + 1)
_VERSION = re.compile(rb'"resourceVersion":"(\d+)"')


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


@dataclass
class Powers:
    """What a fault can do beyond the proxy."""

    kill: Callable[[], None] = lambda: None
    """SIGKILL to the operator behind this proxy."""
    outage: Callable[[str], None] = lambda server: None  # noqa: ARG005
    """Kill a server of the control plane, and let it come back."""
    mute: Callable[[float], None] = lambda seconds: None  # noqa: ARG005
    """The serving pods do not answer for so long."""


@dataclass
class SeenRequest:
    """What came by."""

    requests: Counter[str] = field(default_factory=Counter)
    """How many requests of each name."""
    refused: list[tuple[float, str]] = field(default_factory=list)
    """When a request for one object was not answered with what it asked for."""
    idle: list[str] = field(default_factory=list)
    """Writes that were answered with the version that the object had before: they said nothing new."""


class Proxy:
    """Forwards requests; its faults strike by number, counted over all lives of the operator."""

    def __init__(self, upstream: aiohttp.ClientSession, faults: Sequence[Fault], powers: Powers) -> None:
        self._upstream = upstream
        self._faults = faults
        self._powers = powers
        self._frames = Frames()
        self._spells: list[tuple[Fault, float]] = []
        self._watches: dict[int, web.Request] = {}
        self._versions: dict[str, str] = {}
        self._at_write: dict[int, str] = {}
        self._old: tuple[str, float] = ("", 0.0)
        self._forgotten: set[str] = set()
        self._rng = random.Random(len(faults))
        self.writes: list[Write] = []
        self.struck: list[Fault] = []
        self.struck_at = 0.0
        self.seen = SeenRequest()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        name = request_name(request)
        self.seen.requests[name] += 1
        is_write = name.partition(" ")[0] in WRITES
        fault = self._struck_by(name, len(self.writes) + 1)
        if is_write and not name.endswith(" leases"):
            self.writes.append(Write(len(self.writes) + 1, request.method, request.path, str(fault or "")))
        if (spoilt := await self._spell(request, name)) is not None:
            return spoilt
        if fault is not None:
            self.struck.append(fault)
            self.struck_at = time.monotonic()
            answer = await self._go_wrong(request, fault)
            if answer is not None:
                return answer
        if name.startswith("watch "):
            return await self._watch(request, name)
        return await self._forward(request, listed=name.startswith("list "))

    def _struck_by(self, name: str, number: int) -> Fault | None:
        for fault in self._faults:
            if not fault.concerns(name) or name.endswith(" leases"):
                continue
            at = number
            if fault.request:
                at = sum(count for other, count in self.seen.requests.items() if fault.concerns(other))
            # What lasts begins once; what strikes single requests strikes by its number.
            if fault.strikes(at) and not (fault.seconds and fault in self.struck):
                return fault
        return None

    async def _spell(self, request: web.Request, name: str) -> web.StreamResponse | None:
        """What a fault that lasts does to a request that comes by; None lets it pass."""
        now = time.monotonic()
        for fault, until in self._spells:
            if now > until:
                continue
            match fault.deed:
                case "Partition":
                    return _cut(request)
                case "Unelect" if name.endswith(" leases"):
                    return _cut(request)
                case "Slow":
                    await asyncio.sleep(LATENCY)
                    if self._rng.random() < LOSS:
                        return _cut(request)
                case "Answer" if fault.concerns(name):
                    self._note_refusal(request)
                    return _refusal(fault.code)
                case "Forget" if name.startswith("watch "):
                    return _cut(request)
        return None

    async def _go_wrong(self, request: web.Request, fault: Fault) -> web.StreamResponse | None:
        """Let the fault happen; None where the request goes on as if nothing had."""
        if fault.deed == "Kill" and not fault.committed:
            self._powers.kill()
            return web.Response(status=503)
        answer = await self._forward(request) if fault.committed else None
        if fault.seconds:
            self._spells.append((fault, time.monotonic() + fault.seconds))
        match fault.deed:
            case "Kill":
                self._powers.kill()
            case "Answer":
                self._note_refusal(request)
                return _refusal(fault.code)
            case "Silence":
                await asyncio.sleep(SILENCE)
                return _cut(request)
            case "Reset":
                return _cut(request)
            case "CutWatches":
                self._cut_watches()
            case "Stale":
                self._old = (self._version_at(fault.since), time.monotonic() + fault.seconds)
                self._frames.hold(fault.seconds)
                self._powers.kill()
                return web.Response(status=503)
            case "Lose":
                self._frames.lose(fault.seconds)
            case "Forget":
                self._forgotten = {name for name in self.seen.requests if name.startswith("watch ")}
                self._cut_watches()
            case "Partition":
                self._cut_watches()
                return _cut(request)
            case "Mute":
                self._powers.mute(fault.seconds)
            case "KillApiServer" | "KillEtcd":
                self._powers.outage(fault.deed)
        return answer

    def _version_at(self, write: int) -> str:
        """The newest version of anything that the API server had told us when this write came by."""
        return next((self._at_write[n] for n in range(write, 0, -1) if n in self._at_write), "")

    def _note_refusal(self, request: web.Request) -> None:
        self.seen.refused.append((time.monotonic(), request.path))

    def _cut_watches(self) -> None:
        for watch in list(self._watches.values()):
            _cut(watch)

    async def _forward(self, request: web.Request, *, listed: bool = False) -> web.Response:
        number = len(self.writes)
        body = await request.read()
        path = self._as_of_old(request) if listed else request.path_qs
        try:
            async with self._upstream.request(
                request.method, URL(path, encoded=True), data=body or None, headers=_carried(request)
            ) as answer:
                text = await answer.read()
                if request.method != "GET" and answer.status < 300:
                    self._note(request, number, text)
                elif answer.status >= 400:
                    self._note_refusal(request)
                return web.Response(status=answer.status, body=text, content_type=answer.content_type)
        except (aiohttp.ClientError, TimeoutError, ConnectionError):
            self._note_refusal(request)
            return _cut(request)

    def _note(self, request: web.Request, number: int, text: bytes) -> None:
        match = _VERSION.search(text)
        if match is None or request.method == "DELETE":
            return
        version, path = match[1].decode(), request.path.removesuffix("/status")
        if self._versions.get(path) == version:
            self.seen.idle.append(f"{request.method} {request.path}")
        self._versions[path] = version
        self._at_write[number] = version

    def _as_of_old(self, request: web.Request) -> str:
        version, until = self._old
        if not version or time.monotonic() > until or "continue" in request.query:
            return request.path_qs
        return f"{request.path_qs}&resourceVersion={version}&resourceVersionMatch=Exact"

    async def _watch(self, request: web.Request, name: str) -> web.StreamResponse:
        path = request.path_qs
        if name in self._forgotten:
            # Older than anything that the API server remembers: it answers with 410 itself.
            self._forgotten.discard(name)
            path = re.sub(r"resourceVersion=\d+", "resourceVersion=1", path)
        stream = web.StreamResponse(headers={"Content-Type": "application/json"})
        self._watches[id(request)] = request
        try:
            async with self._upstream.get(
                URL(path, encoded=True), headers=_carried(request), timeout=FOR_EVER
            ) as answer:
                stream.set_status(answer.status)
                await stream.prepare(request)
                async for chunk in self._frames.passed(answer.content):
                    await stream.write(chunk)
        except (ConnectionError, aiohttp.ClientError):
            _cut(request)
        finally:
            self._watches.pop(id(request), None)
        return stream


def request_name(request: web.Request) -> str:
    """What a request does, to which resource: `list pods`, `apply jobs`, `patch datasets/status`."""
    parts = request.path.strip("/").split("/")
    parts = parts[2 if parts[0] == "api" else 3 :]
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        parts = parts[2:]
    resource, name, subresource = [*parts, "", "", ""][:3]
    verb = {"POST": "create", "PUT": "update", "DELETE": "delete", "PATCH": "patch"}.get(request.method, "get")
    if verb == "get" and not name:
        verb = "watch" if "watch" in request.query else "list" if resource else "get"
    if verb == "patch" and "apply" in request.headers.get("Content-Type", ""):
        verb = "apply"
    return f"{verb} {resource}" + (f"/{subresource}" if subresource else "")


def _carried(request: web.Request) -> dict[str, str]:
    return {name: request.headers[name] for name in CARRIED if name in request.headers}


def _refusal(code: int) -> web.Response:
    reasons = {
        403: "Forbidden",
        409: "Conflict",
        429: "TooManyRequests",
        500: "InternalError",
        503: "ServiceUnavailable",
        504: "Timeout",
    }
    status = {"kind": "Status", "status": "Failure", "code": code, "reason": reasons[code], "message": "on purpose"}
    return web.json_response(status, status=code, headers={"Retry-After": "1"} if code == 429 else None)


def _cut(request: web.Request) -> web.Response:
    """End the connection without an answer; what is returned never arrives."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)


@asynccontextmanager
async def listening(proxy: Proxy) -> AsyncIterator[str]:
    """The proxy at work; yields its URL."""
    app = web.Application(client_max_size=16 << 20)
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    # Connections are cut while they are answered, which is what aiohttp would complain of.
    runner = web.AppRunner(app, access_log=None, logger=_SILENT, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
