"""Requests that people make by an annotation with a time: each is answered once, and lapses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

REQUEST_LAPSES: Final = timedelta(days=1)


def requested_at(annotations: dict[str, str], name: str, now: datetime) -> datetime | None:
    """Return the time of an annotation's request; None if there is none, or if it is in the future or has lapsed."""
    try:
        timestamp = datetime.fromisoformat(annotations.get(name, ""))
    except ValueError:
        return None
    if timestamp.tzinfo is None:
        return None
    try:
        timestamp = timestamp.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        return None
    return timestamp if now - REQUEST_LAPSES < timestamp <= now else None
