"""What a check judges: the reference, the window counted on the reference's bins, and the labelled rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tidemill.contract import LogColumn
from tidemill.runtime.monitor.comparison import Comparison
from tidemill.runtime.monitor.performance import Classified, Predicted
from tidemill.runtime.profile.profile import Profile
from tidemill.runtime.signature import Feature, Signature

OUTPUTS = (LogColumn.PREDICTION, LogColumn.SCORE)


@dataclass(frozen=True, slots=True)
class Reference:
    """What the monitored version learnt from, and how it answered its own hold-out."""

    signature: Signature
    features: Profile
    """Its columns are named as in the log."""
    outputs: Profile
    """Of predictions and scores on the hold-out; without columns where the version carries none."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """On the hold-out."""

    @classmethod
    def of(cls, signature: Signature, profile: Profile, metrics: Mapping[str, float]) -> Reference:
        """From a version's files; a feature's column may be named with or without the log's prefix."""
        features = []
        for feature in signature.features:
            logged = LogColumn.FEATURE + feature.name
            column = profile.column(logged) or profile.column(feature.name)
            if column is not None:
                features.append(replace(column, name=logged))
        taken = {column.name for column in features}
        outputs = tuple(column for column in profile.columns if column.name in OUTPUTS and column.name not in taken)
        return cls(signature, Profile(profile.rows, tuple(features)), Profile(profile.rows, outputs), metrics)

    def feature(self, logged: str) -> Feature:
        """The feature behind a column of the log."""
        name = logged.removeprefix(LogColumn.FEATURE)
        return next(feature for feature in self.signature.features if feature.name == name)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A window as checks see it."""

    reference: Reference
    features: tuple[Comparison, ...]
    """Inputs of all rows, whichever version answered."""
    outputs: tuple[Comparison, ...]
    """Answers of the monitored version."""
    samples: int
    """Rows that were served."""
    answered: int
    """Rows of these that the monitored version answered."""
    labelled: Classified | Predicted | None
    """Answers of the monitored version that have labels."""
    minimum_samples: int
    minimum_labels: int

    @property
    def labels(self) -> int:
        """How many rows have labels."""
        return 0 if self.labelled is None else len(self.labelled.labels)


def plain(logged: str) -> str:
    """A feature's own name.

    >>> plain("feature:mean radius")
    'mean radius'
    """
    return logged.removeprefix(LogColumn.FEATURE)
