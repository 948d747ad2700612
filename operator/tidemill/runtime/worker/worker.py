"""The warm worker of a monitor: a small web server that is asked for check runs, one at a time.

Only what the standard library has is used: the image of check Jobs has no web server. The operator alone calls, a few
times a minute; any other client is limited in bytes, in time and in number.
"""

from __future__ import annotations

import json
import logging
import signal
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from tidemill.contract.orders import CHECK_HOLD_SECONDS, CHECKS_ROUTE, CheckOrder, WorkerOrder
from tidemill.contract.serving import STORE_PATH
from tidemill.runtime.process.threads import bound_threads
from tidemill.runtime.worker.runs import Busy, Runs

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 1 << 20
"""Of an order; it must fit into an annotation of at most a quarter of that."""
MAX_CALLERS: Final = 16
MAX_CALL_SECONDS: Final = 15.0
"""Seconds after which a call ends, however slowly somebody speaks."""
_MAX_NAME_LENGTH: Final = 63


class Refusal(Exception):
    """A call that is not granted, with its status code."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class WorkerServer(ThreadingHTTPServer):
    """`POST /checks/<run>` with a check order of the monitor, and `GET /healthz`."""

    daemon_threads = True

    def __init__(self, host: str, port: int, home: WorkerOrder, runs: Runs) -> None:
        """Listens on every address, of either family, where `host` is empty."""
        everywhere = not host and socket.has_dualstack_ipv6()
        self.address_family = socket.AF_INET6 if everywhere else socket.AF_INET
        super().__init__((host, port), Calls, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.create_server((host, port), family=self.address_family, dualstack_ipv6=everywhere)
        self.server_address = self.socket.getsockname()
        self.home, self.runs = home, runs
        self._room = threading.BoundedSemaphore(MAX_CALLERS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread of its own, if there is room for one more."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        ending = threading.Timer(MAX_CALL_SECONDS, _hang_up, (request,))
        ending.daemon = True
        ending.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            ending.cancel()
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Somebody went away in the middle of a call; that is theirs to do."""
        logger.info("a call from %s broke off", client_address[0], exc_info=logger.isEnabledFor(logging.DEBUG))


class Calls(BaseHTTPRequestHandler):
    """One call each; its connection ends with the answer."""

    server: WorkerServer
    timeout = MAX_CALL_SECONDS

    def do_GET(self) -> None:
        """Whether a check would begin at once."""
        if self.path != "/healthz":
            self._answer(HTTPStatus.NOT_FOUND, "there is GET /healthz and POST /checks/<run>")
        elif self.server.runs.is_warm:
            self._answer(HTTPStatus.OK, "ok")
        else:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "still warming up")

    def do_POST(self) -> None:
        """The run's report, or word that it is under way."""
        try:
            name, order = self._name(), self._order()
            run = self.server.runs.ask(name, order)
        except Refusal as refusal:
            self._answer(refusal.status, str(refusal))
            return
        except Busy as other:
            self._answer(HTTPStatus.CONFLICT, f"another run is under way: {other}")
            return
        if not run.wait(CHECK_HOLD_SECONDS):
            self._answer(HTTPStatus.ACCEPTED, f"{name} is under way; ask again")
        elif run.problem:
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, run.problem)
        else:
            self._send(HTTPStatus.OK, run.report)

    def _name(self) -> str:
        route, _, name = self.path.rpartition("/")
        if route != CHECKS_ROUTE or not name or len(name) > _MAX_NAME_LENGTH:
            raise Refusal(HTTPStatus.NOT_FOUND, "there is POST /checks/<run>, where a run is named like its Job")
        return name

    def _order(self) -> CheckOrder:
        order, home = _read(self._body()), self.server.home
        if (order.namespace, order.monitor, order.service) != (home.namespace, home.monitor, home.service):
            raise Refusal(
                HTTPStatus.FORBIDDEN, f"this worker carries out orders of {home.namespace}/{home.monitor} alone"
            )
        if not self.server.runs.is_warm:
            raise Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "still warming up")
        return order

    def _body(self) -> bytes:
        try:
            length = int(self.headers.get("content-length", ""))
        except ValueError:
            raise Refusal(HTTPStatus.LENGTH_REQUIRED, "an order comes with its Content-Length") from None
        if not 0 <= length <= MAX_BYTES:
            raise Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"an order has at most {MAX_BYTES} bytes")
        return self.rfile.read(length)

    def _answer(self, status: HTTPStatus, message: str) -> None:
        self._send(status, json.dumps({"message": message}).encode())

    def _send(self, status: HTTPStatus, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        return "tidemill"

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)


def serve(order_path: Path, *, host: str = "", port: int, store_path: Path = Path(STORE_PATH)) -> None:
    """Carry out check runs until stopped, for the monitor that the order in `order_path` names."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    bound_threads()
    home = WorkerOrder.model_validate_json(order_path.read_bytes())
    runs = Runs(store_path, home.deadline_seconds)
    server = WorkerServer(host, port, home, runs)
    threading.Thread(target=server.serve_forever, name="calls", daemon=True).start()
    runs.warm_up()
    logger.info("warm, for %s/%s, on port %d", home.namespace, home.monitor, server.server_address[1])
    stopping.wait()
    server.shutdown()
    runs.stop()
    server.server_close()
    logger.info("stopped")


def _read(body: bytes) -> CheckOrder:
    try:
        return CheckOrder.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "its body"
        message = f"this is no check order: {where}: {first['msg']}; operator and image may be of different releases"
        raise Refusal(HTTPStatus.BAD_REQUEST, message) from None


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it has ended by itself
