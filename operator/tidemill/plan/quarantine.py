"""Read the quarantine of a ModelVersion: a person excludes it from all services, with an annotation that says who and why."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tidemill.api import ModelVersion
from tidemill.children import names


@dataclass(frozen=True, slots=True)
class PersonQuarantine:
    """The user who set a quarantine, and the explanation."""

    user: str
    message: str

    def __str__(self) -> str:
        by = f"quarantined by {self.user}" if self.user else "quarantined"
        return f"{by}: {self.message}" if self.message else by


def quarantine_of(version: ModelVersion) -> PersonQuarantine | None:
    """Return the quarantine of `version`; None without one, and for the mark of an earlier release's rollout.

    Without a user the version is quarantined too: a word too few must not serve a version that a person took out.
    """
    text = version.metadata.annotations.get(names.QUARANTINE, "").strip()
    if not text or is_rollout_mark(text):
        return None
    user, separator, message = text.partition(": ")
    return PersonQuarantine(user, message.strip()) if separator else PersonQuarantine("", text)


def how_to_lift(version: ModelVersion) -> str:
    """Return how a user ends the quarantine of `version`."""
    return f"run kubectl tidemill lift {version.name} to lift the quarantine"


def is_rollout_mark(text: str) -> bool:
    """Return whether the annotation was written by a rollout of a release that rejected a version for all services.

    >>> is_rollout_mark('{"reason": "errors", "message": "0.2 is above 0.01", "since": "2026-01-05T09:00:00Z"}')
    True
    >>> is_rollout_mark("ann: trained on leaked labels")
    False
    """
    try:
        mark = json.loads(text)
    except ValueError:
        return False
    return isinstance(mark, dict) and {"reason", "since"} <= mark.keys()
