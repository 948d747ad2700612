"""Change detectors on the stream of errors, by time of the rows: when answers became worse within the window.

ADWIN (Bifet and Gavaldà, 2007) and Page-Hinkley (Page, 1954) are those of `river`.
"""

from __future__ import annotations

import math
from typing import Final, Literal, NamedTuple

import numpy as np

from tidemill.runtime.profile.grid import Floats

CONFIDENCE: Final = 0.998
"""Confidence of a detection by default."""
MAX_ROWS: Final = 200_000
"""Longer streams are cut to their newest rows."""


class Change(NamedTuple):
    """When errors rose last."""

    at: int
    """Row of the stream at which it was noticed."""
    before: float
    """Mean error before the change."""
    after: float


def errors_rose(
    errors: Floats,
    detector: Literal["ADWIN", "PageHinkley"] = "ADWIN",
    *,
    usual: float | None = None,
    confidence: float | None = None,
) -> Change | None:
    """Return the last rise in a stream of errors in the order of time, or None; a fall is not drift.

    `usual` is the mean error on the version's hold-out, which begins the stream where it is known: a stream that is bad
    from its first row on has no change within.
    """
    from river import drift

    errors = np.asarray(errors, np.float64)[-MAX_ROWS:]
    std = float(errors.std()) or 1.0
    false_alarms = 1 - (confidence or CONFIDENCE)
    if detector == "ADWIN":
        watch = drift.ADWIN(delta=false_alarms)
    else:
        # A mean of errors in spreads must exceed the tolerated half by so much in sum; chance does so once in e^threshold.
        watch = drift.PageHinkley(
            min_instances=30, delta=0.25, threshold=2 * math.log(len(errors) / false_alarms + 1), alpha=1.0, mode="up"
        )
    latest, last = None, 0
    for at, error in enumerate((errors / std).tolist()):
        watch.update(error)
        if not watch.drift_detected:
            continue
        start = _began(errors[last : at + 1]) + last
        change = Change(
            at, float(errors[last:start].mean()) if start > last else math.inf, float(errors[start:].mean())
        )
        last = start
        if change.after > change.before:
            latest = change
    if latest is None and usual is not None and len(errors) >= 30:
        mean, margin = float(errors.mean()), 3.0 * std / len(errors) ** 0.5
        if mean - margin > usual:
            return Change(0, usual, mean)
    return latest


def _began(errors: Floats) -> int:
    """The row from which on the mean differs most from that before, in standard errors (CUSUM)."""
    size = np.arange(1, len(errors))
    away = np.abs(np.cumsum(errors)[:-1] - errors.mean() * size) / np.sqrt(size * (len(errors) - size))
    return int(np.argmax(away)) + 1 if len(away) else 0
