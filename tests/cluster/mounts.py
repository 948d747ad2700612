"""Mounts, as the kernel lists them."""

from collections.abc import Iterable
from pathlib import Path

from cluster.commands import run


def below(*folders: Path) -> list[Path]:
    """The mount points at or below `folders`, innermost first."""
    return listed(Path("/proc/self/mountinfo").read_text(), folders)


def listed(mountinfo: str, folders: Iterable[Path]) -> list[Path]:
    """Those of `mountinfo` that lie in `folders`, last mounted first, as that is the order to unmount them in.

    >>> text = '''30 1 0:25 / /run/a rw - tmpfs tmpfs rw
    ... 31 30 0:26 / /run/a/b\\\\040c rw - tmpfs tmpfs rw
    ... 32 1 0:27 / /run/ab rw - tmpfs tmpfs rw'''
    >>> [str(point) for point in listed(text, [Path("/run/a")])]
    ['/run/a/b c', '/run/a']
    """
    points = [Path(line.split()[4].encode().decode("unicode_escape")) for line in mountinfo.splitlines()]
    return [point for point in reversed(points) if any(point.is_relative_to(folder) for folder in folders)]


def remove(folders: Iterable[Path]) -> None:
    """Unmount everything at or below `folders`, also what is still in use."""
    for point in below(*folders):
        run(["umount", "--lazy", point])


def isolate(path: Path) -> None:
    """Make `place` a mount that does not propagate: namespaces can only be bound to files on such a one."""
    run(["mount", "--bind", path, path])
    run(["mount", "--make-private", path])
