"""The operators as processes: how they are started, and what they take of processor and memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from cluster.plane import free_ports

HERE = Path(__file__).parent
AT_REST = 0.05
"""Share of a core below which a process does nothing worth mentioning."""


@dataclass
class Contender:
    """One operator that watches one namespace."""

    name: str
    namespace: str
    kubeconfig: Path
    log: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _port: int = 0

    def start(self) -> None:
        [self._port] = free_ports(1)
        variables: Mapping[str, str] = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=variables
            )

    def _command(self) -> list[str]:
        if self.name == "idiomatic":
            handlers = str(HERE / "idiomatic" / "handlers.py")
            probe = f"--liveness=http://127.0.0.1:{self._port}/healthz"
            return [sys.executable, "-m", "kopf", "run", "--standalone", "-n", self.namespace, probe, handlers]
        images = ["--workload-image=tidemill/workload:1", "--server-image=tidemill/server:1"]
        where = [f"--namespaces={self.namespace}", f"--metrics-address=127.0.0.1:{self._port}"]
        return [sys.executable, "-m", "tidemill", "controller", *images, *where]

    def wait_answering(self, *, seconds: float = 120) -> float:
        """Seconds until it says that it is ready: ours when everything is listed, the other when it runs at all."""
        began = time.monotonic()
        path = "healthz" if self.name == "idiomatic" else "readyz"
        while True:
            if self.pid is None:
                raise SystemExit(f"{self.name} has ended; see {self.log}")
            try:
                if httpx.get(f"http://127.0.0.1:{self._port}/{path}", timeout=2).status_code == 200:
                    return time.monotonic() - began
            except httpx.HTTPError:
                pass
            if time.monotonic() - began > seconds:
                raise SystemExit(f"{self.name} is not ready after {seconds:.0f} s; see {self.log}")
            time.sleep(0.05)

    def wait_at_rest(self, *, seconds: float, window: float = 2.0) -> float:
        """Seconds until it has done nothing for `window`, which is not counted; infinite where it never rests."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            before = self.worked
            time.sleep(window)
            if self.worked - before < AT_REST * window:
                return time.monotonic() - began - window
        return float("inf")

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def worked(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def resident(self) -> float:
        """Megabytes now."""
        return self._status("VmRSS")

    @property
    def peak(self) -> float:
        """Megabytes at most so far."""
        return self._status("VmHWM")

    def _status(self, name: str) -> float:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
        raise LookupError(name)
