"""The output of a model that is explained, and the values of an explanation."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.runtime.model.answer import Answer, Matrix
from tidemill.runtime.model.signature import Signature

Values = NDArray[np.float64]
Ask = Callable[[Matrix], Values]
"""[rows, features] to [rows, outputs]."""


class Explained(NamedTuple):
    """Why a model answers so: the attributions of a row and what is expected add up to its answer."""

    expected: Values
    """The average answer over the background, [outputs]."""
    attributions: Values
    """[rows, features, outputs]."""
    method: str
    """The method of computation: `shap-tree`, `shap-linear` and `shap-exact` are exact, `shap-permutation` is sampled."""
    orders: int = 0
    """In how many orders features were added; 0 where values are exact."""


def output_of(predict: Callable[[Matrix], Answer], signature: Signature) -> Ask:
    """Return the output of a model that is explained: its numbers, its probabilities, or 1 for the class it names and 0 for the others."""

    def ask(matrix: Matrix) -> Values:
        answer = predict(matrix)
        if signature.task == "Regression":
            return np.asarray(answer.values, np.float64).reshape(-1, 1)
        if answer.probabilities is not None:
            return np.asarray(answer.probabilities, np.float64)
        return np.eye(len(signature.classes))[np.asarray(answer.values, np.int64)]

    return ask
