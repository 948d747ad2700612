"""Requests that need nothing but an answer are answered as they are read, without an ASGI application and its task.

    bytes ─┬─ httptools ─┬─ POST …/infer, complete in what was read ─┬─ Predicting.at_once ─┬─ response, in one write
           │             │                                           │                      └─ None ─┐
           └─ a head that was answered at once before ───────────────┘                               │
                         └─ everything else ─────────────────────────────────────────────────────────┴─ uvicorn ─ Gate

uvicorn makes a scope, two objects and a task for each request, and more for each message of the answer; for a small model
that is most of the work. What is not plain and quick takes uvicorn's way, from its first byte on.

Clients send the same head with every request. One that was parsed and answered at once is known by its bytes from then on,
and what follows it is its body where the length is the one that the head says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tidemill.runtime.serve.http.slow_clients import MAX_HEAD_BYTES, SlowClientGuard

AtOnce = Callable[[dict[bytes, bytes], bytes], bytes | None]

MAX_HEADERS: Final = 100
HEAD_END: Final = b"\r\n\r\n"
MAX_KNOWN_HEADS: Final = 256
"""Heads that are known at once; where there are more, it begins anew."""
MAX_KNOWN_HEAD_BYTES: Final = 2048
ONCE_ONLY: Final = frozenset({b"x-request-id", b"traceparent", b"x-b3-traceid", b"x-routing-key"})
"""Headers that are another one with each request: their heads are not worth knowing."""


class KnownHead(NamedTuple):
    """What a head says."""

    way: AtOnce
    headers: dict[bytes, bytes]
    length: int
    """Bytes of the head and its body."""


def protocol(ways: dict[bytes, AtOnce], heads: SlowClientGuard) -> type[HttpToolsProtocol]:
    """uvicorn's protocol, with a short way for POSTs to the paths in `ways`, and within the bounds of `heads`."""
    return type("Direct", (Direct,), {"ways": ways, "heads": heads, "known": {}})


class Direct(HttpToolsProtocol):  # type: ignore[misc]
    """One connection."""

    ways: dict[bytes, AtOnce]
    heads: SlowClientGuard
    known: dict[bytes, KnownHead]

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
        self._between = True
        """Whether the parser has come to the end of a message, and of no other one's beginning."""
        self._read = b""
        """What is being parsed, where it began between two messages."""
        self._used = False
        """Whether a request came by a known head since uvicorn's timer of idle connections was set."""

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
        if self._between and (self.cycle is None or self.cycle.response_complete):
            # The first head of a connection is waited for, which ends by the long way.
            if not self._watched and self._answers_by_known_head(data):
                return
            self._read = data
        self._bytes += len(data)
        if self._bytes > MAX_HEAD_BYTES and (self._in_head or self.heads.exceeded(self._bytes, self._body)):
            self.give_up(b"431 Request Header Fields Too Large", f"headers: are longer than {MAX_HEAD_BYTES} bytes")
            return
        super().data_received(data)
        self._read = b""
        if self._held is not None:
            self._hand_over(complete=False)
        if self._in_head is not self._watched:
            self._watched = self._in_head
            if self._in_head:
                self.heads.begin(self)
            else:
                self.heads.end(self)

    def _answers_by_known_head(self, data: bytes) -> bool:
        """Answer what is one whole request whose head is known, past the parser; says whether it was."""
        end = data.find(HEAD_END, 0, MAX_KNOWN_HEAD_BYTES) + len(HEAD_END)
        head = data[:end]
        known = self.known.get(head)
        if known is None or len(data) != known.length or self.transport.is_closing() or self.flow.write_paused:
            return False
        response = known.way(known.headers, data[end:])
        if response is None:
            # It is asked for again by the long way, and would be each time.
            del self.known[head]
            return False
        self.transport.write(response)
        self._used = True
        return True

    def _know(self, way: AtOnce, headers: dict[bytes, bytes], body: bytes) -> None:
        """Know the head of a request that was answered at once, where it and its body are all that was read."""
        data = self._read
        end = data.find(HEAD_END, 0, MAX_KNOWN_HEAD_BYTES) + len(HEAD_END)
        if (
            end >= len(HEAD_END)
            and len(data) == end + len(body)
            and headers.get(b"content-length") == b"%d" % len(body)
            and ONCE_ONLY.isdisjoint(headers)
        ):
            if len(self.known) >= MAX_KNOWN_HEADS:
                self.known.clear()
            self.known[data[:end]] = KnownHead(way, headers, len(data))

    def timeout_keep_alive_handler(self) -> None:
        """The connection was idle for long, as far as uvicorn has seen."""
        if self._used and not self.transport.is_closing():
            self._used = False
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        else:
            super().timeout_keep_alive_handler()

    def give_up(self, status: bytes, message: str) -> None:
        """End the connection, and say why where no answer is under way that it would break into."""
        if self.transport.is_closing():
            return
        if self._in_head and (self.cycle is None or self.cycle.response_complete):
            self.transport.write(_refusal(status, message))
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP: uvicorn ends the connection, and says so as text; here every error is JSON."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(_refusal(b"400 Bad Request", f"request: {msg.rstrip('.')}"))
        self.transport.close()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._in_head = True
        self._between = False
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
            and len(self.headers) <= MAX_HEADERS
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
        self._between = True
        held = self._held
        if held is None:
            super().on_message_complete()
            return
        way, headers, body = self.ways[self.url], dict(self.headers), held[0] if len(held) == 1 else b"".join(held)
        response = way(headers, body)
        if response is None:
            self._hand_over(complete=True)
            return
        self._held = None
        if not self.transport.is_closing():
            self._know(way, headers, body)
            self.transport.write(response)
        self.on_response_complete()

    def _hand_over(self, *, complete: bool) -> None:
        held, self._held = self._held, None
        super().on_headers_complete()
        for part in held or ():
            super().on_body(part)
        if complete:
            super().on_message_complete()


def _refusal(status: bytes, message: str) -> bytes:
    """A whole response that ends its connection."""
    body = orjson.dumps({"error": message})
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )
