"""What is asked of whom, where a server that is none answers; a real Prometheus is asked in the tests of the API server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from tidemill.engine.measurements import Pods
from tidemill.engine.prometheus import MAX_RESPONSE_BYTES, Prometheus
from tidemill.plan.types import Query, Question

BODIES = {
    "html": (200, "<html>"),
    "no object": (200, "[]"),
    "an error": (422, '{"status": "error", "error": "parse error"}'),
    "no data": (200, '{"status": "success"}'),
    "nonsense for a number": (200, '{"status": "success", "data": {"resultType": "scalar", "result": [1, "x"]}}'),
    "a sample that is none": (200, '{"status": "success", "data": {"resultType": "vector", "result": [7]}}'),
    "infinity": (200, '{"status": "success", "data": {"resultType": "scalar", "result": [1, "+Inf"]}}'),
    "an answer without end": (200, " " * (MAX_RESPONSE_BYTES + 1)),
    "a redirect": (302, ""),
}


class Impostor:
    def __init__(self) -> None:
        self.says = (200, "")
        self.asked: list[str] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(await request.text())
        status, body = self.says
        return web.Response(status=status, text=body, headers={"location": f"{self.url}/elsewhere"})


@pytest.fixture
async def impostor() -> AsyncIterator[Impostor]:
    made = Impostor()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


async def test_a_server_that_nobody_allowed_is_not_asked(impostor: Impostor, session: aiohttp.ClientSession) -> None:
    reply = await Prometheus(session, ("http://prometheus:9090",)).ask(Query("m", impostor.url, "vector(1)"))

    assert reply.value is None
    assert "http://prometheus:9090" in reply.problem
    assert [] == impostor.asked


async def test_an_address_that_only_begins_like_an_allowed_one_is_another(
    impostor: Impostor, session: aiohttp.ClientSession
) -> None:
    reply = await Prometheus(session, (impostor.url,)).ask(Query("m", f"{impostor.url}/admin", "vector(1)"))

    assert reply.value is None
    assert [] == impostor.asked


async def test_where_the_installation_names_none_it_is_said_where_to(session: aiohttp.ClientSession) -> None:
    assert "analysis.prometheus" in (await Prometheus(session).ask(Query("m", "", "vector(1)"))).problem


@pytest.mark.parametrize("body", BODIES)
async def test_what_is_no_number_is_no_verdict(impostor: Impostor, session: aiohttp.ClientSession, body: str) -> None:
    impostor.says = BODIES[body]

    reply = await Prometheus(session, (impostor.url,), timeout=30).ask(Query("m", "", "vector(1)"))

    assert reply.value is None
    assert reply.problem
    assert 1 == len(impostor.asked), "a redirect is not followed"


async def test_a_server_that_is_away_is_no_verdict(session: aiohttp.ClientSession) -> None:
    reply = await Prometheus(session, ("http://127.0.0.1:1",)).ask(Query("m", "", "vector(1)"))

    assert "does not answer" in reply.problem


async def test_pods_and_queries_are_asked_together(impostor: Impostor, session: aiohttp.ClientSession) -> None:
    impostor.says = (200, '{"status": "success", "data": {"resultType": "scalar", "result": [1, "0.5"]}}')
    pods = Pods(session, Prometheus(session, (impostor.url,), timeout=30))

    result = await pods.answer(Question(("http://127.0.0.1:1/measurements",), (Query("m", "", "vector(0.5)"),)))

    assert [0.5] == [item.value for item in result if hasattr(item, "value")]
    assert 1 == len(result), "a pod that does not answer is left out"
