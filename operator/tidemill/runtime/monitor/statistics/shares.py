"""Measure how far apart two distributions are that are given as counts per bin or per category.

All take counts and compare shares, so that the sizes of the samples do not matter. Empty counts raise ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.contract.metrics import population_stability

Counts = Sequence[int] | Sequence[float] | NDArray[Any]


def _shares(counts: Counts) -> NDArray[np.float64]:
    array = np.asarray(counts, dtype=np.float64)
    total = float(array.sum())
    if total <= 0:
        raise ValueError("nothing was counted: a distance needs at least one value on both sides")
    return np.asarray(array / total)


def psi(reference: Counts, current: Counts, *, floor: float = 1e-4) -> float:
    """Population stability index: Σ (q - p) ln(q / p).

    Zero when the shapes agree, whatever the sample sizes; by convention 0.1 is worth a look and 0.25 is a shift. Empty
    bins count as `floor`, so that one unseen value cannot make the index infinite. (Siddiqi, Credit Risk Scorecards, 2006)

    >>> psi([10, 20, 70], [1, 2, 7])
    0.0
    >>> round(psi([10, 20, 70], [30, 30, 40]), 3)
    0.428
    """
    p, q = np.maximum(_shares(reference), floor), np.maximum(_shares(current), floor)
    return population_stability(p.tolist(), q.tolist())


def kullback_leibler(reference: Counts, current: Counts, *, floor: float = 1e-4) -> float:
    """Relative entropy of `current` given `reference` in nats: Σ q ln(q / p), with empty bins of either at `floor`.

    Not symmetric, without upper bound. (Kullback and Leibler, 1951)

    >>> kullback_leibler([1, 1], [2, 2])
    0.0
    >>> round(kullback_leibler([50, 50], [90, 10]), 4)
    0.3681
    """
    p, q = np.maximum(_shares(reference), floor), np.maximum(_shares(current), floor)
    return max(0.0, float((q * np.log(q / p)).sum()))


def jensen_shannon(reference: Counts, current: Counts) -> float:
    """Jensen-Shannon distance: the root of the mean relative entropy (in bits) to the average of both; 0 to 1.

    (Lin, Divergence measures based on the Shannon entropy, 1991)

    >>> jensen_shannon([1, 0], [0, 1])
    1.0
    >>> round(jensen_shannon([50, 50], [90, 10]), 4)
    0.3831
    """
    p, q = _shares(reference), _shares(current)
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        divergence = np.where(p > 0, p * np.log2(p / middle), 0.0) + np.where(q > 0, q * np.log2(q / middle), 0.0)
    return math.sqrt(max(0.0, float(divergence.sum()) / 2))


def hellinger(reference: Counts, current: Counts) -> float:
    """Hellinger distance: √(1 - Σ √(p q)); 0 to 1, kind to empty bins.

    >>> hellinger([1, 0], [0, 1])
    1.0
    >>> round(hellinger([50, 50], [90, 10]), 4)
    0.3249
    """
    return math.sqrt(max(0.0, 1.0 - float(np.sqrt(_shares(reference) * _shares(current)).sum())))


def total_variation(reference: Counts, current: Counts) -> float:
    """The share of rows that would have to move for the distributions to agree: ½ Σ |p - q|; 0 to 1.

    >>> total_variation([50, 50], [90, 10])
    0.4
    """
    return float(np.abs(_shares(reference) - _shares(current)).sum()) / 2


class ChiSquare(NamedTuple):
    """Pearson's test that both samples come from one distribution."""

    statistic: float
    degrees: int
    p_value: float


def chi_square(reference: Counts, current: Counts) -> ChiSquare:
    """Pearson's χ² of the 2 × k table of both counts, with bins that are empty on both sides left out.

    The statistic grows with the samples: for a size of effect see `cramers_v`. (Pearson, 1900)

    >>> chi_square([30, 70], [50, 50]).statistic
    8.333333333333334
    """
    table = np.array([np.asarray(reference, np.float64), np.asarray(current, np.float64)])
    table = table[:, table.sum(axis=0) > 0]
    if (table.sum(axis=1) <= 0).any():
        raise ValueError("nothing was counted: a distance needs at least one value on both sides")
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
    statistic = float((np.square(table - expected) / expected).sum())
    degrees = table.shape[1] - 1
    return ChiSquare(statistic, degrees, chi_square_tail(statistic, degrees))


def small_sample_p_value(reference: Counts, current: Counts, *, least: float = 5.0) -> float:
    """Return the probability of counts at least as different by chance, also where some groups expect hardly a row.

    Groups that expect fewer than `least` current rows would make Pearson's test see what is not there. They are added up to
    one for it, each is compared with all others by Fisher's exact test, and the smaller p-value is taken times the number of
    looks (Bonferroni). (Cochran, Some methods for strengthening the common χ² tests, 1954)

    >>> small_sample_p_value([300, 700], [50, 50]) == chi_square([300, 700], [50, 50]).p_value
    True
    >>> round(small_sample_p_value([4950, 50], [9, 1]), 3), small_sample_p_value([4950, 50], [0, 10]) < 1e-15
    (0.195, True)
    """
    before, now = np.asarray(reference, np.int64), np.asarray(current, np.int64)
    rows, rows_now = int(before.sum()), int(now.sum())
    rare = (before + now) * (rows_now / (rows + rows_now)) < least
    rare &= before + now > 0
    if not rare.any():
        return chi_square(before, now).p_value
    exact = [_fisher(int(x), rows_now, int(y), rows) for x, y in zip(now[rare], before[rare], strict=True)]
    looks = len(exact)
    p_value = min(exact)
    pooled = [np.append(side[~rare], side[rare].sum()) for side in (before, now)]
    if (
        np.count_nonzero(pooled[0] + pooled[1]) > 1
        and (pooled[0] + pooled[1])[-1] * rows_now / (rows + rows_now) >= least
    ):
        looks, p_value = looks + 1, min(p_value, chi_square(*pooled).p_value)
    elif np.count_nonzero(~rare) > 1:
        frequent = [side[~rare] for side in (before, now)]
        if frequent[0].sum() and frequent[1].sum():
            looks, p_value = looks + 1, min(p_value, chi_square(*frequent).p_value)
    return min(1.0, p_value * looks)


def _fisher(x: int, rows_now: int, y: int, rows: int) -> float:
    """Twice the smaller tail of the hypergeometric distribution: x of rows_now against y of rows."""
    total, held = rows + rows_now, x + y

    def log_choose(n: int, k: int) -> float:
        return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

    low, high = max(0, held - rows), min(held, rows_now)
    upper = x * total >= held * rows_now
    probability = math.exp(log_choose(held, x) + log_choose(total - held, rows_now - x) - log_choose(total, rows_now))
    tail, k = probability, x
    while probability > 0 and (k < high if upper else k > low):
        # From one term of the distribution to its neighbour.
        if upper:
            probability *= (held - k) * (rows_now - k) / ((k + 1) * (rows - held + k + 1))
            k += 1
        else:
            probability *= k * (rows - held + k) / ((held - k + 1) * (rows_now - k + 1))
            k -= 1
        tail += probability
        if probability < tail * 1e-12:
            break
    return min(1.0, 2 * tail)


def cramers_v(reference: Counts, current: Counts) -> float:
    """Cramér's V of the 2 × k table, √(χ² / n): how much a value tells which sample it is from; 0 to 1.

    (Cramér, Mathematical Methods of Statistics, 1946)

    >>> cramers_v([10, 0], [0, 10])
    1.0
    >>> round(cramers_v([30, 70], [50, 50]), 4)
    0.2041
    """
    total = float(np.sum(reference) + np.sum(current))
    return math.sqrt(min(1.0, chi_square(reference, current).statistic / total))


def chi_square_tail(statistic: float, degrees: int) -> float:
    """The probability that a χ² variable exceeds `statistic`, from the finite sums for whole degrees of freedom.

    Here because importing a library for it takes longer than a whole check. (Abramowitz and Stegun, 26.4.4 and 26.4.5)

    >>> round(chi_square_tail(3.841, 1), 3), round(chi_square_tail(18.307, 10), 3), chi_square_tail(0.0, 0)
    (0.05, 0.05, 1.0)
    """
    if degrees <= 0 or statistic <= 0:
        return 1.0
    half = statistic / 2
    odd = degrees % 2 == 1
    total = math.erfc(math.sqrt(half)) if odd else 0.0
    power = 0.5 if odd else 0.0
    terms = []
    while power < degrees / 2:
        terms.append(math.exp(power * math.log(half) - half - math.lgamma(power + 1)))
        power += 1
    return min(1.0, total + math.fsum(terms))


class Categories(NamedTuple):
    """Categories that only one side has."""

    new_share: float
    """Share of the current rows whose category the reference does not have, as far as can be told."""
    lost: tuple[str, ...]
    """Categories of the reference that the current rows lack, most frequent first."""
    lost_share: float
    """Share of the reference rows with such a category."""


def new_share(before: tuple[int, int], now: tuple[int, int]) -> float:
    """Return the share of rows with a new category: of how many rows how many are others, expected `before` and `now`.

    Of many categories only the most frequent are counted by name, and a long tail holds some that the reference has not met.
    As large a share of others as is to be expected is not new, and neither is what chance makes of it (three standard errors).

    >>> new_share((250, 1000), (260, 1000)), new_share((0, 1000), (1, 1000)), new_share((250, 1000), (500, 1000))
    (0.0, 0.001, 0.25)
    """
    usual = before[0] / before[1] if before[1] else 0.0
    share = now[0] / now[1] if now[1] else 0.0
    margin = 3 * math.sqrt(usual * (1 - usual) * (1 / before[1] + 1 / now[1])) if before[1] and now[1] else 0.0
    return share - usual if share - usual > margin else 0.0


def category_changes(
    names: Sequence[str],
    reference: Counts,
    current: Counts,
    *,
    others: tuple[int, int],
    expected: tuple[int, int] | None = None,
) -> Categories:
    """Return which of the reference's categories are gone, and how many of the current rows have new ones.

    `others` are rows, before and now, that have none of these names; `expected` tells of how many rows how many have none where
    nothing moved, if that is not what the reference has itself.

    >>> category_changes(["a", "b"], [90, 10], [45, 0], others=(0, 5))
    Categories(new_share=0.1, lost=('b',), lost_share=0.1)
    """
    before, now = np.asarray(reference, np.float64), np.asarray(current, np.float64)
    rows, rows_now = int(before.sum()) + others[0], int(now.sum()) + others[1]
    gone = np.flatnonzero((before > 0) & (now == 0))
    gone = gone[np.argsort(-before[gone], kind="stable")]
    return Categories(
        new_share=new_share(expected or (others[0], rows), (others[1], rows_now)),
        lost=tuple(names[index] for index in gone.tolist()),
        lost_share=float(before[gone].sum()) / rows if rows else 0.0,
    )
