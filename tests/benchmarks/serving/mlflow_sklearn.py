"""MLflow's scoring server with one worker.

python mlflow_sklearn.py PORT MODEL.joblib
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def main(port: str, model: str) -> None:
    import joblib
    import mlflow.sklearn

    # MLflow refuses to write what skops does not know; this file was written a moment ago.
    trusted = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor", "sklearn.tree._tree.Tree"]
    folder = Path(tempfile.mkdtemp(prefix="mlflow-", dir=Path(model).parent)) / "model"
    mlflow.sklearn.save_model(
        joblib.load(model), folder, pyfunc_predict_fn="predict_proba", pip_requirements=[], skops_trusted_types=trusted
    )
    command = Path(sys.executable).parent / "mlflow"
    os.environ["PATH"] = f"{command.parent}:{os.environ['PATH']}"
    words = ["models", "serve", "-m", str(folder), "-h", "127.0.0.1", "-p", port, "--env-manager", "local", "-w", "1"]
    os.execv(command, [str(command), *words])


if __name__ == "__main__":
    main(*sys.argv[1:])
