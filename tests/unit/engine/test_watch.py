"""How one kind is listed and watched, against an HTTP server that plays the API server's part by a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from tidemill.engine import watch as watching
from tidemill.engine.client import Client, lines
from tidemill.engine.kinds import BY_KIND
from tidemill.engine.rate_limit import RateLimiter
from tidemill.engine.watch import Watch

JOBS = BY_KIND["Job"]
Script = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


def job(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "science", "resourceVersion": str(version)}}


def event(change: str, **thing: Any) -> dict[str, Any]:
    return {"type": change, "object": thing}


class Server:
    """Answers lists with what it is given, and each watch with the next script."""

    def __init__(self) -> None:
        self.pages: list[Any] = [{"metadata": {"resourceVersion": "10"}, "items": [job("a", 3)]}]
        self.scripts: list[Script] = []
        self.lists = 0
        self.watches: list[dict[str, str]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            page = self.pages[min(self.lists, len(self.pages) - 1)]
            self.lists += 1
            return web.json_response(page) if isinstance(page, dict) else web.Response(status=page)
        self.watches.append(dict(request.query))
        script = self.scripts.pop(0) if self.scripts else silent
        if isinstance(script, int):
            return web.json_response({"message": "no"}, status=script)
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            await script(request, response)
        return response


async def silent(request: web.Request, response: web.StreamResponse) -> None:
    await asyncio.sleep(30)


def sends(*events: Any, cut: bool = False) -> Script:
    async def script(request: web.Request, response: web.StreamResponse) -> None:
        for event in events:
            await response.write(event if isinstance(event, bytes) else json.dumps(event).encode() + b"\n")
        if cut:
            assert request.transport is not None
            request.transport.abort()

    return script


class Seen:
    """What the watch has told."""

    def __init__(self) -> None:
        self.announced: list[Any] = []
        self.pauses: list[float] = []

    def deliver(self, change: str | None, manifest: dict[str, Any]) -> None:
        if manifest["metadata"]["name"] == "broken":
            raise ValueError("this one cannot be taken in")
        assert ("batch/v1", "Job") == (manifest["apiVersion"], manifest["kind"]), "a list does not repeat them"
        self.announced.append((change, manifest["metadata"]["name"]))

    def listed(self) -> None:
        self.announced.append("listed")

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[Seen]:
    app = web.Application()
    app.router.add_get("/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    seen, port = Seen(), runner.addresses[0][1]
    async with aiohttp.ClientSession(base_url=f"http://127.0.0.1:{port}") as session:
        client = Client(session, RateLimiter(1000, 1000, asyncio.get_running_loop().time))
        made = Watch(client, JOBS, None, deliver=seen.deliver, listed=seen.listed, jitter=lambda: 0.5, sleep=seen.sleep)
        task = asyncio.create_task(made.run())
        try:
            yield seen
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await runner.cleanup()


async def until(happens: Callable[[], Any]) -> None:
    for _ in range(4000):
        if happens():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen")


async def test_what_is_there_is_listed_and_changes_follow_from_the_version_of_the_list() -> None:
    server = Server()
    server.pages = [
        {"metadata": {"resourceVersion": "10", "continue": "c"}, "items": [job("a", 3)]},
        {"metadata": {"resourceVersion": "10"}, "items": [job("b", 4)]},
    ]
    server.scripts = [sends(event("ADDED", **job("c", 11)), event("DELETED", **job("a", 12)))]

    async with running(server) as seen:
        await until(lambda: len(server.watches) == 2)

    assert [(None, "a"), (None, "b"), "listed", ("ADDED", "c"), ("DELETED", "a")] == seen.announced
    first, second = server.watches
    assert ("10", "12") == (first["resourceVersion"], second["resourceVersion"])
    assert ("true", JOBS.selector) == (first["allowWatchBookmarks"], first["labelSelector"])
    assert "sendInitialEvents" not in first


async def test_a_bookmark_moves_the_version_and_is_no_event() -> None:
    server = Server()
    server.scripts = [sends(event("BOOKMARK", metadata={"resourceVersion": "99"}))]

    async with running(server) as seen:
        await until(lambda: len(server.watches) == 2)

    assert [(None, "a"), "listed"] == seen.announced
    assert "99" == server.watches[1]["resourceVersion"]


@pytest.mark.parametrize(
    "script", [410, sends(event("ERROR", code=410, message="too old resource version"))], ids=["answer", "event"]
)
async def test_a_version_that_is_too_old_is_followed_by_a_list(script: Any) -> None:
    server = Server()
    server.scripts = [script]

    async with running(server) as seen:
        await until(lambda: len(server.watches) == 2)

    assert 2 == server.lists
    assert 2 == seen.announced.count("listed")


BROKEN: dict[str, Any] = {
    "a connection that is cut": sends(event("ADDED", **job("c", 11)), cut=True),
    "a server error": 503,
    "too many requests": 429,
    "a line that is not JSON": sends(event("ADDED", **job("c", 11)), b"<html>\n"),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_watch_that_fails_goes_on_from_the_newest_version(case: str) -> None:
    server = Server()
    server.scripts = [BROKEN[case], sends(event("MODIFIED", **job("a", 13)))]

    async with running(server) as seen:
        await until(lambda: ("MODIFIED", "a") in seen.announced)

    assert 1 == server.lists
    assert ("11" if ("ADDED", "c") in seen.announced else "10") == server.watches[1]["resourceVersion"]
    assert seen.pauses[0] >= 0.9


@pytest.mark.parametrize(
    "script",
    [403, 404, sends(event("ERROR", code=500, message="etcd")), sends({"type": "ERROR"})],
    ids=["forbidden", "not found", "an error", "an error without a status"],
)
async def test_after_any_other_refusal_everything_is_listed_again(script: Any) -> None:
    server = Server()
    server.scripts = [script]

    async with running(server) as seen:
        await until(lambda: len(server.watches) == 2)

    assert server.lists >= 1
    assert seen.pauses


async def test_pauses_grow_and_a_version_that_never_works_is_given_up() -> None:
    server = Server()
    server.scripts = [504] * watching.MAX_FAILURES

    async with running(server) as seen:
        await until(lambda: server.lists == 2)

    assert [1.0, 2.0, 4.0, 8.0, 16.0] == seen.pauses[:5]


async def test_a_list_that_fails_or_expires_is_begun_again() -> None:
    server = Server()
    good = server.pages[0]
    server.pages = [500, {"metadata": {"resourceVersion": "9", "continue": "c"}, "items": []}, 410, good]

    async with running(server) as seen:
        await until(lambda: server.watches)

    assert [(None, "a"), "listed"] == seen.announced
    assert "10" == server.watches[0]["resourceVersion"]


async def test_a_silent_watch_is_begun_again_without_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "INACTIVITY_SECONDS", 0.2)
    server = Server()
    server.scripts = [silent]

    async with running(server):
        await until(lambda: len(server.watches) == 2)

    assert 1 == server.lists


async def test_an_event_that_cannot_be_taken_in_does_not_end_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    server = Server()
    server.scripts = [sends(event("ADDED", **job("broken", 11)), event("ADDED", **job("last", 12)))]

    async with running(server) as seen:
        await until(lambda: ("ADDED", "last") in seen.announced)

    assert "the next resync corrects it" in caplog.text


async def test_a_change_of_an_unknown_type_is_logged_and_left_out(caplog: pytest.LogCaptureFixture) -> None:
    server = Server()
    server.scripts = [sends(event("RENAMED", **job("c", 11)), event("ADDED", **job("last", 12)))]

    async with running(server) as seen:
        await until(lambda: ("ADDED", "last") in seen.announced)

    assert [(None, "a"), "listed", ("ADDED", "last")] == seen.announced
    assert "unknown watch event 'RENAMED'" in caplog.text


@given(st.lists(st.binary(max_size=8).filter(lambda line: b"\n" not in line)), st.lists(st.integers(1, 9)))
async def test_lines_are_the_same_however_the_stream_is_cut(texts: list[bytes], sizes: list[int]) -> None:
    stream = b"".join(text + b"\n" for text in texts) + b"cut off"

    async def chunks() -> AsyncIterator[bytes]:
        start = 0
        for size in sizes:
            yield stream[start : start + size]
            start += size
        yield stream[start:]

    assert [text for text in texts if text.strip()] == [line async for line in lines(chunks())]
