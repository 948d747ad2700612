"""What a model says to rows, whatever form of it is asked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


class Unanswerable(ValueError):
    """The model cannot answer these rows; the message is meant for who sent them."""


def surely_finite(matrix: Matrix) -> bool:
    """Whether no value is NaN or infinite; False also where values are so large that this does not tell.

    A sum of squares takes a third of the time of looking at each value.
    """
    flat = matrix.ravel()
    return math.isfinite(flat.dot(flat))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says to a matrix of rows."""

    values: NDArray[Any]
    """One per row: for classification the index of the label in `Signature.classes` (int64), for regression the number."""
    probabilities: NDArray[Any] | None = None
    """For classification: [rows, classes] in the order of `Signature.classes`; None where the model knows none."""
