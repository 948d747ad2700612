"""A model's answers to rows, whatever form of it answers, and the rows that it refuses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
REFUSALS: Final = (ValueError, ArithmeticError)
"""Errors that scikit-learn's estimators raise for rows that they do not accept."""
MAX_REASON_LENGTH: Final = 200


class Unanswerable(ValueError):
    """The model cannot answer these rows; the message is meant for the client."""


class RowRefused(Unanswerable):
    """The model cannot answer one of the rows: its values are out of range, the estimator raises, or the answer is not finite."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(f"rows[{row}]: {reason}")
        self.row = row
        """Index of the first such row, from 0."""
        self.reason = reason
        """The problem with the row, for the client; without the index."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answers to a matrix of rows."""

    values: NDArray[Any]
    """One per row: for classification the index of the label in `Signature.classes` (int64), for regression the number."""
    probabilities: NDArray[Any] | None = None
    """For classification: [rows, classes] in the order of `Signature.classes`; None where the model has none."""

    @property
    def numbers(self) -> NDArray[Any]:
        """The numbers that must be finite: probabilities where there are any, else the values."""
        return self.values if self.probabilities is None else self.probabilities


Ask = Callable[[Matrix], Answer]


def sum_of_squares(matrix: NDArray[Any]) -> float:
    """The sum over all values; NaN or infinite where one of them is, or where they are very large.

    It takes a third of the time of looking at each value, and unlike `dot` it does not warn where the sum overflows.
    """
    return float(np.vdot(matrix, matrix))


def surely_finite(matrix: NDArray[Any]) -> bool:
    """Return whether no value is NaN or infinite; False also where values are so large that their squares do not tell."""
    return math.isfinite(sum_of_squares(matrix))


def finite_rows(answer: Answer) -> NDArray[np.bool_]:
    """Return for each row whether it has an answer: a finite number, or a label."""
    numbers = answer.numbers
    if numbers.dtype.kind == "i":
        known: NDArray[np.bool_] = numbers >= 0
        return known
    if surely_finite(numbers):
        return np.ones(len(numbers), np.bool_)
    finite: NDArray[np.bool_] = np.isfinite(numbers).reshape(len(numbers), -1).all(axis=1)
    return finite


def refusals(ask: Ask, matrix: Matrix, start: int = 0) -> Iterator[tuple[int, str]]:
    """Yield each row that `ask` raises for, with the reason, in order; rows are found by halves.

    Nothing is yielded where `ask` refuses rows together that it answers alone.
    """
    try:
        ask(matrix)
    except REFUSALS as error:
        if len(matrix) > 1:
            middle = len(matrix) // 2
            yield from refusals(ask, matrix[:middle], start)
            yield from refusals(ask, matrix[middle:], start + middle)
        elif len(matrix):
            yield start, error.reason if isinstance(error, RowRefused) else reason_of(error)


def answered(ask: Ask, matrix: Matrix) -> Answer:
    """Return the answers of `ask`; those to rows that it raises for are NaN, or -1 where there are only labels.

    Raises what `ask` raises where it answers no row at all.
    """
    try:
        return ask(matrix)
    except REFUSALS:
        refused = [row for row, _ in refusals(ask, matrix)]
        if not 0 < len(refused) < len(matrix):
            raise
    accepted = np.ones(len(matrix), np.bool_)
    accepted[refused] = False
    some = ask(matrix[accepted])
    values = np.full(len(matrix), -1 if some.values.dtype.kind == "i" else np.nan, some.values.dtype)
    values[accepted] = some.values
    if some.probabilities is None:
        return Answer(values)
    probabilities = np.full((len(matrix), some.probabilities.shape[1]), np.nan)
    probabilities[accepted] = some.probabilities
    return Answer(values, probabilities)


def reason_of(error: Exception) -> str:
    """The first line of an error's message, or the name of its class."""
    lines = str(error).strip().splitlines()
    return lines[0][:MAX_REASON_LENGTH] if lines else type(error).__name__
