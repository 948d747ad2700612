"""The operator as a process of its own, forked from one that has imported it, so that a new life takes a moment only."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from cluster.plane import free_ports

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["chaos.warm"])


@dataclass(frozen=True)
class Manner:
    """How an operator runs."""

    identity: str = "first"
    elected: bool = False
    resync: float = 300.0


class Operator:
    """One operator of one namespace, which may be killed at any moment and begin again."""

    def __init__(
        self, server: str, namespace: str, folder: Path, manner: Manner | None = None, config: str = ""
    ) -> None:
        """`config` is the kubeconfig where `server` alone does not say who we are."""
        folder.mkdir(parents=True, exist_ok=True)
        self.manner = manner or Manner()
        stem = f"{namespace}-{self.manner.identity}"
        self.log = folder / f"{stem}.log"
        self._kubeconfig = folder / f"{stem}.kubeconfig"
        self._kubeconfig.write_text(config or json.dumps(kubeconfig(server)))
        self._namespace = namespace
        self.lives = 0
        self.expected_end = False
        self.port = 0
        self._ended: list[float] = []
        self._began = 0.0
        self._process: multiprocessing.process.BaseProcess | None = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.is_alive()

    def start(self) -> None:
        self.lives += 1
        self._began = time.monotonic()
        self.expected_end = False
        [self.port] = free_ports(1)
        arguments = (str(self._kubeconfig), self._namespace, self.port, str(self.log), self.manner)
        self._process = _context.Process(target=_live, args=arguments, daemon=True)
        self._process.start()

    def kill(self) -> None:
        """SIGKILL, on purpose."""
        self.expected_end = True
        if self._process is not None:
            self._process.kill()
            self._process.join()

    @property
    def age(self) -> float:
        """Seconds since its newest life began."""
        return time.monotonic() - self._began

    @property
    def deposed(self) -> bool:
        """Whether the last thing that it said of leading is that it no longer does."""
        return "is no longer the leader" in self.log.read_text().rpartition(" is the leader\n")[2]

    def note_end(self) -> None:
        """It ended by itself, just now."""
        self._ended.append(time.monotonic())

    def ended_after(self, moment: float) -> float | None:
        """Seconds from `moment` until it ended by itself for the first time since."""
        return next((ended - moment for ended in self._ended if ended >= moment), None)

    def remove(self) -> None:
        """Kill it and take away what it left."""
        self.kill()
        self._kubeconfig.unlink(missing_ok=True)
        self.log.unlink(missing_ok=True)


def kubeconfig(server: str) -> dict[str, object]:
    """The least that leads to `server`; who we are is the proxy's business."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "chaos",
        "clusters": [{"name": "chaos", "cluster": {"server": server}}],
        "contexts": [{"name": "chaos", "context": {"cluster": "chaos", "user": "chaos"}}],
        "users": [{"name": "chaos", "user": {}}],
    }


def _live(config: str, namespace: str, port: int, log: str, manner: Manner) -> None:
    from tidemill import app
    from tidemill.children.installation import Installation
    from tidemill.engine.settings import Settings

    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    settings = Settings(
        installation=Installation(workload_image="tidemill/workload:1", server_image="tidemill/server:1"),
        namespaces=(namespace,),
        kubeconfig=config,
        metrics_address=f"127.0.0.1:{port}",
        namespace=namespace,
        resync_seconds=manner.resync,
        leader_elect=manner.elected,
        identity=manner.identity,
    )
    sys.exit(app.run(settings))
