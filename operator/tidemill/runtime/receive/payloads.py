"""Verdicts of other systems in one form, whatever the sender: the subject, the severity and the message.

Alertmanager's body is its version 4. The others' bodies are written by their users, so several names are known for each
thing; a body without a severity or state is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from tidemill.api.base import Timestamp, WireModel
from tidemill.api.methods import CheckVerdict


class Signal(WireModel):
    """The verdict of another system about one subject."""

    subject: str
    """The subject; a newer signal about the same subject replaces an older one."""
    verdict: CheckVerdict
    message: str = ""
    value: float | None = None
    received_at: Timestamp


class PayloadError(ValueError):
    """A body that says nothing that could be understood."""


_WORDS: Final[dict[str, CheckVerdict]] = {
    **dict.fromkeys(
        ("failing", "failed", "firing", "triggered", "alert", "alerting", "critical", "error", "high", "drift", "open"),
        "Failing",
    ),
    **dict.fromkeys(("warning", "warn", "medium", "low", "info"), "Warning"),
    **dict.fromkeys(("passing", "passed", "ok", "resolved", "cleared", "healthy", "normal", "closed"), "Passing"),
}
_ENDED: Final = frozenset({"resolved", "cleared", "closed", "ok"})
_SUBJECT: Final = {
    "Generic": ("subject", "id", "name"),
    "Arize": ("monitor_id", "monitor_name", "monitor", "subject"),
    "Fiddler": ("alert_rule_id", "alert_id", "alert_name", "rule_name", "subject"),
    "WeightsAndBiases": ("artifact_collection_name", "run_name", "alert_title", "event_type", "subject"),
}
_STATE: Final = ("verdict", "status", "state")
_SEVERITY: Final = ("severity", "level", "priority")
_MESSAGE: Final = ("message", "text", "summary", "description", "title", "alert_text")
_VALUE: Final = ("value", "metric_value", "current_value")


def understand(source: str, body: bytes, received_at: Timestamp) -> Signal:
    """Return the signal in a body of `source`; raises PayloadError."""
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise PayloadError(f"the body is not JSON: {error}") from error
    if not isinstance(payload, dict):
        raise PayloadError("the body is not a JSON object")
    if source == "Alertmanager":
        return _alertmanager(payload, received_at)
    verdict = _verdict(_text(payload, _STATE), _text(payload, _SEVERITY))
    value = next((payload[name] for name in _VALUE if isinstance(payload.get(name), int | float)), None)
    return Signal(
        subject=_text(payload, _SUBJECT[source])[:256] or "everything",
        verdict=verdict,
        message=_text(payload, _MESSAGE)[:512],
        value=None if value is None or isinstance(value, bool) else float(value),
        received_at=received_at,
    )


def _alertmanager(payload: Mapping[str, Any], received_at: Timestamp) -> Signal:
    """A group of alerts: as bad as the worst that fires."""
    listed = payload.get("alerts")
    alerts = [alert for alert in listed if isinstance(alert, dict)] if isinstance(listed, list) else []
    group = str(payload.get("groupKey") or "")
    if payload.get("version", "4") != "4" or not group or not alerts:
        raise PayloadError("the body is not Alertmanager's version 4: groupKey and alerts are needed")
    firing = [alert for alert in alerts if alert.get("status") == "firing"]
    verdicts = [_verdict("firing", str(_of(alert, "labels").get("severity") or "")) for alert in firing]
    verdict: CheckVerdict = "Failing" if "Failing" in verdicts else "Warning" if verdicts else "Passing"
    messages = [
        str(_of(alert, "annotations").get("summary") or _of(alert, "labels").get("alertname") or "an alert")
        for alert in firing or alerts
    ]
    return Signal(
        # A group's key may be long; what identifies it is all of it.
        subject=hashlib.sha256(group.encode()).hexdigest()[:16],
        verdict=verdict,
        message="; ".join(dict.fromkeys(messages))[:512],
        received_at=received_at,
    )


def _verdict(state: str, severity: str) -> CheckVerdict:
    """Return Passing for what has ended, however bad it was; otherwise the severity decides, where one is given.

    >>> _verdict("resolved", "critical"), _verdict("firing", "warning"), _verdict("triggered", "")
    ('Passing', 'Warning', 'Failing')
    """
    state, severity = state.strip().lower(), severity.strip().lower()
    if state in _ENDED:
        return "Passing"
    known = _WORDS.get(severity) if _WORDS.get(state, "Failing") == "Failing" else None
    verdict = known or _WORDS.get(state)
    if verdict is None:
        words = ", ".join(sorted(_WORDS))
        raise PayloadError(f"the body does not say how bad it is: one of {', '.join(_STATE)} must be one of {words}")
    return verdict


def _text(payload: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next(
        (str(payload[name]) for name in names if isinstance(payload.get(name), str | int) and payload[name]), ""
    )


def _of(alert: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = alert.get(name)
    return value if isinstance(value, Mapping) else {}
