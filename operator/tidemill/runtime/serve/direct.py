"""Requests that need nothing but an answer are answered as they are read, without an ASGI application and its task.

    bytes ─ httptools ─┬─ POST …/infer, complete in what was read ─ Predicting.at_once ─┬─ response, in one write
                       │                                                                └─ None ─┐
                       └─ everything else ───────────────────────────────────────────────────────┴─ uvicorn ─ Gate

uvicorn makes a scope, two objects and a task for each request, and more for each message of the answer; for a small model
that is most of the work. What is not plain and quick takes uvicorn's way, from its first byte on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tidemill.runtime.serve.heads import MOST_HEAD, Heads

AtOnce = Callable[[dict[bytes, bytes], bytes], bytes | None]

MOST_HEADERS: Final = 100


def protocol(ways: dict[bytes, AtOnce], heads: Heads) -> type[HttpToolsProtocol]:
    """uvicorn's protocol, with a short way for POSTs to the paths in `ways`, and within the bounds of `heads`."""
    return type("Direct", (Direct,), {"ways": ways, "heads": heads})


class Direct(HttpToolsProtocol):  # type: ignore[misc]
    """One connection."""

    ways: dict[bytes, AtOnce]
    heads: Heads

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._held: list[bytes] | None = None
        """The body so far of a request that may be answered at once; None while there is no such request."""
        self._in_head = False
        self._watched = True
        """Whether `heads` waits for the rest of a head."""
        self._bytes = 0
        """How many came since the piece with which the message began."""
        self._body = 0
        """How many of them are its body."""

    def connection_made(self, transport: Any) -> None:
        """A client is there; it is waited for no longer than for a head that has begun."""
        super().connection_made(transport)
        self.heads.begin(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self.heads.end(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came. A request that is not complete with them is uvicorn's: it waits, bounds, and gives up."""
        self._bytes += len(data)
        if self._bytes > MOST_HEAD and (self._in_head or self.heads.exceeded(self._bytes, self._body)):
            self.give_up(b"431 Request Header Fields Too Large", f"headers: are longer than {MOST_HEAD} bytes")
            return
        super().data_received(data)
        if self._held is not None:
            self._hand_over(complete=False)
        if self._in_head is not self._watched:
            self._watched = self._in_head
            if self._in_head:
                self.heads.begin(self)
            else:
                self.heads.end(self)

    def give_up(self, status: bytes, message: str) -> None:
        """End the connection, and say why where no answer is under way that it would break into."""
        if self.transport.is_closing():
            return
        if self._in_head and (self.cycle is None or self.cycle.response_complete):
            body = orjson.dumps({"error": message})
            self.transport.write(
                b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
                % (status, len(body), body)
            )
        self.transport.close()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._in_head = True
        self._bytes = self._body = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Hold a request back where it may be answered at once."""
        self._in_head = False
        if (
            self.url in self.ways
            and self.parser.get_method() == b"POST"
            and (self.cycle is None or self.cycle.response_complete)
            and not self.expect_100_continue
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
            and not self.flow.write_paused
            and len(self.headers) <= MOST_HEADERS
        ):
            self._held = []
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self._held is None:
            self._body += len(body)
            super().on_body(body)
        else:
            self._held.append(body)

    def on_message_complete(self) -> None:
        """All of the body is there."""
        held = self._held
        if held is None:
            super().on_message_complete()
            return
        response = self.ways[self.url](dict(self.headers), held[0] if len(held) == 1 else b"".join(held))
        if response is None:
            self._hand_over(complete=True)
            return
        self._held = None
        if not self.transport.is_closing():
            self.transport.write(response)
        self.on_response_complete()

    def _hand_over(self, *, complete: bool) -> None:
        held, self._held = self._held, None
        super().on_headers_complete()
        for part in held or ():
            super().on_body(part)
        if complete:
            super().on_message_complete()
