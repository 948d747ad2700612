"""Requests of one row of numbers each, which most are, kept for the log as columns instead of one by one.

A record of its own for each request would be a dozen objects that live for seconds, which costs as much as answering.
Here a row is copied into arrays that are there already, and what it came in is free for the next request.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tidemill.runtime.log.layout import SLOT
from tidemill.runtime.log.records import OVERHEAD, Author
from tidemill.runtime.log.writer import Log
from tidemill.runtime.model.answer import Answer
from tidemill.runtime.protocol.features import NO_CATEGORIES, Matrix, Rows

MAX_ROWS: Final = 256
MAX_BYTES: Final = 1 << 17


class SingleRowBatch:
    """Up to MAX_ROWS rows that one version answered within one slot of time, as one record of the log (see `Prediction`).

    A file of the log holds rows of one slot, so no record reaches over its end.
    """

    __slots__ = ("_begin", "_end", "_matrix", "_most", "_probabilities", "_values", "author", "keys", "times")

    def __init__(self, author: Author, matrix: Matrix, answer: Answer, now: float) -> None:
        """Make room for rows and answers like these."""
        self._most = max(1, min(MAX_ROWS, MAX_BYTES // (8 * matrix.shape[1])))
        self._begin = now // SLOT * SLOT
        self._end = self._begin + SLOT
        self._matrix = np.empty((self._most, matrix.shape[1]))
        self._values = np.empty(self._most, answer.values.dtype)
        probabilities = answer.probabilities
        self._probabilities = (
            None if probabilities is None else np.empty((self._most, probabilities.shape[1]), probabilities.dtype)
        )
        self.author = author
        self.keys: list[str] = []
        """The requests' ids: a row with a key is logged as a request of its own."""
        self.times: list[float] = []

    def takes(self, author: Author, now: float) -> bool:
        """Return whether there is room for an answer that `author` gives now."""
        return author is self.author and len(self.keys) < self._most and self._begin <= now < self._end

    def add(self, request: str, now: float, matrix: Matrix, answer: Answer) -> None:
        """Keep one row."""
        index = len(self.keys)
        self._matrix[index] = matrix
        self._values[index] = answer.values[0]
        if self._probabilities is not None and answer.probabilities is not None:
            self._probabilities[index] = answer.probabilities
        self.keys.append(request)
        self.times.append(now)

    @property
    def rows(self) -> int:
        return len(self.keys)

    @property
    def requests(self) -> int:
        return len(self.keys)

    @property
    def time(self) -> float:
        """Return the time of the first row."""
        return self.times[0]

    @property
    def request(self) -> str:
        """Return the id of the first request."""
        return self.keys[0]

    @property
    def asked(self) -> Rows:
        return Rows(self._matrix[: self.rows], NO_CATEGORIES)

    @property
    def answer(self) -> Answer:
        probabilities = self._probabilities
        return Answer(self._values[: self.rows], None if probabilities is None else probabilities[: self.rows])


class SinglesLog:
    """Puts single rows into a log, each with those that came just before it where that can be."""

    __slots__ = ("_newest",)

    def __init__(self) -> None:
        self._newest: SingleRowBatch | None = None

    def append(self, log: Log, author: Author, request: str, now: float, matrix: Matrix, answer: Answer) -> None:
        """Keep one row; the log counts it where it has no room."""
        size = matrix.nbytes + OVERHEAD
        newest = self._newest
        # Only what waits as the log's last record may still grow: what comes before it, or is being written, stays as it is.
        if newest is not None and log.newest is newest and newest.takes(author, now):
            if log.grow(1, size):
                newest.add(request, now, matrix, answer)
            return
        made = SingleRowBatch(author, matrix, answer, now)
        made.add(request, now, matrix, answer)
        self._newest = made if log.append(made, 1, size) else None
