"""Exact tests of counts, so that a few requests more or less decide nothing.

Without scipy, which the operator does not contain: sums of the terms of a distribution from the observed count outwards.
"""

from __future__ import annotations

import math
from typing import Final

LEVEL: Final = 0.05
"""The chance of a wrong rejection that is accepted."""
_Z: Final = 1.6448536269514722
"""The 95th percentile of the standard normal distribution."""
_NEGLIGIBLE: Final = 1e-16


def binomial_tail(count: int, total: int, share: float) -> float:
    """Return the chance of `count` events or more among `total`, each with the chance `share`; 1 at or below the mean.

    >>> round(binomial_tail(3, 42, 0.05), 4)
    0.351
    >>> binomial_tail(0, 10, 0.1), binomial_tail(1, 10, 0.0)
    (1.0, 0.0)
    """
    if count <= 0:
        return 1.0
    if share <= 0.0:
        return 0.0
    if count <= total * share:
        return 1.0  # at or below the mean: no evidence that there are more events than expected
    term = math.exp(_log_choices(total, count) + count * math.log(share) + (total - count) * math.log1p(-share))
    tail, odds = 0.0, share / (1.0 - share)
    for events in range(count, total + 1):
        tail += term
        term *= (total - events) / (events + 1) * odds
        if term <= tail * _NEGLIGIBLE:  # both are 0 where the first term is too small for a float
            break
    return min(tail, 1.0)


def worse_by_chance(errors: int, requests: int, others: int, other_requests: int) -> float:
    """Return the chance of `errors` or more among `requests`, if errors fall on both versions alike (Fisher's exact test).

    >>> round(worse_by_chance(3, 42, 6, 60), 3)
    0.801
    >>> round(worse_by_chance(10, 40, 1, 100), 6)
    1.3e-05
    """
    both, total = errors + others, requests + other_requests
    tail = 0.0
    for count in range(errors, min(both, requests) + 1):
        if both - count > other_requests:
            continue
        term = math.exp(
            _log_choices(requests, count) + _log_choices(other_requests, both - count) - _log_choices(total, both)
        )
        tail += term
        # Past the expected number of errors, terms only become smaller.
        if count * total > both * requests and term <= tail * _NEGLIGIBLE:
            break
    return min(tail, 1.0)


def share_bounds(share: float, total: int) -> tuple[float, float]:
    """Return the shares between which that of `total` samples below a quantile lies, each end with 95 % (Wilson's interval).

    >>> [round(bound, 3) for bound in share_bounds(0.95, 42)]
    [0.863, 0.983]
    """
    if total <= 0:
        return 0.0, 1.0
    z_squared = _Z**2 / total
    center = (share + z_squared / 2) / (1 + z_squared)
    half = _Z * math.sqrt(share * (1 - share) / total + z_squared / (4 * total)) / (1 + z_squared)
    return max(center - half, 0.0), min(center + half, 1.0)


def _log_choices(total: int, count: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)
