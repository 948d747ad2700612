"""Requests that wait at the same moment are asked of the model together, where that gives each the answer it would get alone.

    one turn of the event loop ─ request, request, request ─ what they ask for waits ─ one call of the model ─ an answer each

Nothing waits for company: what is asked in a turn of the event loop is answered at its end. A scikit-learn estimator takes
almost as long for one row as for fifty, so that requests pile up while it answers; a compiled model answers a row faster
than rows can be put together, and is asked for each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import numpy as np

from tidemill.runtime.model.answer import Answer, Matrix
from tidemill.runtime.model.predictor import Predictor

MAX_ROWS: Final = 64


class RequestBatcher:
    """Asks one model on behalf of several requests."""

    def __init__(self, predictor: Predictor, max_rows: int) -> None:
        """At most `max_rows` rows are asked at once."""
        self.calls = 0
        """Calls of the model."""
        self._predictor = predictor
        self._max_rows = max_rows
        self._waiting: list[tuple[Matrix, asyncio.Future[Answer]]] = []

    async def ask(self, matrix: Matrix) -> Answer:
        """The answer to these rows; raises what the model raises for them."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((matrix, answer))
        if len(self._waiting) == 1:
            # Behind whatever is ready to run by now, and before anything that has yet to come.
            loop.call_soon(self._answer)
        return await answer

    def _answer(self) -> None:
        """Ask for as many as fit, and come again for the rest."""
        taken, rows = 0, 0
        for matrix, _ in self._waiting:
            if taken and rows + len(matrix) > self._max_rows:
                break
            taken, rows = taken + 1, rows + len(matrix)
        batch, self._waiting = self._waiting[:taken], self._waiting[taken:]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._answer)
        batch = [waiting for waiting in batch if not waiting[1].done()]
        if len(batch) > 1 and self._answer_together(batch):
            return
        for matrix, answer in batch:
            self.calls += 1
            try:
                answer.set_result(self._predictor.predict(matrix))
            except Exception as error:  # whatever a model raises goes to the request that asked
                answer.set_exception(error)

    def _answer_together(self, batch: Sequence[tuple[Matrix, asyncio.Future[Answer]]]) -> bool:
        """Answer all of them; False where the model refuses, which is then the matter of only some."""
        self.calls += 1
        try:
            answers = self._predictor.predict(np.concatenate([matrix for matrix, _ in batch]))
        except Exception:  # each request is asked again alone, and gets its own error
            return False
        start = 0
        for matrix, answer in batch:
            end = start + len(matrix)
            shares = None if answers.probabilities is None else answers.probabilities[start:end]
            answer.set_result(Answer(answers.values[start:end], shares))
            start = end
        return True
