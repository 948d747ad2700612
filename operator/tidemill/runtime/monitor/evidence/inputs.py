"""Inputs of a window, gathered row by row: profiles, measurements of several columns, types and repeated rows."""

from __future__ import annotations

import pyarrow as pa

from tidemill.contract.layout import LogColumn
from tidemill.contract.orders import CheckOrder
from tidemill.runtime.log.duplicates import Duplicates
from tidemill.runtime.log.sampling import RowSample
from tidemill.runtime.monitor.evidence.accumulators import OF_SEVERAL_COLUMNS, JointAccumulator
from tidemill.runtime.monitor.evidence.evidence import InputEvidence, ReferenceData
from tidemill.runtime.monitor.evidence.sampled import SAMPLED, feature_columns
from tidemill.runtime.monitor.statistics.comparison import compare
from tidemill.runtime.profile import Counter, Profile


class InputAccumulator:
    """Adds up inputs, whichever version answered; only what the checks of the order need."""

    def __init__(self, order: CheckOrder, reference: ReferenceData) -> None:
        self._reference = reference
        self._features = Counter(reference.features)
        names = feature_columns(reference.signature)
        self._joints = {
            check.name: JointAccumulator(check, names, reference.sample)
            for check in order.checks
            if check.type in OF_SEVERAL_COLUMNS and reference.sample is not None and reference.sample.num_rows >= 2
        }
        self._sample = RowSample(SAMPLED, names) if self._joints else None
        rules = {rule.metric for check in order.checks for rule in check.rules_}
        self._duplicates = Duplicates() if "DuplicateRequestShare" in rules else None
        self._mismatches: dict[str, int] = {}

    def add(self, logged: pa.Table, conformed: pa.Table) -> None:
        """Add rows, of which there must be some, as they are in the log and as the reference has them."""
        self._features.add(logged)
        self._count_mismatches(logged)
        if self._sample is not None:
            self._sample.add(conformed)
        for joint in self._joints.values():
            joint.add(conformed)
        if self._duplicates is not None:
            self._duplicates.add(conformed)

    def evidence(self, rows: int, counted: Profile | None) -> InputEvidence:
        """Return the evidence of all `rows` of the window, together with what pods have `counted`."""
        profile = self._features.profile()
        drawn = None if self._sample is None else self._sample.table()
        return InputEvidence(
            columns=compare(self._reference.features, profile if counted is None else profile.merge(counted)),
            joints={name: joint.measured(drawn) for name, joint in self._joints.items()},
            mismatched=tuple(name for name, count in self._mismatches.items() if count > rows / 2),
            duplicate_share=0.0 if self._duplicates is None else self._duplicates.share,
        )

    def _count_mismatches(self, logged: pa.Table) -> None:
        for feature in self._reference.signature.features:
            name = LogColumn.FEATURE + feature.name
            if name in logged.schema.names:
                kind = logged.schema.field(name).type
                is_number = pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)
                if is_number or feature.type == "Categorical":
                    continue
            self._mismatches[feature.name] = self._mismatches.get(feature.name, 0) + logged.num_rows
