"""Counts of a stretch of time on the bins of a version's profile: what a serving pod writes next to its log for monitors.

A file holds no bins, since the reader that adds it up has the version's profile; of a column only the bins that hold something
are written. Spans nest: what a long span holds is the sum of the short ones within it, so a window is the sum of the
longest spans that fit into it.

    span   | 3600 s                                              |
           | 300 s | 300 s | 300 s | …                           |
           |10|10|10|…
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa

from tidemill.contract.layout import LogColumn
from tidemill.runtime.profile import categorical, numerical
from tidemill.runtime.profile.categorical import CategoricalProfile
from tidemill.runtime.profile.grid import Integers
from tidemill.runtime.profile.profile import ColumnProfile, Profile, ProfileError

FORMAT: Final = "tidemill.dev/counts/v2"
MAX_BYTES: Final = 256 * 1024 * 1024
"""Bytes that a file may unpack to."""
OUTPUTS: Final = (LogColumn.PREDICTION, LogColumn.SCORE)
_CODEC: Final = pa.Codec("zstd", compression_level=1)
_SIZE: Final = 8
"""Bytes in front that tell how large the text behind is."""
_COUNTED: Final = ("missing", "negative_infinities", "positive_infinities", "invalid", "between", "rounded")


def short(digest: str) -> str:
    """Return a version's digest as names of files have it."""
    return digest.removeprefix("sha256:")[:16]


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of one stretch of time."""

    features: Profile
    """Inputs of all rows, whichever version answered."""
    outputs: Profile
    """Answers of the version whose bins these are."""
    parts: tuple[int, ...]
    """The numbers of the parts of the log whose rows, all of them, are counted here."""
    slots: Mapping[int, int]
    """Rows by the start of their slot, in seconds since 1970."""
    newest: int
    """When the newest row was answered, in microseconds since 1970."""

    def merge(self, *others: Counts) -> Counts:
        """All counts as one; the order does not matter."""
        return reduce(_merge, others, self)

    def to_bytes(self) -> bytes:
        """These counts without their bins."""
        text = orjson.dumps(
            {
                "format": FORMAT,
                "parts": self.parts,
                "slots": list(self.slots.items()),
                "newest": self.newest,
                "features": _profile(self.features),
                "outputs": _profile(self.outputs),
            },
            option=orjson.OPT_SERIALIZE_NUMPY,
        )
        packed: bytes = _CODEC.compress(text, asbytes=True)
        return len(text).to_bytes(_SIZE, "big") + packed

    @classmethod
    def from_bytes(cls, content: bytes, features: Profile, outputs: Profile) -> Counts:
        """Read what `to_bytes` wrote, on the bins of these profiles; raises ProfileError where it does not fit them."""
        size = int.from_bytes(content[:_SIZE], "big")
        if not 0 < size <= MAX_BYTES:
            raise ProfileError("damaged counts: they are empty, or too large")
        try:
            wire = orjson.loads(_CODEC.decompress(content[_SIZE:], size, asbytes=True))
            if wire.get("format") != FORMAT:
                raise ProfileError(f"not counts of format {FORMAT}")
            return cls(
                _counted(features, wire["features"]),
                _counted(outputs, wire["outputs"]),
                tuple(int(part) for part in wire["parts"]),
                {int(slot): int(rows) for slot, rows in wire["slots"]},
                int(wire["newest"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, OSError) as error:
            raise ProfileError(f"damaged counts: {error!r}") from error


def as_logged(profile: Profile, features: Sequence[str]) -> tuple[Profile, Profile]:
    """Return a version's profile in two, named as in the log: its features, whose columns may lack the prefix, and its answers."""
    inputs = []
    for feature in features:
        logged = LogColumn.FEATURE + feature
        column = profile.column(logged) or profile.column(feature)
        if column is not None:
            inputs.append(replace(column, name=logged))
    taken = {column.name for column in inputs}
    outputs = tuple(column for column in profile.columns if column.name in OUTPUTS and column.name not in taken)
    return Profile(profile.rows, tuple(inputs)), Profile(profile.rows, outputs)


def _merge(first: Counts, second: Counts) -> Counts:
    slots = dict(first.slots)
    for slot, rows in second.slots.items():
        slots[slot] = slots.get(slot, 0) + rows
    return Counts(
        first.features.merge(second.features),
        first.outputs.merge(second.outputs),
        first.parts + second.parts,
        slots,
        max(first.newest, second.newest),
    )


def _profile(profile: Profile) -> dict[str, Any]:
    return {"rows": profile.rows, "columns": [_column(column) for column in profile.columns]}


def _column(column: ColumnProfile) -> dict[str, Any]:
    held = np.flatnonzero(column.counts)
    fields: dict[str, Any] = {
        "name": column.name,
        "rows": column.rows,
        "bins": np.diff(held, prepend=0),
        "counts": column.counts[held],
    }
    if isinstance(column, CategoricalProfile):
        return {**fields, "missing": column.missing, "others": column.others, "examples": column.examples}
    others = {field: getattr(column, field) for field in _COUNTED}
    far = {str(index): hex(total) for index, total in column.far.items()}
    ends = {"minimum": column.minimum, "maximum": column.maximum}
    return {**fields, **others, **ends, "sums": column.sums[held], "far": far}


def _counted(like: Profile, wire: Mapping[str, Any]) -> Profile:
    columns = wire["columns"]
    if [column["name"] for column in columns] != [column.name for column in like.columns]:
        raise ProfileError("counts of other columns")
    counted = tuple(_counted_column(own, column) for own, column in zip(like.columns, columns, strict=True))
    return Profile(_whole(wire["rows"]), counted)


def _counted_column(like: ColumnProfile, wire: Mapping[str, Any]) -> ColumnProfile:
    held = np.cumsum(np.array(wire["bins"], np.int64))
    if len(held) and (held.min() < 0 or held.max() >= len(like.counts)):
        raise ProfileError(f"column {like.name!r}: counts of other bins")

    def dense(field: str) -> Integers:
        values = np.array(wire[field], np.int64)
        if len(values) != len(held) or (len(values) and values.min() < 0):
            raise ProfileError(f"column {like.name!r}: damaged {field}")
        whole = np.zeros(len(like.counts), np.int64)
        whole[held] = values
        return numerical.frozen(whole)

    if isinstance(like, CategoricalProfile):
        return replace(
            like,
            counts=dense("counts"),
            rows=_whole(wire["rows"]),
            missing=_whole(wire["missing"]),
            others=_whole(wire["others"]),
            examples=tuple(str(example) for example in wire["examples"])[: categorical.EXAMPLES],
        )
    others: dict[str, Any] = {field: _whole(wire[field]) for field in _COUNTED}
    others |= {field: None if wire[field] is None else float(wire[field]) for field in ("minimum", "maximum")}
    others["far"] = MappingProxyType({int(index): int(total, 16) for index, total in wire["far"].items()})
    if any(not 0 <= index < len(like.counts) for index in others["far"]):
        raise ProfileError(f"column {like.name!r}: sums of other bins")
    return replace(like, counts=dense("counts"), sums=dense("sums"), rows=_whole(wire["rows"]), **others)


def _whole(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise TypeError(f"{value!r} is not a count")
    return value
