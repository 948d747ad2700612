"""The audit log as ground truth."""

import json
from pathlib import Path

from cluster import audit, components

ENTRY = {
    "verb": "patch",
    "user": {"username": "system:serviceaccount:tidemill:controller"},
    "objectRef": {"apiGroup": "tidemill.dev", "resource": "trainingjobs", "namespace": "default", "name": "iris"},
    "responseStatus": {"code": 200},
    "requestObject": {"spec": {}},
}


def test_an_event_says_who_did_what_to_which_object(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(json.dumps(ENTRY) + "\n")

    (event,) = audit.read(log)

    assert ("patch", "tidemill.dev", "trainingjobs", "iris", 200) == (
        event.verb,
        event.group,
        event.resource,
        event.name,
        event.code,
    )
    assert {"spec": {}} == event.request


def test_a_line_that_is_still_being_written_is_left_for_later(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(json.dumps(ENTRY) + "\n" + '{"verb": "upd')

    assert 1 == len(audit.read(log))


def test_before_the_first_request_there_are_no_events(tmp_path: Path) -> None:
    assert [] == audit.read(tmp_path / "audit.log")


def test_bodies_are_kept_for_our_own_kinds() -> None:
    first, *others = components.AUDIT_POLICY["rules"]

    assert ("RequestResponse", [{"group": "tidemill.dev"}]) == (first["level"], first["resources"])
    assert "RequestResponse" not in [rule["level"] for rule in others]
