"""A socket that says what it likes, a watch over whether the pod stays ready, and what its process has taken."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tidemill.runtime.store.objects import ObjectStore

from .conftest import Pod, pods, publisher, until

BASE = "/v2/models/house"
MOST = 1_000_000
"""Bytes of a body that the hostile pods take."""
MB = 1024 * 1024
PROBE_SECONDS = 5.0
"""The kubelet's patience with a probe; see children/serving."""


@contextmanager
def attacked(folder: Path) -> Iterator[Pod]:
    """A pod that gives clients a second to send what they have to, and that is asked all the while whether it is ready."""
    store = ObjectStore.open(f"file://{folder}/store")
    with pods(folder, store) as prepare:
        server = prepare(
            publisher(store)("house-1"), maxBodyBytes=MOST, environment={"TIDEMILL_BODY_SECONDS": "1"}
        ).ready()
        # What the first request makes the process load is not a client's fault.
        rows = {"rows": [{"size": 1.0, "age": 1.0}]}
        assert [200, 200] == [
            server.client.post(f"{BASE}/{act}", json=rows).status_code for act in ("predict", "explain")
        ]
        until(lambda: server.state()["logs"]["predictions"]["written"], "the log is written")
        with watched(server):
            yield server


@contextmanager
def watched(server: Pod) -> Iterator[None]:
    """Fails where the pod was unready at any time, or so slow to say so that the kubelet would take it for unready."""
    over = threading.Event()
    codes: Counter[int] = Counter()
    slowest = 0.0

    def look() -> None:
        nonlocal slowest
        with httpx.Client(base_url=server.url, timeout=60) as client:
            while True:
                started = time.monotonic()
                codes[client.get("/v2/health/ready").status_code] += 1
                slowest = max(slowest, time.monotonic() - started)
                if over.wait(0.1):
                    return

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()
    assert {200} == set(codes)
    assert slowest < PROBE_SECONDS


def peak(server: Pod) -> int:
    """The most memory that the process has had since it was asked to forget, in bytes."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) * 1024


def forget_peak(server: Pod) -> int:
    """What the process has now; the peak is counted from here on."""
    assert server.process is not None
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
    return peak(server)


@contextmanager
def connected(server: Pod) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        yield connection


def rest(connection: socket.socket) -> bytes:
    """What comes until the server ends the connection."""
    got = b""
    while True:
        try:
            more = connection.recv(65_536)
        except ConnectionError:
            return got
        if not more:
            return got
        got += more


def heard(connection: socket.socket, wanted: bytes) -> None:
    """Wait for an answer that ends so."""
    got = b""
    while not got.endswith(wanted):
        more = connection.recv(4096)
        assert more, got
        got += more


def poured(connection: socket.socket, part: bytes, most: int) -> int:
    """Send `part` again and again until the server ends it; the number of bytes that were sent, `most` at most."""
    sent = 0
    try:
        while sent < most:
            connection.sendall(part)
            sent += len(part)
    except (ConnectionError, TimeoutError):
        pass
    return sent


def head(path: str = f"{BASE}/infer", *more: bytes) -> bytes:
    return b"\r\n".join([f"POST {path} HTTP/1.1".encode(), b"host: here", *more]) + b"\r\n\r\n"


CHUNKED = head(f"{BASE}/infer", b"content-type: application/json", b"transfer-encoding: chunked")
