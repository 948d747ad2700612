"""The server of an upload: it listens on the pod's loopback address alone, which `kubectl port-forward` reaches and no other pod does."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from tidemill.contract.serving import STORE_PATH
from tidemill.contract.uploads import PART_BYTES, PORT, UploadOrder
from tidemill.runtime.failures import RunFailed
from tidemill.runtime.ingest.uploads.parts import PartStore, Rejected
from tidemill.runtime.store.objects import ObjectStore

logger = logging.getLogger(__name__)

IDLE_SECONDS: Final = 300.0
"""The pod ends when it has had no request for so long."""
REQUEST_SECONDS: Final = 60.0
"""How long a connection may keep silent."""


class UploadServer(ThreadingHTTPServer):
    """Takes the parts of one file."""

    daemon_threads = True

    def __init__(self, order: UploadOrder, parts: PartStore, port: int = PORT) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.order, self.parts = order, parts
        self.last_request = time.monotonic()
        self.running = 0
        self.counting = threading.Lock()

    def is_idle(self, seconds: float = IDLE_SECONDS) -> bool:
        """Return whether no request is under way, and the last one ended so long ago."""
        return not self.running and time.monotonic() - self.last_request > seconds


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = REQUEST_SECONDS
    server: UploadServer

    def do_GET(self) -> None:
        self._answer("/parts", lambda: self.server.parts.progress().to_wire())

    def do_PUT(self) -> None:
        size, number = self._number(self.headers.get("content-length", "")), self._number(self.path.rpartition("/")[2])
        if not 0 < size <= PART_BYTES:
            self._say(413, {"message": f"a part has 1 to {PART_BYTES} bytes"})
            return
        self._answer(f"/parts/{number}", lambda: self._put(number, size))

    def do_POST(self) -> None:
        self._answer("/finish", self._finish)

    def _put(self, number: int, size: int) -> dict[str, Any]:
        content = self.rfile.read(size)
        if len(content) < size:
            raise ConnectionAbortedError
        self.server.parts.put(number, content, self.headers.get("x-tidemill-digest", ""))
        return {}

    def _finish(self) -> dict[str, Any]:
        self.server.parts.finish()
        logger.info("the file is complete at %s", self.server.order.uri)
        return {"uri": self.server.order.uri}

    def _answer(self, path: str, act: Callable[[], dict[str, Any]]) -> None:
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        digest = f"sha256:{hashlib.sha256(token.encode()).hexdigest()}"
        if scheme != "Bearer" or not hmac.compare_digest(digest, self.server.order.token_digest):
            self._say(401, {"message": "the token is not that of this upload"})
            return
        if self.path != path:
            self._say(404, {"message": f"there is nothing at {self.path!r}"})
            return
        with self.server.counting:
            self.server.running += 1
        try:
            self._say(200, act())
        except Rejected as error:
            self._say(422, {"message": str(error)})
        except RunFailed as error:
            self._say(503, {"message": error.message})
        finally:
            with self.server.counting:
                self.server.running -= 1
                self.server.last_request = time.monotonic()

    def _say(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        # After an error the rest of the request is not read, so the connection cannot be used again.
        self.close_connection = self.close_connection or status >= 400
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(text)

    def _number(self, text: str) -> int:
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else -1

    def log_message(self, format: str, *args: Any) -> None:
        """Keep silent: a line for each part says nothing that the client does not say."""


def serve(order_path: Path, store_path: Path = Path(STORE_PATH)) -> None:
    """Take the file that the order describes, and return when nothing was asked for a while; raise RunFailed or OSError."""
    order = UploadOrder.model_validate_json(order_path.read_bytes())
    parts = PartStore(order, ObjectStore.from_files(store_path, namespace=order.namespace))
    parts.delete_abandoned(datetime.now(UTC))
    with UploadServer(order, parts) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        logger.info("waiting for %s, %d bytes", order.file, order.size)
        while not server.is_idle():
            time.sleep(1.0)
        server.shutdown()
