"""External checks: verdicts on the signals that other systems sent."""

from __future__ import annotations

from pydantic import ValidationError

from tidemill.api.checks import Check
from tidemill.api.durations import delta
from tidemill.contract.layout import signal_folder
from tidemill.contract.orders import CheckOrder
from tidemill.contract.reports import CheckOutcome
from tidemill.runtime.receive.payloads import Signal
from tidemill.runtime.receive.signals import MAX_SIGNALS_READ, stamp
from tidemill.runtime.scoring.verdicts import worst
from tidemill.runtime.store.objects import ObjectStore


def judge(check: Check, order: CheckOrder, store: ObjectStore) -> CheckOutcome:
    """Return the worst of the newest signals about each subject that still count at the end of the window."""
    folder = signal_folder(order.namespace, order.monitor, check.name)
    start = order.end - delta(check.valid_for)
    keys = [entry.key for entry in store.list(folder, after=f"{folder}/{stamp(start)}") if entry.key.endswith(".json")]
    newest: dict[str, Signal] = {}
    for key in keys[-MAX_SIGNALS_READ:]:
        try:
            signal = Signal.model_validate_json(store.get(key))
        except (FileNotFoundError, ValidationError):
            continue
        if start < signal.received_at <= order.end:
            newest[signal.subject] = signal
    if not newest:
        message = f"no signal was received in the last {check.valid_for}; check the sender"
        return CheckOutcome(name=check.name, type=check.type, verdict="NoData", message=message)
    verdict = worst(signal.verdict for signal in newest.values())
    deciding = [signal for signal in newest.values() if signal.verdict == verdict]
    message = "; ".join(dict.fromkeys(signal.message or f"{signal.subject} is {verdict}" for signal in deciding))
    return CheckOutcome(
        name=check.name, type=check.type, verdict=verdict, value=deciding[-1].value, message=message[:512]
    )
