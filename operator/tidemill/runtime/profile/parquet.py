"""Profiles of Parquet files, a column after the other, in memory that does not grow with the file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from tidemill.runtime.profile import arrow, categorical
from tidemill.runtime.profile.columns import (
    columns_of,
    may_be_identifier,
    may_be_running,
    running_number,
    text_identifier,
)
from tidemill.runtime.profile.numerical import NumericalProfile
from tidemill.runtime.profile.profile import (
    ColumnProfile,
    Counter,
    LeftOut,
    Profile,
    ProfiledColumn,
    ProfileError,
    empty_profile,
)
from tidemill.runtime.profile.sampling import DistinctSketch, at_rows, chosen_rows
from tidemill.runtime.tables import parquet

SAMPLE_ROWS: Final = 1 << 17
"""Bins are fitted to about so many rows, drawn from all over the file."""
MAX_DISTINCT: Final = 1 << 16
"""Up to so many distinct texts are counted exactly; of more, those are categories that are frequent among the rows drawn."""
_HELD_ROWS: Final = 1 << 21
"""A column of numbers that has no more rows than this is decoded once, for its bins and for its counts."""


class ParquetTable:
    """A Parquet file, of which each thread counts one column after the other, so that a wide table takes no more memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = parquet.opened(path, str(path))
        # Text comes as a dictionary per row group: then each distinct text is looked at once.
        self._texts = [field.name for field in self._file.schema_arrow if arrow.is_text(field.type)]
        if self._texts:
            self._file = self._opened()
        self.schema: pa.Schema = self._file.schema_arrow
        # Arrow makes another schema each time it is asked, which would be once for each of its columns.
        self._names = frozenset(self.schema.names)
        self._rows: int = self._file.metadata.num_rows
        self._local = threading.local()

    def fitted(self, threads: int) -> Profile:
        """Return the profile on bins that are fitted to the file, with the columns that are left out."""
        columns, left_out = columns_of(self.schema)
        if not columns:
            raise ProfileError("it has no column of numbers, texts or truth values to profile")
        chosen = chosen_rows(self._rows, SAMPLE_ROWS)
        counted = self._by_column(columns, lambda column: self._fitted(column, chosen), threads)
        identifiers = tuple(identifier for _, identifier in counted if identifier is not None)
        return Profile(self._rows, tuple(profile for profile, _ in counted), (*left_out, *identifiers))

    def counted(self, like: Profile, threads: int) -> Profile:
        """Return the profile on the bins of `like`; a column that the file lacks counts as missing."""
        columns = self._by_column(
            like.columns, lambda column: self._counted(column, lambda: self._batches(column.name)), threads
        )
        return Profile(self._rows, tuple(columns))

    def _by_column(self, columns: Sequence[Any], work: Callable[[Any], Any], threads: int) -> list[Any]:
        if threads == 1:
            return [work(column) for column in columns]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(work, columns))

    def _fitted(self, column: ProfiledColumn, chosen: Any) -> tuple[ColumnProfile, LeftOut | None]:
        if column.type == "Categorical":
            return self._of_texts(column, chosen)
        held = list(self._batches(column.name)) if self._rows <= _HELD_ROWS else None

        def batches() -> Iterator[pa.RecordBatch]:
            return self._batches(column.name) if held is None else iter(held)

        sample = _table(at_rows(batches(), chosen), self.schema, column.name)
        offset = arrow.offset_of(sample.column(0))
        values = arrow.numbers(sample.column(0), offset).present()
        profile = self._counted(empty_profile(sample, [column]).columns[0], batches)
        if not may_be_running(values, self._rows):
            return profile, None
        assert isinstance(profile, NumericalProfile)
        sketch = DistinctSketch()
        for batch in batches():
            sketch.add_numbers(arrow.numbers(batch.column(0), offset).present())
        low, high = (round(end or 0.0) + profile.offset for end in (profile.minimum, profile.maximum))
        return profile, running_number(column.name, sketch.estimate(), profile.present, low, high)

    def _of_texts(self, column: ProfiledColumn, chosen: Any) -> tuple[ColumnProfile, LeftOut | None]:
        categories = CategoryCounts()
        for batch in self._batches(column.name):
            categories.add(*arrow.categories(batch.column(0)))
            if categories.overflows:
                break
        else:
            profile = categories.profile(column.name)
            return profile, text_identifier(column.name, len(categories.counts), profile.present)
        sample = _table(at_rows(self._batches(column.name), chosen), self.schema, column.name)
        empty = empty_profile(sample, [column]).columns[0]
        distinct, _ = arrow.categories(sample.column(0))
        if not may_be_identifier(len(distinct), sum(distinct.values())):
            return self._counted(empty, lambda: self._batches(column.name)), None
        sketch = DistinctSketch()

        def watched() -> Iterator[pa.RecordBatch]:
            for batch in self._batches(column.name):
                sketch.add_texts(arrow.categories(batch.column(0))[0])
                yield batch

        profile = self._counted(empty, watched)
        return profile, text_identifier(column.name, sketch.estimate(), profile.present)

    def _counted(self, like: ColumnProfile, batches: Callable[[], Iterable[pa.RecordBatch]]) -> ColumnProfile:
        counter = Counter(Profile(0, (like,)))
        for batch in batches():
            counter.add(batch)
        return counter.profile().columns[0]

    def _batches(self, column: str) -> Iterator[pa.RecordBatch]:
        if column in self._names:
            yield from self._reader().iter_batches(parquet.BATCH_ROWS, columns=[column], use_threads=False)
        else:
            yield pa.record_batch([pa.nulls(self._rows)], [column])

    def _reader(self) -> Any:
        """A reader is for one thread."""
        if not hasattr(self._local, "file"):
            self._local.file = self._opened()
        return self._local.file

    def _opened(self) -> Any:
        return parquet.opened(self._path, str(self._path), metadata=self._file.metadata, texts=self._texts)


class CategoryCounts:
    """Exact counts of all categories of a column, as long as there are not too many."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._missing = 0
        self.overflows = False

    def add(self, counted: dict[str, int], missing: int) -> None:
        """Add rows per category; nothing more is counted once there are too many categories."""
        if self.overflows:
            return
        self._missing += missing
        for category, count in counted.items():
            self.counts[category] = self.counts.get(category, 0) + count
        self.overflows = len(self.counts) > MAX_DISTINCT

    def profile(self, name: str) -> ColumnProfile:
        """Return the profile of the column, whose categories are the most frequent ones of all rows."""
        counter = categorical.CategoricalCounter(categorical.empty(name, self.counts))
        counter.add(self.counts, missing=self._missing)
        return counter.profile()


def _table(batches: list[pa.RecordBatch], schema: pa.Schema, name: str) -> pa.Table:
    if not batches:
        return schema.empty_table().select([name])
    return pa.Table.from_batches(batches).select([name])


class HeldTable(ParquetTable):
    """A table in memory, profiled as a Parquet file is."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self.schema = table.schema
        self._names = frozenset(table.column_names)
        self._rows = table.num_rows

    def _batches(self, column: str) -> Iterator[pa.RecordBatch]:
        held = self._table.select([column]) if column in self._names else pa.table({column: pa.nulls(self._rows)})
        yield from held.to_batches(max_chunksize=parquet.BATCH_ROWS)
