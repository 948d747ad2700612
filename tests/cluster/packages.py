"""The Debian packages that the embedded node and the image builds need."""

import shutil
from pathlib import Path

from cluster.commands import CommandFailed, run, twice
from cluster.progress import step

# What is looked for, and the package that brings it.
NODE = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "/bin/busybox": "busybox-static",
}
IMAGES = {"buildah": "buildah", "debootstrap": "debootstrap"}


def missing(wanted: dict[str, str]) -> list[str]:
    """The packages to install, each once."""
    absent = [package for what, package in wanted.items() if not (Path(what).exists() or shutil.which(what))]
    return list(dict.fromkeys(absent))


def ensure(wanted: dict[str, str]) -> None:
    """Install what is missing; fail with the names where there is no apt."""
    names = missing(wanted)
    if not names:
        return
    if shutil.which("apt-get") is None:
        raise CommandFailed(f"please install {', '.join(names)}: this machine has no apt-get to do it with")
    with step(f"installing {', '.join(names)}"):
        twice(lambda: _install(names))
    if still := missing(wanted):
        raise CommandFailed(f"apt-get installed {', '.join(still)}, but the programs are not where they belong")


def _install(names: list[str]) -> None:
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *names]
    quiet = ["env", "DEBIAN_FRONTEND=noninteractive"]
    try:
        run([*quiet, *install])
    except CommandFailed:
        # The package lists are absent or old on a fresh machine.
        run([*quiet, "apt-get", "update", "-qq"])
        run([*quiet, *install])
