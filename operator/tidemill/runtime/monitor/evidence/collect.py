"""One pass over a window of the log: everything that the checks of an order judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from tidemill.api.checks import KINDS
from tidemill.contract.layout import LogColumn, label_folder, prediction_folder
from tidemill.contract.orders import CheckOrder, TimeRange
from tidemill.runtime.log import reader
from tidemill.runtime.log.conforming import conformed, kinds_of
from tidemill.runtime.log.counts import Counts
from tidemill.runtime.log.labels.dataset import labels_of_dataset
from tidemill.runtime.log.labels.index import MAX_LABELS, NO_LABELS, LabelIndex, read_labels
from tidemill.runtime.monitor.evidence import counted
from tidemill.runtime.monitor.evidence.answers import AnswerAccumulator
from tidemill.runtime.monitor.evidence.coverage import CoverageCounter
from tidemill.runtime.monitor.evidence.evidence import OUTPUTS, Evidence, ReferenceData
from tidemill.runtime.monitor.evidence.inputs import InputAccumulator
from tidemill.runtime.monitor.evidence.labelled import LabelMatcher
from tidemill.runtime.store.objects import ObjectStore


def gather(order: CheckOrder, reference: ReferenceData, store: ObjectStore) -> tuple[Evidence, tuple[str, ...]]:
    """Return the window's rows counted on the reference's bins, the labelled answers, and warnings.

    Inputs are watched whichever version answered, since it is the world that drifts; answers are those of the monitored
    version alone, also while a candidate answers a part.
    """
    skipped, label_skipped = reader.Skipped([]), reader.Skipped([])
    columns, parts = _Columns.of(order), _Parts.of(order, reference, store)
    label_index = _labels(order, store, label_skipped)
    labelled = LabelMatcher(label_index, order.version.digest, reference, columns.of_groups, limit=MAX_LABELS)
    coverage = CoverageCounter(order.start, order.end)
    inputs, answers = InputAccumulator(order, reference), AnswerAccumulator(order, reference, columns.of_answers)
    kinds = kinds_of(reference.signature)
    for batch in reader.rows(store, parts.unread, _among(columns.of_rows(reference)), skipped):
        table = reader.within(batch, parts.start, order.end)
        if table.num_rows:
            coverage.add(table)
            as_trained = conformed(table, kinds)
            inputs.add(table, as_trained)
            answers.add(as_trained)
        if order.labelled is None:
            labelled.add(table)
    span, keys = _read_for_labels(order, parts, store, label_index)
    for batch in reader.rows(store, keys, _among(columns.of_labelled), skipped):
        labelled.add(reader.within(batch, span.start, span.end))
    if parts.counts is not None:
        coverage.add_counts(parts.counts.features.rows, parts.counts.newest, parts.counts.slots)
    covered = coverage.coverage()
    evidence = Evidence(
        reference=reference,
        coverage=covered,
        inputs=inputs.evidence(covered.rows, None if parts.counts is None else parts.counts.features),
        answers=answers.evidence(None if parts.counts is None else parts.counts.outputs),
        labels=labelled.evidence(counted=order.labels is not False),
        minimum_samples=order.minimum_samples,
        minimum_labels=order.minimum_labels,
        end=order.end,
    )
    gap = "" if order.count else coverage.gap()
    warnings = skipped.warnings() + label_skipped.warnings() + labelled.warnings() + ((gap,) if gap else ())
    return evidence, warnings + _warnings(evidence)


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of the log that an order needs."""

    of_answers: tuple[str, ...]
    """What a version answered."""
    of_groups: tuple[str, ...]
    """By whose groups labelled rows are told apart, without the log's prefix."""

    @classmethod
    def of(cls, order: CheckOrder) -> _Columns:
        measured = any(KINDS[check.type].needs_answers for check in order.checks)
        groups: dict[str, None] = {}
        for check in order.checks:
            groups |= dict.fromkeys(check.slices)
            if check.type == "Fairness" and check.column:
                groups[check.column] = None
        return cls((*OUTPUTS, LogColumn.PROBABILITIES) if measured else OUTPUTS, tuple(groups))

    @property
    def of_labelled(self) -> frozenset[str]:
        """What is read of rows for their labels alone."""
        groups = (LogColumn.FEATURE + name for name in self.of_groups)
        return frozenset(
            (LogColumn.REQUEST, LogColumn.ROW, LogColumn.TIME, LogColumn.DIGEST, *self.of_answers, *groups)
        )

    def of_rows(self, reference: ReferenceData) -> frozenset[str]:
        """Return what is read of the rows of the window."""
        compared = (*reference.features.columns, *reference.outputs.columns)
        return self.of_labelled | {column.name for column in compared}


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of the log that hold the rows of the window."""

    start: datetime
    """Start of the window; later than the order's where it wants the newest rows."""
    unread: tuple[str, ...]
    """Those whose rows are read."""
    counted: tuple[str, ...]
    """Those whose rows pods have counted, by their keys."""
    counts: Counts | None

    @classmethod
    def of(cls, order: CheckOrder, reference: ReferenceData, store: ObjectStore) -> _Parts:
        parts = reader.keys(store, prediction_folder(order.namespace, order.service), order.start, order.end)
        start = order.start
        if order.count:
            start = reader.start_of_newest(store, parts, start, order.end, order.count)
        known = counted.read(order, reference, store, parts) if counted.suffices(order) else None
        if known is None:
            return cls(start, tuple(parts), (), None)
        held = frozenset(known.parts)
        return cls(start, tuple(part for part in parts if part not in held), tuple(sorted(held)), known.counts)


def _among(wanted: frozenset[str]) -> Callable[[Sequence[str]], list[str]]:
    return lambda names: [name for name in names if name in wanted]


def _labels(order: CheckOrder, store: ObjectStore, skipped: reader.Skipped) -> LabelIndex:
    """Return all labels that may belong to the order's rows; none where no check needs them."""
    if order.labels is False:
        return NO_LABELS
    since = order.start if order.labelled is None else min(order.start, order.labelled.start)
    parts = reader.keys(store, label_folder(order.namespace, order.service), since, None)
    return read_labels(store, parts, skipped, further=labels_of_dataset(order.label_dataset, store))


def _read_for_labels(
    order: CheckOrder, parts: _Parts, store: ObjectStore, labels: LabelIndex
) -> tuple[TimeRange, Sequence[str]]:
    """Return the parts of the log that are read again, or only, for the labels of their rows, and the time of these rows."""
    if order.labelled is not None:
        # Labels take time: they are for rows from before the window.
        folder = prediction_folder(order.namespace, order.service)
        return order.labelled, reader.keys(store, folder, order.labelled.start, order.labelled.end)
    return TimeRange(start=order.start, end=order.end), parts.counted if len(labels.keys) else ()


def _warnings(evidence: Evidence) -> tuple[str, ...]:
    """Return the warnings about labels that are not classes, and about features that cannot be compared."""
    warnings: tuple[str, ...] = (evidence.labels.unknown_note(),) if evidence.labels.unknown else ()
    features = evidence.reference.features
    absent = [
        feature.name
        for feature in evidence.reference.signature.features
        if features.column(LogColumn.FEATURE + feature.name) is None
    ]
    if absent and features.columns:
        warnings += (
            f"the version's profile lacks {', '.join(absent[:3])}; they are not compared; train the version again",
        )
    return warnings
