"""A base image of Debian packages, for machines where no image can be pulled."""

import hashlib
import os
import shutil
import tarfile
from pathlib import Path

from cluster import packages, paths
from cluster.commands import run, twice
from cluster.progress import step
from cluster.recipes import FOLDER, Recipe

SUITE = "bookworm"
# Like python:slim it has no compiler; unlike it, no pip either, which the builds bring along.
PACKAGES = ("python3", "ca-certificates")
# For people and for apt; an image has neither.
UNUSED = (
    "usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian",
    "usr/share/bash-completion", "var/cache/apt", "var/lib/apt/lists", "var/log", "var/cache/debconf",
)  # fmt: skip


def recipe() -> Recipe:
    """The base image, its root file system made now if it was not before."""
    return Recipe("base", FOLDER / "base.Dockerfile", {"rootfs.tar": ensure()}, {})


def ensure() -> Path:
    """The root file system as a tar archive in the cache."""
    key = hashlib.sha256(repr((SUITE, PACKAGES, UNUSED)).encode()).hexdigest()[:12]
    path = paths.cache() / "rootfs" / f"{SUITE}-{key}.tar"
    if not path.exists():
        packages.ensure(packages.IMAGES)
        path.parent.mkdir(parents=True, exist_ok=True)
        with step(f"making a Debian {SUITE} base image"):
            twice(lambda: _make(path))
    return path


def _make(path: Path) -> None:
    draft = path.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    run(["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, draft])
    for name in UNUSED:
        folder = draft / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
    run(["chroot", draft, "/usr/bin/python3", "-c", "import ssl, sqlite3, venv"])
    unfinished = path.with_suffix(".part")
    with tarfile.open(unfinished, "w") as tar:
        tar.add(draft, arcname=".", filter=_without_devices)
    shutil.rmtree(draft)
    os.rename(unfinished, path)


def _without_devices(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    # The runtime brings its own /dev, and not every builder may make device nodes.
    return None if entry.ischr() or entry.isblk() else entry
