"""Measure whether groups of people are treated alike: differences and ratios of rates between the groups of one column.

The metrics are Fairlearn's. A rate is a share of certain rows of a group, and everything about it is of those rows: how
many a group must have, and how sure the rate is.

    selection rate         favourable answers, of all rows of the group         demographic parity
    true positive rate     favourable answers, of the favourable labels         equal opportunity, equalized odds
    false positive rate    favourable answers, of the other labels              equalized odds
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, Final, Literal

import numpy as np

from tidemill.runtime.scoring import intervals

NEEDS_LABELS: Final = frozenset({"EqualizedOddsDifference", "EqualizedOddsRatio", "EqualOpportunityDifference"})
MIN_GROUP_ROWS: Final = 20
"""A smaller group says nothing about how it is treated."""
MIN_LABELLED_ROWS: Final = 10
"""Rows with a favourable label that a true positive rate must be of, and with another label for a false positive rate."""

RateName = Literal["SelectionRate", "TruePositiveRate", "FalsePositiveRate"]
_RATES_OF: Final[Mapping[str, tuple[RateName, ...]]] = {
    "DemographicParityDifference": ("SelectionRate",),
    "DemographicParityRatio": ("SelectionRate",),
    "EqualOpportunityDifference": ("TruePositiveRate",),
    "EqualizedOddsDifference": ("TruePositiveRate", "FalsePositiveRate"),
    "EqualizedOddsRatio": ("TruePositiveRate", "FalsePositiveRate"),
}
IN_WORDS: Final[Mapping[RateName, str]] = {
    "SelectionRate": "selection rate",
    "TruePositiveRate": "true positive rate",
    "FalsePositiveRate": "false positive rate",
}
_OF_ROWS: Final[Mapping[RateName, str]] = {
    "SelectionRate": "to compare",
    "TruePositiveRate": "with a favourable label to compare",
    "FalsePositiveRate": "with an unfavourable label to compare",
}


@dataclass(frozen=True, slots=True)
class Rate:
    """Favourable answers among the rows that a rate is of."""

    selected: int
    rows: int

    @property
    def value(self) -> float:
        """The share."""
        return self.selected / self.rows


@dataclass(frozen=True, slots=True)
class Group:
    """The rates of one group; without labels the selection rate alone."""

    name: str
    rows: int
    rates: Mapping[RateName, Rate]


@dataclass(frozen=True, slots=True)
class Unfairness:
    """A metric with the rate that decided it and the two groups behind it."""

    value: float
    rate: RateName
    lowest: tuple[str, Rate]
    highest: tuple[str, Rate]
    other: Unfairness | None = None
    """The same of the rate that did not decide, where the metric is of two."""


def groups_of(
    names: Sequence[object],
    answers: np.ndarray[Any, Any],
    labels: np.ndarray[Any, Any] | None,
    favorable: object,
    known: np.ndarray[Any, Any] | None = None,
) -> list[Group]:
    """Return the groups with their rates, by name; a row whose name is missing belongs to none.

    Rows outside of `known` have a label that is not a class of the model: they are neither favourable nor unfavourable.
    """
    texts = np.array(["" if name is None else str(name) for name in names], dtype=object)
    selected = np.asarray(answers == favorable)
    groups = []
    for name in sorted(set(texts.tolist()) - {""}):
        own = texts == name
        rates: dict[RateName, Rate] = {"SelectionRate": _rate(selected, own)}
        if labels is not None:
            good = np.asarray(labels == favorable) & own
            other = own & ~good if known is None else own & ~good & known
            rates |= {"TruePositiveRate": _rate(selected, good), "FalsePositiveRate": _rate(selected, other)}
        groups.append(Group(name, int(own.sum()), rates))
    return groups


def _rate(selected: np.ndarray[Any, Any], rows: np.ndarray[Any, Any]) -> Rate:
    return Rate(int((selected & rows).sum()), int(rows.sum()))


def counted(groups: Mapping[str, Mapping[str, int]], favorable: str) -> list[Group]:
    """Return the groups from counts, group → answer → rows; labels are not known.

    >>> [group] = counted({"a": {"yes": 30, "no": 10}}, "yes")
    >>> group.rates["SelectionRate"].value
    0.75
    """
    result = []
    for name, answers in sorted(groups.items()):
        rows = sum(answers.values())
        result.append(Group(name, rows, {"SelectionRate": Rate(answers.get(favorable, 0), rows)}))
    return result


def unfairness(metric: str, groups: Sequence[Group]) -> Unfairness:
    """Return `metric` over the groups; raises ValueError where fewer than two have enough rows.

    Of two rates the one with the larger difference, or the smaller ratio, decides, as in Fairlearn.

    >>> def group(name, true_positives, false_positives):
    ...     rates = {"TruePositiveRate": Rate(true_positives, 50), "FalsePositiveRate": Rate(false_positives, 50)}
    ...     return Group(name, 100, rates)
    >>> result = unfairness("EqualizedOddsDifference", [group("a", 40, 5), group("b", 35, 20)])
    >>> round(result.value, 3), result.rate
    (0.3, 'FalsePositiveRate')
    """
    if metric not in _RATES_OF:
        raise ValueError(f"unknown metric of fairness {metric!r}")
    best, *others = sorted(
        (_between(metric, rate, groups) for rate in _RATES_OF[metric]),
        key=lambda candidate: candidate.value,
        reverse=metric.endswith("Difference"),
    )
    return replace(best, other=others[0]) if others else best


def _between(metric: str, rate: RateName, groups: Sequence[Group]) -> Unfairness:
    """The groups with the lowest and the highest of one rate."""
    large = [group for group in groups if group.rows >= MIN_GROUP_ROWS]
    known = [(group.name, group.rates[rate]) for group in large if rate in group.rates]
    least = MIN_GROUP_ROWS if rate == "SelectionRate" else MIN_LABELLED_ROWS
    enough = sorted((pair for pair in known if pair[1].rows >= least), key=lambda pair: (pair[1].value, pair[0]))
    if len(enough) < 2:
        raise ValueError(f"fewer than two groups have {least} rows {_OF_ROWS[rate]}")
    low, high = enough[0], enough[-1]
    value = high[1].value - low[1].value
    if metric.endswith("Ratio"):
        # Without a single favourable answer all groups are treated alike.
        value = low[1].value / high[1].value if high[1].selected else 1.0
    return Unfairness(value, rate, low, high)


def interval(metric: str, result: Unfairness, z: float) -> intervals.ConfidenceInterval:
    """Return the interval around the difference or the ratio of the two groups' rates, by the rows that these are of.

    Of equalized odds it is that of the larger difference, or the smaller ratio, of the two rates: either rate alone can show
    that groups are not treated alike, also one with a smaller difference that is surer. Its end nearer to that finding is the
    farther one of the two rates' ends, each at half the error (Bonferroni).
    """
    if result.other is None:
        return _interval(metric, result, z)
    plain = [_interval(metric, each, z) for each in (result, result.other)]
    wider = NormalDist().inv_cdf(0.5 + NormalDist().cdf(z) / 2)
    wide = [_interval(metric, each, wider) for each in (result, result.other)]
    if metric.endswith("Difference"):
        return intervals.ConfidenceInterval(max(each.low for each in wide), max(each.high for each in plain))
    return intervals.ConfidenceInterval(min(each.low for each in plain), min(each.high for each in wide))


def _interval(metric: str, result: Unfairness, z: float) -> intervals.ConfidenceInterval:
    low, high = (intervals.share(rate.selected, rate.rows, z) for _, rate in (result.lowest, result.highest))
    if metric.endswith("Difference"):
        return intervals.difference(high, low)
    return intervals.ratio(low, high) if high.value else intervals.ConfidenceInterval(0.0, math.inf)
