"""Whether a metric can be measured on labelled rows: the rule of `contract.defined` for classes, and the same for numbers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from tidemill.contract.defined import why_undefined

RELATIVE_TO_SPREAD: Final = frozenset(
    {"r2", "explained_variance", "d2_absolute_error_score", "d2_pinball_score", "d2_tweedie_score"}
)
"""Metrics that divide by how much the labels differ among themselves."""
RELATIVE_TO_LABEL: Final = frozenset({"neg_mean_absolute_percentage_error"})
"""Metrics that divide by each label."""


class NotMeasurable(ValueError):
    """The metric cannot be computed from the rows; the message says why."""


def require_classes(scorer: str, classes: Sequence[str], labels: Any, answers: Any, *, binary: bool) -> None:
    """Raise NotMeasurable where `scorer` is not defined for these rows of a classification.

    `labels` and `answers` are indices into `classes`; -1 is none of them. Of a model that is `binary` the second class is
    the positive one; more classes than two are then known from labels alone.
    """
    size = len(classes)
    labelled = np.bincount(labels[labels >= 0], minlength=size).tolist()
    answered = np.bincount(answers[answers >= 0], minlength=size).tolist()
    reason = why_undefined(
        scorer,
        dict(zip(classes, labelled, strict=True)),
        dict(zip(classes, answered, strict=True)),
        classes[1] if binary else None,
    )
    if reason:
        raise NotMeasurable(f"{scorer} is not defined for these rows: {reason}")


def require_numbers(scorer: str, labels: Any) -> None:
    """Raise NotMeasurable where `scorer` is not defined for these labels of a regression.

    Labels that are all the same have a spread of exactly 0, whatever the rounding of their mean leaves.
    """
    if scorer in RELATIVE_TO_SPREAD and (len(labels) < 2 or np.ptp(labels) == 0):
        raise NotMeasurable(f"{scorer} needs labels that differ; all {len(labels)} are the same")
    if scorer in RELATIVE_TO_LABEL and (zeros := int(np.sum(labels == 0))):
        raise NotMeasurable(f"{scorer} divides by the label, and {zeros} of {len(labels)} labels are 0")


@contextmanager
def undefined_is_an_error() -> Iterator[None]:
    """Within, scikit-learn raises where it would return a conventional number with a warning."""
    from sklearn.exceptions import UndefinedMetricWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", UndefinedMetricWarning)
        warnings.filterwarnings("error", "No positive class found in y_true")
        yield
