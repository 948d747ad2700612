"""When chance alone would do: p-values of many columns at once, and what is left of them.

P-values say whether something moved, not how far; on a million rows everything has moved. They are used where windows are
small, and never without the correction for looking at many columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from tidemill.runtime.profile.grid import Floats

SMALL: Final = 1000
"""Up to so many rows on either side a distance counts only where it is significant."""
LEVEL: Final = 0.05
STRICT_LEVEL: Final = 0.01
DOUBTFUL: Final = 0.15
"""The largest distance of what is significant at `LEVEL` but not at `STRICT_LEVEL`: between the usual 0.1 for Warning and 0.2 for Failing."""


def benjamini_hochberg(p_values: Sequence[float]) -> Floats:
    """The p-values adjusted for how many there are: those up to q are false alarms in a share of at most q, on average.

    (Benjamini and Hochberg, Controlling the false discovery rate, 1995)

    >>> [round(float(q), 3) for q in benjamini_hochberg([0.01, 0.04, 0.03, 0.5])]
    [0.04, 0.053, 0.053, 0.5]
    >>> benjamini_hochberg([]).tolist()
    []
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(-p, kind="stable")
    ranks = np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum.accumulate(p[order] * len(p) / ranks) if len(p) else p
    return np.minimum(adjusted, 1.0)


def either(*p_values: float) -> float:
    """The p-value of the smallest of several tests of one thing (Bonferroni).

    >>> either(0.02, 0.6), either(0.9, 0.8)
    (0.04, 1.0)
    """
    return min(1.0, min(p_values) * len(p_values))
