"""Profiles of files: Parquet and CSV in one pass and constant memory, or a profile that was made before.

Parquet is read column by column: each thread takes a column, reads it from beginning to end in batches, and goes on to the next,
because whole rows of a wide table need memory in proportion to its width. A file on a slow disk is then read at as many
positions as it has columns and row groups. CSV is read row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from tidemill.runtime.profile.profile import (
    ColumnProfile,
    Counter,
    Profile,
    ProfiledColumn,
    ProfileError,
    empty_profile,
)

SAMPLE_ROWS = 1 << 18
"""Bins are fitted to about so many rows, taken from all over the file."""
_CSV_BLOCK = 1 << 22
_BATCH_ROWS = 1 << 17
"""So much of a column is decoded at a time."""
_BUFFER = 1 << 16
"""Bytes of a column chunk that are read at a time; whole chunks would be hundreds of megabytes."""


class Unreadable(ValueError):
    """A file is not what it should be; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Profiled:
    """A file's profile, and the columns that have none."""

    profile: Profile
    left_out: tuple[str, ...] = ()


def profile_file(path: Path, like: Profile | None = None, *, threads: int = 2) -> Profiled:
    """The profile of a Parquet or CSV file, on bins fitted to it or on those of `like`; of a profile, itself.

    Raises Unreadable where the file is none of these, has no rows' worth of columns, or was counted on other bins.
    """
    try:
        with path.open("rb") as file:
            head = file.read(64)
        if head[:4] == b"PAR1":
            return _count(_Parquet(path), like, threads)
        if head.lstrip()[:1] == b"{":
            return _read_profile(path, like)
        if b"\0" in head:
            raise Unreadable(f"{path} is neither Parquet, CSV nor a profile; convert it to Parquet")
        return _count(_Csv(path), like, threads)
    except OSError as error:
        if error.errno is None:  # Arrow's, of what the file holds
            raise Unreadable(f"{path} cannot be read: {_first_line(error)}") from error
        raise Unreadable(f"{path} cannot be opened: {error.strerror or error}") from error
    except (pa.ArrowException, ProfileError) as error:
        raise Unreadable(f"{path} cannot be read: {_first_line(error)}") from error


def _read_profile(path: Path, like: Profile | None) -> Profiled:
    profile = Profile.from_json(path.read_bytes())
    if like is not None:
        theirs = {column.name: column for column in profile.columns}
        for column in like.columns:
            if column.name in theirs and not column.same_bins(theirs[column.name]):
                raise Unreadable(
                    f"{path} counts column {column.name!r} on other bins than the reference; count the data on them with "
                    f"`tidemill profile DATA --like REFERENCE -o {path.name}`"
                )
    return Profiled(profile)


class _Parquet:
    """A Parquet file, whose row groups can be read in any order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER)
        # Text comes as a dictionary per row group: then each distinct text is looked at once.
        self._texts = [
            f.name for f in self._file.schema_arrow if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)
        ]
        if self._texts:
            self._file = self._opened()
        self.schema: pa.Schema = self._file.schema_arrow
        # Arrow makes a schema anew each time it is asked, which would be once for each of its columns.
        self._names = frozenset(self.schema.names)

    def sample(self, columns: Sequence[str]) -> pa.Table:
        groups = self._file.num_row_groups
        if groups == 0:
            return self.schema.empty_table().select(list(columns))
        rows = max(1, self._file.metadata.num_rows // groups)
        wanted = min(groups, max(1, -(-SAMPLE_ROWS // rows)))
        spread = sorted({place * groups // wanted for place in range(wanted)})
        return self._file.read_row_groups(spread, columns=list(columns))

    def counted(self, empty: Profile, threads: int) -> Profile:
        """The profile, counted by each thread one column after the other, so that a wide table takes no more memory."""

        def count(share: Sequence[ColumnProfile]) -> Profile:
            file = self._opened()  # a reader is for one thread
            columns: list[ColumnProfile] = []
            for column in share:
                counter = Counter(Profile(0, (column,)))
                for batch in self._batches(file, column.name):
                    counter.add(batch)
                columns += counter.profile().columns
            return Profile(self._file.metadata.num_rows, tuple(columns))

        with ThreadPoolExecutor(threads) as pool:
            return _side_by_side(list(pool.map(count, _shares(empty, threads))), empty)

    def _batches(self, file: Any, column: str) -> Iterator[pa.RecordBatch]:
        if column in self._names:
            yield from file.iter_batches(_BATCH_ROWS, columns=[column], use_threads=False)
        else:
            yield pa.record_batch([pa.nulls(self._file.metadata.num_rows)], [column])

    def _opened(self) -> Any:
        return pq.ParquetFile(
            self._path, metadata=self._file.metadata, pre_buffer=False, buffer_size=_BUFFER, read_dictionary=self._texts
        )


class _Csv:
    """A CSV file; a column whose first block holds numbers may hold text later, and is then read as text."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open(None) as reader:
            self.schema = reader.schema
            self._first = next(iter(reader), None)

    def _open(self, types: dict[str, Any] | None) -> Any:
        return csv.open_csv(
            self._path,
            read_options=csv.ReadOptions(block_size=_CSV_BLOCK),
            convert_options=csv.ConvertOptions(column_types=types, strings_can_be_null=True),
        )

    def sample(self, columns: Sequence[str]) -> pa.Table:
        if self._first is None:
            return self.schema.empty_table().select(list(columns))
        return pa.Table.from_batches([self._first]).select(list(columns)).slice(0, SAMPLE_ROWS)

    def counted(self, empty: Profile, threads: int) -> Profile:
        """The profile; columns are independent, so that each thread counts its share of those of a block."""
        try:
            return self._counted(empty, threads, as_text=False)
        except pa.ArrowInvalid:
            # A column that began with numbers went on with text: numbers are read from text where they are some.
            return self._counted(empty, threads, as_text=True)

    def _counted(self, empty: Profile, threads: int, *, as_text: bool) -> Profile:
        counters = [Counter(Profile(0, share)) for share in _shares(empty, threads)]
        types = dict.fromkeys(self.schema.names, pa.string()) if as_text else None
        with ThreadPoolExecutor(len(counters)) as pool, self._open(types) as reader:
            for batch in reader:
                for done in [pool.submit(counter.add, batch) for counter in counters]:
                    done.result()
        return _side_by_side([counter.profile() for counter in counters], empty)


def _shares(empty: Profile, threads: int) -> list[tuple[ColumnProfile, ...]]:
    """The columns in as many parts as there are threads, none of them empty."""
    return [share for start in range(threads) if (share := empty.columns[start::threads])]


def _side_by_side(profiles: Sequence[Profile], empty: Profile) -> Profile:
    """Profiles of some columns each as one, in the order of `empty`."""
    found = {column.name: column for profile in profiles for column in profile.columns}
    return Profile(profiles[0].rows, tuple(found[column.name] for column in empty.columns))


def columns_of(schema: pa.Schema) -> tuple[tuple[ProfiledColumn, ...], tuple[str, ...]]:
    """How to profile each column, by its type, and which have a type that cannot be profiled."""
    found, left_out = [], []
    for field in schema:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if pa.types.is_boolean(kind) or _is_text(kind):
            found.append(ProfiledColumn(field.name, "Categorical"))
        elif pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind):
            found.append(ProfiledColumn(field.name, "Numerical"))
        else:
            left_out.append(field.name)
    return tuple(found), tuple(left_out)


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _count(file: _Parquet | _Csv, like: Profile | None, threads: int) -> Profiled:
    names = file.schema.names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ProfileError(f"two columns are called {twice!r}; rename one")
    if like is None:
        columns, left_out = columns_of(file.schema)
        if not columns:
            raise ProfileError("there is no column of numbers, texts or booleans to profile")
        empty = empty_profile(file.sample([column.name for column in columns]), columns)
    else:
        empty = like
        left_out = tuple(name for name in names if like.column(name) is None)
        if not any(column.name in names for column in like.columns):
            raise ProfileError(
                f"it shares no column with the reference, which has {', '.join(c.name for c in like.columns[:5])}"
            )
    return Profiled(file.counted(empty, threads), left_out)


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0][:300]
