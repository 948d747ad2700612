"""The page about a version: its metrics, next to those of the version in service, and the importance of its features."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tidemill.api.modelversion import Measured
from tidemill.contract.numbers import NONE, distinct, number, quantity
from tidemill.contract.orders import TrainOrder
from tidemill.runtime.html import charts
from tidemill.runtime.html import page as html
from tidemill.runtime.html.charts import Distribution, axis
from tidemill.runtime.html.page import Figure, Section, Table, Verdict
from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.model.signature import Signature

if TYPE_CHECKING:
    from tidemill.runtime.train.estimators import KnownEstimator
    from tidemill.runtime.train.finished import Finished
    from tidemill.runtime.train.tuning import Search

_MAX_FEATURES = 20
_MAX_CLASSES = 20
_MAX_TRIALS = 20
_BINS = 20
_ON = {"Holdout": "the Dataset's hold-out", "RecentLabelled": "recent served rows with labels"}


def page(
    order: TrainOrder,
    known: KnownEstimator,
    signature: Signature,
    finished: Finished,
    truth: NDArray[Any],
    answer: Answer,
    not_compiled: str,
    search: Search | None = None,
) -> str:
    """Return the whole page; `truth` and `answer` are of the hold-out."""
    trained, warnings = finished.trained, finished.warnings
    served = f", {trained.served_rows:,} of them served" if trained.served_rows else ""
    return html.page(
        f"Version {order.version}",
        Verdict("warning" if warnings else "good", _verdict(trained.evaluation)),
        (
            ("Model", order.model),
            ("Estimator", known.name),
            ("Predicts", f"{signature.target} ({signature.task.lower()})"),
            ("Trained on", f"{quantity(trained.rows, 'row')}{served}"),
            ("Dataset", f"{order.dataset} {order.dataset_digest[:19]}"),
            ("Runs on", "ONNX Runtime" if trained.compiled else "scikit-learn"),
        ),
        (
            Section("Warnings", items=tuple(warnings)) if warnings else None,
            Section("Metrics", tables=tuple(map(_measured, trained.evaluation))),
            _confusion(signature, truth, answer) if signature.classes else _errors(truth, answer),
            _importance(signature),
            Section("Why it is not compiled", (not_compiled,)) if not_compiled else None,
            _parameters(trained.parameters, searched=search is not None) if trained.parameters else None,
            Section("Trials", tables=(_trials(search),)) if search is not None else None,
        ),
    )


def _parameters(parameters: dict[str, Any], *, searched: bool) -> Section:
    caption = "As the search found them, and as the run was given them" if searched else "As the run was given them"
    rows = ((name, str(value)) for name, value in parameters.items())
    return Section("Parameters", tables=(html.table(caption, ("Parameter", "Value"), rows),))


def _trials(search: Search) -> Table:
    ranked, folds = search.ranked(), search.objective.validation.folds
    rows = [
        (
            str(trial.number),
            ", ".join(f"{name} {value}" for name, value in trial.parameters.items()),
            number(trial.score),
            f"{number(min(trial.scores))} to {number(max(trial.scores))}" if trial.scores else NONE,
            trial.message or trial.state,
        )
        for trial in ranked[:_MAX_TRIALS]
    ]
    which = f"The best {len(rows)} of {len(ranked)} trials" if len(rows) < len(ranked) else f"{len(ranked)} trials"
    return html.table(
        f"{which}, each scored by cross-validation over {folds} folds of the training rows",
        ("Trial", "Parameters", search.objective.metric, "By fold", "Result"),
        rows,
        numbers=(2,),
    )


def _verdict(evaluation: tuple[Measured, ...]) -> str:
    parts = []
    for measured in evaluation:
        name, value = next(iter(measured.metrics.items()), ("", 0.0))
        if name:
            compared = f" (the version in service: {number(measured.stable[name])})" if name in measured.stable else ""
            parts.append(f"{name} {number(value)} on {measured.rows:,} rows of {_ON[measured.on]}{compared}")
    return "; ".join(parts) + "." if parts else "No metric could be measured."


def _measured(measured: Measured) -> Table:
    caption = f"On {measured.rows:,} rows of {_ON[measured.on]}"
    if not measured.stable:
        rows = ((name, number(value)) for name, value in measured.metrics.items())
        return html.table(caption, ("Metric", "This version"), rows, numbers=(1,))
    return html.table(
        caption,
        ("Metric", "This version", "Version in service"),
        ((name, number(value), number(measured.stable.get(name))) for name, value in measured.metrics.items()),
        numbers=(1, 2),
    )


def _confusion(signature: Signature, truth: NDArray[Any], answer: Answer) -> Section:
    heading = "Predictions on the hold-out"
    labels = [str(label) for label in signature.classes]
    size = len(labels)
    counts = np.bincount(truth * size + answer.values, minlength=size * size).reshape(size, size)
    if size > _MAX_CLASSES:
        recall = np.diag(counts) / np.maximum(counts.sum(axis=1), 1)
        worst = [(labels[index], f"{counts[index].sum():,}", f"{recall[index]:.0%}") for index in np.argsort(recall)]
        caption = f"The {_MAX_CLASSES} classes with the lowest recall"
        return Section(
            heading, tables=(html.table(caption, ("Class", "Rows", "Recall"), worst[:_MAX_CLASSES], numbers=(1, 2)),)
        )
    rows = [
        (
            label,
            *(f"{count:,}" for count in counts[index]),
            f"{counts[index, index] / counts[index].sum():.0%}" if counts[index].any() else NONE,
        )
        for index, label in enumerate(labels)
    ]
    head = ("Actual", *(f"predicted {label}" for label in labels), "Recall")
    table = html.table("Rows by actual and predicted class", head, rows, numbers=range(1, size + 2))
    return Section(heading, tables=(table,))


def _errors(truth: NDArray[Any], answer: Answer) -> Section:
    errors = np.asarray(answer.values - truth, np.float64)
    counts, edges = np.histogram(errors, bins=_BINS)
    labels = distinct(edges.tolist())
    shown = Distribution(
        tuple(f"{low} to {high}" for low, high in pairwise(labels)),
        tuple(counts.astype(float).tolist()),
        axis=axis(edges[::5].tolist()),
    )
    title = "Predicted minus actual"
    caption = f"Half of the predictions are within {number(float(np.median(np.abs(errors))))} of the actual value."
    rows = ((label, number(count)) for label, count in zip(shown.names, shown.before, strict=True))
    numbers = html.table(f"{title}: rows of each bar", ("Error", "Rows"), rows, numbers=(1,))
    return Section(
        "Predictions on the hold-out", figures=(Figure(title, caption, charts.bars(title, caption, shown), numbers),)
    )


def _importance(signature: Signature) -> Section:
    heading = "Feature importance"
    ranked = sorted(signature.features, key=lambda feature: -feature.importance)[:_MAX_FEATURES]
    if not ranked or ranked[0].importance == 0:
        return Section(heading, ("No single feature changes the score on the hold-out when its values are shuffled.",))
    rows = [(feature.name, f"{feature.importance:.1%}") for feature in ranked if feature.importance > 0]
    caption = "Share of the loss of score when a feature's values are shuffled on the hold-out"
    return Section(heading, tables=(html.table(caption, ("Feature", "Share"), rows, numbers=(1,)),))
