"""Signals in the store: one object each, named by the moment, and the verdict that a check reads from them."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import ValidationError

from tidemill.api.checks import Check
from tidemill.api.durations import delta
from tidemill.contract import CheckOrder, CheckOutcome, signal_folder
from tidemill.runtime.monitor.thresholds import worst
from tidemill.runtime.objects import Store
from tidemill.runtime.receive.payloads import Signal

MOST_READ: Final = 500
"""Newest signals that a check looks at; who sends more about different things in one time loses the oldest."""


def keep(store: Store, folder: str, signal: Signal, valid_for: timedelta) -> None:
    """Put a signal into the store, and take those away that no longer count."""
    digest = hashlib.sha256(signal.model_dump_json().encode()).hexdigest()[:8]
    store.put(f"{folder}/{_stamp(signal.received_at)}-{digest}.json", signal.model_dump_json(by_alias=True).encode())
    last = _stamp(signal.received_at - valid_for)
    lapsed = [entry.key for entry in store.list(folder) if entry.key.rpartition("/")[2] < last]
    if lapsed:
        store.delete(*lapsed[:1000])


def first_time(store: Store, folder: str, signature: str) -> bool:
    """Whether a signature was never seen; remembered in the store, so that every pod and every restart knows it."""
    name = hashlib.sha256(signature.encode()).hexdigest()
    return store.create(f"{folder}/seen/{name}", b"")


def judge(check: Check, order: CheckOrder, store: Store) -> CheckOutcome:
    """The worst of the newest signals about each subject that still count at the end of the window."""
    folder = signal_folder(order.namespace, order.monitor, check.name)
    start = order.end - delta(check.valid_for)
    keys = [entry.key for entry in store.list(folder, after=f"{folder}/{_stamp(start)}") if entry.key.endswith(".json")]
    newest: dict[str, Signal] = {}
    for key in keys[-MOST_READ:]:
        try:
            signal = Signal.model_validate_json(store.get(key))
        except (FileNotFoundError, ValidationError):
            continue
        if start < signal.received_at <= order.end:
            newest[signal.subject] = signal
    if not newest:
        message = f"nobody has called in the last {check.valid_for}"
        return CheckOutcome(name=check.name, type=check.type, verdict="NoData", message=message)
    verdict = worst(signal.verdict for signal in newest.values())
    deciding = [signal for signal in newest.values() if signal.verdict == verdict]
    said = "; ".join(dict.fromkeys(signal.message or f"{signal.subject} is {verdict}" for signal in deciding))
    return CheckOutcome(name=check.name, type=check.type, verdict=verdict, value=deciding[-1].value, message=said[:512])


def _stamp(moment: datetime) -> str:
    """A moment as the beginning of a name: names sort as moments do."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%f")
