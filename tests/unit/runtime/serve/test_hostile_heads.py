"""Hostile heads against a real server: each is refused in bounded time and memory, and the pod stays ready."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest

from .conftest import Pod
from .hostility import BASE, CHUNKED, MB, attacked, connected, forget_peak, head, heard, peak, poured, rest


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    with attacked(tmp_path_factory.mktemp("target")) as server:
        yield server


def test_a_head_that_does_not_come_to_an_end_is_given_up(target: Pod) -> None:
    with connected(target) as connection:
        connection.sendall(b"POST /v2/models/house/infer HTTP/1.1\r\nhost: he")
        response = rest(connection)

    assert response.startswith(b"HTTP/1.1 408 ")
    assert response.endswith(b'{"error":"headers: did not come within 1 s"}')


def test_a_head_that_comes_byte_by_byte_gains_no_time_by_it(target: Pod) -> None:
    with connected(target) as connection:
        connection.settimeout(0.05)
        response = b""
        for byte in b"GET /v2 HTTP/1.1\r\n" + b"a: b\r\n" * 10_000:
            try:
                connection.sendall(bytes([byte]))
                response = connection.recv(4096)
            except TimeoutError:
                continue
            except ConnectionError:
                pass
            break

    assert response.startswith(b"HTTP/1.1 408 ")


def test_a_client_that_says_nothing_is_sent_away(target: Pod) -> None:
    with connected(target) as connection:
        assert b"" == rest(connection)


def test_a_connection_that_has_asked_once_is_sent_away_in_the_middle_of_its_next_head(target: Pod) -> None:
    with connected(target) as connection:
        connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nhost: here\r\n\r\nGET /v2/hea")
        response = rest(connection)

    assert [b"200", b"408"] == [part[:3] for part in response.split(b"HTTP/1.1 ")[1:]]


def test_a_connection_between_two_requests_may_wait(target: Pod) -> None:
    with connected(target) as connection:
        connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nhost: here\r\n\r\n")
        heard(connection, b'{"live":true}')
        time.sleep(2.5)  # longer than a head may take, and than the sweep after it
        connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nhost: here\r\n\r\n")
        heard(connection, b'{"live":true}')


@pytest.mark.parametrize("part", [b"x" * 16_384, b"x: y\r\n" * 2_000], ids=["in one value", "in many fields"])
def test_a_head_without_end_is_refused_in_bounded_memory(target: Pod, part: bytes) -> None:
    before = forget_peak(target)
    with connected(target) as connection:
        connection.sendall(b"GET /v2 HTTP/1.1\r\nx: ")
        sent = poured(connection, part, 200 * MB)

    assert 16 * MB > sent
    assert 16 * MB > peak(target) - before


@pytest.mark.parametrize(
    "sent",
    {
        "no request at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "a nul in a header": head(f"{BASE}/infer", b"x: a\0b", b"content-length: 2") + b"{}",
        "a length that is none": head(f"{BASE}/infer", b"content-length: ten") + b"{}",
        "a negative length": head(f"{BASE}/infer", b"content-length: -1") + b"{}",
        "two lengths": head(f"{BASE}/infer", b"content-length: 2", b"content-length: 3") + b"{}",
        "a length and chunks": head(f"{BASE}/infer", b"content-length: 2", b"transfer-encoding: chunked") + b"{}",
        "a chunk of a hostile size": CHUNKED + b"ffffffffffffffffff\r\n",
        "a chunk without a size": CHUNKED + b"\r\nzz",
        "a folded header": head(f"{BASE}/infer", b"x: a\r\n  b\x7f", b"content-length: 2") + b"{}",
        "an id that ends a header": head(f"{BASE}/infer", b"x-request-id: a\rb", b"content-length: 2") + b"{}",
        "no integer where tensors begin": head(
            f"{BASE}/infer", b"inference-header-content-length: 0x2", b"content-length: 2"
        )
        + b"{}",
        "tensors that begin behind the end": head(
            f"{BASE}/infer", b"inference-header-content-length: 999999999999", b"content-length: 2"
        )
        + b"{}",
        "a method of its own": b"PWN /v2 HTTP/1.1\r\nhost: here\r\n\r\n",
        "a version of its own": b"GET /v2 HTTP/7.5\r\nhost: here\r\n\r\n",
        "a path that leaves": b"POST /v2/models/../../etc/passwd HTTP/1.1\r\nhost: here\r\ncontent-length: 2\r\n\r\n{}",
    }.items(),
    ids=lambda pair: pair[0],
)
def test_a_hostile_head_is_refused(target: Pod, sent: tuple[str, bytes]) -> None:
    with connected(target) as connection:
        connection.sendall(sent[1])
        connection.shutdown(socket.SHUT_WR)
        response = rest(connection)

    assert response.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 ", b"HTTP/1.1 405 ")), response
    output, _, body = response.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in output.lower().split(b"\r\n")
    assert ["error"] == list(json.loads(body))


def test_thousands_of_headers_are_one_request_like_any_other(target: Pod) -> None:
    row = b'{"rows":[{"size":2,"age":1}]}'
    length = b"content-length: %d" % len(row)
    with connected(target) as connection:
        connection.sendall(head(f"{BASE}/predict", *[b"x-%d: y" % n for n in range(3_000)], length) + row)

        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
