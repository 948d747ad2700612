"""Signals in the store: one object each, named by the time, and the verdict that a check reads from them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from tidemill.runtime.receive.payloads import Signal
from tidemill.runtime.receive.verification import FRESH_SECONDS
from tidemill.runtime.store.objects import ObjectStore

_SEEN: Final = "seen"
_DIGITS: Final = 12
"""Digits of a time in a mark's name, in seconds since 1970."""
MAX_SIGNALS_READ: Final = 500
"""Newest signals that a check looks at; who sends more about different things in one time loses the oldest."""


def keep(store: ObjectStore, folder: str, signal: Signal, valid_for: timedelta) -> None:
    """Put a signal into the store, and take away what no longer counts."""
    digest = hashlib.sha256(signal.model_dump_json().encode()).hexdigest()[:8]
    store.put(f"{folder}/{stamp(signal.received_at)}-{digest}.json", _text(signal))
    last = stamp(signal.received_at - valid_for)
    # Twice as long as a signature is taken: clocks of pods may differ.
    seen = f"{int(signal.received_at.timestamp()) - 2 * FRESH_SECONDS:0{_DIGITS}d}"
    lapsed = []
    for entry in store.list(folder):
        of_mark, name = entry.key.startswith(f"{folder}/{_SEEN}/"), entry.key.rpartition("/")[2]
        if name < (seen if of_mark else last):
            lapsed.append(entry.key)
    store.delete(*lapsed[:1000])


def keep_once(
    store: ObjectStore, folder: str, signal: Signal, valid_for: timedelta, *, signature: str, timestamp: int
) -> bool:
    """Keep a signal that was signed at `timestamp`, in seconds since 1970, unless its signature was seen before; says which.

    Signatures are remembered in the store, so that every pod and every restart knows them, and for as long as they would be
    taken. With the mark goes the signal: where a pod died between the two, a repeated call completes it.
    """
    digest = hashlib.sha256(signature.encode()).hexdigest()
    key = f"{folder}/{_SEEN}/{timestamp:0{_DIGITS}d}-{digest}"
    first = store.create(key, _text(signal))
    keep(store, folder, signal if first else Signal.model_validate_json(store.get(key)), valid_for)
    return first


def _text(signal: Signal) -> bytes:
    return signal.model_dump_json(by_alias=True).encode()


def stamp(timestamp: datetime) -> str:
    """Return a time as the beginning of a name: names sort by time."""
    return timestamp.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%f")
