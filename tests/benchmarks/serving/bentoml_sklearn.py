"""A plain BentoML service with one worker.

python bentoml_sklearn.py PORT MODEL.joblib
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Served:
    """The estimator."""

    def __init__(self) -> None:
        self._estimator = joblib.load(os.environ["BENCHMARK_MODEL"])

    @bentoml.api
    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Probabilities of the rows."""
        given: np.ndarray = self._estimator.predict_proba(inputs)
        return given


if __name__ == "__main__":
    port, model = sys.argv[1:]
    command, here = Path(sys.executable).parent / "bentoml", Path(__file__)
    os.chdir(here.parent)
    os.environ |= {"BENCHMARK_MODEL": model, "BENTOML_DO_NOT_TRACK": "True"}
    os.execv(command, [str(command), "serve", f"{here.stem}:Served", "--host", "127.0.0.1", "--port", port])
