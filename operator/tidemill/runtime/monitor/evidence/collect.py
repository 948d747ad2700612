"""One pass over a window of the log: everything that the checks of an order judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidemill.api.checks import KINDS
from tidemill.contract.layout import LogColumn, label_folder, prediction_folder
from tidemill.contract.numbers import quantity
from tidemill.contract.orders import CheckOrder, TimeRange
from tidemill.runtime.log import reader
from tidemill.runtime.log.conforming import conformed, kinds_of
from tidemill.runtime.log.counts import Counts
from tidemill.runtime.log.duplicates import Duplicates
from tidemill.runtime.log.layout import SLOT
from tidemill.runtime.log.newest import NewestRows
from tidemill.runtime.log.sampling import RowSample
from tidemill.runtime.monitor.evidence import counted
from tidemill.runtime.monitor.evidence.accumulators import OF_SEVERAL_COLUMNS, JointAccumulator
from tidemill.runtime.monitor.evidence.evidence import OUTPUTS, Evidence, Joint, LabelledAnswers, ReferenceData
from tidemill.runtime.monitor.performance import probabilities
from tidemill.runtime.monitor.performance.measured import Classified, Predicted, classified, describe_unknown
from tidemill.runtime.monitor.statistics import ordered
from tidemill.runtime.monitor.statistics.comparison import compare
from tidemill.runtime.profile import Counter, Profile
from tidemill.runtime.profile.categorical import CategoricalProfile
from tidemill.runtime.profile.numerical import NumericalProfile
from tidemill.runtime.store.objects import ObjectStore

SAMPLED: Final = 5_000
"""Rows of the window that a classifier or an estimate of performance uses."""
MAX_GROUPS: Final = 200
_SLOTS: Final = 48
"""Stretches of a window in which rows are looked for; a gap of a quarter of them is a warning."""
_US: Final = timedelta(microseconds=1)


def gather(order: CheckOrder, reference: ReferenceData, store: ObjectStore) -> tuple[Evidence, tuple[str, ...]]:
    """Return the window's rows counted on the reference's bins, the labelled answers, and warnings.

    Inputs are watched whichever version answered, since it is the world that drifts; answers are those of the monitored
    version alone, also while a candidate answers a part.
    """
    return _Gathering(order, reference, store).run()


class _Gathering:
    """The sums of one pass."""

    def __init__(self, order: CheckOrder, reference: ReferenceData, store: ObjectStore) -> None:
        self.order, self.reference, self.store = order, reference, store
        self.kinds = kinds_of(reference.signature)
        kinds = [KINDS[check.type] for check in order.checks]
        measured = any(kind.needs_answers for kind in kinds)
        self.answers = (*OUTPUTS, LogColumn.PROBABILITIES) if measured else OUTPUTS
        self.skipped, self.label_skipped = reader.Skipped([]), reader.Skipped([])
        self.features, self.outputs = Counter(reference.features), Counter(reference.outputs)
        self.samples = self.answered = self.skewed = self.early = self.misplaced = 0
        self.newest: int | None = None
        self.slots = np.zeros(_SLOTS, np.int64)
        self.matched = NewestRows(reader.MAX_LABELS, LogColumn.TIME)
        self.told_apart = _told_apart(order)
        self.grouped = sorted({check.column for check in order.checks if check.type == "Fairness" and check.column})
        self.groups: dict[str, dict[str, dict[str, int]]] = {name: {} for name in self.grouped}
        self.ungrouped = dict.fromkeys(self.grouped, 0)
        names = [LogColumn.FEATURE + feature.name for feature in reference.signature.features]
        self.together = {
            check.name: JointAccumulator(check, names, reference.sample)
            for check in order.checks
            if check.type in OF_SEVERAL_COLUMNS and reference.sample is not None and reference.sample.num_rows >= 2
        }
        self.sample = RowSample(SAMPLED, names) if self.together else None
        self.own = (
            RowSample(SAMPLED, [*names, *self.answers]) if any(kind.sample == "Answers" for kind in kinds) else None
        )
        rules = {rule.metric for check in order.checks for rule in check.rules_}
        self.duplicates = Duplicates() if "DuplicateRequestShare" in rules else None
        self.mismatches: dict[str, int] = {}

    def run(self) -> tuple[Evidence, tuple[str, ...]]:
        order, store = self.order, self.store
        wanted = {column.name for column in (*self.reference.features.columns, *self.reference.outputs.columns)}
        wanted |= {LogColumn.REQUEST, LogColumn.ROW, LogColumn.TIME, LogColumn.DIGEST, *self.answers}
        wanted |= {LogColumn.FEATURE + name for name in self.told_apart}
        parts = reader.keys(store, prediction_folder(order.namespace, order.service), order.start, order.end)
        start = order.start
        if order.count:
            start = reader.start_of_newest(store, parts, start, order.end, order.count)
        known = counted.read(order, self.reference, store, parts) if counted.suffices(order) else None
        held = frozenset(known.parts) if known else frozenset()
        labels = self._labels()
        unread = [part for part in parts if part not in held]
        for batch in reader.rows(store, unread, lambda names: [name for name in names if name in wanted], self.skipped):
            self._add(reader.within(batch, start, order.end))
            if order.labelled is None:
                self._match(reader.within(batch, start, order.end), labels)
        if order.labelled is not None:
            self._match_earlier(order.labelled, labels)
        elif held and len(labels.keys):
            self._match_parts(sorted(held), TimeRange(start=start, end=order.end), labels)
        if known is not None:
            self._add_counts(known.counts)
        labelled, newest_labelled = self._labelled()
        evidence = Evidence(
            reference=self.reference,
            features=compare(
                self.reference.features, self._whole(self.features, known.counts.features if known else None)
            ),
            outputs=compare(self.reference.outputs, self._whole(self.outputs, known.counts.outputs if known else None)),
            samples=self.samples,
            answered=self.answered,
            labelled=labelled,
            minimum_samples=order.minimum_samples,
            minimum_labels=order.minimum_labels,
            end=order.end,
            joints=self._joints(),
            mismatched=tuple(name for name, rows in self.mismatches.items() if rows > self.samples / 2),
            duplicates=0.0 if self.duplicates is None else self.duplicates.share,
            answered_sample=None if self.own is None else self.own.table(),
            groups=self.groups,
            ungrouped=self.ungrouped,
            newest_row=None if self.newest is None else _moment(self.newest),
            newest_labelled=newest_labelled,
            labels_counted=order.labels is not False,
        )
        return evidence, self._warnings(labels, labelled)

    def _labels(self) -> reader.LabelIndex:
        """Return all labels that may belong to the order's rows; none where no check needs them."""
        order = self.order
        if order.labels is False:
            return reader.NO_LABELS
        since = order.start if order.labelled is None else min(order.start, order.labelled.start)
        parts = reader.keys(self.store, label_folder(order.namespace, order.service), since, None)
        return reader.labels(self.store, parts, self.label_skipped)

    def _add_counts(self, counts: Counts) -> None:
        """Return what pods have counted, where `_add` and `_look_at_types` have not seen the rows."""
        self.samples += counts.features.rows
        self.answered += counts.outputs.rows
        self.newest = max(counts.newest, self.newest or 0)
        self._note(counts.slots)

    def _note(self, rows: Mapping[int, int]) -> None:
        """Rows by when the slot in which pods count begins; when within it they were served does not matter, none of it is a gap."""
        first = self.order.start.timestamp()
        width = max(1e-6, (self.order.end - self.order.start).total_seconds() / _SLOTS)
        for slot, count in rows.items():
            begin, end = int((slot - first) // width), int((slot + SLOT - first - 1e-6) // width)
            self.slots[max(0, begin) : min(_SLOTS, end + 1)] += count

    def _whole(self, counter: Counter, more: Profile | None) -> Profile:
        return counter.profile().merge(more) if more is not None else counter.profile()

    def _add(self, table: pa.Table) -> None:
        if not table.num_rows:
            return
        self.samples += table.num_rows
        self.features.add(table)
        times = table.column(LogColumn.TIME).cast(pa.int64()).to_numpy()
        self.newest = max(int(times.max()), self.newest or 0)
        slots, counts = np.unique(times // (SLOT * 1_000_000) * SLOT, return_counts=True)
        self._note(dict(zip(slots.tolist(), counts.tolist(), strict=True)))
        self._look_at_types(table)
        table = conformed(table, self.kinds)
        if self.sample is not None:
            self.sample.add(table)
        for joint in self.together.values():
            joint.add(table)
        if self.duplicates is not None:
            self.duplicates.add(table)
        own = _answered_by(self.order.version.digest, table)
        self.answered += own.num_rows
        self.outputs.add(own)
        if LogColumn.PREDICTION not in own.schema.names:
            return
        if self.own is not None:
            self.own.add(own)
        for name in self.grouped:
            self._count_groups(name, own)

    def _look_at_types(self, table: pa.Table) -> None:
        for feature in self.reference.signature.features:
            name = LogColumn.FEATURE + feature.name
            if name in table.schema.names:
                kind = table.schema.field(name).type
                is_number = pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)
                if is_number or feature.type == "Categorical":
                    continue
            self.mismatches[feature.name] = self.mismatches.get(feature.name, 0) + table.num_rows

    def _match(self, table: pa.Table, labels: reader.LabelIndex) -> None:
        """Keep the monitored version's answers that have labels."""
        own = _answered_by(self.order.version.digest, table)
        if not len(labels.keys) or LogColumn.PREDICTION not in own.schema.names:
            return
        found_rows, values, when, early = labels.match(own)
        self.early += early
        names = [name for name in (*OUTPUTS, LogColumn.TIME) if name in own.schema.names]
        names += [LogColumn.PROBABILITIES] * probabilities.kept(own)
        names += [LogColumn.FEATURE + name for name in self.told_apart if LogColumn.FEATURE + name in own.schema.names]
        kept = conformed(own.select(names).filter(pa.array(found_rows)), self.kinds)
        self.skewed += int((when < kept.column(LogColumn.TIME).cast(pa.int64()).to_numpy()).sum())
        self.matched.add(kept.append_column(LogColumn.LABEL, values))

    def _match_earlier(self, span: TimeRange, labels: reader.LabelIndex) -> None:
        """Labels take time: of the rows they are for, only what is needed is read again."""
        folder = prediction_folder(self.order.namespace, self.order.service)
        self._match_parts(reader.keys(self.store, folder, span.start, span.end), span, labels)

    def _match_parts(self, parts: Sequence[str], span: TimeRange, labels: reader.LabelIndex) -> None:
        wanted = {LogColumn.REQUEST, LogColumn.ROW, LogColumn.TIME, LogColumn.DIGEST, *self.answers}
        wanted |= {LogColumn.FEATURE + name for name in self.told_apart}
        for batch in reader.rows(self.store, parts, lambda names: [n for n in names if n in wanted], self.skipped):
            self._match(reader.within(batch, span.start, span.end), labels)

    def _count_groups(self, name: str, own: pa.Table) -> None:
        column = LogColumn.FEATURE + name
        if column not in own.schema.names:
            self.ungrouped[name] += own.num_rows
            return
        groups = self._spelled(name, own.column(column))
        self.ungrouped[name] += groups.count(None)
        answers = own.column(LogColumn.PREDICTION).cast(pa.string())
        counted = (
            pa.table({"group": pa.array(groups, pa.string()), "answer": answers})
            .group_by(["group", "answer"])
            .aggregate([([], "count_all")])
        )
        for row in counted.to_pylist():
            if row["group"] is None or row["answer"] is None:
                continue
            known = self.groups[name]
            if row["group"] in known or len(known) < MAX_GROUPS:
                of_group = known.setdefault(row["group"], {})
                of_group[row["answer"]] = of_group.get(row["answer"], 0) + row["count_all"]

    def _spelled(self, name: str, column: Any) -> list[str | None]:
        """The group of each row: a category itself, a number by the reference's quarters."""
        logged = LogColumn.FEATURE + name
        profile = self.reference.features.column(logged) or self.reference.protected.column(logged)
        if isinstance(profile, CategoricalProfile) or profile is None:
            texts: list[str | None] = column.cast(pa.string()).to_pylist()
            return texts
        return quarters(profile, np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), np.float64))

    def _labelled(self) -> tuple[LabelledAnswers | None, datetime | None]:
        table = self.matched.table()
        if table is None:
            return None, None
        times = table.column(LogColumn.TIME).cast(pa.int64()).to_numpy()
        order = np.argsort(times, kind="stable")
        table = table.take(pa.array(order))
        labels = table.column(LogColumn.LABEL).to_pylist()
        answers = table.column(LogColumn.PREDICTION).to_pylist()
        columns = {
            name: tuple(self._spelled(name, table.column(LogColumn.FEATURE + name)))
            for name in self.told_apart
            if LogColumn.FEATURE + name in table.column_names
        }
        newest = _moment(int(times.max()))
        signature = self.reference.signature
        if signature.task == "Regression":
            numbers, predicted = floats(labels), floats(answers)
            usable = np.isfinite(numbers) & np.isfinite(predicted)
            columns = {
                name: tuple(group for group, use in zip(groups, usable.tolist(), strict=True) if use)
                for name, groups in columns.items()
            }
            return LabelledAnswers(Predicted(numbers[usable], predicted[usable]), columns), newest
        scores = (
            floats(table.column(LogColumn.SCORE).to_pylist())
            if LogColumn.SCORE in table.schema.names
            else np.full(len(labels), np.nan)
        )
        rows = classified(signature.classes, labels, answers, scores)
        class_probabilities = probabilities.of_classes(table, len(signature.classes))
        return LabelledAnswers(replace(rows, probabilities=class_probabilities), columns), newest

    def _joints(self) -> dict[str, Joint]:
        drawn = None if self.sample is None else self.sample.table()
        return {name: joint.measured(drawn) for name, joint in self.together.items()}

    def _warnings(self, labels: reader.LabelIndex, labelled: LabelledAnswers | None) -> tuple[str, ...]:
        warnings = self.skipped.warnings() + self.label_skipped.warnings() + labels.warnings()
        if self.matched.left_out:
            warnings += (
                f"{quantity(self.matched.left_out, 'labelled row is', 'labelled rows are')} beyond the limit; only the newest are evaluated",
            )
        if self.skewed:
            warnings += (
                f"{quantity(self.skewed, 'label is older than its row', 'labels are older than the rows they belong to')}; synchronize the clocks of the pods and of the senders of labels",
            )
        if self.early:
            warnings += (
                f"{self.early} labels are dated long before their rows were answered and are left out; correct the clock of the sender",
            )
        gap = self._gap()
        if gap:
            warnings += (gap,)
        if labelled is not None and isinstance(labelled.rows, Classified) and (unknown := labelled.rows.unknown_labels):
            known = ", ".join(repr(name) for name in labelled.rows.classes[: min(3, labelled.rows.known_classes)])
            warnings += (
                f"{describe_unknown(unknown, len(labelled))}; send labels as the model spells its classes, such as {known}",
            )
        absent = [
            feature.name
            for feature in self.reference.signature.features
            if self.reference.features.column(LogColumn.FEATURE + feature.name) is None
        ]
        if absent and self.reference.features.columns:
            warnings += (
                f"the version's profile lacks {', '.join(absent[:3])}; they are not compared; train the version again",
            )
        return warnings

    def _gap(self) -> str:
        """Describe the longest time without rows, where it is long; empty otherwise."""
        if not self.samples or self.order.count:
            return ""
        empty = np.concatenate(([0], (self.slots == 0).astype(np.int8), [0]))
        starts, ends = np.flatnonzero(np.diff(empty) == 1), np.flatnonzero(np.diff(empty) == -1)
        if not len(starts):
            return ""
        longest = int(np.argmax(ends - starts))
        if ends[longest] - starts[longest] < _SLOTS / 4 or self.samples < 4 * _SLOTS:
            return ""
        slot = (self.order.end - self.order.start) / _SLOTS
        first, last = (self.order.start + slot * int(slots_at[longest]) for slots_at in (starts, ends))
        return f"no rows were served from {first:%Y-%m-%d %H:%M} to {last:%H:%M}; drift in that time is not known"


def quarters(profile: NumericalProfile, values: Any) -> list[str | None]:
    """Numbers by the quarter of the reference that they lie in."""
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


def _told_apart(order: CheckOrder) -> tuple[str, ...]:
    """The columns by whose groups labelled rows are told apart."""
    names: dict[str, None] = {}
    for check in order.checks:
        names |= dict.fromkeys(check.slices)
        if check.type == "Fairness" and check.column:
            names[check.column] = None
    return tuple(names)


def _answered_by(digest: str, table: pa.Table) -> pa.Table:
    if LogColumn.DIGEST not in table.schema.names:
        return table.slice(0, 0)
    return table.filter(pc.equal(table.column(LogColumn.DIGEST), digest))


def _moment(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + microseconds * _US


def floats(values: Sequence[Any]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Numbers where there are some, NaN elsewhere."""

    def number(value: Any) -> float:
        try:
            return float(value)
        except (TypeError, ValueError):
            return float("nan")

    return np.array([number(value) for value in values], np.float64)


def statistics_of(evidence: Evidence) -> list[Mapping[str, Any]]:
    """Return every column's statistics, for the result next to the report."""
    return [
        {
            "name": column.name,
            "rows": column.current.rows,
            "present": column.current.present,
            "statistics": dict(column.statistics),
        }
        for column in (*evidence.features, *evidence.outputs)
    ]
