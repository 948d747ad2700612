"""Runs in a pod: carries objects into and out of the namespace's store over HTTP, with the credentials mounted there."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from tidemill.runtime.store.objects import ObjectStore

STORE = ObjectStore.from_files()


class Handler(BaseHTTPRequestHandler):
    """`GET`, `PUT` and `DELETE /<key>`, and `GET /?prefix=<folder>` for the keys below a folder."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        key = unquote(asked.path.lstrip("/"))
        if key:
            self._answer(lambda: STORE.get(key))
        else:
            prefix = parse_qs(asked.query)["prefix"][0]
            self._answer(lambda: json.dumps([entry.key for entry in STORE.list(prefix)]).encode())

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        self._answer(lambda: STORE.put(unquote(self.path.lstrip("/")), content))

    def do_DELETE(self) -> None:
        self._answer(lambda: STORE.delete(unquote(self.path.lstrip("/"))))

    def _answer(self, deed: Callable[[], bytes | None]) -> None:
        try:
            status, content = 200, deed() or b""
        except FileNotFoundError as missing:
            status, content = 404, str(missing).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", 9100), Handler).serve_forever()
