"""A table in short: every column's distribution on fixed bins, additive and independent of order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from types import MappingProxyType
from typing import Literal

import numpy as np
import orjson
import pyarrow as pa

from tidemill.runtime.profile import arrow, categorical, numerical
from tidemill.runtime.profile.categorical import CategoricalCounter, CategoricalProfile
from tidemill.runtime.profile.grid import OUTSIDE, Grid
from tidemill.runtime.profile.numerical import NumericalProfile
from tidemill.runtime.profile.numerical_counter import NumericalCounter

FORMAT = "tidemill.dev/profile/v2"
_READABLE = (FORMAT, "tidemill.dev/profile/v1")
"""The first format counted no heavy values and had no bins beyond the octaves."""
ColumnProfile = NumericalProfile | CategoricalProfile


class ProfileError(ValueError):
    """A profile cannot be read, or two do not belong together."""


@dataclass(frozen=True, slots=True)
class ProfiledColumn:
    """A column to profile, and how to take its values."""

    name: str
    type: Literal["Numerical", "Categorical"]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A column that is not compared."""

    name: str
    reason: str
    """A phrase that follows the column's name."""
    identifier: bool = False
    """Whether the reason is that its values tell rows apart; such a column is counted nevertheless."""


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Counts of every column on the bins of one reference."""

    rows: int
    columns: tuple[ColumnProfile, ...]
    left_out: tuple[LeftOut, ...] = ()
    """Columns of the file that are not compared, and why."""

    def column(self, name: str) -> ColumnProfile | None:
        """The column of this name, or None."""
        return next((column for column in self.columns if column.name == name), None)

    def merge(self, *others: Profile) -> Profile:
        """All profiles as one; the order does not matter, the result is the same bit for bit."""
        return reduce(_merge, others, self)

    def to_json(self) -> bytes:
        """This profile as canonical JSON: equal profiles are equal bytes."""
        wire = {"format": FORMAT, "rows": self.rows, "columns": [_to_wire(column) for column in self.columns]}
        if self.left_out:
            wire["leftOut"] = [asdict(column) for column in self.left_out]
        return orjson.dumps(wire, option=orjson.OPT_SERIALIZE_NUMPY)

    @classmethod
    def from_json(cls, text: bytes) -> Profile:
        """The profile that `to_json` wrote; raises ProfileError where the bytes are something else."""
        try:
            wire = orjson.loads(text)
            if not isinstance(wire, dict) or wire.get("format") not in _READABLE:
                raise ProfileError(f"not a profile of format {FORMAT}; make one with `tidemill profile`")
            left_out = tuple(
                LeftOut(str(column["name"]), str(column["reason"]), bool(column.get("identifier")))
                for column in wire.get("leftOut", ())
            )
            return cls(int(wire["rows"]), tuple(_from_wire(column) for column in wire["columns"]), left_out)
        except (KeyError, TypeError, AttributeError, OverflowError, orjson.JSONDecodeError) as error:
            raise ProfileError(f"a damaged profile ({error!r}); make it again with `tidemill profile`") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Profile) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.to_json())


class Counter:
    """Counts record batches on the bins of a profile, in memory that does not depend on their number."""

    def __init__(self, profile: Profile) -> None:
        self._rows = 0
        self._columns: list[tuple[str, NumericalCounter | CategoricalCounter]] = [
            (
                column.name,
                NumericalCounter(column) if isinstance(column, NumericalProfile) else CategoricalCounter(column),
            )
            for column in profile.columns
        ]

    def add(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Count the rows of `batch`; columns it lacks count as missing, columns the profile lacks are left out."""
        self._rows += batch.num_rows
        present = set(batch.schema.names)
        for name, counter in self._columns:
            if name not in present:
                absent = batch.num_rows
                if isinstance(counter, NumericalCounter):
                    counter.add(np.empty(0), missing=absent)
                else:
                    counter.add({}, missing=absent)
            elif isinstance(counter, NumericalCounter):
                numbers = arrow.numbers(batch.column(name), counter.offset)
                counter.add(
                    numbers.values,
                    missing=numbers.missing,
                    invalid=numbers.invalid,
                    padding=numbers.padding,
                    filler=numbers.filler,
                )
            else:
                counted, missing = arrow.categories(batch.column(name))
                counter.add(counted, missing=missing)

    def profile(self) -> Profile:
        """Return the profile of the rows so far."""
        return Profile(self._rows, tuple(counter.profile() for _, counter in self._columns))


def profile_table(table: pa.Table, columns: Iterable[ProfiledColumn], edges_from: Profile | None = None) -> Profile:
    """The profile of `columns` in `table`, on bins fitted to it, or on those of `edges_from`.

    Raises ProfileError where `table` lacks a column.
    """
    wanted = tuple(columns)
    absent = [column.name for column in wanted if column.name not in table.schema.names]
    if absent:
        raise ProfileError(f"no column {absent[0]!r}; there are {', '.join(table.schema.names)}")
    counter = Counter(empty_profile(table, wanted) if edges_from is None else _narrow(edges_from, wanted))
    counter.add(table)
    return counter.profile()


def empty_profile(table: pa.Table, columns: Sequence[ProfiledColumn]) -> Profile:
    """A profile with nothing counted, whose bins fit the columns of `table`."""
    return Profile(
        0,
        tuple(
            _empty_numbers(column.name, table.column(column.name))
            if column.type == "Numerical"
            else categorical.empty(column.name, arrow.categories(table.column(column.name))[0])
            for column in columns
        ),
    )


def _empty_numbers(name: str, column: pa.ChunkedArray) -> NumericalProfile:
    offset = arrow.offset_of(column)
    return numerical.empty(name, arrow.numbers(column, offset).present(), offset=offset)


def _narrow(profile: Profile, columns: Sequence[ProfiledColumn]) -> Profile:
    by_name = {column.name: column for column in profile.columns}
    for column in columns:
        if column.name not in by_name:
            raise ProfileError(f"the profile has no column {column.name!r}; it has {', '.join(by_name)}")
    return Profile(profile.rows, tuple(by_name[column.name] for column in columns))


def _merge(first: Profile, second: Profile) -> Profile:
    if len(first.columns) != len(second.columns):
        raise ProfileError("profiles of different columns do not add up; count both on the same reference")
    return Profile(
        first.rows + second.rows,
        tuple(_merge_columns(mine, other) for mine, other in zip(first.columns, second.columns, strict=True)),
    )


def _merge_columns(first: ColumnProfile, second: ColumnProfile) -> ColumnProfile:
    if not first.same_bins(second):
        raise ProfileError(f"column {first.name!r} was counted on other bins; count both on the same reference")
    if isinstance(first, NumericalProfile):
        assert isinstance(second, NumericalProfile)
        return numerical.merge(first, second)
    assert isinstance(second, CategoricalProfile)
    return categorical.merge(first, second)


def _to_wire(column: ColumnProfile) -> dict[str, object]:
    if isinstance(column, CategoricalProfile):
        return {
            "name": column.name,
            "type": column.type,
            "rows": column.rows,
            "missing": column.missing,
            "others": column.others,
            "examples": column.examples,
            "categories": column.categories,
            "counts": column.counts,
            **({} if column.unnamed is None else {"unnamed": column.unnamed}),
        }
    grid = column.grid
    shape: dict[str, object] = {"kind": grid.kind, "origin": grid.origin, "step": grid.step, "cells": grid.cells}
    if grid.kind == "Pieces":
        shape |= {"breaks": grid.breaks, "steps": grid.steps}
    return {
        "name": column.name,
        "type": column.type,
        "rows": column.rows,
        "missing": column.missing,
        "negativeInfinities": column.negative_infinities,
        "positiveInfinities": column.positive_infinities,
        "invalid": column.invalid,
        "lattice": column.lattice,
        "between": column.between,
        "minimum": column.minimum,
        "maximum": column.maximum,
        "rounded": column.rounded,
        "offset": str(column.offset),
        "grid": shape,
        "starts": column.starts,
        "heavy": column.heavy,
        "counts": column.counts,
        "sums": column.sums,
        "far": {str(index): hex(total) for index, total in column.far.items()},
    }


def _from_wire(wire: dict[str, object]) -> ColumnProfile:
    read = dict(wire)
    if read.pop("type") == "Categorical":
        profile = CategoricalProfile(
            name=str(read["name"]),
            categories=_texts(read["categories"]),
            counts=_whole_numbers(read["counts"]),
            rows=_whole(read["rows"]),
            missing=_whole(read["missing"]),
            others=_whole(read["others"]),
            examples=_texts(read["examples"]),
            unnamed=_pair(read.get("unnamed")),
        )
        if len(profile.counts) != len(profile.categories):
            raise ProfileError(f"column {profile.name!r} of the profile is damaged: counts do not match categories")
        return profile
    first_format = "heavy" not in read
    heavy = np.array([] if first_format else read["heavy"], np.float64)
    counts, sums = _whole_numbers(read["counts"]), _whole_numbers(read["sums"])
    if first_format:
        counts, sums = (numerical.frozen(np.pad(side, 1)) for side in (counts, sums))
    far = read.get("far", {})
    if not isinstance(far, dict):
        raise TypeError("the sums of what is far are not a mapping")
    numbers = NumericalProfile(
        name=str(read["name"]),
        grid=_grid(read["grid"]),
        starts=_whole_numbers(read["starts"]),
        heavy=numerical.frozen(heavy),
        counts=counts,
        sums=sums,
        rows=_whole(read["rows"]),
        missing=_whole(read["missing"]),
        negative_infinities=_whole(read["negativeInfinities"]),
        positive_infinities=_whole(read["positiveInfinities"]),
        invalid=_whole(read["invalid"]),
        lattice=bool(read["lattice"]),
        between=_whole(read["between"]),
        minimum=_number(read["minimum"]),
        maximum=_number(read["maximum"]),
        rounded=_whole(read.get("rounded", 0)),
        far=MappingProxyType({int(index): int(total, 16) for index, total in far.items()}),
        offset=int(str(read.get("offset", 0))),
    )
    size = len(numbers.starts) + 2 * OUTSIDE + 2 * len(heavy)
    if heavy.ndim != 1 or not len(counts) == len(sums) == size or any(not 0 <= index < size for index in numbers.far):
        raise ProfileError(f"column {numbers.name!r} of the profile is damaged: counts do not match bins")
    return numbers


def _grid(value: object) -> Grid:
    if not isinstance(value, dict):
        raise TypeError("not a grid")
    if value["kind"] not in ("Linear", "Floating", "Pieces"):
        raise TypeError(f"{value['kind']!r} is not a kind of grid")
    breaks, steps = (tuple(float(number) for number in value.get(name, ())) for name in ("breaks", "steps"))
    if value["kind"] == "Pieces" and not len(breaks) == len(steps) + 1 > 1:
        raise TypeError("pieces of a grid lack their ends")
    return Grid(value["kind"], float(value["origin"]), float(value["step"]), int(value["cells"]), breaks, steps)


def _pair(value: object) -> tuple[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2:
        raise TypeError("not a pair of counts")
    return _whole(value[0]), _whole(value[1])


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is not a whole number")
    return value


def _number(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return tuple(str(entry) for entry in value)


def _whole_numbers(value: object) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    array = np.array(value, dtype=np.int64)
    if array.ndim != 1:
        raise TypeError("not a list of whole numbers")
    return numerical.frozen(array)
