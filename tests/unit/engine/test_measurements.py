"""Check runs asked of a warm worker, where something that answers oddly stands in for it, and pods whose answers are long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from cluster.plane import free_ports
from tidemill.contract.reports import Checked, RunReport
from tidemill.contract.serving import Arm, Measurements
from tidemill.engine.measurements import MAX_RESPONSE_BYTES, Pods
from tidemill.plan.types import CheckRequest, CheckResponse, Question

REPORT = RunReport(checked=Checked(samples=500, verdict="Passing"))


class Impostor:
    """Answers everything with the same words, in pieces."""

    def __init__(self) -> None:
        self.status, self.body = 200, b""
        self.delay = 0.0
        self.heard: list[tuple[str, str]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.heard.append((request.path, await request.text()))
        await asyncio.sleep(self.delay)
        response = web.StreamResponse(status=self.status, headers={"location": f"{self.url}/elsewhere"})
        await response.prepare(request)
        third = len(self.body) // 3 + 1
        for start in range(0, len(self.body), third):
            await response.write(self.body[start : start + third])
            await asyncio.sleep(0.01)
        return response


@pytest.fixture
async def impostor() -> AsyncIterator[Impostor]:
    made = Impostor()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def pods() -> AsyncIterator[Pods]:
    async with aiohttp.ClientSession() as session:
        yield Pods(session, timeout=0.2)


async def asked(pods: Pods, url: str) -> CheckResponse:
    [response] = await pods.answer(Question(checks=(CheckRequest("fraud-1-1", f"{url}/checks/fraud-1-1", '{"a": 1}'),)))
    assert isinstance(response, CheckResponse)
    return response


async def test_a_report_is_brought_home_and_the_order_is_brought_there(impostor: Impostor, pods: Pods) -> None:
    impostor.body = REPORT.to_message().encode()

    assert CheckResponse("fraud-1-1", "Reported", REPORT) == await asked(pods, impostor.url)
    assert [("/checks/fraud-1-1", '{"a": 1}')] == impostor.heard


ODD = {
    "a run under way": (202, b"{}", "Running"),
    "another run under way": (409, b"{}", "Unheard"),
    "about to stop": (503, b"{}", "Unheard"),
    "an order that it does not read": (400, b'{"message": "no check order"}', "Refused"),
    "a run that broke": (500, b"{}", "Refused"),
    "a redirect": (302, b"", "Refused"),
    "no report": (200, b"<html>", "Refused"),
    "a report of nothing": (200, b"{}", "Refused"),
    "a report of something else": (200, b'{"notified": {"code": 200, "tries": 1}}', "Refused"),
    "an answer without end": (200, b" " * (MAX_RESPONSE_BYTES + 10), "Unheard"),
}


@pytest.mark.parametrize("case", ODD)
async def test_a_worker_answers_with(case: str, impostor: Impostor, pods: Pods) -> None:
    impostor.status, impostor.body, outcome = ODD[case]

    response = await asked(pods, impostor.url)

    assert (outcome, None) == (response.outcome, response.report)
    assert (outcome == "Running") == (response.message == "")
    assert 1 == len(impostor.heard)


async def test_a_worker_that_is_not_there_or_says_nothing_is_unheard(impostor: Impostor, pods: Pods) -> None:
    [closed_port] = free_ports(1)
    impostor.delay = 5.0

    absent, silent = await asked(pods, f"http://127.0.0.1:{closed_port}"), await asked(pods, impostor.url)

    assert ["Unheard", "Unheard"] == [absent.outcome, silent.outcome]
    assert "does not answer: TimeoutError" == silent.message


async def test_measurements_that_come_in_pieces_are_read_whole(impostor: Impostor, pods: Pods) -> None:
    classes = {f"class {number}": {"right": number} for number in range(5000)}
    arm = Arm(version="fraud-1", digest="sha256:" + "0" * 64, confusion=classes)
    expected = Measurements(stable=arm, candidate=None, compared=0, agreed=0)
    impostor.body = expected.model_dump_json(by_alias=True).encode()

    assert (expected,) == await pods.answer(Question((impostor.url,)))
