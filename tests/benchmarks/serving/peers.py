"""Others' servers: what each needs, what it is asked, and where it lies: an environment of its own, kept between runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

PATIENCE = 900.0
V2 = "/v2/models/m/infer"


class Peer(NamedTuple):
    """A server that answers with scikit-learn."""

    script: str
    requirements: tuple[str, ...]
    path: str = V2

    def body(self, rows: np.ndarray) -> bytes:
        """How it is asked for the probabilities of `rows`."""
        if self.path != V2:
            return json.dumps({"inputs": rows.tolist()}).encode()
        tensor: dict[str, Any] = {"name": "input", "shape": list(rows.shape), "datatype": "FP32", "data": rows.tolist()}
        return json.dumps({"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}).encode()


PEERS = {
    "fastapi": Peer("fastapi_sklearn.py", ("fastapi", "uvicorn[standard]")),
    "mlserver": Peer("mlserver_sklearn.py", ("mlserver", "mlserver-sklearn")),
    "kserve": Peer("kserve_sklearn.py", ("kserve",)),
    "bentoml": Peer("bentoml_sklearn.py", ("bentoml",), "/predict"),
    "mlflow": Peer("mlflow_sklearn.py", ("mlflow",), "/invocations"),
}


def probabilities(document: Any) -> np.ndarray:
    """What a peer's answer says, [rows, classes]."""
    if isinstance(document, list):
        return np.array(document, np.float64)
    if "probabilities" in document:
        return np.array(document["probabilities"], np.float64)
    if "predictions" in document:
        return np.array(document["predictions"], np.float64)
    [output] = [item for item in document["outputs"] if item["name"] == "predict_proba"]
    return np.array(output["data"], np.float64).reshape(output["shape"])


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
        wanted = [*PEERS[peer].requirements, f"scikit-learn=={sklearn.__version__}", "joblib"]
        # Ours is not to be seen there: its requirements would be held against what a peer brings.
        alone = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
        subprocess.run([home / "bin" / "pip", "install", "-q", *wanted], check=True, timeout=PATIENCE, env=alone)
        ready.touch()
    return home / "bin" / "python"
