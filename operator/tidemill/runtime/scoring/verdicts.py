"""Verdicts: bounds of a number, and the worst of several."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tidemill.api.methods import CheckVerdict

if TYPE_CHECKING:
    from tidemill.api.checks import Check
    from tidemill.contract.reports import CheckOutcome

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


def no_data(check: Check, why: str) -> CheckOutcome:
    """Return the outcome of a check that had too little data, with the reason."""
    from tidemill.contract.reports import CheckOutcome

    return CheckOutcome(name=check.name, type=check.type, verdict="NoData", message=why)
