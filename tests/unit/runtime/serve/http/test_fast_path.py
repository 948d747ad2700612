"""The short way of requests on a real uvicorn: what goes it, what does not, and that nothing is answered for another's request."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from tidemill.runtime.serve.http import fast_path
from tidemill.runtime.serve.http.fast_path import MAX_KNOWN_HEADS
from tidemill.runtime.serve.http.slow_clients import SlowClientGuard

from ..conftest import free_port, until

SHORT, LONG = b"short:", b"long:"
REFUSED = b"no"
"""A body that cannot be answered at once."""


def head(length: int, *more: bytes, path: bytes = b"/infer") -> bytes:
    lines = [b"POST %b HTTP/1.1" % path, b"host: here", b"content-length: %d" % length, *more]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def request(body: bytes, *more: bytes, path: bytes = b"/infer") -> bytes:
    return head(len(body), *more, path=path) + body


class Client:
    """A connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)

    def send(self, *parts: bytes) -> None:
        """Each part as a piece of its own."""
        for part in parts:
            self.socket.sendall(part)
            time.sleep(0.02)

    def hear(self, count: int = 1) -> list[bytes]:
        """The bodies of so many answers."""
        got = b""
        bodies: list[bytes] = []
        while len(bodies) < count:
            more = self.socket.recv(65_536)
            assert more, f"the server ended the connection after {bodies} and {got!r}"
            got += more
            while b"\r\n\r\n" in got:
                response, _, after = got.partition(b"\r\n\r\n")
                length = int(response.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                if len(after) < length:
                    break
                bodies.append(after[:length])
                got = after[length:]
        assert not got
        return bodies

    def ask(self, *parts: bytes) -> bytes:
        self.send(*parts)
        return self.hear()[0]


class Served:
    """uvicorn with a way that answers at once, and an application behind that takes its time."""

    def __init__(self, keep_alive: int) -> None:
        self.port = free_port()
        self.headers: list[dict[bytes, bytes]] = []
        """Of what was answered at once, in order."""
        self.known: dict[bytes, fast_path.KnownHead] = {}
        self.http = fast_path.protocol({b"/infer": self._at_once}, SlowClientGuard(30.0, 1_000_000))
        self.http.known = self.known  # type: ignore[attr-defined]
        config = uvicorn.Config(
            self._behind,
            interface="asgi3",
            port=self.port,
            http=self.http,
            timeout_keep_alive=keep_alive,
            log_level="error",
            lifespan="off",
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)

    def _at_once(self, headers: dict[bytes, bytes], body: bytes) -> bytes | None:
        if body == REFUSED:
            return None
        self.headers.append(headers)
        response = SHORT + body
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(response), response)

    async def _behind(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        await asyncio.sleep(0.1)
        response = LONG + body
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(response))]}
        )
        await send({"type": "http.response.body", "body": response})


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    server = Served(keep_alive=getattr(request, "param", 30))
    server.thread.start()
    try:
        until(lambda: server.server.started, "the server listens")
        yield server
    finally:
        server.server.should_exit = True
        server.thread.join()


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    client = Client(served.port)
    with client.socket:
        yield client


def test_a_head_is_known_after_it_was_answered_at_once(served: Served, client: Client) -> None:
    response = [client.ask(request(body)) for body in (b"one", b"two", b"six")]

    assert [SHORT + b"one", SHORT + b"two", SHORT + b"six"] == response
    assert [head(3)] == list(served.known)
    assert [{b"host": b"here", b"content-length": b"3"}] * 3 == served.headers


def test_a_known_head_is_known_on_other_connections_from_their_second_request(served: Served, client: Client) -> None:
    client.ask(request(b"one"))
    other = Client(served.port)
    with other.socket:
        assert [SHORT + b"two", SHORT + b"six"] == [other.ask(request(body)) for body in (b"two", b"six")]


def test_what_comes_in_pieces_is_one_request_whatever_is_known(served: Served, client: Client) -> None:
    whole = request(b"known")
    client.ask(whole)
    for index in range(1, len(whole)):
        assert client.ask(whole[:index], whole[index:]).endswith(b":known"), index
    assert SHORT + b"again" == client.ask(request(b"again"))


def test_requests_that_come_together_are_answered_one_by_one_in_order(served: Served, client: Client) -> None:
    client.ask(request(b"known"))

    client.send(request(b"first") + request(b"later") + request(b"third")[:-2])
    client.send(b"rd")

    assert [b"first", b"later", b"third"] == [response.partition(b":")[2] for response in client.hear(3)]


def test_a_known_head_waits_for_what_is_answered_before_it(served: Served, client: Client) -> None:
    client.ask(request(b"known"))

    client.send(request(b"slow", path=b"/else"), request(b"quick"))

    assert [LONG + b"slow", b"quick"] == [client.hear()[0], client.hear()[0].partition(b":")[2]]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"GET /infer HTTP/1.1\r\n\r\n", id="a request"),
        pytest.param(b"\r\n\r\n", id="an end of a head"),
        pytest.param(request(b"inner"), id="a known request"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"x" * 300_000, id="long"),
    ],
)
def test_a_body_is_never_taken_for_anything_else(served: Served, client: Client, body: bytes) -> None:
    client.ask(request(b"inner"))
    for _ in range(3):
        assert body == client.ask(request(body)).partition(b":")[2]
        assert SHORT + b"inner" == client.ask(request(b"inner"))


def test_bytes_before_a_head_are_no_part_of_what_is_known(served: Served, client: Client) -> None:
    assert [SHORT + b"one"] * 2 == [client.ask(b"\r\n\r\n" + request(b"one")) for _ in range(2)]
    assert not served.known


def test_a_head_is_forgotten_where_its_request_cannot_be_answered_at_once(served: Served, client: Client) -> None:
    client.ask(request(b"ok"))
    assert [head(2)] == list(served.known)

    assert LONG + REFUSED == client.ask(request(REFUSED))
    assert not served.known

    client.ask(request(b"ok"))
    assert [head(2)] == list(served.known)


def test_heads_that_are_others_each_time_are_not_kept(served: Served, client: Client) -> None:
    for name in (b"x-request-id", b"traceparent", b"x-routing-key"):
        client.ask(request(b"one", name + b": 1"))
    assert not served.known


def test_no_more_heads_are_kept_than_a_bound(served: Served, client: Client) -> None:
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for number in range(MAX_KNOWN_HEADS + 10):
        client.socket.sendall(request(b"one", b"x-number: %d" % number))
        assert [SHORT + b"one"] == client.hear()
        assert MAX_KNOWN_HEADS >= len(served.known)
    client.ask(request(b"one", b"x-long: " + b"l" * 4096))
    assert not any(len(known) > 2100 for known in served.known)


def test_the_wrong_method_is_not_answered_at_once(served: Served, client: Client) -> None:
    client.ask(request(b"one"))
    assert LONG + b"one" == client.ask(request(b"one").replace(b"POST", b"PUT"))


@pytest.mark.parametrize("served", [1], indirect=True)
def test_a_connection_lasts_while_it_is_used_and_ends_when_it_is_not(served: Served, client: Client) -> None:
    end = time.monotonic() + 3
    while time.monotonic() < end:
        assert SHORT + b"one" == client.ask(request(b"one"))
        time.sleep(0.2)

    assert b"" == client.socket.recv(1)
