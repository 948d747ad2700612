"""How a running client is watched and steered: a few routes over HTTP."""

from collections.abc import Sequence

from aiohttp import web

from traffic.client import Client
from traffic.rows import Example, Shift

PORT = 9000


def application(client: Client, measured: Sequence[Example]) -> web.Application:
    """`GET /counters`, `POST /shift/<none|drift|defect>`, `POST /measure/<none|drift|defect>`."""

    async def counters(request: web.Request) -> web.Response:
        return web.json_response({"shift": client.shift, **client.ledger.report()})

    async def shift(request: web.Request) -> web.Response:
        client.shift = Shift(request.match_info["shift"])
        client.ledger.forget_recent()
        return web.json_response({"shift": client.shift})

    async def measure(request: web.Request) -> web.Response:
        return web.json_response(await client.measure(measured, Shift(request.match_info["shift"])))

    known = "|".join(Shift)
    made = web.Application()
    made.add_routes(
        [
            web.get("/counters", counters),
            web.post(f"/shift/{{shift:{known}}}", shift),
            web.post(f"/measure/{{shift:{known}}}", measure),
        ]
    )
    return made
