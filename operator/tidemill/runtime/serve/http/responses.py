"""Responses to clients: bodies with their lengths, and on each the version that this process serves."""

from __future__ import annotations

import gzip
from typing import Final

import orjson

from tidemill.runtime.protocol.errors import HTTPError, wrong_method
from tidemill.runtime.serve.http.bodies import Scope, Send
from tidemill.runtime.serve.version.model import Identity
from tidemill.runtime.serve.version.readiness import State

JSON: Final = (b"content-type", b"application/json")
BYTES: Final = (b"content-type", b"application/octet-stream")
TEXT: Final = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
HTML: Final = (b"content-type", b"text/html; charset=utf-8")
COMPRESSED_FROM: Final = 8 * 1024
"""Bytes from which on an answer is compressed for those who take it so; smaller ones are a few packets anyway."""
GZIPPED: Final = ((b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))
CLOSE: Final = (b"connection", b"close")

Headers = list[tuple[bytes, bytes]]


def takes_gzip(accepted: bytes) -> bool:
    """Return whether an `accept-encoding` header lets an answer be gzip.

    >>> takes_gzip(b"deflate, gzip;q=0.5"), takes_gzip(b"gzip;q=0, *"), takes_gzip(b"br")
    (True, False, False)
    """
    for part in accepted.lower().split(b","):
        coding, _, quality = part.partition(b";")
        if coding.strip() == b"gzip":
            return quality.replace(b" ", b"").rstrip(b"0").rstrip(b".") not in (b"q=", b"q=0")
    return False


def _marks(identity: Identity) -> Headers:
    return [(b"x-model-version", identity.version.encode()), (b"x-model-digest", identity.digest.encode())]


def _starts(marks: Headers) -> tuple[bytes, bytes]:
    """A prediction's status and headers up to its length, as JSON and with bytes."""
    as_json, with_bytes = (
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"%b: %b\r\n" % mark for mark in (kind, *marks)) + b"content-length: "
        for kind in (JSON, BYTES)
    )
    return as_json, with_bytes


class Responses:
    """Sends what this process answers; once it drains, each answer also ends its connection."""

    def __init__(self, identity: Identity, state: State) -> None:
        self._state = state
        self.serve(identity)

    def serve(self, identity: Identity) -> None:
        """Answer as `identity` from now on."""
        self._identity = identity
        self._marks = _marks(identity)
        self._starts = _starts(self._marks)

    def whole(self, content: bytes, request: str, end: int | None, identity: Identity) -> bytes:
        """A prediction of `identity` as it goes over the wire in HTTP/1.1, on a connection that stays."""
        start, start_bytes = self._starts if identity is self._identity else _starts(_marks(identity))
        return b"%b%d\r\nx-request-id: %b\r\n%b\r\n%b" % (
            start if end is None else start_bytes,
            len(content),
            request.encode(),
            b"" if end is None else b"inference-header-content-length: %d\r\n" % end,
            content,
        )

    def head(self, content: bytes, request: str, end: int | None, identity: Identity) -> Headers:
        """The headers of a prediction of `identity`; `end` is where its JSON ends, None where all of it is JSON."""
        head: Headers = [
            JSON,
            (b"content-length", str(len(content)).encode()),
            (b"x-request-id", request.encode()),
            *(self._marks if identity is self._identity else _marks(identity)),
        ]
        if end is not None:
            head[0] = BYTES
            head.append((b"inference-header-content-length", str(end).encode()))
        if self._state.draining:
            head.append(CLOSE)
        return head

    def compressed(self, content: bytes, headers: dict[bytes, bytes]) -> bytes | None:
        """`content` as gzip where it is long and the client takes that, else None."""
        accepted = headers.get(b"accept-encoding")
        if accepted is None or len(content) < COMPRESSED_FROM or not takes_gzip(accepted):
            return None
        return gzip.compress(content, 1, mtime=0)

    async def get(self, scope: Scope, send: Send, status: int, body: bytes, kind: tuple[bytes, bytes] = JSON) -> None:
        """Answer where only GET and HEAD make sense."""
        if scope["method"] not in ("GET", "HEAD"):
            await self.refuse(send, wrong_method(scope["path"], scope["method"], "GET", "HEAD"))
        else:
            await self.send(send, status, body, kind)

    async def refuse(self, send: Send, refusal: HTTPError) -> None:
        """Say no, and why."""
        await self.send(
            send,
            refusal.status,
            orjson.dumps({"error": refusal.message}),
            close=refusal.status in (408, 413),
            headers=refusal.headers,
        )

    async def send(
        self,
        send: Send,
        status: int,
        body: bytes,
        kind: tuple[bytes, bytes] = JSON,
        *,
        close: bool = False,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        """Send a whole answer; `close` ends the connection with it."""
        head: Headers = [kind, (b"content-length", str(len(body)).encode()), *self._marks, *headers]
        if close or self._state.draining:
            # The rest of a body that is not wanted must not be taken for the next request.
            head.append(CLOSE)
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body})
