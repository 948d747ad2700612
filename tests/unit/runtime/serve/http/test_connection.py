"""HTTP's own rules on a real uvicorn, with the fast path and without: offers of upgrades, Host, blanks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from tidemill.runtime.process import versions
from tidemill.runtime.serve.http import connection, fast_path
from tidemill.runtime.serve.http.slow_clients import SlowClientGuard

from ..conftest import free_port, until
from .test_fast_path import Client

OFFERS = {
    "h2c as Java's client sends it": (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA"),
    "TLS": (b"Upgrade: TLS/1.2", b"Connection: upgrade"),
    "websocket": (b"Upgrade: websocket", b"Connection: keep-alive, Upgrade", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    "several in several fields": (b"Upgrade: h2c, TLS/1.2", b"Connection: upgrade", b"upgrade: IRC/6.9", b"connection: Upgrade"),
}  # fmt: skip
INNER = b"GET /inner HTTP/1.1\r\nhost: here\r\n\r\n"
"""A body that is a request itself."""


class Echo:
    """uvicorn with an application that says what it was asked; `/infer` is answered at once where that is switched on."""

    def __init__(self, *, fast: bool) -> None:
        self.port = free_port()
        self.paths: list[str] = []
        """Of all requests that were executed, in order."""
        guard = SlowClientGuard(30.0, 1_000_000)
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            port=self.port,
            http=fast_path.protocol({b"/infer": self._at_once}, guard) if fast else connection.protocol(guard),
            ws="none",
            log_level="error",
            lifespan="off",
        )
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)

    def _echo(self, method: str, path: str, headers: dict[bytes, bytes], body: bytes) -> bytes:
        self.paths.append(path)
        names = {name.decode(): value.decode() for name, value in headers.items()}
        return json.dumps({"method": method, "path": path, "headers": names, "body": body.decode()}).encode()

    def _at_once(self, headers: dict[bytes, bytes], body: bytes) -> bytes:
        content = self._echo("POST", "/infer", headers, body)
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(content), content)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        content = self._echo(scope["method"], scope["path"], dict(scope["headers"]), body)
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(content))]}
        )
        await send({"type": "http.response.body", "body": content})


@pytest.fixture(scope="module", params=[True, False], ids=["fast path", "no fast path"])
def server(request: pytest.FixtureRequest) -> Iterator[Echo]:
    server = Echo(fast=request.param)
    server.thread.start()
    try:
        until(lambda: server.server.started, "the server listens")
        yield server
    finally:
        server.server.should_exit = True
        server.thread.join()


@pytest.fixture
def client(server: Echo) -> Iterator[Client]:
    server.paths.clear()
    client = Client(server.port)
    with client.socket:
        yield client


def request(body: bytes, *more: bytes, path: bytes = b"/infer", host: tuple[bytes, ...] = (b"host: here",)) -> bytes:
    return head(b"content-length: %d" % len(body), *more, path=path, host=host) + body


def head(*more: bytes, path: bytes = b"/infer", host: tuple[bytes, ...] = (b"host: here",)) -> bytes:
    return b"\r\n".join([b"POST %b HTTP/1.1" % path, *host, *more]) + b"\r\n\r\n"


def rest(client: Client) -> bytes:
    """Return all that comes until the server ends the connection."""
    received = b""
    while more := client.socket.recv(65_536):
        received += more
    return received


@pytest.mark.parametrize("path", [b"/infer", b"/else"])
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_an_offer_to_upgrade_is_ignored_and_the_body_kept(
    server: Echo, client: Client, offer: tuple[bytes, ...], path: bytes
) -> None:
    for body in (b'{"inputs": 1}', b"", b"x" * 200_000):
        answer = json.loads(client.ask(request(body, *offer, path=path)))

        assert (body.decode(), "POST", path.decode()) == (answer["body"], answer["method"], answer["path"])
        assert "upgrade" not in answer["headers"]


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_a_body_behind_an_offer_is_never_executed(server: Echo, client: Client, offer: tuple[bytes, ...]) -> None:
    whole = request(INNER, *offer)
    split = whole.index(INNER)

    answers = [client.ask(whole), client.ask(whole[:split], whole[split:]), client.ask(*(whole[i : i + 40] for i in range(0, len(whole), 40)))]  # fmt: skip

    assert [INNER.decode()] * 3 == [json.loads(answer)["body"] for answer in answers]
    assert ["/infer"] * 3 == server.paths


def test_a_chunked_body_behind_an_offer_is_kept(server: Echo, client: Client) -> None:
    offer = OFFERS["h2c as Java's client sends it"]
    chunks = b"%x\r\n%b\r\n3\r\nend\r\n0\r\n\r\n" % (len(INNER), INNER)

    answer = json.loads(client.ask(head(*offer, b"transfer-encoding: chunked") + chunks))

    assert (INNER + b"end").decode() == answer["body"]
    assert ["/infer"] == server.paths


def test_requests_behind_one_that_offers_are_answered_in_order(server: Echo, client: Client) -> None:
    offer = OFFERS["h2c as Java's client sends it"]

    client.send(request(b"1", *offer) + request(b"2", path=b"/else") + request(b"3", *offer, path=b"/else") + INNER)

    answers = [json.loads(answer) for answer in client.hear(4)]
    assert [("/infer", "1"), ("/else", "2"), ("/else", "3"), ("/inner", "")] == [
        (answer["path"], answer["body"]) for answer in answers
    ]


def test_a_get_that_offers_a_websocket_is_answered_as_a_get(server: Echo, client: Client) -> None:
    offer = b"\r\n".join(OFFERS["websocket"])

    answer = json.loads(client.ask(b"GET /else HTTP/1.1\r\nhost: here\r\n" + offer + b"\r\n\r\n"))

    assert ("GET", "/else") == (answer["method"], answer["path"])


def test_a_tunnel_is_refused_and_nothing_behind_it_is_executed(server: Echo, client: Client) -> None:
    client.send(
        b"CONNECT here:80 HTTP/1.1\r\nhost: here:80\r\n\r\n" + INNER,
    )

    assert rest(client).startswith(b"HTTP/1.1 400 ")
    assert [] == server.paths


def test_a_length_and_chunks_behind_an_offer_are_refused(server: Echo, client: Client) -> None:
    offer = OFFERS["TLS"]
    client.send(head(*offer, b"content-length: 3", b"transfer-encoding: chunked") + b"0\r\n\r\n" + INNER)

    assert rest(client).startswith(b"HTTP/1.1 400 ")
    assert [] == server.paths


@pytest.mark.parametrize(
    ("host", "status"),
    [
        pytest.param((), b"400", id="none"),
        pytest.param((b"host: here", b"host: here"), b"400", id="twice the same"),
        pytest.param((b"host: here", b"Host: there"), b"400", id="two"),
        pytest.param((b"host: here, there",), b"400", id="a list"),
        pytest.param((b"host: a/b",), b"400", id="a path"),
        pytest.param((b"host: user@here",), b"400", id="a user"),
        pytest.param((b"host: here",), b"200", id="a name"),
        pytest.param((b"host:",), b"200", id="an empty one"),
        pytest.param((b"host: 10.0.0.1:8080",), b"200", id="an address and a port"),
        pytest.param((b"host: [fe80::1%25eth0]:8080",), b"200", id="an address of six"),
        pytest.param((b"host: my_service.ns.svc.cluster.local ",), b"200", id="a name and a blank"),
    ],
)
@pytest.mark.parametrize("offer", [(), OFFERS["TLS"]], ids=["no offer", "an offer"])
def test_there_is_one_host(
    server: Echo, client: Client, host: tuple[bytes, ...], status: bytes, offer: tuple[bytes, ...]
) -> None:
    client.send(request(b"1", *offer, b"connection: close", host=host))

    assert rest(client).startswith(b"HTTP/1.1 " + status), host
    assert (["/infer"] if status == b"200" else []) == server.paths


def test_http_1_0_needs_no_host_but_takes_not_two(server: Echo, client: Client) -> None:
    client.send(b"POST /infer HTTP/1.0\r\ncontent-length: 1\r\n\r\n1")
    assert rest(client).startswith(b"HTTP/1.1 200 ")

    other = Client(server.port)
    with other.socket:
        other.send(b"POST /infer HTTP/1.0\r\nhost: a\r\nhost: b\r\ncontent-length: 1\r\n\r\n1")
        assert rest(other).startswith(b"HTTP/1.1 400 ")


def test_an_http_1_0_client_is_sent_no_interim_answer(server: Echo, client: Client) -> None:
    client.send(b"POST /infer HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n1")

    assert rest(client).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("version", "coding", "status"),
    [
        pytest.param(b"1.1", b"chunked", b"200", id="chunks"),
        pytest.param(b"1.1", b"Chunked ", b"200", id="chunks, capital and blank"),
        pytest.param(b"1.1", b"gzip, chunked", b"501", id="a coding below the chunks"),
        pytest.param(b"1.0", b"chunked", b"400", id="chunks in HTTP/1.0"),
    ],
)
def test_chunks_are_the_only_transfer_coding(
    server: Echo, client: Client, version: bytes, coding: bytes, status: bytes
) -> None:
    client.send(
        b"POST /infer HTTP/%b\r\nhost: here\r\nconnection: close\r\ntransfer-encoding: %b\r\n\r\n1\r\n1\r\n0\r\n\r\n"
        % (version, coding)
    )

    assert rest(client).startswith(b"HTTP/1.1 " + status)
    assert (["/infer"] if status == b"200" else []) == server.paths


def test_blanks_around_values_are_no_part_of_them(server: Echo, client: Client) -> None:
    answer = json.loads(client.ask(request(b"1", b"x-one:  \t108 \t ", b"x-two: ", b"x-three: a b  ")))

    assert ["108", "", "a b"] == [answer["headers"][name] for name in ("x-one", "x-two", "x-three")]


def test_fields_of_one_name_are_one_list_on_the_fast_path() -> None:
    fields = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]

    assert {b"a": b"1, 3", b"b": b"2"} == fast_path.joined(fields)


def test_another_uvicorn_is_refused_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.check_versions()
    monkeypatch.setattr(versions, "version", lambda package: {"uvicorn": "0.55.1"}.get(package, "0.9.0"))

    with pytest.raises(RuntimeError, match=r"uvicorn 0\.55\.1 is installed; install uvicorn>=0\.54,<0\.55"):
        connection.check_versions()
