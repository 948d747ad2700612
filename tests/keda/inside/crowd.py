"""Runs in a pod: so many clients, each of which asks again as soon as it is answered. `GET /` says how they fared."""

import http.client
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COUNTS = {"answered": 0, "failed": 0}
LAST = {"problem": ""}
LOCK = threading.Lock()


def ask(host: str, path: str, body: bytes) -> None:
    """One request on a connection of its own, so that new pods get their share."""
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        response_body = answer.read()
        if answer.status != 200:
            raise OSError(f"status {answer.status}: {response_body[:200]!r}")
        problem = ""
    except (OSError, http.client.HTTPException) as failure:
        problem = f"{type(failure).__name__}: {failure}"
    finally:
        connection.close()
    with LOCK:
        COUNTS["failed" if problem else "answered"] += 1
        LAST["problem"] = problem or LAST["problem"]


def keep_asking(host: str, path: str, body: bytes) -> None:
    while True:
        ask(host, path, body)


class Handler(BaseHTTPRequestHandler):
    """The counts so far, and the last problem."""

    def do_GET(self) -> None:
        with LOCK:
            content = json.dumps({**COUNTS, **LAST}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing to say."""


if __name__ == "__main__":
    host, path, size, rows, port = sys.argv[1:]
    data = [[5.0 + row % 30 / 10, 3.4, 1.5 + row % 50 / 10, 0.2] for row in range(int(rows))]
    flat = [number for row in data for number in row]
    asked = {"name": "rows", "shape": [len(data), 4], "datatype": "FP64", "data": flat}
    content = json.dumps({"inputs": [asked]}).encode()
    for _ in range(int(size)):
        threading.Thread(target=keep_asking, args=(host, path, content), daemon=True).start()
    ThreadingHTTPServer(("0.0.0.0", int(port)), Handler).serve_forever()
