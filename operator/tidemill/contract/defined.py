"""Where a metric of classification is not defined for the rows at hand: one rule for evaluation, gates, checks and canaries.

A share of no rows is not 0. The rule is scikit-learn's where that warns (`UndefinedMetricWarning`), and goes on where it
returns a conventional number without a warning: a metric of one class needs labels of that class.

    recall, f1, fbeta, jaccard, average_precision     labels of the positive class
    precision                                         answers of the positive class
    roc_auc, matthews_corrcoef, balanced_accuracy, …  labels of two classes
    recall_macro, recall_weighted                     labels of every class that labels or answers show
    precision_macro, precision_weighted               answers of every class that labels or answers show

Pure Python, since the operator applies it to the counts of a canary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_OF_POSITIVE: Final = frozenset({"recall", "f1", "jaccard", "average_precision"})
_OF_TWO: Final = frozenset(
    {
        "roc_auc",
        "roc_auc_ovr",
        "roc_auc_ovr_weighted",
        "roc_auc_ovo",
        "roc_auc_ovo_weighted",
        "balanced_accuracy",
        "matthews_corrcoef",
        "d2_log_loss_score",
        "d2_brier_score",
        "positive_likelihood_ratio",
        "neg_negative_likelihood_ratio",
    }
)
_AVERAGES: Final = ("_macro", "_weighted")


def why_undefined(
    metric: str, labels: Mapping[str, float], answers: Mapping[str, float], positive: str | None = None
) -> str:
    """Return why `metric` is not defined for rows with so many labels and answers of each class; empty where it is.

    `positive` is the positive class of two, which metrics without an average are about; None with more classes.

    >>> why_undefined("recall", {"no": 9}, {"no": 9}, "yes")
    "no row has the label 'yes'"
    >>> why_undefined("precision", {"no": 9, "yes": 1}, {"no": 10}, "yes")
    "no row was predicted as 'yes'"
    >>> why_undefined("accuracy", {"no": 9}, {"no": 9}, "yes")
    ''
    """
    labelled = {name for name, count in labels.items() if count > 0}
    answered = {name for name, count in answers.items() if count > 0}
    if metric in _OF_TWO:
        if len(labelled) < 2:
            same = f"all labels are {_listed(labelled)}" if labelled else "no label is a class of the model"
            return f"{same}, and it needs labels of both classes"
        return ""
    if positive is not None:
        if metric in _OF_POSITIVE and positive not in labelled:
            return f"no row has the label {positive!r}"
        if metric == "precision" and positive not in answered:
            return f"no row was predicted as {positive!r}"
    shown = labelled | answered
    kind, average = _split(metric)
    if average and kind == "recall" and shown - labelled:
        return f"no row has the label {_listed(shown - labelled)}"
    if average and kind == "precision" and shown - answered:
        return f"no row was predicted as {_listed(shown - answered)}"
    return ""


def _split(metric: str) -> tuple[str, str]:
    """The metric and its average.

    >>> _split("recall_macro"), _split("recall_micro")
    (('recall', '_macro'), ('recall_micro', ''))
    """
    for average in _AVERAGES:
        if metric.endswith(average):
            return metric.removesuffix(average), average
    return metric, ""


def _listed(names: set[str]) -> str:
    first = sorted(names)[:3]
    return " or ".join(map(repr, first)) + (" …" if len(names) > len(first) else "")
