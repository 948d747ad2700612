"""Whether groups of people are treated alike: differences and ratios of rates between the groups of one column."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

NEEDS_LABELS: Final = frozenset({"EqualizedOddsDifference", "EqualizedOddsRatio", "EqualOpportunityDifference"})
MIN_GROUP_ROWS: Final = 20
"""A smaller group says nothing about how it is treated."""


@dataclass(frozen=True, slots=True)
class Rates:
    """One group."""

    group: str
    rows: int
    selected: float
    """Share of favourable answers."""
    true_positive: float | None = None
    """Share of favourable answers where the label is favourable; None without such labels."""
    false_positive: float | None = None


@dataclass(frozen=True, slots=True)
class Unfairness:
    """A metric with the groups behind it."""

    value: float
    lowest: Rates
    highest: Rates


def rates(
    groups: Sequence[object], answers: np.ndarray[Any, Any], labels: np.ndarray[Any, Any] | None, favorable: object
) -> list[Rates]:
    """Per group with at least `MIN_GROUP_ROWS` rows, by name; missing groups count as none."""
    names = np.array(["" if group is None else str(group) for group in groups], dtype=object)
    chosen = np.asarray(answers == favorable)
    found = []
    for name in sorted(set(names.tolist()) - {""}):
        own = names == name
        if int(own.sum()) < MIN_GROUP_ROWS:
            continue
        true_positive = false_positive = None
        if labels is not None:
            good = np.asarray(labels == favorable) & own
            bad = own & ~good
            true_positive = float(chosen[good].mean()) if good.any() else None
            false_positive = float(chosen[bad].mean()) if bad.any() else None
        found.append(Rates(name, int(own.sum()), float(chosen[own].mean()), true_positive, false_positive))
    return found


def counted(groups: Mapping[str, Mapping[str, int]], favorable: str) -> list[Rates]:
    """The same from counts, group → answer → rows; what labels would tell is left open.

    >>> counted({"a": {"yes": 30, "no": 10}, "b": {"yes": 3}}, "yes")
    [Rates(group='a', rows=40, selected=0.75, true_positive=None, false_positive=None)]
    """
    found = []
    for group, answers in sorted(groups.items()):
        rows = sum(answers.values())
        if rows >= MIN_GROUP_ROWS:
            found.append(Rates(group, rows, answers.get(favorable, 0) / rows))
    return found


def unfairness(metric: str, groups: Sequence[Rates]) -> Unfairness:
    """`metric` over the groups; raises ValueError where fewer than two say something.

    The names and meanings are Fairlearn's.

    >>> groups = [Rates("a", 50, 0.5, 0.8, 0.1), Rates("b", 50, 0.3, 0.7, 0.4)]
    >>> [round(unfairness(name, groups).value, 3) for name in ("DemographicParityDifference", "EqualizedOddsDifference")]
    [0.2, 0.3]
    """
    match metric:
        case "DemographicParityDifference":
            return _difference(groups, [group.selected for group in groups])
        case "DemographicParityRatio":
            return _ratio(groups, [group.selected for group in groups])
        case "EqualOpportunityDifference":
            return _difference(groups, [group.true_positive for group in groups])
        case "EqualizedOddsDifference":
            both = [
                _difference(groups, [group.true_positive for group in groups]),
                _difference(groups, [group.false_positive for group in groups]),
            ]
            return max(both, key=lambda one: one.value)
        case "EqualizedOddsRatio":
            pairs = [
                _ratio(groups, [group.true_positive for group in groups]),
                _ratio(groups, [group.false_positive for group in groups]),
            ]
            return min(pairs, key=lambda one: one.value)
        case _:
            raise ValueError(f"{metric} is no metric of fairness")


def room_of(metric: str, found: Unfairness, z: float) -> float:
    """Half of the interval around a difference, or a ratio, of two groups' rates, by their standard errors."""

    def rate(group: Rates) -> float:
        if metric.startswith("Demographic"):
            return group.selected
        return group.true_positive if group.true_positive is not None else group.selected

    low, high = rate(found.lowest), rate(found.highest)
    errors = [rate(group) * (1 - rate(group)) / group.rows for group in (found.lowest, found.highest)]
    if metric.endswith("Difference"):
        return z * math.sqrt(sum(errors))
    if not (low and high):
        return z * math.sqrt(sum(errors)) / max(high, 0.01)
    return z * (low / high) * math.sqrt(errors[0] / low**2 + errors[1] / high**2)


def _ratio(groups: Sequence[Rates], values: Sequence[float | None]) -> Unfairness:
    found = _difference(groups, values)
    high = max(value for value in values if value is not None)
    return Unfairness((high - found.value) / high if high else 1.0, found.lowest, found.highest)


def _difference(groups: Sequence[Rates], values: Sequence[float | None]) -> Unfairness:
    told = [(value, group) for value, group in zip(values, groups, strict=True) if value is not None]
    if len(told) < 2:
        raise ValueError(f"fewer than two groups have {MIN_GROUP_ROWS} rows to compare")
    told.sort(key=lambda pair: (pair[0], pair[1].group))
    return Unfairness(told[-1][0] - told[0][0], told[0][1], told[-1][1])
