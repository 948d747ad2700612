"""Rows drawn from all over a file, and how many distinct values a column has, both in bounded memory and any order."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tidemill.runtime.profile.arrow import indexes
from tidemill.runtime.profile.grid import Integers
from tidemill.runtime.tables.rowhash import mix

SEED: Final = 0x71DE


def chosen_rows(rows: int, wanted: int, seed: int = SEED) -> Integers:
    """Return the positions, in order, of about `wanted` of so many rows, each as likely as any other; all where they are few.

    >>> chosen_rows(3, 10).tolist(), len(chosen_rows(1000, 100)) > 90
    ([0, 1, 2], True)
    """
    if rows <= wanted:
        return np.arange(rows, dtype=np.int64)
    return np.unique(np.random.default_rng(seed).integers(0, rows, wanted))


def at_rows(batches: Iterable[pa.RecordBatch], chosen: Integers) -> list[pa.RecordBatch]:
    """Return the rows at these positions of what the batches hold together."""
    taken, start = [], 0
    for batch in batches:
        first, last = np.searchsorted(chosen, (start, start + batch.num_rows))
        if last - first == batch.num_rows:
            taken.append(batch)
        elif last > first:
            taken.append(batch.take(indexes(chosen[first:last] - start)))
        start += batch.num_rows
    return taken


class Reservoir:
    """At most `size` rows of a stream of unknown length, each as likely as any other to be among them."""

    def __init__(self, size: int, seed: int = SEED) -> None:
        self._size = size
        self._rng = np.random.default_rng(seed)
        self._batches: list[pa.RecordBatch] = []
        self._priorities: list[NDArray[np.float64]] = []
        self._limit = 1.0
        self._held = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Draw from `batch`: each row has a random priority, and the rows with the smallest ones are kept."""
        priorities = self._rng.random(batch.num_rows)
        kept = np.flatnonzero(priorities < self._limit)
        if not len(kept):
            return
        self._batches.append(batch if len(kept) == batch.num_rows else batch.take(indexes(kept)))
        self._priorities.append(priorities[kept])
        self._held += len(kept)
        if self._held > 2 * self._size:
            self._shrink()

    def _shrink(self) -> None:
        everything = np.concatenate(self._priorities)
        self._limit = float(np.partition(everything, self._size)[self._size])
        batches, priorities = self._batches, self._priorities
        self._batches, self._priorities, self._held = [], [], 0
        for batch, priority in zip(batches, priorities, strict=True):
            kept = np.flatnonzero(priority < self._limit)
            if len(kept):
                self._batches.append(batch.take(indexes(kept)))
                self._priorities.append(priority[kept])
                self._held += len(kept)

    def rows(self) -> list[pa.RecordBatch]:
        """Return what was drawn."""
        if self._held > self._size:
            self._shrink()
        return self._batches


class DistinctSketch:
    """About how many distinct values there are: the smallest of their hashes tell (Bar-Yossef et al., 2002); exact up to 100,000, and within 1 % beyond.

    >>> sketch = DistinctSketch()
    >>> sketch.add_numbers(np.arange(1000.0)); sketch.add_numbers(np.arange(500.0))
    >>> sketch.estimate()
    1000.0
    """

    _KEPT: Final = 1 << 17

    def __init__(self) -> None:
        self._smallest = np.empty(0, np.uint64)

    def add_numbers(self, values: NDArray[Any]) -> None:
        """Take in finite numbers."""
        self._add(mix(np.ascontiguousarray(values + 0.0).view(np.uint64)))

    def add_texts(self, texts: Iterable[str]) -> None:
        """Take in texts."""
        self._add(mix(np.array([zlib.crc32(text.encode("utf-8", "surrogatepass")) for text in texts], np.uint64)))

    def _add(self, hashes: NDArray[np.uint64]) -> None:
        if len(self._smallest) >= self._KEPT:
            hashes = hashes[hashes < self._smallest[-1]]
        self._smallest = np.unique(np.concatenate((self._smallest, hashes)))[: self._KEPT]

    def estimate(self) -> float:
        """Return about how many distinct values were added; exact while they are few."""
        if len(self._smallest) < self._KEPT:
            return float(len(self._smallest))
        return (self._KEPT - 1) / (float(self._smallest[-1]) / 2.0**64)
