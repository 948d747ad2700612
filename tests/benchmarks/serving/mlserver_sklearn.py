"""MLServer at its best settings for one core: no worker processes, no debugging, its own scikit-learn runtime.

python mlserver_sklearn.py PORT MODEL.joblib
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path


def main(port: str, model: str) -> None:
    folder = Path(tempfile.mkdtemp(prefix="mlserver-", dir=Path(model).parent))
    settings = {
        "debug": False,
        "host": "127.0.0.1",
        "http_port": int(port),
        "grpc_port": int(port) + 1,
        "metrics_port": int(port) + 2,
        "parallel_workers": 0,
        "logging_settings": str(folder / "logging.json"),
    }
    quiet = {
        "version": 1,
        "disable_existing_loggers": False,
        "root": {"level": "ERROR"},
        "loggers": {name: {"level": "ERROR", "propagate": False} for name in ("mlserver", "uvicorn", "uvicorn.access")},
    }
    described = {
        "name": "m",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": model, "version": "1"},
    }
    for name, content in (("settings", settings), ("logging", quiet), ("model-settings", described)):
        (folder / f"{name}.json").write_text(json.dumps(content))
    command = Path(sys.executable).parent / "mlserver"
    os.execv(command, [str(command), "start", str(folder)])


if __name__ == "__main__":
    main(*sys.argv[1:])
