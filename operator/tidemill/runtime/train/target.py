"""The target to be predicted: classes as indices, or numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidemill.api.base import Scalar
from tidemill.runtime.failures import TargetUnusable
from tidemill.runtime.model.encoding import spelled
from tidemill.runtime.model.signature import Task

MAX_CLASSES: Final = 200


@dataclass(frozen=True, slots=True)
class TrainingTarget:
    """A column to predict, understood for a task."""

    name: str
    task: Task
    classes: tuple[Scalar, ...] = ()
    """For classification: the labels, ordered."""

    def encode(self, column: Any) -> NDArray[Any]:
        """The column as indices into `classes` (-1: none of them), or as numbers (NaN: none)."""
        if self.task == "Classification":
            return spelled(column.to_pylist(), {str(label): index for index, label in enumerate(self.classes)})
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), np.float64)

    def from_texts(self, texts: Any) -> NDArray[Any]:
        """Labels that came back from outside, as text; those that mean nothing here become -1 or NaN."""
        if self.task == "Classification":
            whole = all(isinstance(label, int) and not isinstance(label, bool) for label in self.classes)
            lookup = {str(label): index for index, label in enumerate(self.classes)}
            # 1.0 is what becomes of 1 on its way through some programs.
            return spelled([text.removesuffix(".0") if whole else text for text in texts.to_pylist()], lookup)
        return np.array([_number(text) for text in texts.to_pylist()], np.float64)


def understand(name: str, column: Any, task: Task) -> TrainingTarget:
    """The target in `column` (without gaps), if an estimator for `task` can learn it; raises TargetUnusable."""
    kind = column.type
    if task == "Regression":
        if pa.types.is_string(kind) or pa.types.is_boolean(kind):
            raise TargetUnusable(
                f"target {name!r} holds {'text' if pa.types.is_string(kind) else 'truth values'}, which a regressor cannot learn; take a classifier"
            )
        if pc.count_distinct(column).as_py() < 2:
            raise TargetUnusable(
                f"target {name!r} has the same value in every training row; add rows with other values"
            )
        return TrainingTarget(name, task)
    if pa.types.is_floating(kind):
        raise TargetUnusable(
            f"target {name!r} holds fractions, which are no classes; take a regressor, or declare the column Categorical"
        )
    classes = sorted(pc.unique(column).to_pylist())
    if len(classes) < 2:
        raise TargetUnusable(
            f"target {name!r} is {classes[0] if classes else 'missing'!r} in every training row; add rows of at least one other class"
        )
    if len(classes) > MAX_CLASSES:
        raise TargetUnusable(
            f"target {name!r} has {len(classes)} different values, more than {MAX_CLASSES} classes; take a regressor, or put values together"
        )
    return TrainingTarget(name, task, tuple(classes))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
