"""What the schemas accept and this version does not do yet: said in a `Stalled` condition, never passed over in silence.

Every planner asks here before it decides anything. A hit starts nothing new and takes nothing away: revisions stay in
use, a service goes on answering, and without the field the object is planned as ever. A feature that arrives takes its
row out of the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tidemill.api import AnyResource, Dataset, DriftMonitor, InferenceService, ModelVersion, TrainingJob
from tidemill.api.conditions import Reason, Said, Status, false, true
from tidemill.plan.plan import Notice


@dataclass(frozen=True, slots=True)
class Limit:
    """One field that is accepted and not acted on yet."""

    path: str
    """Where it stands, as a user writes it."""
    is_asked: Callable[[Any], bool]
    """Whether a spec asks for it."""
    remedy: str
    """What to do instead; completes the sentence `this version does not act on the field yet; …`."""
    example: dict[str, Any] = field(default_factory=dict)
    """Fields of a spec that ask for it, laid over any that does not; None takes a field away."""


LIMITS: Final[dict[str, tuple[Limit, ...]]] = {
    Dataset.kind_name: (),
    TrainingJob.kind_name: (),
    ModelVersion.kind_name: (),
    InferenceService.kind_name: (),
    DriftMonitor.kind_name: (),
}


def refusal(resource: AnyResource) -> tuple[Said, ...]:
    """What is said of an object that asks for something this version does not do; nothing where all of it is done."""
    hits = [limit for limit in LIMITS[resource.kind_name] if limit.is_asked(resource.spec)]
    if not hits:
        return ()
    message = "; ".join(f"this version does not act on {hit.path} yet: {hit.remedy}" for hit in hits)
    return false("Ready", Reason.UNSUPPORTED, message), true("Stalled", Reason.UNSUPPORTED, message)


def instead(refused: tuple[Said, ...], said: list[Said]) -> list[Said]:
    """What else is true of the object, with the refusal in place of whatever sums it up."""
    summary = {"Ready", "Reconciling", "Stalled"}
    return [*refused, *(statement for statement in said if statement.type not in summary)] if refused else said


def notices(before: Status, refused: tuple[Said, ...]) -> tuple[Notice, ...]:
    """An Event when the refusal is new."""
    ready = before.condition("Ready")
    if not refused or (ready is not None and ready.message == refused[0].message):
        return ()
    return (Notice(Reason.UNSUPPORTED, refused[0].message, "Warning"),)
