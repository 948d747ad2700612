"""Some rows of a stream, the same ones in whatever order and pieces it comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tidemill.contract.layout import LogColumn
from tidemill.runtime.tables import rowhash


class RowSample:
    """Keeps the `limit` rows whose hash is smallest: a random sample that two pods draw alike, in bounded memory."""

    def __init__(self, limit: int, columns: Sequence[str]) -> None:
        self._limit = limit
        self._columns = tuple(columns)
        self._kept: list[tuple[Any, pa.Table]] = []
        self._rows = 0
        self._worst: int | None = None

    def add(self, table: pa.Table) -> None:
        """Take the rows of `table` into account."""
        if not table.num_rows:
            return
        hashes = _hashes(table)
        chosen = table.select([name for name in self._columns if name in table.column_names])
        if self._worst is not None:
            low = hashes < self._worst
            hashes, chosen = hashes[low], chosen.filter(pa.array(low))
        self._kept.append((hashes, chosen))
        self._rows += len(hashes)
        if self._rows > 2 * self._limit:
            self._prune()

    def table(self) -> pa.Table | None:
        """The rows, by hash; None where there were none."""
        self._prune()
        return self._kept[0][1] if self._kept else None

    def _prune(self) -> None:
        if not self._kept:
            return
        hashes = np.concatenate([kept for kept, _ in self._kept])
        table = pa.concat_tables([rows for _, rows in self._kept], promote_options="permissive")
        order = np.argsort(hashes, kind="stable")[: self._limit]
        self._kept = [(hashes[order], table.take(pa.array(order)).combine_chunks())]
        self._rows = len(order)
        if len(order) == self._limit:
            self._worst = int(hashes[order[-1]])


def _hashes(table: pa.Table) -> Any:
    """By time, place and numbers, which is quicker than by the requests' names."""
    names = [
        name
        for name in table.column_names
        if pa.types.is_floating(table.schema.field(name).type) or pa.types.is_integer(table.schema.field(name).type)
    ]
    keys = table.select(names)
    if LogColumn.TIME in table.column_names:
        keys = keys.append_column(LogColumn.TIME, table.column(LogColumn.TIME).cast(pa.int64()))
    if not keys.num_columns:
        return rowhash.hashes(table, table.column_names, 1)
    return rowhash.hashes(keys, keys.column_names, 1)
