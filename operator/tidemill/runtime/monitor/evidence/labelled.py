"""Answers of the monitored version that have labels, matched row by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from tidemill.contract.layout import LogColumn
from tidemill.contract.numbers import quantity
from tidemill.runtime.log.conforming import conformed, kinds_of
from tidemill.runtime.log.labels.index import LabelIndex
from tidemill.runtime.log.newest import NewestRows
from tidemill.runtime.model.labels import spelled
from tidemill.runtime.monitor.evidence.answers import answered_by
from tidemill.runtime.monitor.evidence.coverage import timestamp
from tidemill.runtime.monitor.evidence.evidence import OUTPUTS, LabelEvidence, LabelledAnswers, ReferenceData
from tidemill.runtime.monitor.evidence.groups import groups_of
from tidemill.runtime.monitor.performance import probabilities
from tidemill.runtime.monitor.performance.measured import Classified, Predicted, classified
from tidemill.runtime.tables.spelling import canonical


class LabelMatcher:
    """Keeps the newest answers that have labels, and the columns by whose groups they are told apart."""

    def __init__(
        self, labels: LabelIndex, digest: str, reference: ReferenceData, columns: Sequence[str], *, limit: int
    ) -> None:
        """`digest` is the monitored version's, `columns` those by whose groups rows are told apart, without the log's prefix."""
        self._labels, self._digest, self._reference = labels, digest, reference
        self._columns = tuple(columns)
        self._kinds = kinds_of(reference.signature)
        self._rows = NewestRows(limit, LogColumn.TIME)
        self._skewed = self._early = 0

    def add(self, logged: pa.Table) -> None:
        """Keep those rows that the version answered and that have labels."""
        answered = answered_by(self._digest, logged)
        if not len(self._labels.keys) or LogColumn.PREDICTION not in answered.schema.names:
            return
        found_rows, values, when, early = self._labels.match(answered)
        self._early += early
        features = (LogColumn.FEATURE + name for name in self._columns)
        names = [name for name in (*OUTPUTS, LogColumn.TIME) if name in answered.schema.names]
        names += [LogColumn.PROBABILITIES] * probabilities.kept(answered)
        names += [name for name in features if name in answered.schema.names]
        kept = conformed(answered.select(names).filter(pa.array(found_rows)), self._kinds)
        self._skewed += int((when < kept.column(LogColumn.TIME).cast(pa.int64()).to_numpy()).sum())
        self._rows.add(kept.append_column(LogColumn.LABEL, values))

    def evidence(self, *, counted: bool) -> LabelEvidence:
        """Return the rows with labels in the order of time; `counted` is False where no check needs labels."""
        table = self._rows.table()
        task = self._reference.signature.task
        if table is None:
            return LabelEvidence(counted, task, answers=None, newest=None)
        times = table.column(LogColumn.TIME).cast(pa.int64()).to_numpy()
        table = table.take(pa.array(np.argsort(times, kind="stable")))
        columns = {
            name: tuple(groups_of(self._reference, name, table.column(LogColumn.FEATURE + name)))
            for name in self._columns
            if LogColumn.FEATURE + name in table.column_names
        }
        answers = _numbers(table, columns) if task == "Regression" else self._classes(table, columns)
        return LabelEvidence(counted, task, answers, timestamp(int(times.max())))

    def warnings(self) -> tuple[str, ...]:
        """Return the warnings about labels that cannot be right, and about labels and rows beyond the limit."""
        # Rows are counted as left out when the table is made.
        self._rows.table()
        warnings = self._labels.warnings()
        if self._rows.left_out:
            warnings += (
                f"{quantity(self._rows.left_out, 'labelled row is', 'labelled rows are')} beyond the limit; only the newest are evaluated",
            )
        if self._skewed:
            warnings += (
                f"{quantity(self._skewed, 'label is older than its row', 'labels are older than the rows they belong to')}; synchronize the clocks of the pods and of the senders of labels",
            )
        if self._early:
            warnings += (
                f"{quantity(self._early, 'label is', 'labels are')} dated long before the rows were answered and left out; correct the clock of the sender",
            )
        return warnings

    def _classes(self, table: pa.Table, columns: dict[str, tuple[str | None, ...]]) -> LabelledAnswers:
        labels, answers = (table.column(name).to_pylist() for name in (LogColumn.LABEL, LogColumn.PREDICTION))
        # A service that Tidemill does not serve has the classes that are seen, if its reference names none.
        classes = self._reference.signature.classes or tuple(
            sorted({canonical(spelled(value)) for value in (*labels, *answers) if value is not None})
        )
        scores = (
            floats(table.column(LogColumn.SCORE).to_pylist())
            if LogColumn.SCORE in table.schema.names
            else np.full(len(labels), np.nan)
        )
        rows: Classified = classified(classes, labels, answers, scores)
        return LabelledAnswers(replace(rows, probabilities=probabilities.of_classes(table, len(classes))), columns)


def _numbers(table: pa.Table, columns: dict[str, tuple[str | None, ...]]) -> LabelledAnswers:
    labels = floats(table.column(LogColumn.LABEL).to_pylist())
    predicted = floats(table.column(LogColumn.PREDICTION).to_pylist())
    usable = np.isfinite(labels) & np.isfinite(predicted)
    groups_of_usable = {
        name: tuple(group for group, use in zip(groups, usable.tolist(), strict=True) if use)
        for name, groups in columns.items()
    }
    return LabelledAnswers(Predicted(labels[usable], predicted[usable]), groups_of_usable)


def floats(values: Sequence[Any]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return numbers where there are some, NaN elsewhere."""

    def number(value: Any) -> float:
        try:
            return float(value)
        except (TypeError, ValueError):
            return float("nan")

    return np.array([number(value) for value in values], np.float64)
