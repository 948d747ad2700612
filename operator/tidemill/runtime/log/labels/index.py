"""Labels by request and row: the newest one where there are several, and those that cannot be right left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.contract.layout import LogColumn
from tidemill.contract.numbers import quantity
from tidemill.runtime.log import reader
from tidemill.runtime.log.layout import hour_end_of
from tidemill.runtime.log.newest import NewestRows
from tidemill.runtime.protocol.feedback import CLOCK_SKEW_SECONDS

MAX_LABELS: Final = 1_000_000
"""Labels that are held at a time, some hundred bytes each; a client that may send labels could send any number."""
_CLOCK_SKEW: Final = int(CLOCK_SKEW_SECONDS * 1e6)


class Matched(NamedTuple):
    """Rows with their labels."""

    labelled: np.ndarray[Any, np.dtype[np.bool_]]
    """Which rows have labels."""
    values: pa.Array
    """These labels in the order of the rows."""
    times: Any
    """When they came, in microseconds since 1970."""
    early: int
    """Labels that are left out because they are dated before their row was answered."""


@dataclass(frozen=True, slots=True)
class LabelIndex:
    """Labels by request and row, the newest one where there are several."""

    keys: pa.Array
    values: pa.Array
    times: np.ndarray[Any, np.dtype[np.int64]]
    """When each came, in microseconds since 1970."""
    contradicted: int
    """Rows that were given different labels."""
    left_out: int = 0
    """The oldest ones, where there were too many."""
    ahead: int = 0
    """Labels dated after they came, which are left out: the newest label counts, and these would outlast every other one."""

    def warnings(self) -> tuple[str, ...]:
        """Return the warnings about the labels.

        >>> from dataclasses import replace
        >>> replace(NO_LABELS, left_out=5_000).warnings()
        ('5000 labels were beyond the limit; only the newest count',)
        """
        warnings: tuple[str, ...] = ()
        if self.contradicted:
            rows = quantity(self.contradicted, "row has", "rows have")
            warnings += (f"{rows} contradictory labels; the newest counts",)
        if self.left_out:
            warnings += (
                f"{quantity(self.left_out, 'label was', 'labels were')} beyond the limit; only the newest count",
            )
        if self.ahead:
            warnings += (
                f"{quantity(self.ahead, 'label is', 'labels are')} dated in the future and left out; correct the clock of the sender",
            )
        return warnings

    def match(self, table: pa.Table) -> Matched:
        """Return the rows of `table` that have labels; a label from well before its row was answered is not one of its labels."""
        indexes = pc.index_in(_row_keys(table), value_set=self.keys)
        labelled = indexes.is_valid().to_numpy(zero_copy_only=False)
        known = indexes.drop_null()
        times = self.times[known.to_numpy(zero_copy_only=False)]
        answered = table.column(LogColumn.TIME).cast(pa.int64()).to_numpy()[labelled]
        early = times < answered - _CLOCK_SKEW
        if early.any():
            labelled = labelled.copy()
            labelled[np.flatnonzero(labelled)[early]] = False
            known, times = known.filter(pa.array(~early)), times[~early]
        return Matched(labelled, self.values.take(known), times, int(early.sum()))


NO_LABELS = LabelIndex(pa.array([], pa.string()), pa.array([], pa.string()), np.zeros(0, np.int64), 0)


def _row_keys(table: pa.Table) -> Any:
    request = pc.cast(table.column(LogColumn.REQUEST), pa.string())
    row = pc.cast(pc.cast(table.column(LogColumn.ROW), pa.int64()), pa.string())
    joined = pc.binary_join_element_wise(request, row, "/")
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


class Further(NamedTuple):
    """Labels that did not come by the feedback endpoint."""

    tables: Iterator[pa.Table]
    """With `key` (a request and a row), `time` and `label`."""
    latest: float
    """When they were read, in seconds since 1970; later labels are left out."""


def _fed_back(store: reader.PartSource, parts: Sequence[str], skipped: reader.Skipped) -> Iterator[pa.Table]:
    """The labels in the parts, with `key`, `time` and `label`."""
    wanted = (LogColumn.REQUEST, LogColumn.ROW, LogColumn.TIME, LogColumn.LABEL)
    for batch in reader.rows(store, parts, lambda names: [name for name in wanted if name in names], skipped):
        if LogColumn.LABEL in batch.schema.names:
            given = {
                "key": _row_keys(batch),
                "time": batch.column(LogColumn.TIME),
                "label": batch.column(LogColumn.LABEL),
            }
            yield pa.table(given).drop_null()


def read_labels(
    store: reader.PartSource,
    parts: Sequence[str],
    skipped: reader.Skipped,
    most: int = MAX_LABELS,
    *,
    further: Further | None = None,
) -> LabelIndex:
    """All labels in the parts and in `further`, or the newest where there are more than `most`; of several for one row the newest counts.

    Labels dated after the hour of the newest part came by a clock that was wrong, or are forged, and are left out; so are
    further ones dated after `further.latest`.
    """
    latest = max((end for key in parts if (end := hour_end_of(key)) is not None), default=None)
    ahead = 0
    newest_labels = NewestRows(most, "time")
    sources: list[tuple[Iterator[pa.Table], float | None]] = [(_fed_back(store, parts, skipped), latest)]
    if further is not None:
        sources.append((further.tables, further.latest))
    for tables, bound in sources:
        for table in tables:
            sound = table
            if bound is not None:
                sound = table.filter(
                    pc.less_equal(table.column("time").cast(pa.int64()), int(bound * 1e6) + _CLOCK_SKEW)
                )
                ahead += table.num_rows - sound.num_rows
            newest_labels.add(sound)
    table = newest_labels.table()
    if table is None:
        return replace(NO_LABELS, ahead=ahead)
    # By time, then by spelling: the same labels in another order of parts must not give another answer.
    table = table.take(pc.sort_indices(table, [("time", "ascending"), ("label", "ascending")]))
    encoded = table.column("key").combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy()
    newest = np.zeros(len(encoded.dictionary), np.int64)
    newest[codes] = np.arange(len(codes))  # the last one written stays
    values = table.column("label").combine_chunks().take(pa.array(newest))
    differs = pc.not_equal(table.column("label"), values.take(pa.array(codes.astype(np.int64))))
    contradicted = len(np.unique(codes[differs.to_numpy()]))
    times = table.column("time").cast(pa.int64()).to_numpy()[newest]
    return LabelIndex(encoded.dictionary, values, times, contradicted, newest_labels.left_out, ahead)
