"""How far one version's scores lie from another's on the same rows."""

from __future__ import annotations

import math
from collections.abc import Mapping


def population_stability(reference: Mapping[str, int], current: Mapping[str, int]) -> float:
    """The population stability index between two counts per bin.

    Every bin counts half a row more than it holds, so that a bin with a few rows on one side and none on the other says little.
    Zero when the shapes agree; by convention 0.1 is worth a look and 0.25 is a shift.

    >>> population_stability({"1": 10, "2": 90}, {"1": 10, "2": 90})
    0.0
    >>> round(population_stability({"1": 10, "2": 20, "3": 70}, {"1": 300, "2": 300, "3": 400}), 2)
    0.38
    """
    bins = sorted({*reference, *current})
    if not bins:
        return 0.0
    before = _shares(reference, bins)
    after = _shares(current, bins)
    return sum((b - a) * math.log(b / a) for a, b in zip(before, after, strict=True))


def _shares(counts: Mapping[str, int], bins: list[str]) -> list[float]:
    total = sum(counts.values()) + 0.5 * len(bins)
    return [(counts.get(one, 0) + 0.5) / total for one in bins]
