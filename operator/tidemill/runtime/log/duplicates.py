"""Count the rows that were logged more than once, in bounded memory."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from tidemill.contract.layout import LogColumn
from tidemill.runtime.tables import rowhash

_MAX_HASHES: Final = 1 << 20
_HASH_SPACE: Final = 1 << 64


class Duplicates:
    """Counts rows of the same request and place among those whose hash is small enough: copies of a row have its hash."""

    def __init__(self) -> None:
        self._below = _HASH_SPACE
        self._hashes = np.empty(0, np.uint64)

    def add(self, table: pa.Table) -> None:
        """Take these rows into account."""
        hashes = rowhash.hashes(table, (LogColumn.REQUEST, LogColumn.ROW), 2)
        self._hashes = np.concatenate((self._hashes, self._small(hashes)))
        while len(self._hashes) > _MAX_HASHES:
            self._below //= 2
            self._hashes = self._small(self._hashes)

    def _small(self, hashes: rowhash.Hashes) -> rowhash.Hashes:
        return hashes if self._below == _HASH_SPACE else hashes[hashes < np.uint64(self._below)]

    @property
    def share(self) -> float:
        """Return the share of rows that repeat another one: exact up to a million rows, then an estimate from every second, fourth … of them."""
        if not len(self._hashes):
            return 0.0
        return 1.0 - len(np.unique(self._hashes)) / len(self._hashes)
