"""From fine bins to groups that the number of rows can carry."""

from __future__ import annotations

import numpy as np

from tidemill.runtime.profile.grid import Integers
from tidemill.runtime.profile.numerical import NumericalProfile
from tidemill.runtime.profile.profile import ColumnProfile

FEWEST, MOST = 3, 20
NOISE = 0.03
"""The largest average of the stability index where nothing has moved."""


def group_count(reference: int, current: int) -> int:
    """Return how many groups samples of these sizes carry.

    Without any shift the stability index of k groups is on average (k - 1)(1/n + 1/m): with a thousand bins and a few
    hundred rows, chance alone would look like a flood. So many groups are taken as keep that average below `NOISE`.

    >>> group_count(455, 200), group_count(455, 300), group_count(100_000, 5_000), group_count(30, 10)
    (5, 6, 20, 3)
    """
    return int(np.clip(1 + NOISE / (1 / max(reference, 1) + 1 / max(current, 1)), FEWEST, MOST))


def groups(reference: ColumnProfile, current: ColumnProfile) -> tuple[Integers, Integers]:
    """Return both columns' counts on groups: neighbouring bins that hold about equally much of the reference, or categories.

    Of categories the most frequent ones of the reference stand alone, the rest are one group, and categories that are not
    counted by name are a group of their own. Of these the reference has as many as `current` has, up to what is to be expected
    where nothing moves.
    """
    count = group_count(reference.present, current.present)
    if isinstance(reference, NumericalProfile):
        assert isinstance(current, NumericalProfile)
        starts = equal_depth(reference.counts, count)
        return np.add.reduceat(reference.counts, starts), np.add.reduceat(current.counts, starts)
    assert not isinstance(current, NumericalProfile)
    before, now = reference.bins(), current.bins()
    known = np.argsort(-before[:-1], kind="stable")
    frequent, rare = known[: count - 1], known[count - 1 :]
    sides = [
        np.concatenate((counts[frequent], [counts[rare].sum()] if len(rare) else [], counts[-1:])).astype(np.int64)
        for counts in (before, now)
    ]
    # Of a long tail some categories are always new. The reference has none by construction, but what is rare in it tells how
    # many. Fewer than that are nothing to report: a reference that is compared with itself has none.
    others, rows = reference.expected_others
    seen = -(-current.others * reference.present // max(current.present, 1))
    expected = min(others * reference.present // max(rows, 1), seen) - reference.others
    if len(rare) and expected > 0:
        moved = min(expected, int(sides[0][-2]))
        sides[0][-2:] += (-moved, moved)
    return sides[0], sides[1]


def equal_depth(counts: Integers, groups: int) -> Integers:
    """Return the first bin of each of about `groups` runs of neighbouring bins with about equal counts.

    A bin that holds more than a group's share stands alone, so that values next to a constant are told from it.

    >>> equal_depth(np.array([1, 1, 1, 1, 1, 1, 1, 1]), 2).tolist()
    [0, 4]
    >>> equal_depth(np.array([0, 0, 9, 0, 0]), 2).tolist()
    [0, 2, 3]
    """
    total = int(counts.sum())
    if total == 0:
        return np.zeros(1, np.int64)
    # A bin belongs to the group in which its middle row falls.
    middle = np.cumsum(counts) - counts / 2
    group = np.minimum((middle * groups / total).astype(np.int64), groups - 1)
    heavy = counts * groups > total
    first = np.concatenate(([True], (np.diff(group) > 0) | heavy[1:] | heavy[:-1]))
    return np.flatnonzero(first)
