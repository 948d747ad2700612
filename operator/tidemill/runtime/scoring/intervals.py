"""Intervals of shares, and of the difference and the ratio of two of them, that do not collapse where a share is 0 or 1."""

from __future__ import annotations

import math
from typing import NamedTuple


class ConfidenceInterval(NamedTuple):
    """From `low` to `high`."""

    low: float
    high: float


class Estimate(NamedTuple):
    """A number with the ends of its interval."""

    value: float
    low: float
    high: float


def wilson(hits: float, rows: float, z: float = 1.959964) -> ConfidenceInterval:
    """Return the score interval of a share. (Wilson, 1927)

    >>> tuple(round(end, 3) for end in wilson(9, 10))
    (0.596, 0.982)
    """
    share, square = hits / rows, z * z / rows
    centre = (share + square / 2) / (1 + square)
    margin = z * math.sqrt(share * (1 - share) / rows + square / (4 * rows)) / (1 + square)
    return ConfidenceInterval(max(0.0, centre - margin), min(1.0, centre + margin))


def share(hits: float, rows: float, z: float = 1.959964) -> Estimate:
    """Return a share with its score interval."""
    return Estimate(hits / rows, *wilson(hits, rows, z))


def difference(of: Estimate, to: Estimate) -> ConfidenceInterval:
    """Return the interval of `of` - `to`, two independent shares. (Newcombe, 1998, method 10)

    >>> tuple(round(end, 4) for end in difference(share(56, 70), share(48, 80)))
    (0.0524, 0.3339)
    """
    value = of.value - to.value
    return ConfidenceInterval(
        value - math.hypot(of.value - of.low, to.high - to.value),
        value + math.hypot(of.high - of.value, to.value - to.low),
    )


def ratio(of: Estimate, to: Estimate) -> ConfidenceInterval:
    """Return the interval of `of` / `to`, two independent shares. (MOVER-R of Donner and Zou, 2012)"""
    product = of.value * to.value
    a, b = of.low * (2 * of.value - of.low), to.high * (2 * to.value - to.high)
    divisor = product + math.sqrt(max(0.0, product**2 - a * b))
    low = a / divisor if divisor > 0 else 0.0
    a, b = of.high * (2 * of.value - of.high), to.low * (2 * to.value - to.low)
    high = (product + math.sqrt(max(0.0, product**2 - a * b))) / b if b > 0 else math.inf
    return ConfidenceInterval(low, high)
