"""Verdicts on a column that lost its values, its type or itself, which no distance between distributions shows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from tidemill.api.methods import CheckVerdict
from tidemill.runtime.profile.numerical import NumericalProfile
from tidemill.runtime.profile.profile import ColumnProfile
from tidemill.runtime.scoring.verdicts import Threshold, worst

LOSS: Final = Threshold(warning=0.2, failing=0.5)
"""By how much the share of rows without a usable value may change."""
MIN_ROWS: Final = 10
"""Fewer rows than this show nothing about a share."""
_STANDARD_ERRORS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Completeness:
    """The verdict on whether a column still has its values."""

    verdict: CheckVerdict
    reason: str = ""
    """Why the verdict is not Passing, as a phrase that follows the column's name; empty where there is nothing to say."""


def completeness(reference: ColumnProfile, current: ColumnProfile | None, threshold: Threshold = LOSS) -> Completeness:
    """Return the verdict on what `current` lost of the values that `reference` has; None stands for an absent column.

    Judged are the change of the share of missing values and, of numbers, the share of entries that are not numbers and the
    share of infinities. A change that is within three standard errors of two samples of these sizes is chance. A share that
    became smaller is a Warning at most: nothing was lost. NoData where `current` has no rows or too few to lose any.

    >>> from tidemill.runtime.profile.categorical import empty
    >>> completeness(empty("a", {"x": 1}), None).reason
    'is absent'
    """
    if current is None:
        return Completeness("Failing", "is absent")
    if not current.rows or not reference.rows:
        return Completeness("NoData", "has no rows")
    if not reference.present:
        return Completeness("NoData", "has no values in the reference")
    if current.rows < MIN_ROWS:
        return Completeness("Passing") if current.present else Completeness("NoData", "has no values")
    parts = [_part(reference.missing, reference.rows, current.missing, current.rows, "are missing", threshold)]
    if isinstance(reference, NumericalProfile) and isinstance(current, NumericalProfile):
        parts += [
            _part(reference.invalid, reference.rows, current.invalid, current.rows, "are not numbers", threshold),
            _part(reference.infinities, reference.rows, current.infinities, current.rows, "are infinite", threshold),
        ]
    verdict = worst(part.verdict for part in parts)
    reasons = [part.reason for part in parts if part.reason]
    if not current.present and verdict == "Passing":
        # The few that were left in the reference are gone as well, and it cannot be said whether that is chance.
        return Completeness("NoData", "has no values")
    return Completeness(verdict, "; ".join(reasons))


def _part(before: int, rows_before: int, now: int, rows_now: int, what: str, threshold: Threshold) -> Completeness:
    share_before, share_now = before / rows_before, now / rows_now
    pooled = (before + now) / (rows_before + rows_now)
    margin = _STANDARD_ERRORS * math.sqrt(pooled * (1 - pooled) * (1 / rows_before + 1 / rows_now))
    change = share_now - share_before
    if abs(change) <= margin and change < 1:
        return Completeness("Passing")
    # Shares are quotients: what was written as a bound must be reached by what is printed like it.
    verdict = threshold.judge(round(abs(change), 9))
    if verdict == "Passing":
        return Completeness("Passing")
    if change < 0:
        verdict = "Warning"
    return Completeness(verdict, f"{share_now:.1%} of the values {what} ({share_before:.1%} in the reference)")
