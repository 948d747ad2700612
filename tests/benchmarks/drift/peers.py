"""Where the others live: an environment each, made once in the cache, because their pins collide."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Peer(NamedTuple):
    """What is timed beside Tidemill."""

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


def python_of(name: str) -> str:
    """The Python that has this peer; its environment is made where it is not there yet."""
    peer = PEERS[name]
    if not peer.packages:
        return sys.executable
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidemill" / "bench-drift" / name
    python = cache / "bin" / "python"
    ready = cache / ".ready"
    if ready.exists() and ready.read_text() == repr(peer.packages):
        return str(python)
    print(f"making an environment for {name} in {cache}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(cache)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *peer.packages], check=True)
    ready.write_text(repr(peer.packages))
    return str(python)
