"""From which number on a verdict changes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tidemill.api.checks import Check, CheckVerdict
from tidemill.contract.reports import CheckOutcome

_GRAVITY: Final[dict[CheckVerdict, int]] = {"NoData": 0, "Passing": 1, "Warning": 2, "Failing": 3}

_BEYOND: Final = 1e9


@dataclass(frozen=True, slots=True)
class Threshold:
    """Bounds that a number reaches or not; one left out never fires."""

    warning: float | None = None
    failing: float | None = None

    def judge(self, value: float) -> CheckVerdict:
        """The verdict on `value`; reaching a bound counts.

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
    """A number that can be written down: what has no bound is beyond all thresholds.

    >>> finite(0.5), finite(float("inf"))
    (0.5, 1000000000.0)
    """
    return value if math.isfinite(value) else _BEYOND


def worst(verdicts: Iterable[CheckVerdict]) -> CheckVerdict:
    """The gravest verdict; NoData only where nothing else was said.

    >>> worst(["NoData", "Passing"]), worst(["Warning", "Passing"]), worst([])
    ('Passing', 'Warning', 'NoData')
    """
    return max(verdicts, key=_GRAVITY.__getitem__, default="NoData")


def no_data(check: Check, why: str) -> CheckOutcome:
    """The outcome of a check that had too little to go by."""
    return CheckOutcome(name=check.name, type=check.type, verdict="NoData", message=why)
