"""Runs in a pod that sees the node's processes: kills those of one container with SIGKILL.

It runs as the user of Tidemill's own pods, so it can harm no others.
"""

import os
import signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def kill(container: str) -> int:
    """SIGKILL every process of the container with this id, and say how many there were."""
    killed = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if container in (entry / "cgroup").read_text():
                os.kill(int(entry.name), signal.SIGKILL)
                killed += 1
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return killed


class Handler(BaseHTTPRequestHandler):
    """`POST /<container id>`."""

    def do_POST(self) -> None:
        container = self.path.strip("/")
        content = str(kill(container) if len(container) == 64 else 0).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", 9200), Handler).serve_forever()
