"""The evidence that a check judges: the reference, the window counted on the reference's bins, and the labelled rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import pyarrow as pa

from tidemill.api.checks import too_many_unknown
from tidemill.contract.layout import LogColumn
from tidemill.runtime.log.counts import OUTPUTS, as_logged
from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.monitor.performance.measured import Classified, Predicted, describe_unknown
from tidemill.runtime.monitor.statistics.comparison import Comparison
from tidemill.runtime.monitor.statistics.embedding import Discrepancy
from tidemill.runtime.monitor.statistics.reconstruction import Shift
from tidemill.runtime.monitor.statistics.space import Space
from tidemill.runtime.profile.grid import Floats
from tidemill.runtime.profile.profile import Profile

__all__ = [
    "OUTPUTS",
    "AnswerEvidence",
    "Coverage",
    "Evidence",
    "InputEvidence",
    "Joint",
    "LabelEvidence",
    "LabelledAnswers",
    "ReferenceData",
    "plain",
]


@dataclass(frozen=True, slots=True)
class ReferenceData:
    """The training data of the monitored version, and its answers on its own hold-out."""

    signature: Signature
    features: Profile
    """The profile of the features, named as in the log."""
    outputs: Profile
    """The profile of predictions and scores on the hold-out; without columns where the version carries none."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """On the hold-out."""
    sample: pa.Table | None = None
    """Some rows of it, named as in the log; None where the version carries none."""
    answers: pa.Table | None = None
    """Rows that the version was not trained on, with `label`, `prediction` and `score`."""
    protected: Profile = field(default_factory=lambda: Profile(0, ()))
    """The profile of the protected columns that are numbers, named as in the log."""

    @classmethod
    def of(
        cls,
        signature: Signature,
        profile: Profile,
        metrics: Mapping[str, float],
        *,
        sample: pa.Table | None = None,
        answers: pa.Table | None = None,
    ) -> ReferenceData:
        """From a version's files; a feature's column may be named with or without the log's prefix."""
        features, outputs = as_logged(profile, [feature.name for feature in signature.features])
        protected, _ = as_logged(profile, [column.name for column in signature.protected])
        return cls(signature, features, outputs, metrics, sample, answers, protected)

    def feature(self, logged: str) -> Feature:
        """Return the feature behind a column of the log."""
        name = logged.removeprefix(LogColumn.FEATURE)
        return next(feature for feature in self.signature.features if feature.name == name)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledAnswers:
    """Answers of the monitored version that have labels, in the order of time."""

    rows: Classified | Predicted
    columns: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    """Per column by which rows are told apart, the group of each row, as text."""

    def __len__(self) -> int:
        return len(self.rows.labels)


@dataclass(frozen=True, slots=True)
class Joint:
    """Measurements of several columns at once."""

    discrepancy: Discrepancy | None = None
    reconstruction: Shift | None = None
    space: Space | None = None
    reference: Floats | None = None
    """Points of the reference's sample."""
    window: Floats | None = None
    """Points of a sample of the window."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """The rows of a window, by when they were served."""

    rows: int
    newest: datetime | None
    """When the newest row was served; None where there are no rows."""


@dataclass(frozen=True, slots=True)
class InputEvidence:
    """Inputs of all rows, whichever version answered."""

    columns: tuple[Comparison, ...]
    joints: Mapping[str, Joint]
    """By check: those of several columns at once."""
    mismatched: tuple[str, ...]
    """Features that most rows lack or hold as another type."""
    duplicate_share: float
    """Share of rows that repeat another one; 0 where no check needs it."""


@dataclass(frozen=True, slots=True)
class AnswerEvidence:
    """Answers of the monitored version."""

    columns: tuple[Comparison, ...]
    rows: int
    """Rows that the version answered."""
    sample: pa.Table | None
    """Some of these rows, with features, predictions and scores; None where no check needs them."""
    groups: Mapping[str, Mapping[str, Mapping[str, int]]]
    """Per column whose groups are compared: group → answer → rows."""
    ungrouped: Mapping[str, int]
    """Per column whose groups are compared: rows that have no value of it."""


@dataclass(frozen=True, slots=True)
class LabelEvidence:
    """Labels of the monitored version's answers."""

    counted: bool
    """False where no check needs labels, and none were read."""
    task: Literal["Classification", "Regression"]
    answers: LabelledAnswers | None
    """The answers that have labels; None where there are none."""
    newest: datetime | None
    """When the newest row with a label was answered."""

    @property
    def count(self) -> int:
        """The number of rows with labels."""
        return 0 if self.answers is None else len(self.answers)

    @property
    def unknown(self) -> int | None:
        """The number of labels that are not classes of the model; None for a regression."""
        if self.task != "Classification":
            return None
        rows = None if self.answers is None else self.answers.rows
        return sum(rows.unknown_labels.values()) if isinstance(rows, Classified) else 0

    @property
    def disbelieved(self) -> bool:
        """Whether so many labels are not classes of the model that none of them is believed."""
        return too_many_unknown(self.unknown, self.count)

    def unknown_note(self) -> str:
        """Return which labels are not classes of the model, and what to send."""
        rows = None if self.answers is None else self.answers.rows
        assert isinstance(rows, Classified), "only labels of classes can be unknown"
        known = ", ".join(repr(name) for name in rows.classes[: min(3, rows.known_classes)])
        return f"{describe_unknown(rows.unknown_labels, len(rows.labels))}; send labels as the model spells its classes, such as {known}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A window as checks see it."""

    reference: ReferenceData
    coverage: Coverage
    inputs: InputEvidence
    answers: AnswerEvidence
    labels: LabelEvidence
    minimum_samples: int
    minimum_labels: int
    end: datetime
    """End of the window."""


def plain(logged: str) -> str:
    """A feature's own name.

    >>> plain("feature:mean radius")
    'mean radius'
    """
    return logged.removeprefix(LogColumn.FEATURE)
