"""A model version that answers: compiled where that gives the same answers, else the scikit-learn estimator.

    predictor = load(folder)                      # a folder that `objects.fetch` has verified
    answer = predictor.predict(matrix)            # float64 [rows, features], as `signature.features` says
    answer.values                                 # indices into signature.classes, or numbers
    answer.probabilities                          # [rows, classes], or None

With `model.onnx` in the folder this needs numpy, orjson and onnxruntime; scikit-learn is imported only without it.
"""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import orjson

from tidemill.runtime.failures import ArtifactCorrupt
from tidemill.runtime.model.agreement import difference, robust_std
from tidemill.runtime.model.answer import (
    REFUSALS,
    Answer,
    Ask,
    Matrix,
    RowRefused,
    Unanswerable,
    answered,
    finite_rows,
    refusals,
    sum_of_squares,
    surely_finite,
)
from tidemill.runtime.model.onnx import compiled
from tidemill.runtime.model.signature import Signature

if TYPE_CHECKING:
    from tidemill.api.base import Scalar

__all__ = [
    "Answer",
    "Golden",
    "Matrix",
    "Predictor",
    "RowRefused",
    "Unanswerable",
    "answers_alike",
    "compiled",
    "difference",
    "load",
]

MODEL_FILE: Final = "model.skops"
COMPILED_FILE: Final = "model.onnx"
SIGNATURE_FILE: Final = "signature.json"
GOLDEN_FILE: Final = "golden.json"
TYPICAL_FILE: Final = "typical.json"
_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_TRIED: Final = (2, 3, 4, 7, 8, 15, 16, 24)
"""Numbers of rows that are tried together: sums are made otherwise for some numbers of rows than for others."""


@dataclass(frozen=True, slots=True)
class Golden:
    """Rows with the answers they must get, wherever the model runs."""

    matrix: Matrix
    answer: Answer
    std: float | None = None
    """Robust standard deviation of the answers to ordinary rows, for regression; unknown for versions of older releases."""

    @classmethod
    def of(cls, ask: Ask, matrix: Matrix, ordinary: Answer) -> Golden:
        """Return those rows of `matrix` that `ask` answers, with its answers; `ordinary` are its answers to real rows."""
        answer = answered(ask, matrix)
        finite = finite_rows(answer)
        kept = Answer(answer.values[finite], None if answer.probabilities is None else answer.probabilities[finite])
        return cls(matrix[finite], kept, robust_std(ordinary.values) if ordinary.values.dtype.kind == "f" else None)

    def to_json(self) -> bytes:
        """Return the rows and answers as JSON; a missing value is null."""
        probabilities = self.answer.probabilities
        return orjson.dumps(
            {
                "rows": np.ascontiguousarray(self.matrix),
                "values": np.ascontiguousarray(self.answer.values),
                "probabilities": None if probabilities is None else np.ascontiguousarray(probabilities, np.float64),
                "spread": self.std,
            },
            option=orjson.OPT_SERIALIZE_NUMPY,
        )

    @classmethod
    def from_json(cls, text: bytes, signature: Signature) -> Golden:
        """Return what `to_json` wrote, without rows whose answer is not finite: no form of the model answers these."""
        wire = orjson.loads(text)
        matrix = np.array(wire["rows"], np.float64).reshape(-1, len(signature.features))
        if signature.task == "Classification":
            values = np.array(wire["values"], np.int64)
        else:
            values = np.array(wire["values"], np.float64)
        probabilities = None if wire["probabilities"] is None else np.array(wire["probabilities"], np.float64)
        finite = finite_rows(Answer(values, probabilities))
        kept = Answer(values[finite], None if probabilities is None else probabilities[finite])
        return cls(matrix[finite], kept, wire.get("spread"))

    def difference(self, predict: Ask) -> str:
        """Return the first difference between the right answers and those of `predict`, in a sentence."""
        try:
            return difference(self.answer, predict(self.matrix), self.std)
        except Unanswerable as error:
            return str(error)


class Predictor:
    """One model version, ready to answer."""

    def __init__(
        self, signature: Signature, ask: Ask, *, compiled: bool, note: str = "", largest: float = sys.float_info.max
    ) -> None:
        self.signature = signature
        self.compiled = compiled
        """True where ONNX Runtime answers."""
        self.note = note
        """Why the estimator answers although a compiled form is there; empty otherwise."""
        self.typical = b""
        """Summary of the rows that it was trained on (`background.Background`), as JSON; empty in versions without one."""
        self.batchable = False
        """True where it pays to ask for rows of several requests together, and gives each the answer it would get alone."""
        self._ask = ask
        self._width = len(signature.features)
        self._takes_missing = signature.takes_missing
        self.largest = largest
        """The largest number that the form which answers can hold."""
        self._safe_squares = math.nextafter(largest * largest, 0)
        """If the squares of all values add up to at most this, none of them is missing, infinite or too large."""

    def predict(self, matrix: Matrix, *, whole: bool = False) -> Answer:
        """Return the answers to `matrix`, floats [rows, features] in the order of `signature.features`, all of them finite.

        Raises Unanswerable for a wrong shape, and RowRefused for the first row that has no answer: a value is missing that
        the model cannot do without, or is larger than the model can hold; the estimator refuses the row; or the answer
        is not finite.
        """
        if matrix.ndim != 2 or matrix.shape[1] != self._width:
            raise Unanswerable(f"the model takes rows of {self._width} features, not an array of shape {matrix.shape}")
        if not sum_of_squares(matrix) <= self._safe_squares:
            self._check_values(matrix)
        try:
            answer = self._ask(matrix)
        except REFUSALS:
            refused = None if self.compiled else next(refusals(self._ask, matrix), None)
            if refused is None:
                raise
            raise RowRefused(refused[0], f"the model refuses this row: {refused[1]}") from None
        if not surely_finite(answer.numbers):
            self._check_answer(answer)
        return answer

    def _check_values(self, matrix: Matrix) -> None:
        """Raise RowRefused for the first row with a value that the model does not take."""
        wrong = ~(np.abs(matrix) <= self.largest)
        if self._takes_missing:
            wrong &= ~np.isnan(matrix)
        if not wrong.any():
            return
        row, column = divmod(int(wrong.argmax()), self._width)
        name, value = self.signature.features[column].name, float(matrix[row, column])
        if math.isnan(value):
            raise RowRefused(row, f"feature {name!r} is missing, and this model cannot answer without it")
        raise RowRefused(
            row,
            f"feature {name!r} is {value:g}; the model takes numbers between {-self.largest:g} and {self.largest:g}",
        )

    def _check_answer(self, answer: Answer) -> None:
        """Raise RowRefused for the first row whose answer is not finite."""
        finite = finite_rows(answer)
        if not finite.all():
            raise RowRefused(
                int(finite.argmin()),
                "the model's answer is not a finite number; send values like those it was trained on",
            )

    def labels(self, answer: Answer) -> list[Scalar]:
        """The answer in the user's own words: labels for classification, numbers for regression."""
        if self.signature.task == "Regression":
            numbers: list[Scalar] = answer.values.tolist()
            return numbers
        classes = self.signature.classes
        return [classes[index] for index in answer.values.tolist()]


def load(folder: Path) -> Predictor:
    """The model in `folder`, after it has given the right answers to its golden rows.

    Raises ArtifactCorrupt where files are missing or damaged, or where no form of the model answers as it did when it
    was made.
    """
    signature, golden = _read(folder)
    note = ""
    if (folder / COMPILED_FILE).exists():
        model = compiled(folder / COMPILED_FILE, signature)
        predictor = Predictor(signature, model.ask, compiled=True, largest=model.largest)
        note = golden.difference(predictor.predict) or golden.difference(partial(_one_by_one, predictor))
        if not note:
            return _with_typical(predictor, folder)
    if not (folder / MODEL_FILE).exists():
        raise ArtifactCorrupt(
            f"the model in {folder} cannot be used: {note or f'there is neither {COMPILED_FILE} nor {MODEL_FILE}'}; train it again"
        )
    predictor = Predictor(signature, _one_thread(folder / MODEL_FILE, signature), compiled=False, note=note)
    wrong = golden.difference(predictor.predict)
    if wrong:
        raise ArtifactCorrupt(
            f"the model in {folder} does not answer as it did when it was made: {wrong}; train it again"
        )
    predictor.batchable = answers_alike(predictor, golden.matrix)
    return _with_typical(predictor, folder)


def _one_thread(file: Path, signature: Signature) -> Ask:
    """Return a function that asks the estimator in a file, with one thread for each request: as with ONNX Runtime, a few rows are no work to share out.

    This holds for the process from here on: libraries that come with the estimator read the environment, which counts for
    every thread that asks; those that are loaded already are told.
    """
    os.environ |= dict.fromkeys(_THREADS, "1")
    from threadpoolctl import threadpool_limits

    from tidemill.runtime.model.artifact import estimator_of
    from tidemill.runtime.model.sklearn_internals import silence_answers

    silence_answers()
    ask = estimated(estimator_of(file), signature)
    threadpool_limits(limits=1)
    return ask


def _with_typical(predictor: Predictor, folder: Path) -> Predictor:
    file = folder / TYPICAL_FILE
    if file.is_file():
        predictor.typical = file.read_bytes()
    return predictor


def answers_alike(predictor: Predictor, matrix: Matrix) -> bool:
    """Return whether rows are answered together as they are alone, to the last bit.

    Sums of many products may come out differently in the last bits when rows are put together; such a model is left alone.
    """
    if len(matrix) < 2:
        return False
    alone = [predictor.predict(matrix[index : index + 1]) for index in range(len(matrix))]
    for count in {min(size, len(matrix)) for size in _TRIED}:
        together = predictor.predict(matrix[:count])
        for index, single in enumerate(alone[:count]):
            if not np.array_equal(together.values[index : index + 1], single.values):
                return False
            if single.probabilities is not None and (
                together.probabilities is None
                or not np.array_equal(together.probabilities[index : index + 1], single.probabilities)
            ):
                return False
    return True


def _one_by_one(predictor: Predictor, matrix: Matrix) -> Answer:
    """The answers to rows asked one at a time, which takes another way through the runtime."""
    answers = [predictor.predict(matrix[index : index + 1]) for index in range(len(matrix))]
    given = [answer.probabilities for answer in answers if answer.probabilities is not None]
    return Answer(np.concatenate([answer.values for answer in answers]), np.concatenate(given) if given else None)


def _read(folder: Path) -> tuple[Signature, Golden]:
    try:
        signature = Signature.from_json((folder / SIGNATURE_FILE).read_bytes())
        return signature, Golden.from_json((folder / GOLDEN_FILE).read_bytes(), signature)
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactCorrupt(f"the model in {folder} cannot be read: {error}; train it again") from error


def estimated(estimator: Any, signature: Signature) -> Ask:
    """Return a function that asks a fitted scikit-learn estimator, which predicts indices into `signature.classes`, or numbers."""
    gives_probabilities = signature.task == "Classification" and signature.gives_probabilities
    kind = np.float64 if signature.task == "Regression" else np.int64

    def ask(matrix: Matrix) -> Answer:
        # Numbers that leave their range are seen in the answer, or refused by the estimator; numpy need not warn of them.
        with np.errstate(all="ignore"):
            probabilities = (
                np.ascontiguousarray(estimator.predict_proba(matrix), np.float64) if gives_probabilities else None
            )
            # `predict` is not always the most probable class (SVC), and asking twice is the price of saying what it says.
            return Answer(np.ascontiguousarray(estimator.predict(matrix), kind).reshape(-1), probabilities)

    return ask
