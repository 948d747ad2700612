"""Long-running processes that outlive the command that started them, and their safe end.

A process id alone proves nothing: it may have been given to a stranger since. So a record also holds
the start time and the boot, and only a process that matches all three is ours to end.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

POLL = 0.02


@dataclass(frozen=True, slots=True)
class Identity:
    """Which process it was, beyond doubt."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        """The process that has `pid` now, or None if there is none; a zombie does not count."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        if fields[0] in "ZX":
            return None
        return cls(pid, int(fields[19]), _boot())

    @property
    def alive(self) -> bool:
        return Identity.of(self.pid) == self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless the process is gone; the pidfd closes the window between the look and the signal."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.alive:
                signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)


@dataclass(frozen=True, slots=True)
class Record:
    """A started process, as remembered on disk."""

    name: str
    identity: Identity

    @property
    def alive(self) -> bool:
        return self.identity.alive


def start(name: str, command: Sequence[str], *, logs: Path, records: Path) -> Record:
    """Start `command` in a session of its own and remember it before returning."""
    logs.mkdir(parents=True, exist_ok=True)
    records.mkdir(parents=True, exist_ok=True)
    with (logs / f"{name}.log").open("ab") as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env=environment(),
        )
    identity = Identity.of(child.pid)
    if identity is None:
        child.wait()
        raise RuntimeError(f"{name} ended at once; see {logs / name}.log")
    (records / f"{name}.json").write_text(json.dumps(asdict(identity)))
    # No process waits for it: silence the warning that Popen gives at exit.
    child.returncode = 0
    return Record(name, identity)


def environment() -> dict[str, str]:
    """What a server gets: no proxy, no credentials and no settings of the process that happens to start it."""
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}


def recorded(records: Path) -> list[Record]:
    """All processes remembered in `records`, alive or not, by name."""
    results = []
    for path in sorted(records.glob("*.json")):
        try:
            results.append(Record(path.stem, Identity(**json.loads(path.read_text()))))
        except (json.JSONDecodeError, TypeError):
            continue  # a record cut short by a power loss names no process
    return results


def end(identities: Iterable[Identity], *, patience: float = 5.0) -> None:
    """End processes politely, and those that outlive `patience` at once; return when all are gone."""
    waiting = [identity for identity in identities if identity.alive]
    for number, limit in ((signal.SIGTERM, patience), (signal.SIGKILL, 10.0)):
        for identity in waiting:
            identity.signal(number)
        waiting = _outliving(waiting, limit)
        if not waiting:
            return
    raise TimeoutError(f"these processes survived SIGKILL: {[identity.pid for identity in waiting]}")


def _outliving(identities: list[Identity], seconds: float) -> list[Identity]:
    deadline = time.monotonic() + seconds
    while identities and time.monotonic() < deadline:
        _reap(identities)
        identities = [identity for identity in identities if identity.alive]
        if identities:
            time.sleep(POLL)
    return identities


def _reap(identities: list[Identity]) -> None:
    # Only our own children can become zombies on our account; others are init's.
    for identity in identities:
        try:
            os.waitpid(identity.pid, os.WNOHANG)
        except ChildProcessError:
            continue


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
