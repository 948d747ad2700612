"""Rows as points: numbers in standard deviations of the reference, categories as corners of equal length, so that distances mean something.

Coordinates are rounded to 1/64 within ±16. Sums of their products with numbers as coarse are exact in floating point, and
what is made of them does not depend on the order of rows, on batches, or on threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.runtime.profile.grid import Floats

STEP: Final = 1 / 64
FARTHEST: Final = 16.0
_SINGLE: Final = 2.0**-23
_ROOM: Final = 64
"""By how much a constant's unit exceeds what single precision changes, so that the change is rounded away."""
CORNERS: Final = 20
"""Categories of a column that get a coordinate; the others share one."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A column of numbers, or one of categories with its corners."""

    name: str
    centre: float = 0.0
    scale: float = 1.0
    categories: tuple[str, ...] | None = None

    @property
    def width(self) -> int:
        return 1 if self.categories is None else len(self.categories) + 1


@dataclass(frozen=True, slots=True)
class Space:
    """The map from the columns of a reference to coordinates."""

    axes: tuple[Axis, ...]

    @property
    def width(self) -> int:
        """Coordinates of a point."""
        return sum(axis.width for axis in self.axes)

    @classmethod
    def of(cls, sample: pa.Table, names: Sequence[str]) -> Space:
        """Fitted to the columns `names` of a reference's rows."""
        return cls(tuple(_axis(name, sample.column(name)) for name in names if name in sample.column_names))

    def points(self, table: pa.Table) -> Floats:
        """Float64 [rows, width]; a missing value lies at the centre, and so does a column that `table` lacks."""
        points = np.zeros((table.num_rows, self.width))
        present = set(table.column_names)
        start = 0
        for axis in self.axes:
            if axis.name in present:
                _locate(axis, table.column(axis.name), points[:, start : start + axis.width])
            start += axis.width
        return points


def _axis(name: str, column: Any) -> Axis:
    if _is_text(column.type):
        counted = pc.value_counts(column.cast(pa.string()).drop_null())
        pairs = sorted(
            zip(counted.field("counts").to_pylist(), counted.field("values").to_pylist(), strict=True),
            key=lambda pair: (-pair[0], pair[1]),
        )
        return Axis(name, categories=tuple(text for _, text in pairs[:CORNERS]))
    numbers = _numbers(column)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return Axis(name)
    low, centre, high = (float(edge) for edge in np.quantile(numbers, (0.25, 0.5, 0.75)))
    # What varies by less than single precision can hold of it is a constant, whose std would be rounding alone.
    resolution = abs(centre) * _SINGLE
    if float(numbers.max()) - float(numbers.min()) <= resolution:
        return Axis(name, centre, max(1.0, _ROOM * resolution))
    std = float(
        np.std(np.clip(numbers, centre - 20 * (high - low), centre + 20 * (high - low)) if high > low else numbers)
    )
    return Axis(name, centre, max(std, resolution))


def _locate(axis: Axis, column: Any, into: Floats) -> None:
    if axis.categories is None:
        numbers = _numbers(column)
        with np.errstate(over="ignore", invalid="ignore"):
            away = np.clip((numbers - axis.centre) / axis.scale, -FARTHEST, FARTHEST)
        into[:, 0] = np.rint(np.nan_to_num(away, nan=0.0) / STEP) * STEP
        return
    texts = column.cast(pa.string())
    codes = pc.index_in(texts, value_set=pa.array(axis.categories, pa.string()))
    codes = pc.fill_null(codes, len(axis.categories)).to_numpy(zero_copy_only=False)
    there = ~np.asarray(pc.is_null(texts).to_numpy(zero_copy_only=False))
    # Two rows of different categories lie one and a half apart, whichever they are.
    into[np.flatnonzero(there), codes[there]] = 1.0625


def _numbers(column: Any) -> Floats:
    if _is_text(column.type) or pa.types.is_null(column.type):
        column = column.cast(pa.string())
        return np.array([_number(text) for text in column.to_pylist()], np.float64)
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)


def _number(text: str | None) -> float:
    try:
        return float(text) if text else float("nan")
    except ValueError:
        return float("nan")


def _is_text(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind))
