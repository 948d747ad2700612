"""Answers of the monitored version in a window, gathered row by row: their profile, some of their rows, and their groups."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from tidemill.api.checks import KINDS
from tidemill.contract.layout import LogColumn
from tidemill.contract.orders import CheckOrder
from tidemill.runtime.log.sampling import RowSample
from tidemill.runtime.monitor.evidence.evidence import AnswerEvidence, ReferenceData
from tidemill.runtime.monitor.evidence.groups import GroupCounter
from tidemill.runtime.monitor.evidence.sampled import SAMPLED, feature_columns
from tidemill.runtime.monitor.statistics.comparison import compare
from tidemill.runtime.profile import Counter, Profile


class AnswerAccumulator:
    """Adds up answers of the monitored version; only what the checks of the order need."""

    def __init__(self, order: CheckOrder, reference: ReferenceData, outputs: Sequence[str]) -> None:
        """`outputs` are the columns of answers that are kept of a sample of them."""
        self._digest, self._reference = order.version.digest, reference
        self._outputs = Counter(reference.outputs)
        self._rows = 0
        wanted = any(KINDS[check.type].sample == "Answers" for check in order.checks)
        self._sample = RowSample(SAMPLED, [*feature_columns(reference.signature), *outputs]) if wanted else None
        self._groups = GroupCounter(
            sorted({check.column for check in order.checks if check.type == "Fairness" and check.column}), reference
        )

    def add(self, conformed: pa.Table) -> None:
        """Add those rows that the version answered; their columns are as the reference has them."""
        answered = answered_by(self._digest, conformed)
        self._rows += answered.num_rows
        self._outputs.add(answered)
        if LogColumn.PREDICTION not in answered.schema.names:
            return
        if self._sample is not None:
            self._sample.add(answered)
        self._groups.add(answered)

    def evidence(self, counted: Profile | None) -> AnswerEvidence:
        """Return the evidence of all answers, together with what pods have `counted`."""
        profile = self._outputs.profile()
        return AnswerEvidence(
            columns=compare(self._reference.outputs, profile if counted is None else profile.merge(counted)),
            rows=self._rows + (0 if counted is None else counted.rows),
            sample=None if self._sample is None else self._sample.table(),
            groups=self._groups.groups(),
            ungrouped=self._groups.ungrouped(),
        )


def answered_by(digest: str, table: pa.Table) -> pa.Table:
    """Return the rows that the version of this digest answered."""
    if LogColumn.DIGEST not in table.schema.names:
        return table.slice(0, 0)
    return table.filter(pc.equal(table.column(LogColumn.DIGEST), digest))
