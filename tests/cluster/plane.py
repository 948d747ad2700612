"""etcd and kube-apiserver on loopback, without a node: a real API for tests, several side by side."""

import random
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cluster import audit, components, processes, programs, settings, versions
from cluster.api import Api, TooLate, wait
from cluster.components import ControlPlane
from cluster.versions import Program

QUIET = range(15_000, 30_000)
"""Ports below those that Linux and macOS give to outgoing connections, and below those that Kubernetes gives to nodes."""


@dataclass(slots=True)
class Component:
    """One server of a control plane, to be stopped, killed and started again by itself."""

    name: str
    command: Sequence[str]
    log: Path
    _running: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def alive(self) -> bool:
        return self._running is not None and self._running.poll() is None

    def start(self) -> None:
        """Start it, unless it runs; return at once, before it answers."""
        if self.alive:
            return
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(
                [*_dying_with_us(), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=processes.environment(),
            )

    def kill(self) -> None:
        """End it as a crash would: at once, with nothing written or said."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()

    def stop(self, *, patience: float = 3.0) -> None:
        """End it politely, and at once if it takes longer than `patience`."""
        if self._running is None:
            return
        self._running.terminate()
        try:
            self._running.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()


@dataclass(frozen=True, slots=True)
class Plane:
    """A running control plane."""

    kubeconfig: Path
    context: str
    etcd: Component
    apiserver: Component
    # Started only where asked for; without it nothing is garbage-collected and no namespace ever ends.
    controllers: Component
    audit_log: Path
    server: str
    _api: Api = field(repr=False)

    def wait_ready(self, *, seconds: float = 60) -> None:
        """Return when the API server answers; raise if it or etcd has ended."""

        def ready() -> bool:
            for component in (self.etcd, self.apiserver):
                if not component.alive:
                    raise TooLate(f"{component.name} is not running; see {component.log}")
            return self._api.ready

        wait("readiness of the API server", ready, seconds=seconds)

    def audit(self) -> list[audit.Event]:
        """What was asked of the API server so far, in the order in which it was answered."""
        return audit.read(self.audit_log)


@contextmanager
def control_plane(
    directory: Path, *, controllers: bool = False, context: str = "test", seconds: float = 60
) -> Iterator[Plane]:
    """A control plane that keeps everything in `directory`, ready to answer; it ends with the block."""
    programs.ensure(versions.PLANE if controllers else (versions.ETCD_SERVER, versions.APISERVER))
    directory.mkdir(parents=True, exist_ok=True)
    port, etcd_port, peer_port = free_ports(3)
    layout = ControlPlane(directory, "127.0.0.1", port, etcd_port, peer_port)
    kubeconfig = directory / "kubeconfig"
    settings.write_plane(layout, kubeconfig_path=kubeconfig, context=context)

    def component(program: Program, arguments: list[str]) -> Component:
        return Component(program.name, [str(programs.path(program)), *arguments], directory / f"{program.name}.log")

    plane = Plane(
        kubeconfig=kubeconfig,
        context=context,
        etcd=component(versions.ETCD_SERVER, components.etcd(layout)),
        apiserver=component(versions.APISERVER, components.apiserver(layout, settings.serving(layout))),
        controllers=component(versions.CONTROLLER_MANAGER, components.controller_manager(layout)),
        audit_log=layout.audit_log,
        server=layout.server,
        _api=Api(layout.server, layout.authority, settings.administrator(layout)),
    )
    with ExitStack() as ending:
        # Ended in the opposite order: an API server without its etcd would take its whole grace period.
        for part in (plane.etcd, plane.apiserver, plane.controllers):
            ending.callback(part.stop)
        plane.etcd.start()
        plane.apiserver.start()
        plane.wait_ready(seconds=seconds)
        if controllers:
            plane.controllers.start()
        yield plane


def free_ports(count: int) -> list[int]:
    """Ports of loopback that no process listens on, all different, and none that an outgoing connection could take meanwhile."""
    results: list[int] = []
    with ExitStack() as held:
        for port in random.SystemRandom().sample(QUIET, len(QUIET)):
            if len(results) == count:
                break
            connection = held.enter_context(socket.socket())
            with suppress(OSError):
                connection.bind(("127.0.0.1", port))
                results.append(port)
    return results


def _dying_with_us() -> list[str]:
    """A command prefix: a test run that is itself killed must leave no servers behind."""
    return ["setpriv", "--pdeathsig", "KILL", "--"] if sys.platform == "linux" else []
