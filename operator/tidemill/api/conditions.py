"""Conditions after the Kubernetes API conventions and kstatus: what is true about an object now, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar, Literal, TypeVar

from pydantic import Field

from tidemill.api.base import Moment, WireModel
from tidemill.api.reasons import Reason as Reason

ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(WireModel):
    """One thing that is or is not true of an object, with its reason and, where something is to be done, the remedy."""

    list_key: ClassVar[str] = "type"

    type: str = Field(pattern="^[A-Z][A-Za-z]*$", max_length=64)
    """What the condition is about, such as Ready."""
    status: ConditionStatus
    """True, False or Unknown."""
    reason: str = Field(pattern="^[A-Z][A-Za-z]*$", max_length=64)
    """A stable word for the cause."""
    message: str = Field(default="", max_length=2048)
    """The cause in a sentence, and the remedy."""
    last_transition_time: Moment
    """When `status` last changed."""
    observed_generation: int = 0
    """The generation of the spec that this was said of."""


Conditions = tuple[Condition, ...]


class Status(WireModel):
    """What all kinds report."""

    observed_generation: int = -1
    """The generation of the spec that this status speaks of; -1 until the operator has seen the object."""
    conditions: tuple[Condition, ...] = Field(default=(), max_length=16)
    """What is true of the object now; Ready sums it up."""

    def condition(self, type_: str) -> Condition | None:
        """The condition of this type, or None where nothing is said."""
        return find(self.conditions, type_)

    def is_true(self, type_: str) -> bool:
        found = self.condition(type_)
        return found is not None and found.status == "True"


AnyStatus = TypeVar("AnyStatus", bound=Status)


def find(conditions: Iterable[Condition], type_: str) -> Condition | None:
    return next((condition for condition in conditions if condition.type == type_), None)


class PendingCondition(WireModel):
    """A condition before it is known when it began."""

    type: str
    status: ConditionStatus
    reason: str
    message: str = ""


def true(type_: str, reason: str, message: str = "") -> PendingCondition:
    return PendingCondition(type=type_, status="True", reason=reason, message=message)


def false(type_: str, reason: str, message: str = "") -> PendingCondition:
    return PendingCondition(type=type_, status="False", reason=reason, message=message)


def unknown(type_: str, reason: str, message: str = "") -> PendingCondition:
    return PendingCondition(type=type_, status="Unknown", reason=reason, message=message)


def merge_conditions(
    before: Conditions, pending: Iterable[PendingCondition], *, generation: int, now: datetime
) -> Conditions:
    """Return the pending conditions with their times: a condition whose status did not change keeps its time, and one that
    is not pending is gone.
    """
    merged = []
    for condition in pending:
        earlier = find(before, condition.type)
        since = earlier.last_transition_time if earlier and earlier.status == condition.status else now
        merged.append(
            Condition(
                type=condition.type,
                status=condition.status,
                reason=condition.reason,
                message=condition.message[:2048],
                last_transition_time=since.replace(microsecond=0),
                observed_generation=generation,
            )
        )
    return tuple(merged)
