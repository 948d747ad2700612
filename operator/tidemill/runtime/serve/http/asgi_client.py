"""Asking an ASGI application within this process, as a server would."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from tidemill.runtime.serve.http.bodies import Scope

logger = logging.getLogger(__name__)

SECONDS: Final = 1.0

App = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]


async def body_of(app: App, path: str) -> bytes:
    """Return the body with which an ASGI application answers a GET; empty where it fails."""
    parts: list[bytes] = []
    status = 500

    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()  # the application waits for a disconnect that never comes, and is cancelled
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "client": None,
        "server": None,
    }
    try:
        async with asyncio.timeout(SECONDS):
            await app(scope, receive, send)
    except Exception:  # what stands behind must not take our own answer along
        logger.exception("the BentoML service does not answer %s", path)
        return b""
    return b"".join(parts) if status == 200 else b""
