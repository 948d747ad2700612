"""The page about a version: how right it is, against what is in service, and what its answers hang on."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tidemill.api.modelversion import Measured
from tidemill.contract.orders import TrainOrder
from tidemill.runtime.html import page as frame
from tidemill.runtime.html.charts import bars, spell
from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.model.signature import Signature

if TYPE_CHECKING:
    from tidemill.runtime.train.estimators import KnownEstimator
    from tidemill.runtime.train.finished import Finished
    from tidemill.runtime.train.tuning import Search

_MAX_FEATURES = 20
_MAX_CLASSES = 20
_MAX_TRIALS = 20
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
    """The whole page; `truth` and `answer` are of the hold-out."""
    trained, warnings = finished.trained, finished.warnings
    parts = [
        frame.verdict("warning" if warnings else "good", _verdict(trained.evaluation)),
        frame.facts(
            [
                ("Model", order.model),
                ("Estimator", known.name),
                ("Predicts", f"{signature.target} ({signature.task.lower()})"),
                (
                    "Learnt from",
                    f"{trained.rows:,} rows"
                    + (f", {trained.served_rows:,} of them served" if trained.served_rows else ""),
                ),
                ("Dataset", f"{order.dataset} {order.dataset_digest[:19]}"),
                ("Runs on", "ONNX Runtime" if trained.compiled else "scikit-learn"),
            ]
        ),
    ]
    if warnings:
        parts.append(
            frame.section(
                "Worth a look", "<ul>" + "".join(f"<li>{escape(warning)}</li>" for warning in warnings) + "</ul>"
            )
        )
    parts.append(frame.section("How right it is", *(_measured(measured) for measured in trained.evaluation)))
    parts.append(
        frame.section(
            "Answers on the hold-out",
            _confusion(signature, truth, answer) if signature.classes else _errors(truth, answer),
        )
    )
    parts.append(frame.section("What its answers hang on", _importance(signature)))
    if not_compiled:
        parts.append(frame.section("Why it is not compiled", f"<p>{escape(not_compiled)}</p>"))
    if trained.parameters:
        parts.append(
            frame.section(
                "Parameters",
                frame.table(
                    "As the search found them, and as the run was given them"
                    if search
                    else "As the run was given them",
                    ("Parameter", "Value"),
                    [(escape(name), escape(str(value))) for name, value in trained.parameters.items()],
                ),
            )
        )
    if search is not None:
        parts.append(frame.section("What was tried", _trials(search)))
    return frame.page(f"Version {order.version}", parts)


def _trials(search: Search) -> str:
    ranked, folds = search.ranked(), search.objective.validation.folds
    rows = [
        (
            str(trial.number),
            escape(", ".join(f"{name} {value}" for name, value in trial.parameters.items())),
            "–" if trial.score is None else spell(trial.score),
            f"{spell(min(trial.scores))} to {spell(max(trial.scores))}" if trial.scores else "–",
            escape(trial.message or trial.state),
        )
        for trial in ranked[:_MAX_TRIALS]
    ]
    which = f"The best {len(rows)} of {len(ranked)} trials" if len(rows) < len(ranked) else f"{len(ranked)} trials"
    return frame.table(
        f"{which}, each judged in cross-validation over {folds} folds of the rows learnt from",
        ("Trial", "Parameters", search.objective.metric, "By fold", "How it ended"),
        rows,
        numbers=(2,),
    )


def _verdict(evaluation: tuple[Measured, ...]) -> str:
    said = []
    for measured in evaluation:
        name, value = next(iter(measured.metrics.items()), ("", 0.0))
        if name:
            compared = f" (the version in service: {spell(measured.stable[name])})" if name in measured.stable else ""
            said.append(f"{name} {spell(value)} on {measured.rows:,} rows of {_ON[measured.on]}{compared}")
    return "; ".join(said) + "." if said else "Nothing could be measured."


def _measured(measured: Measured) -> str:
    rows = [
        (escape(name), spell(value), spell(measured.stable[name]) if name in measured.stable else "–")
        for name, value in measured.metrics.items()
    ]
    return frame.table(
        f"On {measured.rows:,} rows of {_ON[measured.on]}",
        ("Metric", "This version", "Version in service"),
        rows,
        numbers=(1, 2),
    )


def _confusion(signature: Signature, truth: NDArray[Any], answer: Answer) -> str:
    labels = [str(label) for label in signature.classes]
    size = len(labels)
    counts = np.bincount(truth * size + answer.values, minlength=size * size).reshape(size, size)
    if size > _MAX_CLASSES:
        right = np.diag(counts) / np.maximum(counts.sum(axis=1), 1)
        worst = [
            (escape(labels[place]), f"{counts[place].sum():,}", f"{right[place]:.0%}") for place in np.argsort(right)
        ]
        return frame.table(
            f"The {_MAX_CLASSES} classes that are told worst",
            ("Class", "Rows", "Answered right"),
            worst[:_MAX_CLASSES],
            numbers=(1, 2),
        )
    rows = [
        (
            escape(label),
            *(f"{count:,}" for count in counts[place]),
            f"{counts[place, place] / max(counts[place].sum(), 1):.0%}",
        )
        for place, label in enumerate(labels)
    ]
    head = ("In truth", *(f"answered {label}" for label in labels), "Right")
    return frame.table("Rows by truth and answer", head, rows, numbers=tuple(range(1, size + 2)))


def _errors(truth: NDArray[Any], answer: Answer) -> str:
    errors = answer.values - truth
    counts, edges = np.histogram(errors, bins=20)
    labels = [
        f"{spell(float(low))} to {spell(float(high))}"
        for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]
    finding = f"Half of the answers are within {spell(float(np.median(np.abs(errors))))} of the truth."
    return f'<div class="pictures">{bars("Answer minus truth", finding, labels, counts.tolist())}</div>'


def _importance(signature: Signature) -> str:
    ranked = sorted(signature.features, key=lambda feature: -feature.importance)[:_MAX_FEATURES]
    if not ranked or ranked[0].importance == 0:
        return "<p>No single feature changes the answers on the hold-out when its values are shuffled.</p>"
    rows = [(escape(feature.name), f"{feature.importance:.1%}") for feature in ranked if feature.importance > 0]
    return frame.table(
        "Share of what the answers lose when a feature's values are shuffled on the hold-out",
        ("Feature", "Share"),
        rows,
        numbers=(1,),
    )
