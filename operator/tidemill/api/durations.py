"""Parse and format durations such as `90s`, `15m`, `1h30m` and `30d`."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"([0-9]+)(ms|s|m|h|d)")


def seconds(text: str) -> float:
    """Return the number of seconds of the duration `text`.

    >>> seconds("1h30m")
    5400.0
    >>> seconds("250ms")
    0.25
    """
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"invalid duration {text!r}; use a form such as 90s, 15m, 1h30m or 30d")
    return float(sum(int(number) * _UNITS[unit] for number, unit in parts))


def delta(text: str) -> timedelta:
    """Return the duration `text` as a timedelta."""
    return timedelta(seconds=seconds(text))
