"""From columns to the matrix that a model works on: numbers as they are, categories as their index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidemill.runtime.model.signature import Feature
from tidemill.runtime.tables.schema import Column

MAX_CATEGORIES: Final = 250
"""More categories than this are not told apart: the rarest count as unseen. HistGradientBoosting takes no more than 255."""

Matrix = NDArray[np.float64]


def features_of(table: pa.Table, columns: Sequence[Column]) -> tuple[tuple[Feature, ...], tuple[str, ...]]:
    """The features that a model trained on the rows of `table` takes, and warnings about those that say little."""
    features, warnings = [], []
    for column in columns:
        values = table.column(column.name)
        if column.type == "Numerical":
            ends = pc.min_max(values).as_py()
            features.append(Feature(name=column.name, type="Numerical", minimum=ends["min"], maximum=ends["max"]))
            continue
        if column.type != "Categorical":
            warnings.append(f"column {column.name!r} is left out: it is neither a number nor a category")
            continue
        counted = pc.value_counts(values.drop_null())
        pairs = sorted(
            zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True),
            key=lambda pair: (-pair[1], pair[0]),
        )
        if len(pairs) > MAX_CATEGORIES:
            warnings.append(
                f"column {column.name!r} has {len(pairs)} categories; all but the {MAX_CATEGORIES} most frequent count as one"
            )
        categories = tuple(sorted(text for text, _ in pairs[:MAX_CATEGORIES]))
        features.append(Feature(name=column.name, type="Categorical", categories=categories))
    return tuple(features), tuple(warnings)


def encode(table: pa.Table, features: Sequence[Feature], prefix: str = "") -> Matrix:
    """The matrix [rows, features] of the columns `prefix + feature.name`; a column that is not there is missing throughout."""
    matrix = np.full((table.num_rows, len(features)), np.nan)
    present = set(table.column_names)
    for index, feature in enumerate(features):
        if prefix + feature.name in present:
            matrix[:, index] = _encoded(table.column(prefix + feature.name), feature)
    return matrix


def _encoded(column: Any, feature: Feature) -> Matrix:
    if feature.type == "Numerical":
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), np.float64)
    known = pa.array(feature.categories, pa.string())
    texts = column.cast(pa.string())
    codes = pc.fill_null(pc.index_in(texts, value_set=known, skip_nulls=True), -1).to_numpy().astype(np.float64)
    return np.where(pc.is_null(texts).to_numpy(), np.nan, codes)


def spelled(values: Sequence[object], lookup: Mapping[str, int]) -> NDArray[np.int64]:
    """Labels as indices, by their text; -1 where `lookup` does not know one."""
    return np.array([lookup.get(str(value), -1) for value in values], np.int64)
