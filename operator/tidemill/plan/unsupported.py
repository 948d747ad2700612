"""Refuse an object that asks for something this version does not do yet, with a `Stalled` condition that names the field.

Every planner asks here before it decides anything. A refusal starts nothing new and takes nothing away: revisions stay in
use, a service goes on answering, and without the field the object is planned as ever.
"""

from __future__ import annotations

from collections.abc import Sequence

from tidemill.api import AnyResource
from tidemill.api.conditions import PendingCondition, Reason, Status, false, true
from tidemill.api.unsupported import LIMITS
from tidemill.plan.types import Notice


def refusal(resource: AnyResource) -> tuple[PendingCondition, ...]:
    """Return the conditions of an object that asks for something unsupported; empty where all of it is supported."""
    hits = [limit for limit in LIMITS[resource.kind_name] if limit.is_set(resource.spec)]
    if not hits:
        return ()
    message = ". ".join(hit.message for hit in hits)
    return false("Ready", Reason.UNSUPPORTED, message), true("Stalled", Reason.UNSUPPORTED, message)


def with_refusal(
    refused: tuple[PendingCondition, ...], conditions: Sequence[PendingCondition]
) -> list[PendingCondition]:
    """Return `conditions` with the refusal in place of those that sum the object up."""
    summary = {"Ready", "Reconciling", "Stalled"}
    if not refused:
        return list(conditions)
    return [*refused, *(condition for condition in conditions if condition.type not in summary)]


def notices(before: Status, refused: tuple[PendingCondition, ...]) -> tuple[Notice, ...]:
    """Return an Event when the refusal is new."""
    ready = before.condition("Ready")
    if not refused or (ready is not None and ready.message == refused[0].message):
        return ()
    return (Notice(Reason.UNSUPPORTED, refused[0].message, "Warning"),)
