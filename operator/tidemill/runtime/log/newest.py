"""The newest rows of a stream, in memory that does not grow with the stream."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


class NewestRows:
    """Keeps the `limit` rows whose time is greatest; of equal times those that came last."""

    def __init__(self, limit: int, time: str) -> None:
        """`time` is the column that decides, of timestamps."""
        self.left_out = 0
        """Rows that were too many."""
        self._limit, self._time = limit, time
        self._kept: list[pa.Table] = []
        self._rows = 0

    def add(self, table: pa.Table) -> None:
        """Take the rows of `table` into account."""
        if not table.num_rows:
            return
        self._kept.append(table)
        self._rows += table.num_rows
        if self._rows > 2 * self._limit:
            self._prune()

    def table(self) -> pa.Table | None:
        """The rows; None where there were none. They are in no order unless some were left out."""
        self._prune()
        return self._kept[0] if self._kept else None

    def _prune(self) -> None:
        if not self._kept:
            return
        together = pa.concat_tables(self._kept, promote_options="permissive")
        if together.num_rows > self._limit:
            self.left_out += together.num_rows - self._limit
            order = np.argsort(together.column(self._time).cast(pa.int64()).to_numpy(), kind="stable")
            together = together.take(pa.array(order[-self._limit :]))
        self._kept, self._rows = [together.combine_chunks()], together.num_rows
