import random
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from traffic.client import Client, Schedule
from traffic.rows import Example, FeatureShift

EXAMPLES = [Example({"radius": 1.0}, "1")]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HEADERS = {"x-request-id": "r", "x-model-version": "v1", "x-model-digest": "sha256:1"}
ANSWER = {"model_version": "v1", "outputs": [{"name": "predict", "shape": [1], "datatype": "INT64", "data": [1]}]}


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Handler], Awaitable[str]]]:
    runners = []

    async def start(infer: Handler) -> str:
        async def feedback(request: web.Request) -> web.Response:
            return web.json_response({"accepted": len((await request.json())["data"])})

        application = web.Application()
        application.add_routes([web.post("/v2/models/m/infer", infer), web.post("/v2/models/m/feedback", feedback)])
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        runners.append(runner)
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


def client(url: str, most: int = 5) -> Client:
    schedule = Schedule(url=url, model="m", rate=500, label_delay=0, most=most, seconds=10, timeout=2)
    return Client(schedule, EXAMPLES, FeatureShift(), random.Random(0))


async def test_every_answer_and_every_label_is_counted_for_the_version_that_answered(
    serve: Callable[[Handler], Awaitable[str]],
) -> None:
    async def infer(request: web.Request) -> web.Response:
        return web.json_response(ANSWER, headers=HEADERS)

    asking = client(await serve(infer))
    await asking.run()

    report = asking.ledger.report()
    assert tuple(report[name] for name in ("sent", "answered", "failed", "labelsSent")) == (5, 5, 0, 5)
    assert report["versions"] == {"v1": {"answered": 5, "labelled": 5, "right": 5, "digests": ["sha256:1"]}}


@pytest.mark.parametrize(
    ("status", "document", "headers", "message"),
    [
        (503, {"error": "no"}, HEADERS, "status 503"),
        (200, {"outputs": []}, HEADERS, "no output predict"),
        (200, ANSWER, {"x-request-id": "r"}, "no header x-model-version, x-model-digest"),
        (200, {**ANSWER, "model_version": "v2"}, HEADERS, "the body names v2, the header v1"),
    ],
    ids=["an error status", "no prediction", "an answer without its version", "two versions in one answer"],
)
async def test_what_is_no_proper_answer_is_a_failure_with_its_reason(
    serve: Callable[[Handler], Awaitable[str]], status: int, document: object, headers: dict[str, str], message: str
) -> None:
    async def infer(request: web.Request) -> web.Response:
        return web.json_response(document, status=status, headers=headers)

    asking = client(await serve(infer), most=1)
    await asking.run()

    assert (asking.ledger.answered, asking.ledger.failed) == (0, 1)
    assert message in asking.ledger.failures[0].what


async def test_a_service_that_is_not_there_is_a_failure() -> None:
    asking = client("http://127.0.0.1:1", most=2)

    await asking.run()

    assert (asking.ledger.answered, asking.ledger.failed) == (0, 2)


async def test_a_measurement_asks_each_row_once_and_sends_no_labels(
    serve: Callable[[Handler], Awaitable[str]],
) -> None:
    async def infer(request: web.Request) -> web.Response:
        value = (await request.json())["inputs"][0]["data"][0]
        return web.json_response(
            {
                "model_version": "v1",
                "outputs": [{"name": "predict", "shape": [1], "datatype": "INT64", "data": [int(value > 1)]}],
            },
            headers=HEADERS,
        )

    asking = client(await serve(infer))
    rows = [Example({"radius": 0.0}, "0"), Example({"radius": 2.0}, "1"), Example({"radius": 0.5}, "1")]

    result = await asking.measure(rows, asking.shift)

    assert result == {"v1": {"rows": 3, "right": 2}}
    assert asking.ledger.labels_sent == 0
