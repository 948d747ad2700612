"""One client connection: uvicorn's HTTP/1.1 protocol, with the rules of RFC 9110 and RFC 9112 that it leaves out, within bounds.

    bytes ── httptools ──┬─ a head that offers an upgrade ── the same head without the offer ── httptools ─┐
                         └─ any other head ────────────────────────────────────────────────────────────────┴─ checked ── request

uvicorn drops the body of a request that offers an upgrade (h2c, TLS, websocket) and parses on behind its head, so that a client which
may do so loses its request, and bytes of its body may run as a request of their own. An offer may be ignored (RFC 9110, section 7.8),
and is ignored here: the head is parsed once more without it. uvicorn also takes requests without Host or with several, keeps blanks
behind header values, takes transfer codings for chunks that are none, answers HTTP/1.0 clients with 100 Continue, and bounds neither a
head's time nor its length.

This module holds for uvicorn 0.54 and httptools 0.6 to 0.9, on whose undocumented parts it leans: `check_versions` refuses others.
"""

from __future__ import annotations

import re
from typing import Any, Final

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tidemill.runtime.process.versions import SupportedVersions
from tidemill.runtime.serve.http.slow_clients import MAX_HEAD_BYTES, SlowClientGuard

UVICORN: Final = SupportedVersions("uvicorn", (0, 54), (0, 55))
HTTPTOOLS: Final = SupportedVersions("httptools", (0, 6), (0, 10))
USED_METHODS: Final = (
    "connection_made",
    "connection_lost",
    "data_received",
    "on_message_begin",
    "on_header",
    "on_headers_complete",
    "on_body",
    "on_message_complete",
    "on_response_complete",
    "send_400_response",
    "timeout_keep_alive_handler",
    "_unset_keepalive_if_required",
)
HOST: Final = re.compile(rb"(\[[0-9A-Za-z:.%_~-]*\]|[0-9A-Za-z._~!$&'()*+,;=%-]*)(:[0-9]*)?")
BLANKS: Final = b" \t"
BAD_REQUEST: Final = b"400 Bad Request"
NOT_IMPLEMENTED: Final = b"501 Not Implemented"


class MalformedHead(Exception):
    """A head that must be refused although it can be parsed."""


def check_versions() -> None:
    """Raise RuntimeError where uvicorn or httptools is not one that this module was written for."""
    UVICORN.require()
    HTTPTOOLS.require()
    missing = [name for name in USED_METHODS if not hasattr(HttpToolsProtocol, name)]
    if missing:
        raise RuntimeError(f"uvicorn's HttpToolsProtocol has no {missing[0]}; install {UVICORN.requirement}")


def protocol(guard: SlowClientGuard) -> type[HTTPConnection]:
    """Return the protocol for uvicorn, whose connections stay within the bounds of `guard`."""
    return type("Connection", (HTTPConnection,), {"guard": guard})


class HTTPConnection(HttpToolsProtocol):  # type: ignore[misc]
    """One client connection."""

    guard: SlowClientGuard
    parser: Any

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = False
        self._watched = True
        """Whether `guard` waits for the rest of a head."""
        self._bytes = 0
        """Bytes that came since the piece with which the message began."""
        self._body = 0
        """Those of them that are its body."""
        self._upgrade_offered = False
        """Whether the head that was parsed last is to be parsed again without its offer."""
        self._problem = ""
        """The reason why the request is refused."""
        self._problem_status = BAD_REQUEST

    def connection_made(self, transport: Any) -> None:
        """Accept a client; it is waited for no longer than for a head that has begun."""
        super().connection_made(transport)
        self.guard.begin(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a client that has gone."""
        self.guard.end(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self._bytes += len(data)
        if self._bytes > MAX_HEAD_BYTES and (self._in_head or self.guard.exceeded(self._bytes, self._body)):
            self.give_up(b"431 Request Header Fields Too Large", f"headers: are longer than {MAX_HEAD_BYTES} bytes")
            return
        self._unset_keepalive_if_required()
        self._parse(data)
        if self._in_head is not self._watched:
            self._watched = self._in_head
            if self._in_head:
                self.guard.begin(self)
            else:
                self.guard.end(self)

    def _parse(self, data: bytes) -> None:
        try:
            while True:
                try:
                    self.parser.feed_data(data)
                except httptools.HttpParserUpgrade as pause:
                    # Nothing behind the head was looked at.
                    data = data[pause.args[0] :]
                    self._parse_again_without_upgrade()
                else:
                    break
        except httptools.HttpParserError:
            self.send_400_response(self._problem or "request: invalid HTTP")

    def _parse_again_without_upgrade(self) -> None:
        """Parse the head of the request once more, as if its client had not offered an upgrade."""
        method, protocol_version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self._problem = "method: CONNECT is not supported; send POST or GET"
            raise httptools.HttpParserError(self._problem)
        lines = [b"%b %b HTTP/%b" % (method, self.url, protocol_version)]
        for name, value in self.headers:
            if name == b"connection":
                kept = [token.strip() for token in value.split(b",") if token.strip().lower() != b"upgrade"]
                if kept:
                    lines.append(b"connection: " + b", ".join(kept))
            elif name != b"upgrade":
                lines.append(b"%b: %b" % (name, value))
        self._upgrade_offered = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.parser.feed_data(b"\r\n".join(lines) + b"\r\n\r\n")

    def give_up(self, status: bytes, message: str) -> None:
        """End the connection, and say why unless that would break into an answer that is under way."""
        if self.transport.is_closing():
            return
        if self._in_head and (self.cycle is None or self.cycle.response_complete):
            self.transport.write(refusal(status, message))
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed, as JSON like every other error, and end the connection."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(refusal(self._problem_status, msg))
        self.transport.close()

    def on_message_begin(self) -> None:
        """Begin with the first byte of a request."""
        self._in_head = True
        self._bytes = self._body = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Check a head, and begin its request."""
        self._in_head = False
        if self.parser.should_upgrade():
            self._upgrade_offered = True
            return
        self._check_head()
        self.begin_request()

    def _check_head(self) -> None:
        """Raise MalformedHead unless there is one valid Host, and chunks are the only transfer coding; strip blanks behind values."""
        hosts = 0
        headers = self.headers
        protocol_version = self.parser.get_http_version()
        for index, (name, value) in enumerate(headers):
            if value[-1:] in BLANKS and value:
                value = value.rstrip(BLANKS)
                headers[index] = (name, value)
                if name == b"expect" and value.lower() == b"100-continue":
                    self.expect_100_continue = True
            if name == b"host":
                hosts += 1
                if HOST.fullmatch(value) is None:
                    self._refuse_head("host: must be the server's name, with or without a port")
            elif name == b"transfer-encoding":
                self._check_transfer_coding(value, protocol_version)
        if hosts > 1 or (hosts == 0 and protocol_version == "1.1"):
            self._refuse_head(f"host: must be there exactly once, not {hosts} times")
        if protocol_version == "1.0":
            self.expect_100_continue = False  # its clients know no interim answers (RFC 9110, section 10.1.1)

    def _check_transfer_coding(self, value: bytes, protocol_version: str) -> None:
        """Raise MalformedHead for codings below the chunks, which would be taken for the body, and for chunks in HTTP/1.0 (RFC 9112, section 6.1)."""
        if value.lower() != b"chunked":
            self._refuse_head("transfer-encoding: must be chunked; compress with content-encoding", NOT_IMPLEMENTED)
        if protocol_version == "1.0":
            self._refuse_head("transfer-encoding: is unknown in HTTP/1.0; send content-length or use HTTP/1.1")

    def _refuse_head(self, problem: str, status: bytes = BAD_REQUEST) -> None:
        self._problem, self._problem_status = problem, status
        raise MalformedHead(problem)

    def begin_request(self) -> None:
        """Hand the request to the application."""
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request, unless its head is to be parsed again."""
        if not self._upgrade_offered:
            self.end_request()

    def end_request(self) -> None:
        """Tell the application that all of the body is there."""
        super().on_message_complete()


def refusal(status: bytes, message: str) -> bytes:
    """Return a whole response that ends its connection."""
    body = orjson.dumps({"error": message})
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )
