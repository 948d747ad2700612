"""Profiles of CSV files: a pass that finds types and draws rows, and one that counts, each block by block."""

from __future__ import annotations

import gzip
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.runtime.profile import arrow
from tidemill.runtime.profile.columns import (
    may_be_identifier,
    may_be_running,
    running_number,
    text_identifier,
)
from tidemill.runtime.profile.numerical import NumericalProfile
from tidemill.runtime.profile.parquet import CategoryCounts
from tidemill.runtime.profile.profile import (
    ColumnProfile,
    Counter,
    LeftOut,
    Profile,
    ProfiledColumn,
    ProfileError,
    empty_profile,
)
from tidemill.runtime.profile.sampling import DistinctSketch, Reservoir
from tidemill.runtime.tables import delimited
from tidemill.runtime.tables.blocks import HexadecimalError
from tidemill.runtime.tables.delimited import TableError
from tidemill.runtime.tables.spelling import FALSE, TRUE

SAMPLE_CELLS: Final = 1 << 22
"""Bins are fitted to rows with about so many values, drawn from all over the file."""
COUNTED_CELLS: Final = 1 << 21
"""About so many values are counted at once."""
COUNTED_BYTES: Final = 1 << 25
"""No more than about so many bytes are held for that: texts may be long."""
_MIN_SAMPLE_ROWS: Final = 1 << 14
_MAX_SAMPLE_ROWS: Final = 1 << 17
_TEXT: Final = pa.dictionary(pa.int32(), pa.string())
_NO_TEXT: Final = pa.nulls(1, pa.string())[0]
"""A missing text; `pa.scalar` would import pandas."""
_CLOCK: Final = r"^([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?$"
_LONG_WHOLE: Final = r"^[+-]?\d{1,38}$"
_STRAYS: Final = 1e-3
"""Numbers among which no larger share of texts stands are a column of numbers, with entries that are invalid."""
_MIN_NUMBERS: Final = 1000
_FIRST: Final = 64
"""So many entries are read as a type before all."""

Kind = Literal["null", "bit", "whole", "number", "truth", "time", "text"]
"""The kind of all entries of a column so far; `bit` are 0 and 1, which are numbers or truth values."""
_WIDER: Final[dict[frozenset[Kind], Kind]] = {
    frozenset(("bit", "whole")): "whole",
    frozenset(("bit", "number")): "number",
    frozenset(("whole", "number")): "number",
    frozenset(("bit", "truth")): "truth",
}


def joined(first: Kind, second: Kind) -> Kind:
    """Return the narrowest kind that holds both, whichever comes first.

    >>> joined("null", "bit"), joined("bit", "truth"), joined("whole", "truth")
    ('bit', 'truth', 'text')
    """
    if first == second or second == "null":
        return first
    return second if first == "null" else _WIDER.get(frozenset((first, second)), "text")


class CsvTable:
    """A CSV file, read twice where its bins are its own and once where they are given."""

    def __init__(self, path: Path, head: bytes) -> None:
        self._path = path
        self._packed = head.startswith(b"\x1f\x8b")
        if self._packed:
            with gzip.open(path) as file:
                head = file.read(delimited.HEAD)
        self._dialect = delimited.sniff(head, str(path), whole=len(head) < delimited.HEAD)
        self.names: Sequence[str] = self._dialect.names

    def fitted(self, threads: int) -> Profile:
        """Return the profile on bins that are fitted to the file, with the columns that are left out."""
        kinds, sample = self._surveyed(threads)
        left_out = [LeftOut(name, _why_left_out(kind)) for name, kind in kinds.items() if kind in ("null", "time")]
        columns = [
            ProfiledColumn(name, "Categorical" if kind in ("text", "truth") else "Numerical")
            for name, kind in kinds.items()
            if kind not in ("null", "time")
        ]
        if not columns and sample is not None:
            raise ProfileError("it has no column of numbers, texts or truth values to profile")
        if sample is None:
            empty = pa.table({name: pa.nulls(0) for name in self.names})
            return Profile(0, empty_profile(empty, [ProfiledColumn(name, "Numerical") for name in self.names]).columns)
        bins = empty_profile(sample, columns)
        watches = [_Watch(column, sample.column(column.name), kinds[column.name]) for column in columns]
        counted = self._counted(bins, threads, watches)
        judged = [watch.judged(column) for watch, column in zip(watches, counted.columns, strict=True)]
        identifiers = [identifier for _, identifier in judged if identifier is not None]
        return Profile(counted.rows, tuple(column for column, _ in judged), (*left_out, *identifiers))

    def counted(self, like: Profile, threads: int) -> Profile:
        """Return the profile on the bins of `like`, each column read as the type that it has there."""
        return self._counted(like, threads, ())

    def _surveyed(self, threads: int) -> tuple[dict[str, Kind], pa.Table | None]:
        """The kind of each column, from all of its entries, and rows drawn from all over the file.

        Numbers are read as what they are in the first block, which is several times as fast as texts that are looked through.
        Where that fails, because an entry further on is something else, everything is read as text.
        """
        types = self._types_of_numbers()
        if types:
            with suppress(pa.ArrowInvalid, HexadecimalError):
                return self._survey(types, threads)
        return self._survey({}, threads)

    def _types_of_numbers(self) -> dict[str, Any]:
        """The Arrow types of the columns that hold numbers in the first block."""
        with closing(self._blocks(dict.fromkeys(self.names, pa.string()), threads=1)) as batches:
            first = next(batches, None)
        if first is None or self._dialect.decimal_commas:
            return {}
        types = {}
        for name in self.names:
            kind = _kind(first.column(name), "null")
            if kind in ("bit", "whole") and _is(_present(first.column(name)), pa.int64()):
                types[name] = pa.int64()
            elif kind == "number":
                types[name] = pa.float64()
        return types

    def _survey(self, types: dict[str, Any], threads: int) -> tuple[dict[str, Kind], pa.Table | None]:
        """The kinds and the rows, with some columns read in their types and the others as text."""
        kinds: dict[str, Kind] = dict.fromkeys(self.names, "null")
        wanted = SAMPLE_CELLS // len(self.names)
        reservoir = Reservoir(min(max(wanted, _MIN_SAMPLE_ROWS), _MAX_SAMPLE_ROWS))
        wanted_types = dict.fromkeys(self.names, pa.string()) | types
        for batch in self._blocks(wanted_types, threads, hexadecimals=pa.int64() not in types.values()):
            for name in self.names:
                if name in types:
                    kinds[name] = _kind_of_numbers(batch.column(name), kinds[name])
                elif kinds[name] != "text":
                    kinds[name] = _kind(self._with_points(batch.column(name)), kinds[name])
            reservoir.add(batch)
        drawn = reservoir.rows()
        if not drawn:
            return kinds, None
        table = pa.Table.from_batches(drawn)
        for index, name in enumerate(self.names):
            if name in types:
                continue
            if kinds[name] == "truth":
                table = table.set_column(index, name, _truths(table.column(index)))
            elif kinds[name] == "whole":
                table = table.set_column(index, name, _whole_numbers(table.column(index)))
            elif kinds[name] in ("text", "number"):
                plain = self._with_points(table.column(index))
                if kinds[name] == "number" or _are_numbers(plain):
                    kinds[name] = "number"
                    table = table.set_column(index, name, plain)
        return kinds, table

    def _with_points(self, texts: Any) -> Any:
        """Texts with a point before the fraction of numbers that have a comma there, where it does not end a field."""
        return delimited.with_points(texts) if self._dialect.decimal_commas else texts

    def _counted(self, like: Profile, threads: int, watches: Sequence[_Watch]) -> Profile:
        types = {column.name: _type(column) for column in like.columns if column.name in self.names}
        try:
            return self._count(like, threads, types, watches)
        except pa.ArrowInvalid:
            # Somewhere text stands among numbers: what can be read as numbers is, and the rest is counted as invalid.
            if pa.float64() not in types.values():
                raise
            for watch in watches:
                watch.reset()
            return self._count(like, threads, dict.fromkeys(types, _TEXT), watches)

    def _count(self, like: Profile, threads: int, types: dict[str, Any], watches: Sequence[_Watch]) -> Profile:
        shares = [share for start in range(threads) if (share := like.columns[start::threads])]
        counters = [Counter(Profile(0, share)) for share in shares]
        watched = [watches[start::threads] for start in range(len(counters))]

        of_numbers = [column.name for column in like.columns if isinstance(column, NumericalProfile)]
        with_commas = [name for name in of_numbers if types.get(name) == _TEXT and self._dialect.decimal_commas]

        def count(counter: Counter, watching: Sequence[_Watch], batch: pa.RecordBatch) -> None:
            counter.add(without_missing_words(batch))
            for watch in watching:
                watch.add(batch)

        with ThreadPoolExecutor(len(counters)) as pool:
            for batch in gathered(self._blocks(types, threads), COUNTED_CELLS // len(self.names)):
                for name in with_commas:
                    plain = self._with_points(batch.column(name).cast(pa.string()))
                    batch = batch.set_column(batch.schema.get_field_index(name), name, plain)
                for done in [pool.submit(count, *pair, batch) for pair in zip(counters, watched, strict=True)]:
                    done.result()
        profiles = [counter.profile() for counter in counters]
        by_name = {column.name: column for profile in profiles for column in profile.columns}
        return Profile(profiles[0].rows, tuple(by_name[column.name] for column in like.columns))

    def _blocks(self, types: dict[str, Any], threads: int, *, hexadecimals: bool = True) -> Generator[pa.RecordBatch]:
        """Record batches; raises TableError where the bytes are not UTF-8 or a row has too few or too many values."""
        try:
            with self._open() as source:
                yield from delimited.open_blocks(
                    source, self._dialect, types, threads=threads, hexadecimals=hexadecimals
                )
        except pa.ArrowInvalid as error:
            if delimited.is_without_rows(error):
                return
            if "UTF8" in str(error) or "conversion error" in str(error):
                with self._open() as source:
                    complaint = delimited.find_invalid_utf8(source, str(self._path))
                if complaint is not None:
                    raise TableError(complaint) from error
            raise

    def _open(self) -> Any:
        return pa.input_stream(self._path, compression="gzip" if self._packed else None)


def gathered(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Yield batches joined to at least so many rows or `COUNTED_BYTES`, but for the last.

    To count many rows at once takes a third of the time for each of them.
    """
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(map(len, held)) >= rows or sum(each.nbytes for each in held) >= COUNTED_BYTES:
            yield _joined(held)
            held = []
    if held:
        yield _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    table = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
    return next(iter(table.to_batches()), batches[0])


class _Watch:
    """The facts of a column's rows beyond its bins: exact categories, and whether it is an identifier."""

    def __init__(self, column: ProfiledColumn, sample: Any, kind: Kind) -> None:
        self.name = column.name
        self._truth = kind == "truth"
        if column.type == "Numerical":
            self._offset = arrow.offset_of(sample)
            numbers = arrow.numbers(sample, self._offset).present()
            self._suspect = kind in ("bit", "whole") and may_be_running(numbers, 1 << 62 if len(sample) else 0)
        else:
            distinct, _ = arrow.categories(sample)
            self._suspect = may_be_identifier(len(distinct), sum(distinct.values()))
        self._texts = column.type == "Categorical"
        self.reset()

    def reset(self) -> None:
        """Begin from the first row."""
        self._sketch, self._categories = DistinctSketch(), CategoryCounts()

    def add(self, batch: pa.RecordBatch) -> None:
        """Look at the rows of `batch`."""
        if self._texts and (self._suspect or not self._categories.overflows):
            counted, missing = arrow.categories(batch.column(self.name))
            if self._truth:
                counted, missing = _truth_counts(counted, missing)
            self._categories.add(counted, missing)
            if self._suspect:
                self._sketch.add_texts(counted)
        elif self._suspect:
            self._sketch.add_numbers(arrow.numbers(batch.column(self.name), self._offset).present())

    def judged(self, profile: ColumnProfile) -> tuple[ColumnProfile, LeftOut | None]:
        """Return the profile, exact where it can be, and the column as an identifier where it is one."""
        if isinstance(profile, NumericalProfile):
            if not self._suspect or profile.minimum is None or profile.maximum is None:
                return profile, None
            distinct = self._sketch.estimate()
            low, high = (round(end) + profile.offset for end in (profile.minimum, profile.maximum))
            return profile, running_number(self.name, distinct, profile.present, low, high)
        exact = not self._categories.overflows
        if exact:
            profile = self._categories.profile(self.name)
        if not self._suspect:
            return profile, None
        distinct = len(self._categories.counts) if exact else self._sketch.estimate()
        return profile, text_identifier(self.name, distinct, profile.present)


def _type(column: ColumnProfile) -> Any:
    """The Arrow type that a column is read as; truth values are texts, since windows spell them in many ways."""
    if isinstance(column, NumericalProfile):
        # Floats do not tell whole numbers beyond 2^53 apart; such a column is read as text and parsed exactly.
        return pa.string() if column.offset else pa.float64()
    return pa.string() if column.categories and {TRUE, FALSE}.issuperset(column.categories) else _TEXT


def without_missing_words(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with the words for a missing value taken from its columns of truth values, which are plain texts."""
    for index, field in enumerate(batch.schema):
        if pa.types.is_string(field.type):
            column = pc.utf8_trim_whitespace(batch.column(index))
            missing = pc.is_in(column, value_set=arrow.MISSING)
            batch = batch.set_column(index, field.name, pc.if_else(missing, _NO_TEXT, column))
    return batch


def _present(texts: Any) -> Any:
    """The entries that are not missing, without blanks around them: a number may have them wherever a text must keep them."""
    trimmed = pc.utf8_trim_whitespace(texts)
    return trimmed.filter(pc.invert(pc.is_in(trimmed, value_set=arrow.MISSING)))


def _kind_of_numbers(column: Any, known: Kind) -> Kind:
    """The narrowest kind that holds numbers that were read as such and `known`."""
    if column.null_count == len(column):
        return known
    if not pa.types.is_integer(column.type):
        return joined(known, "number")
    ends = pc.min_max(column).as_py()
    return joined(known, "bit" if ends["min"] >= 0 and ends["max"] <= 1 else "whole")


def _kind(texts: Any, known: Kind) -> Kind:
    """The narrowest kind that holds the entries and `known`."""
    present = _present(texts)
    if not len(present):
        return known
    if known != "number" or not _is(present, pa.float64()):
        # Arrow casts 0x1f to a whole number, and reads it as none.
        if _is(present, pa.int64()) and not pc.any(pc.match_substring(present, "x", ignore_case=True)).as_py():
            return _kind_of_numbers(pc.cast(present, pa.int64()), known)
        if pc.all(pc.match_substring_regex(present, _LONG_WHOLE)).as_py():
            return joined(known, "whole")
        if _is(present, pa.bool_()):
            return joined(known, "truth")
        if _is_time(present):
            return joined(known, "time")
        if not _is(present, pa.float64()):
            return "text"
    return joined(known, "number")


def _are_numbers(drawn: Any) -> bool:
    """Return whether texts that were drawn from a column are numbers but for a few strays."""
    numbers = arrow.numbers(drawn)
    return len(numbers.values) >= _MIN_NUMBERS and numbers.invalid <= _STRAYS * len(numbers.values)


def _is(texts: Any, kind: Any) -> bool:
    """Return whether all texts can be read as `kind`; the first few are tried before all, as Arrow spells an error for each that cannot."""
    try:
        pc.cast(texts[:_FIRST], kind)
        pc.cast(texts, kind)
    except pa.ArrowInvalid:
        return False
    return True


def _is_time(texts: Any) -> bool:
    if any(_is(texts, kind) for kind in (pa.date32(), pa.timestamp("ns"), pa.timestamp("ns", "UTC"))):
        return True
    return bool(pc.all(pc.match_substring_regex(texts, _CLOCK)).as_py())


def _why_left_out(kind: Kind) -> str:
    return "has no values at all" if kind == "null" else "holds dates or times, which are not compared"


def _truths(column: Any) -> Any:
    """Entries of a column of truth values in one spelling, as a text; what is missing stays so."""
    column = pc.utf8_trim_whitespace(column)
    missing = pc.is_in(column, value_set=arrow.MISSING)
    truths = pc.cast(pc.if_else(missing, _NO_TEXT, column), pa.bool_())
    return pc.cast(truths, pa.string())


def _whole_numbers(column: Any) -> Any:
    column = pc.utf8_trim_whitespace(column)
    missing = pc.is_in(column, value_set=arrow.MISSING)
    texts = pc.if_else(missing, _NO_TEXT, column)
    return pc.cast(texts, pa.int64() if _is(texts, pa.int64()) else pa.decimal128(38, 0))


def _truth_counts(counted: dict[str, int], missing: int) -> tuple[dict[str, int], int]:
    counts: dict[str, int] = {}
    for text, count in counted.items():
        word = text.strip().lower()
        if word in (TRUE, "1"):
            counts[TRUE] = counts.get(TRUE, 0) + count
        elif word in (FALSE, "0"):
            counts[FALSE] = counts.get(FALSE, 0) + count
        else:
            missing += count
    return counts, missing
