"""The probabilities of all classes, as the log and a version's own answers keep them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.contract.layout import LogColumn
from tidemill.runtime.profile.grid import Floats


def kept(table: Any) -> bool:
    """Return whether the rows have a column of probabilities that can be read; older parts have none."""
    if LogColumn.PROBABILITIES not in table.schema.names:
        return False
    kind = table.schema.field(LogColumn.PROBABILITIES).type
    return bool(pa.types.is_list(kind) and kind.value_type == pa.float32())


def of_classes(table: Any, classes: int) -> Floats | None:
    """[rows, classes], NaN throughout a row that was logged without; None where all were.

    >>> table = pa.table({"probabilities": pa.array([[0.5, 0.25, 0.25], None], pa.list_(pa.float32()))})
    >>> of_classes(table, 3).tolist()
    [[0.5, 0.25, 0.25], [nan, nan, nan]]
    """
    if not kept(table):
        return None
    column = table.column(LogColumn.PROBABILITIES).combine_chunks()
    whole = pc.equal(pc.list_value_length(column), classes).fill_null(False)
    logged = whole.to_numpy(zero_copy_only=False)
    if not logged.any():
        return None
    probabilities = np.full((table.num_rows, classes), np.nan)
    probabilities[logged] = column.filter(whole).flatten().to_numpy(zero_copy_only=False).reshape(-1, classes)
    return probabilities
