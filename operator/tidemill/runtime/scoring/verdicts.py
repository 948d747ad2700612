"""Verdicts: bounds of a number, the worst of several, and columns that lost their values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tidemill.api.checks import Check, CheckVerdict
from tidemill.contract.reports import CheckOutcome
from tidemill.runtime.scoring.intervals import difference, share

_GRAVITY: Final[dict[CheckVerdict, int]] = {"NoData": 0, "Passing": 1, "Warning": 2, "Failing": 3}

_BEYOND: Final = 1e9


@dataclass(frozen=True, slots=True)
class Threshold:
    """Bounds that a number reaches or not; one left out never fires."""

    warning: float | None = None
    failing: float | None = None

    def judge(self, value: float) -> CheckVerdict:
        """Return the verdict on `value`; reaching a bound counts.

        >>> limits = Threshold(warning=0.1, failing=0.2)
        >>> limits.judge(0.09), limits.judge(0.1), limits.judge(0.2)
        ('Passing', 'Warning', 'Failing')
        """
        if self.failing is not None and value >= self.failing:
            return "Failing"
        if self.warning is not None and value >= self.warning:
            return "Warning"
        return "Passing"


def finite(value: float) -> float:
    """Return a number that can be written down: an infinite one is beyond all thresholds.

    >>> finite(0.5), finite(float("inf"))
    (0.5, 1000000000.0)
    """
    return value if math.isfinite(value) else _BEYOND


def worst(verdicts: Iterable[CheckVerdict]) -> CheckVerdict:
    """Return the gravest verdict; NoData only where there is no other.

    >>> worst(["NoData", "Passing"]), worst(["Warning", "Passing"]), worst([])
    ('Passing', 'Warning', 'NoData')
    """
    return max(verdicts, key=_GRAVITY.__getitem__, default="NoData")


MAX_LOST_SHARE: Final = 0.1
"""A column that lacks so many more of its values than before never passes."""
_Z: Final = 3.5
"""Standard errors of the interval that must lie above 0, so that a small window does not warn of chance."""


@dataclass(frozen=True, slots=True)
class Values:
    """How many rows a column has, and in how many of them there is no usable value."""

    rows: int
    missing: int
    """Nothing, or an infinite number."""
    invalid: int
    """Something of another type, as text in a column of numbers."""

    @property
    def lost(self) -> int:
        """Rows without a usable value."""
        return self.missing + self.invalid


def why_lost(before: Values, now: Values) -> str:
    """Return how a column lost its values, its type or itself since `before`; empty where it did not.

    Such a column is worth a Warning whatever the values do that are left: how these are distributed says little.

    >>> why_lost(Values(1000, 0, 0), Values(1000, 950, 0))
    '95% of the values are missing, 0% before'
    >>> why_lost(Values(1000, 0, 0), Values(1000, 1000, 0)), why_lost(Values(1000, 0, 0), Values(1000, 0, 1000))
    ('it is absent or has no values', '100% of the values are of another type, 0% before')
    >>> why_lost(Values(1000, 50, 0), Values(1000, 60, 0)), why_lost(Values(1000, 50, 0), Values(10, 2, 0))
    ('', '')
    """
    if not before.rows or not now.rows or before.lost == before.rows:
        return ""
    if not _risen(before.lost, before.rows, now.lost, now.rows):
        return ""
    if now.missing == now.rows:
        return "it is absent or has no values"
    parts = [
        f"{after / now.rows:.0%} of the values are {what}, {earlier / before.rows:.0%} before"
        for what, earlier, after in (
            ("missing", before.missing, now.missing),
            ("of another type", before.invalid, now.invalid),
        )
        if after / now.rows - earlier / before.rows > MAX_LOST_SHARE / 2
    ]
    return " and ".join(parts)


def _risen(before: int, rows_before: int, now: int, rows: int) -> bool:
    """Whether a share has risen by more than is tolerated, and by more than chance."""
    if now / rows - before / rows_before <= MAX_LOST_SHARE:
        return False
    return difference(share(now, rows, _Z), share(before, rows_before, _Z)).low > 0


def no_data(check: Check, why: str) -> CheckOutcome:
    """Return the outcome of a check that had too little data, with the reason."""
    return CheckOutcome(name=check.name, type=check.type, verdict="NoData", message=why)
