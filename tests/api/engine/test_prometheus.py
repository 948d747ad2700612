"""Numbers for an analysis, asked of a real Prometheus server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import aiohttp
import pytest

from support.prometheus import prometheus
from tidemill.engine.prometheus import Prometheus
from tidemill.plan.types import Queried, Query

pytestmark = pytest.mark.api
METRICS = b"""\
# TYPE refunds gauge
refunds{version="fraud-1"} 0.125
refunds{version="fraud-2"} 0.25
refunds_nan NaN
"""


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(METRICS)

    def log_message(self, *_: object) -> None:
        """Nothing to say."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("prometheus")
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as page:
        Thread(target=page.serve_forever, daemon=True).start()
        with prometheus(folder, f"127.0.0.1:{page.server_address[1]}") as url:
            yield url
        page.shutdown()


@pytest.fixture
async def asked(server: str) -> AsyncIterator[Prometheus]:
    """The engine's own client, once the server has scraped."""
    async with aiohttp.ClientSession() as session:
        client = Prometheus(session, (server,), timeout=30)

        for _ in range(300):
            if (await client.ask(Query("m", "", "count(refunds)"))).value == 2:
                break
            await asyncio.sleep(0.2)
        yield client


NUMBERS = {
    'refunds{version="fraud-2"}': 0.25,
    "sum(refunds)": 0.375,
    "scalar(sum(refunds)) * 2": 0.75,
    'max(refunds{version="fraud-2"}) / max(refunds{version="fraud-1"})': 2.0,
}


@pytest.mark.parametrize("query", NUMBERS)
async def test_one_number_is_an_answer(asked: Prometheus, query: str) -> None:
    assert Queried("m", NUMBERS[query]) == await asked.ask(Query("m", "", query))


PROBLEMS = {
    "refunds": "2 results",
    "no_such_series": "no result yet",
    "refunds_nan": "NaN",
    "refunds[1m]": "matrix",
    '"text"': "string",
    "sum(": "parse error",
}


@pytest.mark.parametrize("query", PROBLEMS)
async def test_anything_else_is_said_and_is_no_number(asked: Prometheus, query: str) -> None:
    reply = await asked.ask(Query("m", "", query))

    assert reply.value is None
    assert PROBLEMS[query] in reply.problem
