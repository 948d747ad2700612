"""The control groups of an embedded cluster: what is in them was started by it, directly or through containerd."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from cluster.processes import Identity, end

ROOT = Path("/sys/fs/cgroup")
ATTEMPTS = 100


def hierarchies() -> list[Path]:
    """The roots of all cgroup trees: one with cgroups v2, one for each controller with v1."""
    if not ROOT.exists():
        return []
    if (ROOT / "cgroup.controllers").exists():
        return [ROOT]
    return [path for path in sorted(ROOT.iterdir()) if (path / "cgroup.procs").exists() and not path.is_symlink()]


def groups(name: str) -> list[Path]:
    """The cluster's group in each tree, whether it is there or not."""
    return [root / name for root in hierarchies()]


def create(name: str) -> None:
    """Make the cluster's group in every tree, with a leaf for the node's own processes."""
    for root in hierarchies():
        group = root / name
        (group / "system").mkdir(parents=True, exist_ok=True)
        if root.name == "cpuset":
            _inherit_cpus(group)


def joining(name: str) -> list[str]:
    """A command prefix that moves what follows into the group before it starts."""
    # One tree is enough to know a process by; its limits stay those of the caller.
    procs = _witness() / name / "system" / "cgroup.procs"
    return ["sh", "-c", f'echo $$ > "{procs}" && exec "$@"', "tidemill"]


def members(name: str) -> list[Identity]:
    """Every process in the cluster's group, pods included."""
    results = []
    for procs in sorted((_witness() / name).rglob("cgroup.procs")):
        try:
            pids = procs.read_text().split()
        except (FileNotFoundError, OSError):
            continue  # the group went away while we looked
        results += [identity for pid in pids if (identity := Identity.of(int(pid)))]
    return results


def remove(name: str) -> None:
    """End what is still in the group, then remove it from every tree."""
    for attempt in range(ATTEMPTS):
        # Each time again: a process that was just being started may join after the first look.
        end(members(name), patience=1.0)
        try:
            for top in groups(name):
                for group in _bottom_up(top):
                    group.rmdir()
        except OSError:
            # The kernel lets go of a group a moment after its last process has ended.
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(0.05)
        else:
            return


def _witness() -> Path:
    # Of the v1 trees, pids is the one that runc always joins and nothing else nests itself into.
    return ROOT if (ROOT / "cgroup.controllers").exists() else ROOT / "pids"


def _bottom_up(group: Path) -> Iterator[Path]:
    for folder, _, _ in os.walk(group, topdown=False):
        yield Path(folder)


def _inherit_cpus(group: Path) -> None:
    # A v1 cpuset starts empty, and an empty one accepts no process.
    for name in ("cpuset.cpus", "cpuset.mems"):
        value = (group.parent / name).read_text()
        for level in (group, group / "system"):
            (level / name).write_text(value)
