"""The stability index of two versions' scores on the same rows, from small counts."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.contract import metrics


def population_stability(reference: Mapping[str, int], current: Mapping[str, int]) -> float:
    """Return the population stability index between two counts per bin.

    Every bin counts half a row more than it holds, so that a bin with a few rows on one side and none on the other says little.

    >>> population_stability({"1": 10, "2": 90}, {"1": 10, "2": 90})
    0.0
    >>> round(population_stability({"1": 10, "2": 20, "3": 70}, {"1": 300, "2": 300, "3": 400}), 2)
    0.41
    """
    bins = sorted({*reference, *current})
    return metrics.population_stability(_shares(reference, bins), _shares(current, bins)) if bins else 0.0


def _shares(counts: Mapping[str, int], bins: list[str]) -> list[float]:
    total = sum(counts.values()) + 0.5 * len(bins)
    return [(counts.get(name, 0) + 0.5) / total for name in bins]
