"""A number for each row that depends on nothing but its content and a seed: not on order, machine or neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_MISSING: Final = np.uint64(0x9E3779B97F4A7C15)


def hashes(table: pa.Table, names: Sequence[str], seed: int) -> Hashes:
    """64 bits for each row, from the values of the columns `names`; the order of the columns does not matter.

    A number hashes the same as integer and as float, a missing value as itself.
    """
    mixed = np.full(table.num_rows, seed, np.uint64)
    for name in sorted(names):
        mixed = mix(mixed ^ mix(_bits(table.column(name)) + _text_bits(name)))
    return mixed


def shares(table: pa.Table, names: Sequence[str], seed: int) -> NDArray[np.float64]:
    """The same as numbers that are spread evenly over [0, 1)."""
    return (hashes(table, names, seed) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _bits(column: Any) -> Hashes:
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        dense = np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64) + 0.0
        bits = dense.view(np.uint64).copy()
        bits[np.isnan(dense)] = _MISSING
        return bits
    coded = pc.dictionary_encode(column.cast(pa.string()))
    known = np.array([_text_bits(text) for text in coded.dictionary.to_pylist()], np.uint64)
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return np.asarray(np.append(known, _MISSING)[codes], np.uint64)


def _text_bits(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little"))


def mix(bits: Hashes) -> Hashes:
    """Other bits for each number, as if drawn: the finaliser of splitmix64 (Steele, Lea and Flood, 2014): each bit of the input moves about half of the output's."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
