"""`kubectl port-forward` to the pod of an upload, for as long as the upload takes."""

from __future__ import annotations

import re
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Sequence
from types import TracebackType
from typing import IO

from tidemill.contract.uploads import PORT


class TunnelClosed(Exception):
    """kubectl ended instead of forwarding; the message is what it wrote."""


class Tunnel:
    """A port of this machine's loopback address that leads to the pod."""

    def __init__(self, kubectl: Sequence[str], pod: str) -> None:
        # In a file: nothing reads a pipe while the tunnel is in use, and a full one would stop kubectl.
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._reader: threading.Thread | None = None
        command = [*kubectl, "port-forward", "--address=127.0.0.1", f"pod/{pod}", f":{PORT}"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._errors, text=True)
        try:
            self.port = self._announced()
        except BaseException:
            self.close()
            raise

    def _announced(self) -> int:
        """Return the port that kubectl chose."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if match := re.match(r"Forwarding from 127\.0\.0\.1:(\d+) ", line):
                # kubectl writes a line for each connection.
                self._reader = threading.Thread(target=deque, args=(self._process.stdout, 0), daemon=True)
                self._reader.start()
                return int(match[1])
        self._process.wait()
        self._errors.seek(0)
        raise TunnelClosed(self._errors.read().decode(errors="replace").strip()[-1000:] or "kubectl port-forward ended")

    def close(self) -> None:
        """End kubectl."""
        self._process.kill()
        self._process.wait()
        if self._reader is not None:
            self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    def __enter__(self) -> Tunnel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
