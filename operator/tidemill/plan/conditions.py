"""Write conditions into a status, with the generation that was planned."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from tidemill.api import AnyResource
from tidemill.api.conditions import AnyStatus, PendingCondition, merge_conditions


def with_conditions(
    resource: AnyResource, status: AnyStatus, conditions: Iterable[PendingCondition], now: datetime
) -> AnyStatus:
    """Return `status` with exactly these conditions, as observed of the resource's current generation."""
    generation = resource.metadata.generation
    merged = merge_conditions(resource.status.conditions, conditions, generation=generation, now=now)
    return status.model_copy(update={"observed_generation": generation, "conditions": merged})


def repeated(conditions: Iterable[PendingCondition]) -> list[PendingCondition]:
    """Return conditions of a status as they are to be written again."""
    return [
        PendingCondition(
            type=condition.type, status=condition.status, reason=condition.reason, message=condition.message
        )
        for condition in conditions
    ]
