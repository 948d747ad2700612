"""Where the others live: an environment each in the cache, because their pins collide.

python tests/benchmarks/drift/peers.py [evidently nannyml …]    installs those, or all that are absent
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Peer(NamedTuple):
    """What is timed next to Tidemill."""

    script: str
    packages: tuple[str, ...]
    """Empty where it runs in our own environment."""


PEERS = {
    "numpy + scipy": Peer("expert.py", ()),
    "polars": Peer("polars_report.py", ("polars>=1,<3", "numpy", "pyarrow")),
    "duckdb": Peer("duckdb_report.py", ("duckdb>=1.2,<3", "numpy")),
    "nannyml": Peer("nannyml_report.py", ("nannyml>=0.13,<0.14", "pandas<3", "statsmodels")),
    "whylogs": Peer("whylogs_report.py", ("whylogs[viz]>=1.6,<2", "pandas<3", "pyarrow", "setuptools<81")),
    # Evidently 0.7.23 does not import with pandas 3.
    "evidently": Peer("evidently_report.py", ("evidently>=0.7,<0.8", "pandas<3", "pyarrow")),
}


def _folder(name: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "tidemill" / "bench-drift" / name


def python_of(name: str) -> str | None:
    """The Python that has this peer; None where it is not installed."""
    peer = PEERS[name]
    if not peer.packages:
        return sys.executable
    ready = _folder(name) / ".ready"
    return str(_folder(name) / "bin/python") if ready.exists() and ready.read_text() == repr(peer.packages) else None


def how_to_install(name: str) -> str:
    """What makes a peer's environment."""
    return f"make bench-drift-peers PEERS={name}"


def install(name: str) -> None:
    """Make a peer's environment again; raises CalledProcessError where that cannot be."""
    peer, folder = PEERS[name], _folder(name)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    command = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # Ours is not to be seen there: its requirements would be held against what a peer brings.
    alone = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([*command, *peer.packages], check=True, env=alone)
    (folder / ".ready").write_text(repr(peer.packages))


def main() -> int:
    """Install the peers that are named, or all that are not there; one that cannot be installed does not stop the others."""
    failed = []
    for name in sys.argv[1:] or [name for name in PEERS if python_of(name) is None]:
        print(f"{name}: {', '.join(PEERS[name].packages)} into {_folder(name)}", flush=True)
        try:
            install(name)
        except subprocess.CalledProcessError as error:
            print(f"{name} cannot be installed: {error}", flush=True)
            failed.append(name)
    for name in PEERS:
        print(f"{name:16}{'absent' if python_of(name) is None else 'ready'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
