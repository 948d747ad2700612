"""The groups of rows by the values of a column: a category itself, a number by the reference's quarters."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tidemill.contract.layout import LogColumn
from tidemill.runtime.monitor.evidence.evidence import ReferenceData
from tidemill.runtime.monitor.statistics import ordered
from tidemill.runtime.profile.categorical import CategoricalProfile
from tidemill.runtime.profile.numerical import NumericalProfile

MAX_GROUPS: Final = 200


class GroupCounter:
    """Counts answers by the groups of some columns."""

    def __init__(self, columns: Iterable[str], reference: ReferenceData) -> None:
        self._reference = reference
        self._groups: dict[str, dict[str, dict[str, int]]] = {name: {} for name in columns}
        self._ungrouped = dict.fromkeys(self._groups, 0)

    def add(self, answered: pa.Table) -> None:
        """Count rows of the log that hold answers."""
        for name in self._groups:
            self._add(name, answered)

    def groups(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return the rows by column, group and answer."""
        return deepcopy(self._groups)

    def ungrouped(self) -> dict[str, int]:
        """Return the rows that have no value, by column."""
        return dict(self._ungrouped)

    def _add(self, name: str, answered: pa.Table) -> None:
        column = LogColumn.FEATURE + name
        if column not in answered.schema.names:
            self._ungrouped[name] += answered.num_rows
            return
        groups = groups_of(self._reference, name, answered.column(column))
        self._ungrouped[name] += groups.count(None)
        answers = answered.column(LogColumn.PREDICTION).cast(pa.string())
        counted = (
            pa.table({"group": pa.array(groups, pa.string()), "answer": answers})
            .group_by(["group", "answer"])
            .aggregate([([], "count_all")])
        )
        known = self._groups[name]
        for row in counted.to_pylist():
            if row["group"] is None or row["answer"] is None:
                continue
            if row["group"] in known or len(known) < MAX_GROUPS:
                of_group = known.setdefault(row["group"], {})
                of_group[row["answer"]] = of_group.get(row["answer"], 0) + row["count_all"]


def groups_of(reference: ReferenceData, name: str, column: Any) -> list[str | None]:
    """Return the group of each row: a category itself, a number by the reference's quarters."""
    logged = LogColumn.FEATURE + name
    profile = reference.features.column(logged) or reference.protected.column(logged)
    if isinstance(profile, CategoricalProfile) or profile is None:
        texts: list[str | None] = column.cast(pa.string()).to_pylist()
        return texts
    return quarters(profile, np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), np.float64))


def quarters(profile: NumericalProfile, values: Any) -> list[str | None]:
    """Return numbers by the quarter of the reference that they lie in."""
    if not profile.present:
        return [None] * len(values)
    bins = profile.bins()
    cuts = sorted({round(ordered.quantile(bins, share) + bins.offset, 6) for share in (0.25, 0.5, 0.75)})
    names = [f"below {cuts[0]:g}", *(f"{low:g} to {high:g}" for low, high in pairwise(cuts))]
    names.append(f"{cuts[-1]:g} and above")
    indices = np.searchsorted(cuts, values, side="right").tolist()
    return [
        None if missing else names[index] for index, missing in zip(indices, np.isnan(values).tolist(), strict=True)
    ]
