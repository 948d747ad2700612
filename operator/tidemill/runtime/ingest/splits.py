"""Decides which rows are held out, permanently.

A row is held out where the hash of its content lies below a threshold, so it is on the same side whatever rows come or
go around it, and copies of a row are never on both sides. `Random` has one threshold, the share itself.

A rule that looks at one row at a time can only hit the share on average. `Stratified` therefore sets a threshold for each
class in the first revision that has it, at the rank where exactly the wanted share of the class lies below, writes it into
the schema, and every later revision takes it over: exact at first, close to it ever after, and no row changes sides. The
price is a little memory: a Dataset that is created again from grown content may draw the line elsewhere.

`Group` draws by one column alone, so that all rows about one customer or one device are on the same side.

Where the Dataset has an Id, the hash is that of the Id alone, and a row stays on its side when it is corrected.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from tidemill.api.dataset import Splits
from tidemill.runtime.failures import SchemaMismatch
from tidemill.runtime.ingest.columns import Understood
from tidemill.runtime.tables.rowhash import shares
from tidemill.runtime.tables.schema import Schema, SplitRule

_MAX_CLASSES: Final = 50
"""A target with more whole numbers than this is a quantity, and is not stratified by."""


def hold_out(
    rows: Understood, wanted: Splits, before: Schema | None
) -> tuple[NDArray[np.bool_], SplitRule, tuple[str, ...]]:
    """Return which rows are held out, by which rule, and warnings; the rule of the revision `before` is taken over where it still applies."""
    earlier = before.split if before else None
    warnings: tuple[str, ...] = ()
    if earlier and (earlier.strategy, earlier.test, earlier.seed) != (wanted.strategy, wanted.test, wanted.seed):
        earlier = None
    types = {column.name: column.type for column in rows.columns}
    if earlier and before:
        moved = [
            name
            for name in earlier.keys
            if types.get(name) != {column.name: column.type for column in before.columns}.get(name)
        ]
        if moved:
            warnings = (
                f"the hold-out is drawn again: column {moved[0]!r}, by which rows were distinguished, is gone or of another type",
            )
            earlier = None
    keys = earlier.keys if earlier else _keys(rows)
    if wanted.strategy == "Group":
        keys = _group(rows, wanted)
    drawn = shares(rows.table, keys, wanted.seed)
    if wanted.strategy in ("Random", "Group"):
        rule = SplitRule(strategy=wanted.strategy, test=wanted.test, seed=wanted.seed, keys=keys)
        return drawn < wanted.test, rule, warnings
    classes = _classes(rows, keys)
    thresholds = dict(earlier.thresholds) if earlier else {}
    limits = np.empty(len(drawn), np.float64)
    for name in sorted(set(classes.tolist())):
        of_class = classes == name
        if name not in thresholds:
            thresholds[name] = threshold(drawn[of_class], wanted.test)
        limits[of_class] = thresholds[name]
    rule = SplitRule(
        strategy="Stratified",
        test=wanted.test,
        seed=wanted.seed,
        keys=keys,
        thresholds=dict(sorted(thresholds.items())),
    )
    return drawn < limits, rule, warnings


def threshold(drawn: NDArray[np.float64], test: float) -> float:
    """Return the threshold that has the share `test` of `drawn` below it, between two rows.

    A handful of rows must not draw a line far from the share for the thousands that may follow.

    >>> threshold(np.array([0.1, 0.2, 0.3, 0.4, 0.9]), 0.4)
    0.25
    >>> threshold(np.array([0.9]), 0.2)
    0.2
    """
    values, counts = np.unique(drawn, return_counts=True)
    below = np.concatenate([[0], np.cumsum(counts)])
    index = int(np.abs(below - math.floor(test * len(drawn) + 0.5)).argmin())
    low = values[index - 1] if index > 0 else 0.0
    high = values[index] if index < len(values) else 1.0
    middle = float(test if low < test <= high else (low + high) / 2)
    return min(max(middle, test / 2), min(1.5 * test, 1.0))


def _group(rows: Understood, wanted: Splits) -> tuple[str, ...]:
    """The column by which rows belong together."""
    if wanted.column is None or wanted.column not in rows.table.column_names:
        raise SchemaMismatch(
            f"spec.splits goes by column {wanted.column!r}, which is not among {', '.join(rows.table.column_names[:20])}; correct it"
        )
    return (wanted.column,)


def _keys(rows: Understood) -> tuple[str, ...]:
    identity = tuple(column.name for column in rows.columns if column.role == "Id")
    return identity or tuple(column.name for column in rows.columns if column.role != "Timestamp")


def _classes(rows: Understood, keys: tuple[str, ...]) -> NDArray[Any]:
    """The class of each row as text; the empty one where there is none to stratify by."""
    unstratified = np.full(rows.table.num_rows, "", dtype=object)
    if not rows.target:
        return unstratified
    column = rows.table.column(rows.target)
    if pa.types.is_floating(column.type):
        return unstratified
    distinct = pc.count_distinct(column, mode="only_valid").as_py()
    if pa.types.is_integer(column.type) and distinct > _MAX_CLASSES:
        return unstratified
    if rows.target not in keys and len(np.unique(shares(rows.table, keys, 0))) < rows.table.num_rows:
        # Rows that share an Id belong together, even where their classes differ.
        return unstratified
    return np.asarray(column.cast(pa.string()).fill_null("").to_numpy(zero_copy_only=False), dtype=object)
