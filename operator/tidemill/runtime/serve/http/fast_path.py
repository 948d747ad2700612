"""Requests that need nothing but an answer are answered as they are read, without an ASGI application and its task.

    bytes ─┬─ httptools ─┬─ POST …/infer, complete in what was read ─┬─ Predicting.at_once ─┬─ response, in one write
           │             │                                           │                      └─ None ─┐
           └─ a head that was answered at once before ───────────────┘                               │
                         └─ everything else ─────────────────────────────────────────────────────────┴─ uvicorn ─ Gate

uvicorn makes a scope, two objects and a task for each request, and more for each message of the answer; for a small model
that is most of the work. What is not plain and quick takes uvicorn's way, from its first byte on.

Clients send the same head with every request. One that was parsed and answered at once is known by its bytes from then on,
and what follows it is its body where the length is the one that the head says.

`TIDEMILL_FAST_PATH=no` leaves all of this out: `connection.HTTPConnection` alone answers the same. This module leans on uvicorn as
`connection` does, which says for which versions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from tidemill.runtime.serve.http.bodies import joined
from tidemill.runtime.serve.http.connection import HTTPConnection
from tidemill.runtime.serve.http.slow_clients import SlowClientGuard

AtOnce = Callable[[dict[bytes, bytes], bytes], bytes | None]

MAX_HEADERS: Final = 100
HEAD_END: Final = b"\r\n\r\n"
MAX_KNOWN_HEADS: Final = 256
"""Heads that are known at once; where there are more, all of them are forgotten."""
MAX_KNOWN_HEAD_BYTES: Final = 2048
ONCE_ONLY: Final = frozenset({b"x-request-id", b"traceparent", b"x-b3-traceid", b"x-routing-key"})
"""Headers that are another one with each request: their heads are not worth knowing."""


class KnownHead(NamedTuple):
    """The content of a request head."""

    handler: AtOnce
    headers: dict[bytes, bytes]
    length: int
    """Bytes of the head and its body."""


def protocol(handlers: dict[bytes, AtOnce], guard: SlowClientGuard) -> type[FastConnection]:
    """Return the protocol for uvicorn with a fast path for POSTs to the paths in `handlers`, within the bounds of `guard`."""
    return type("FastConnection", (FastConnection,), {"handlers": handlers, "guard": guard, "known": {}})


class FastConnection(HTTPConnection):
    """One client connection whose plain requests are answered as they are read."""

    handlers: dict[bytes, AtOnce]
    known: dict[bytes, KnownHead]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._held: list[bytes] | None = None
        """The body so far of a request that may be answered at once; None while there is no such request."""
        self._between = True
        """Whether the parser has come to the end of a message, and of no other one's beginning."""
        self._read = b""
        """The bytes that are being parsed, where they began between two messages."""
        self._used = False
        """Whether a request came by a known head since uvicorn's timer of idle connections was set."""

    def data_received(self, data: bytes) -> None:
        """Answer what can be answered at once; a request that is not complete is uvicorn's: it waits, bounds, and gives up."""
        if self._between and (self.cycle is None or self.cycle.response_complete):
            # The first head of a connection is waited for, which ends by the long way.
            if not self._watched and self._answers_by_known_head(data):
                return
            self._read = data
        super().data_received(data)

    def _parse(self, data: bytes) -> None:
        super()._parse(data)
        self._read = b""
        if self._held is not None:
            self._hand_over(complete=False)

    def _answers_by_known_head(self, data: bytes) -> bool:
        """Answer what is one whole request whose head is known, past the parser; return whether it was."""
        end = data.find(HEAD_END, 0, MAX_KNOWN_HEAD_BYTES) + len(HEAD_END)
        head = data[:end]
        known = self.known.get(head)
        if known is None or len(data) != known.length or self.transport.is_closing() or self.flow.write_paused:
            return False
        response = known.handler(known.headers, data[end:])
        if response is None:
            # It is asked for again by the long way, and would be each time.
            del self.known[head]
            return False
        self.transport.write(response)
        self._used = True
        return True

    def _remember(self, handler: AtOnce, headers: dict[bytes, bytes], body: bytes) -> None:
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
            self.known[data[:end]] = KnownHead(handler, headers, len(data))

    def timeout_keep_alive_handler(self) -> None:
        """End a connection that was idle for long, as far as uvicorn has seen."""
        if self._used and not self.transport.is_closing():
            self._used = False
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        else:
            super().timeout_keep_alive_handler()

    def on_message_begin(self) -> None:
        """Begin with the first byte of a request."""
        self._between = False
        super().on_message_begin()

    def begin_request(self) -> None:
        """Hold a request back where it may be answered at once."""
        if (
            self.url in self.handlers
            and self.parser.get_method() == b"POST"
            and (self.cycle is None or self.cycle.response_complete)
            and not self.expect_100_continue
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.flow.write_paused
            and len(self.headers) <= MAX_HEADERS
        ):
            self._held = []
        else:
            super().begin_request()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if self._held is None:
            super().on_body(body)
        else:
            self._held.append(body)

    def end_request(self) -> None:
        """Answer a request that was held back, all of whose body is there."""
        self._between = True
        held = self._held
        if held is None:
            super().end_request()
            return
        handler, headers = self.handlers[self.url], joined(self.headers)
        body = held[0] if len(held) == 1 else b"".join(held)
        response = handler(headers, body)
        if response is None:
            self._hand_over(complete=True)
            return
        self._held = None
        if not self.transport.is_closing():
            self._remember(handler, headers, body)
            self.transport.write(response)
        self.on_response_complete()

    def _hand_over(self, *, complete: bool) -> None:
        held, self._held = self._held, None
        super().begin_request()
        for part in held or ():
            super().on_body(part)
        if complete:
            super().end_request()
