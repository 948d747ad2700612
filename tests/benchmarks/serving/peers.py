"""Environments for peers whose pins collide with ours, one each, kept between runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = {
    "fastapi": ("fastapi", "uvicorn[standard]", "scikit-learn", "joblib"),
}
PATIENCE = 600.0


def folder() -> Path:
    """Where environments lie: below `TIDEMILL_BENCHMARK_CACHE`, or the user's cache folder."""
    cache = os.environ.get("TIDEMILL_BENCHMARK_CACHE")
    return Path(cache) if cache else Path.home() / ".cache" / "tidemill-benchmarks"


def python_of(peer: str) -> Path:
    """The Python of a peer's environment, which is made where there is none; scikit-learn is the release models were fitted with."""
    import sklearn

    home = folder() / f"serving-{peer}"
    ready = home / ".ready"
    if not ready.exists():
        print(f"preparing the environment of {peer} in {home}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True, timeout=PATIENCE)
        wanted = [f"{one}=={sklearn.__version__}" if one == "scikit-learn" else one for one in REQUIREMENTS[peer]]
        subprocess.run([home / "bin" / "pip", "install", "-q", *wanted], check=True, timeout=PATIENCE)
        ready.touch()
    return home / "bin" / "python"
