"""The limit: a plain ASGI application on the same uvicorn that reads the body and sends a prepared answer of the same size."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import uvicorn

ANSWER = Path(sys.argv[2]).read_bytes()
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(ANSWER)).encode())]


async def app(scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    while message.get("more_body"):
        message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})


if __name__ == "__main__":
    uvicorn.run(
        app, port=int(sys.argv[1]), http="httptools", loop="uvloop", access_log=False, lifespan="off", log_level="error"
    )
