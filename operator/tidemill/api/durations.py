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


def say(duration: float) -> str:
    """Format `duration` (in seconds) in its two largest units.

    >>> say(5400), say(42.4), say(0), say(200000)
    ('1h30m', '42s', '0s', '2d7h')
    """
    remaining = round(duration)
    parts = []
    for unit in ("d", "h", "m", "s"):
        size = int(_UNITS[unit])
        count, remaining = divmod(remaining, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2]) or "0s"
