"""The images that the node itself needs: a program each, on nothing."""

from collections.abc import Iterator
from pathlib import Path

from cluster import programs, scratch, versions
from cluster.components import PAUSE

BUSYBOX = Path("/bin/busybox")
# Which names busybox answers to: what the storage provisioner's scripts use, and what a person would look for.
APPLETS = ("sh", "mkdir", "rm", "sleep", "cat", "ls", "wget", "nslookup", "true", "false", "touch", "chmod", "df")


def archives() -> Iterator[bytes]:
    """One docker archive for each image."""
    yield scratch.archive(PAUSE, {"bin/busybox": BUSYBOX}, command=["/bin/busybox", "sleep", "2147483647"])
    yield scratch.archive(
        "tidemill.dev/system/busybox:1",
        {"bin/busybox": BUSYBOX},
        links={f"bin/{name}": "busybox" for name in APPLETS},
        command=["/bin/sh"],
    )
    for program in (versions.COREDNS_SERVER, versions.PROVISIONER):
        path = f"bin/{program.name}"
        yield scratch.archive(
            f"tidemill.dev/system/{program.name}:1", {path: programs.path(program)}, command=[f"/{path}"]
        )
