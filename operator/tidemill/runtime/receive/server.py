"""The receiver of a monitor: a small web server that takes signals for its External checks, and payloads of a service that
is not ours."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from aiohttp import web

from tidemill.api.durations import delta
from tidemill.contract.layout import signal_folder
from tidemill.contract.orders import CREDENTIALS_PATH, ReceiveOrder
from tidemill.contract.serving import STORE_PATH
from tidemill.runtime.failures import RunFailed
from tidemill.runtime.receive import events, signals
from tidemill.runtime.receive.payloads import PayloadError, understand
from tidemill.runtime.receive.verification import SIGNATURE, signed_at, standing
from tidemill.runtime.store.objects import ObjectStore

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 256 * 1024


def application(
    order: ReceiveOrder,
    open_store: Callable[[], ObjectStore],
    *,
    credentials: Path = Path(CREDENTIALS_PATH),
    clock: Callable[[], float] = time.time,
) -> web.Application:
    """The web application: `POST /signals/<check>`, `POST /` for CloudEvents of inference where the order asks for them, and `GET /healthz`."""
    checks = {check.name: check for check in order.checks}

    async def receive(request: web.Request) -> web.Response:
        check = checks.get(request.match_info["check"])
        if check is None:
            return _answer(404, "the monitor has no External check of this name")
        body = await request.read()
        if len(body) > MAX_BYTES:
            return _answer(413, f"the body is larger than {MAX_BYTES} bytes")
        headers = {name.lower(): value for name, value in request.headers.items()}
        now = clock()
        stands = standing(headers, body, credentials / check.name, now)
        match stands:
            case "NoSecret":
                secret = check.secret_ref.name if check.secret_ref else ""
                return _answer(503, f"Secret {secret!r} holds neither token nor hmac-key, or is not there yet")
            case "Refused":
                return _answer(401, "neither the token nor the signature is right")
            case "Stale":
                return _answer(401, "the signature timestamp is outside the allowed window")
        try:
            signal = understand(check.source, body, datetime.fromtimestamp(now, UTC))
        except PayloadError as error:
            return _answer(400, str(error))
        folder = signal_folder(order.namespace, order.monitor, check.name)

        def store_it() -> bool:
            store, valid_for = open_store(), delta(check.valid_for)
            if stands == "Signed":
                signature, timestamp = headers[SIGNATURE], signed_at(headers)
                return signals.keep_once(store, folder, signal, valid_for, signature=signature, timestamp=timestamp)
            signals.keep(store, folder, signal, valid_for)
            return True

        try:
            taken = await asyncio.to_thread(store_it)
        except (RunFailed, OSError) as error:
            logger.warning("a signal for %s could not be kept: %s", check.name, error)
            return _answer(503, "the store does not answer; send it again")
        # Who sends the same twice because our first answer was lost need not send it a third time.
        return _answer(202, f"{signal.verdict} is noted") if taken else _answer(200, "it was noted before")

    async def healthy(_: web.Request) -> web.Response:
        return _answer(200, "ok")

    app = web.Application(client_max_size=events.MAX_BYTES if order.payloads else MAX_BYTES)
    app.router.add_post("/signals/{check}", receive)
    if order.payloads is not None:
        taking = events.PayloadReceiver(order, order.payloads, credentials=credentials, clock=clock)

        async def take(request: web.Request) -> web.Response:
            body = await request.read()
            headers = {name.lower(): value for name, value in request.headers.items()}
            return _answer(*taking.take(headers, body))

        async def write(_: web.Application) -> AsyncIterator[None]:
            writing = asyncio.create_task(taking.run(open_store))
            yield
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writing

        app.router.add_post("/", take)
        app.cleanup_ctx.append(write)
    app.router.add_get("/healthz", healthy)
    return app


def serve(order_path: Path, *, port: int, store_path: Path = Path(STORE_PATH)) -> None:
    """Receive until stopped, as the order in `order_path` says."""
    order = ReceiveOrder.model_validate_json(order_path.read_bytes())
    app = application(order, lambda: ObjectStore.from_files(store_path, namespace=order.namespace))
    web.run_app(app, port=port, access_log=None, print=None)


def _answer(code: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=code)
