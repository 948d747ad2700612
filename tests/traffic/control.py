"""How a running client is watched and steered: a few routes over HTTP."""

from collections.abc import Sequence

from aiohttp import web

from traffic.client import Client
from traffic.rows import Example, Weather

PORT = 9000


def application(client: Client, measured: Sequence[Example]) -> web.Application:
    """`GET /counters`, `POST /weather/<calm|tide|leak>`, `POST /measure/<calm|tide|leak>`."""

    async def counters(request: web.Request) -> web.Response:
        return web.json_response({"weather": client.weather, **client.ledger.report()})

    async def weather(request: web.Request) -> web.Response:
        client.weather = Weather(request.match_info["weather"])
        client.ledger.forget_recent()
        return web.json_response({"weather": client.weather})

    async def measure(request: web.Request) -> web.Response:
        return web.json_response(await client.measure(measured, Weather(request.match_info["weather"])))

    known = "|".join(Weather)
    made = web.Application()
    made.add_routes(
        [
            web.get("/counters", counters),
            web.post(f"/weather/{{weather:{known}}}", weather),
            web.post(f"/measure/{{weather:{known}}}", measure),
        ]
    )
    return made
