"""Sums over a window for one check of several columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from tidemill.api.checks import Check, types_where
from tidemill.contract.layout import LogColumn
from tidemill.runtime.monitor.evidence.evidence import Joint
from tidemill.runtime.monitor.statistics import embedding, reconstruction
from tidemill.runtime.monitor.statistics.space import Space

OF_SEVERAL_COLUMNS: Final = frozenset(types_where(lambda kind: kind.sample == "Features"))
MIN_COMPONENT_ROWS: Final = 8


class JointAccumulator:
    """The columns that the check looks at, as points; what the method adds up of them, row by row."""

    def __init__(self, check: Check, names: Sequence[str], sample: pa.Table) -> None:
        chosen = [name for name in names if not check.columns or name.removeprefix(LogColumn.FEATURE) in check.columns]
        self._space = Space.of(sample, chosen)
        self._points = self._space.points(sample)
        self._mmd: embedding.EmbeddedReference | None = None
        self._components: reconstruction.Components | None = None
        if check.type == "Multivariate" and self._space.width:
            if check.method != "PCA":
                self._mmd = embedding.EmbeddedReference.of(self._points)
            elif len(self._points) >= MIN_COMPONENT_ROWS:
                self._components = reconstruction.Components.of(self._points)
        self._embedded: embedding.Embedding | None = None
        self._errors = reconstruction.Errors(0, 0)

    def add(self, table: pa.Table) -> None:
        """Take the rows of `table` in."""
        if self._mmd is None and self._components is None:
            return
        points = self._space.points(table)
        if self._mmd is not None:
            embedded = self._mmd.directions.embed(points)
            self._embedded = embedded if self._embedded is None else self._embedded.merge(embedded)
        if self._components is not None:
            self._errors = self._errors.merge(self._components.add(points))

    def measured(self, sample: pa.Table | None) -> Joint:
        """Return the measurements of the window, with some of its rows as points."""
        discrepancy = shift = None
        if self._mmd is not None and self._embedded is not None and self._embedded.rows > 1:
            discrepancy = self._mmd.discrepancy(self._embedded)
        if self._components is not None and self._errors.rows:
            shift = self._components.shift(self._errors)
        window = None if sample is None else self._space.points(sample)
        return Joint(discrepancy, shift, self._space, self._points, window)
