"""The process of the sweeper: a turn every hour, whatever happens, and its metrics over HTTP."""

from __future__ import annotations

import logging
import random
import signal
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from tidemill.contract.references import REFERENCES_ROUTE, References
from tidemill.contract.serving import STORE_PATH
from tidemill.runtime.retention.exposition import SweepMetrics, VolumeSpace, space_of
from tidemill.runtime.retention.sweeper import Sweeper, Turn
from tidemill.runtime.store.objects import ObjectStore

logger = logging.getLogger(__name__)

INTERVAL_SECONDS: Final = 3600.0
RETRY_SECONDS: Final = 60.0
"""Seconds to the next turn after one that failed, or that left something to delete."""
MAX_BYTES: Final = 64 << 20
"""Of the operator's answer."""
ASK_TIMEOUT_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the chart says."""

    operator: str
    """The operator's base URL."""
    release: str
    is_only_user: bool
    """Whether no other release uses the store."""
    grace: timedelta | None
    """How long data is kept that no object uses; None for good."""
    volume: Path | None
    """Where the store's volume is mounted, if it is."""
    port: int


def ask(operator: str) -> References:
    """Return what is in use, from the operator at this base URL; raises OSError or ValueError where it has no complete answer."""
    with urllib.request.urlopen(f"{operator}{REFERENCES_ROUTE}", timeout=ASK_TIMEOUT_SECONDS) as response:
        body = response.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise ValueError(f"the operator's answer has more than {MAX_BYTES:,} bytes")
    return References.model_validate_json(body)


class SweepLoop:
    """Turn after turn, until stopped; no error ends it."""

    def __init__(self, turn: Callable[[], Turn], measured: SweepMetrics, clock: Callable[[], float]) -> None:
        self._turn, self._measured, self._clock = turn, measured, clock

    def once(self) -> float:
        """Take one turn, and return the seconds to wait for the next one."""
        try:
            turn = self._turn()
        except Exception as error:  # whatever is wrong with the store or the operator, the next turn may succeed
            self._measured.failures += 1
            logger.warning("the store could not be swept; trying again in %.0f s: %s", RETRY_SECONDS, error)
            return RETRY_SECONDS
        self._measured.record(turn, self._clock())
        return RETRY_SECONDS if turn.left else INTERVAL_SECONDS * (0.9 + 0.2 * random.random())

    def run(self, stopping: threading.Event) -> None:
        """Take turns; the first one soon, but after everything has started."""
        stopping.wait(RETRY_SECONDS)
        while not stopping.is_set():
            stopping.wait(self.once())


class MetricsServer(ThreadingHTTPServer):
    """`GET /metrics` and `GET /healthz`."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], measured: SweepMetrics, volume: Path | None) -> None:
        super().__init__(address, MetricsCalls)
        self.measured, self.volume = measured, volume

    def space(self) -> VolumeSpace | None:
        """Return the state of the volume now."""
        return space_of(self.volume) if self.volume else None


class MetricsCalls(BaseHTTPRequestHandler):
    """One call each."""

    server: MetricsServer
    timeout = 10.0

    def do_GET(self) -> None:
        match self.path:
            case "/metrics":
                self._send(HTTPStatus.OK, self.server.measured.page(self.server.space()))
            case "/healthz":
                self._send(HTTPStatus.OK, b"ok\n")
            case _:
                self._send(HTTPStatus.NOT_FOUND, b"there is GET /metrics and GET /healthz\n")

    def _send(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)


def serve(options: Options, *, store_path: Path = Path(STORE_PATH)) -> None:
    """Sweep until stopped, as the chart says."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())

    def turn() -> Turn:
        # Opened each time: the Secret may have changed.
        sweeper = Sweeper(
            ObjectStore.from_files(store_path),
            lambda: ask(options.operator),
            release=options.release,
            is_only_user=options.is_only_user,
            grace=options.grace,
            clock=lambda: datetime.now(UTC),
        )
        return sweeper.turn()

    measured = SweepMetrics()
    server = MetricsServer(("", options.port), measured, options.volume)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    logger.info("sweeping for release %s, metrics on port %d", options.release, server.server_address[1])
    SweepLoop(turn, measured, time.time).run(stopping)
    server.shutdown()
    server.server_close()
