"""Compute status patches, and the status of an object whose plan failed or whose spec is invalid."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from tidemill.api.base import to_rfc3339
from tidemill.api.conditions import PendingCondition, Status, false, merge_conditions, true

AnyStatus = TypeVar("AnyStatus", bound=Status)


def merge_patch(live: Any, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the smallest JSON merge patch (RFC 7386) that turns `live` into exactly `wanted`.

    >>> merge_patch({"rows": 1, "old": True, "same": [1]}, {"rows": 2, "same": [1]})
    {'rows': 2, 'old': None}
    """
    known = live if isinstance(live, Mapping) else {}
    patch: dict[str, Any] = {}
    for name, value in wanted.items():
        before = known.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            nested = merge_patch(before, value)
            if nested:
                patch[name] = nested
        elif not same(before, value):
            patch[name] = value
    for name in known:
        if name not in wanted:
            patch[name] = None
    return patch


def same(live: Any, wanted: Any) -> bool:
    """Return whether two values are equal to the API server, which keeps numbers as doubles.

    >>> same([1], [1.0]), same(9223372036854776000, 9.223372036854775808e18), same(1, True)
    (True, True, False)
    """
    if isinstance(live, bool) or isinstance(wanted, bool):
        return live is wanted
    if isinstance(live, Mapping) and isinstance(wanted, Mapping):
        return live.keys() == wanted.keys() and all(same(live[name], wanted[name]) for name in wanted)
    if isinstance(live, list | tuple) and isinstance(wanted, list | tuple):
        return len(live) == len(wanted) and all(map(same, live, wanted))
    if isinstance(live, float) or isinstance(wanted, float):
        return isinstance(live, int | float) and isinstance(wanted, int | float) and float(live) == float(wanted)
    return bool(live == wanted)


def with_failure(before: AnyStatus, reason: str, message: str, *, generation: int, now: datetime) -> AnyStatus:
    """Return the status as it was, but not ready and stalled, because the plan could not be applied.

    Not the status of the plan: it records writes that were not made, and what is recorded is never done again.
    """
    others = [
        PendingCondition(type=kept.type, status=kept.status, reason=kept.reason, message=kept.message)
        for kept in before.conditions
        if kept.type not in ("Ready", "Stalled", "Reconciling")
    ]
    pending = [false("Ready", reason, message), true("Stalled", reason, message), *others]
    conditions = merge_conditions(before.conditions, pending, generation=generation, now=now)
    return before.model_copy(update={"conditions": conditions, "observed_generation": generation})


def invalid(live: Mapping[str, Any], reason: str, message: str, now: datetime) -> dict[str, Any]:
    """Return the fields of the status of an object that does not parse, as plain JSON."""
    metadata = live.get("metadata")
    generation = metadata.get("generation", 0) if isinstance(metadata, Mapping) else 0
    status = live.get("status")
    before = status.get("conditions") if isinstance(status, Mapping) else None
    known = {item.get("type"): item for item in before if isinstance(item, Mapping)} if isinstance(before, list) else {}
    conditions = []
    for pending in (false("Ready", reason, message), true("Stalled", reason, message)):
        earlier = known.get(pending.type, {})
        since = earlier.get("lastTransitionTime") if earlier.get("status") == pending.status else None
        conditions.append(
            {
                "type": pending.type,
                "status": pending.status,
                "reason": pending.reason,
                "message": pending.message[:2048],
                "lastTransitionTime": since if isinstance(since, str) else to_rfc3339(now),
                "observedGeneration": generation,
            }
        )
    return {"observedGeneration": generation, "conditions": conditions}
