"""Writes the description of a version for people (a model card) and for other tools (MLflow's `MLmodel`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml

from tidemill.contract.orders import TrainOrder
from tidemill.runtime.model.artifact import TRIALS_FILE
from tidemill.runtime.model.predictor import COMPILED_FILE, MODEL_FILE
from tidemill.runtime.model.signature import Signature
from tidemill.runtime.train.estimators import KnownEstimator

if TYPE_CHECKING:
    from tidemill.runtime.train.finished import Finished
    from tidemill.runtime.train.tuning import Search

_MAX_TRIALS: Final = 5


def readme(
    order: TrainOrder,
    known: KnownEstimator,
    signature: Signature,
    finished: Finished,
    not_compiled: str,
    search: Search | None = None,
) -> str:
    """A model card in Markdown; its front matter is what model hubs read."""
    trained = finished.trained
    task = "tabular-classification" if signature.task == "Classification" else "tabular-regression"
    front = yaml.safe_dump(
        {"library_name": "sklearn", "tags": ["tidemill", "skops", task], "model_format": "skops", "pipeline_tag": task},
        sort_keys=False,
    )
    served = f", {trained.served_rows} of them served and labelled" if trained.served_rows else ""
    lines = [
        f"---\n{front}---\n",
        f"# {order.model}, version {order.version}\n",
        f"{known.name} for {signature.task.lower()} of `{signature.target}`, trained by the run `{order.training_job}` on {trained.rows} rows{served} of the "
        f"Dataset `{order.dataset}` (`{order.dataset_digest}`), with seed {order.seed}.\n",
        "## What was measured\n",
        "| rows | metric | this version | version in service |\n|---|---|---:|---:|",
    ]
    for measured in trained.evaluation:
        for name, value in measured.metrics.items():
            stable = f"{measured.stable[name]:.4f}" if name in measured.stable else ""
            lines.append(f"| {measured.on} ({measured.rows}) | {name} | {value:.4f} | {stable} |")
    lines += ["\n## What it takes\n", "| feature | type | trained on | importance |\n|---|---|---|---:|"]
    for feature in signature.features:
        values = (
            f"{len(feature.categories)} categories"
            if feature.type == "Categorical"
            else f"{feature.minimum:.6g} to {feature.maximum:.6g}"
            if feature.minimum is not None and feature.maximum is not None
            else "no values"
        )
        lines.append(f"| `{feature.name}` | {feature.type} | {values} | {feature.importance:.3f} |")
    if signature.classes:
        lines.append(
            f"\nIt answers with one of {', '.join(f'`{label}`' for label in signature.classes)}; the estimator itself predicts the index in this list."
        )
    lines += (
        ["\n## Parameters\n", *(f"* `{name}`: {value}" for name, value in trained.parameters.items())]
        if trained.parameters
        else []
    )
    if search is not None:
        lines += _searched(search)
    if finished.warnings:
        lines += ["\n## Limits\n", *(f"* {warning}" for warning in finished.warnings)]
    lines += [
        "\n## How to use it\n",
        "`tidemill.runtime.model.predictor.load(folder)` answers with it. "
        + (
            f"`{COMPILED_FILE}` gives the same answers in ONNX Runtime."
            if trained.compiled
            else f"It is not compiled to ONNX: {not_compiled}."
        ),
        f"`{MODEL_FILE}` holds the scikit-learn estimator; load it with `skops.io.load` and an explicit list of trusted types. There is no pickle in this folder.\n",
    ]
    return "\n".join(lines)


def _searched(search: Search) -> list[str]:
    """The best trials of a search."""
    result, folds = search.searched(), search.objective.validation.folds
    lines = [
        "\n## How the parameters were found\n",
        f"By {len(search.trials)} trials, each judged by its {result.metric} in cross-validation over {folds} folds of the training rows; the hold-out had no say. All trials are in `{TRIALS_FILE}`.\n",
        f"| trial | parameters | {result.metric} |\n|---:|---|---:|",
    ]
    for trial in search.ranked()[:_MAX_TRIALS]:
        parameters = ", ".join(f"`{name}` {value}" for name, value in trial.parameters.items())
        lines.append(f"| {trial.number} | {parameters} | {'' if trial.score is None else f'{trial.score:.4f}'} |")
    return lines


def mlmodel(order: TrainOrder, signature: Signature, *, compiled: bool) -> str:
    """The folder as an MLflow model: flavors and signature."""
    import sklearn

    flavors: dict[str, Any] = {
        "sklearn": {
            "pickled_model": MODEL_FILE,
            "serialization_format": "skops",
            "sklearn_version": sklearn.__version__,
        },
    }
    if compiled:
        flavors["onnx"] = {"data": COMPILED_FILE, "providers": ["CPUExecutionProvider"]}
    inputs = [
        {"type": "double", "name": feature.name, "required": not signature.takes_missing}
        for feature in signature.features
    ]
    output = "long" if signature.task == "Classification" else "double"
    document = {
        "model_id": order.version,
        "flavors": flavors,
        "signature": {
            "inputs": yaml_json(inputs),
            "outputs": yaml_json([{"type": output, "name": signature.target, "required": True}]),
        },
        "metadata": {
            "model": order.model,
            "dataset": order.dataset,
            "datasetDigest": order.dataset_digest,
            "trainingJob": order.training_job,
        },
    }
    return str(yaml.safe_dump(document, sort_keys=False, width=1000))


def yaml_json(value: Any) -> str:
    """MLflow keeps its signatures as JSON text within the YAML."""
    import json

    return json.dumps(value)
