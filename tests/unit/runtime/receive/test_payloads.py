"""What Alertmanager and others say, in one form."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.runtime.receive.payloads import PayloadError, Signal, understand

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)


def of(source: str, payload: Any) -> Signal:
    return understand(source, json.dumps(payload).encode(), NOW)


def alertmanager(*alerts: tuple[str, str], group: str = '{}:{alertname="Drift"}') -> dict[str, Any]:
    """A body as Alertmanager 0.27 sends it."""
    return {
        "version": "4",
        "groupKey": group,
        "status": "firing",
        "receiver": "tidemill",
        "alerts": [
            {
                "status": status,
                "labels": {"alertname": "Drift", "severity": severity},
                "annotations": {"summary": f"score drifted ({severity})"},
                "startsAt": "2026-01-05T08:00:00Z",
                "fingerprint": "c0ffee",
            }
            for status, severity in alerts
        ],
    }


PAYLOADS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a critical alert": ("Failing", "Alertmanager", alertmanager(("firing", "critical"))),
    "an alert without severity": ("Failing", "Alertmanager", alertmanager(("firing", ""))),
    "a warning": ("Warning", "Alertmanager", alertmanager(("firing", "warning"))),
    "the worst of a group": ("Failing", "Alertmanager", alertmanager(("firing", "warning"), ("firing", "critical"))),
    "a group of which the critical one ended": (
        "Warning",
        "Alertmanager",
        alertmanager(("firing", "warning"), ("resolved", "critical")),
    ),
    "a group that ended": ("Passing", "Alertmanager", alertmanager(("resolved", "critical"))),
    "a triggered monitor of Arize": (
        "Failing",
        "Arize",
        {"monitor_name": "psi amount", "status": "triggered", "metric_value": 0.4},
    ),
    "a cleared one": ("Passing", "Arize", {"monitor_name": "psi amount", "status": "cleared"}),
    "an alert of Fiddler": ("Warning", "Fiddler", {"alert_name": "drift", "severity": "WARNING", "message": "m"}),
    "an automation of Weights & Biases": (
        "Failing",
        "WeightsAndBiases",
        {"artifact_collection_name": "fraud", "artifact_version_string": "fraud:v3", "status": "alert"},
    ),
    "a plain verdict": ("Failing", "Generic", {"verdict": "Failing", "message": "by hand", "value": 3}),
    "a state with a severity": ("Warning", "Generic", {"status": "firing", "severity": "warning"}),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_is_understood(name: str) -> None:
    verdict, source, payload = PAYLOADS[name]

    assert verdict == of(source, payload).verdict


def test_two_groups_are_about_two_things() -> None:
    first, second = (of("Alertmanager", alertmanager(("firing", ""), group=group)) for group in ("a", "b"))

    assert first.subject != second.subject


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b'{"status": "so-so"}', b'{"verdict": 5}', b"\xff\xfe", b"[" * 5000]
)
@pytest.mark.parametrize("source", ["Generic", "Alertmanager", "Arize"])
def test_what_says_nothing_is_refused(source: str, body: bytes) -> None:
    with pytest.raises(PayloadError):
        understand(source, body, NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
FIELDS = st.sampled_from(
    ["status", "verdict", "severity", "value", "subject", "message", "alerts", "groupKey", "version"]
)


@given(
    st.sampled_from(["Generic", "Alertmanager", "Arize", "Fiddler", "WeightsAndBiases"]), st.dictionaries(FIELDS, JSON)
)
def test_no_body_does_more_than_be_refused(source: str, payload: dict[str, Any]) -> None:
    try:
        result = of(source, payload)
    except PayloadError:
        return
    assert result.verdict in {"Passing", "Warning", "Failing"}
    assert len(result.message) <= 512
