"""The models of the comparison, fitted and compiled as a training run does it: 50 features, two classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tidemill.runtime.model import background
from tidemill.runtime.model.predictor import Golden, estimated
from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.train.compiler import compile_model
from tidemill.runtime.train.probes import golden_rows

FEATURES = 50
SEED = 7

MODELS: dict[str, Any] = {
    "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=100, max_leaf_nodes=31, random_state=SEED),
    "forest": lambda: RandomForestClassifier(100, max_depth=12, random_state=SEED),
}


def write(name: str, folder: Path) -> Path:
    """One of MODELS in a new folder, as `tidemill serve` takes it; `model.joblib` and `expert.onnx` are for peers."""
    rows, truth = make_classification(10_000, FEATURES, n_informative=20, random_state=SEED)
    model = MODELS[name]().fit(rows, truth)
    signature = Signature(
        task="Classification",
        features=tuple(
            Feature(name=f"f{index}", type="Numerical", minimum=float(column.min()), maximum=float(column.max()))
            for index, column in enumerate(rows.T)
        ),
        target="target",
        classes=(0, 1),
        takes_missing=name == "boosting",
    )
    folder.mkdir(parents=True)
    ask = estimated(model, signature)
    matrix = golden_rows(rows, signature)
    golden = Golden.of(ask, matrix, ask(rows[:2_000]))
    compiled = compile_model(model, signature, rows[:2_000], ask, folder)
    if compiled.reason:
        raise SystemExit(f"{name} is not compiled: {compiled.reason}")
    (folder / "candidate.onnx").unlink()
    (folder / "model.onnx").write_bytes(compiled.content)
    (folder / "signature.json").write_text(json.dumps(signature.to_wire()))
    (folder / "golden.json").write_bytes(golden.to_json())
    (folder / "typical.json").write_bytes(background.of(rows, signature, SEED).to_json())
    joblib.dump(model, folder / "model.joblib")
    (folder / "expert.onnx").write_bytes(_converted(model))
    return folder


def _converted(model: Any) -> bytes:
    """What anybody gets who converts the model with skl2onnx."""
    graph = convert_sklearn(
        model, initial_types=[("features", FloatTensorType([None, FEATURES]))], options={id(model): {"zipmap": False}}
    )
    content: bytes = graph.SerializeToString()
    return content


def probabilities(folder: Path, rows: np.ndarray) -> np.ndarray:
    """What scikit-learn itself says, to hold every server's answers against."""
    return np.asarray(joblib.load(folder / "model.joblib").predict_proba(rows), np.float64)
