"""Conditions after the Kubernetes API conventions and kstatus: the state of an object now, and the remedy where one is needed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar, Literal, TypeVar

from pydantic import Field

from tidemill.api.base import Timestamp, WireModel
from tidemill.api.reasons import Reason as Reason

ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(WireModel):
    """One observed state of an object, with its reason and, where something has to be done, the remedy."""

    list_key: ClassVar[str] = "type"

    type: str = Field(pattern="^[A-Z][A-Za-z]*$", max_length=64)
    """Condition type, such as Ready."""
    status: ConditionStatus
    """Condition status: True, False or Unknown."""
    reason: str = Field(pattern="^[A-Z][A-Za-z]*$", max_length=64)
    """CamelCase word for the cause; scripts and alerts may match it."""
    message: str = Field(default="", max_length=2048)
    """One sentence that explains the cause and, where needed, the remedy."""
    last_transition_time: Timestamp
    """Time of the last change of `status`."""
    observed_generation: int = 0
    """Generation of the spec that this condition was computed from."""


Conditions = tuple[Condition, ...]


class Status(WireModel):
    """Status fields that all five kinds share."""

    observed_generation: int = -1
    """Generation of the spec that this status describes; -1 until the operator has seen the object."""
    conditions: tuple[Condition, ...] = Field(default=(), max_length=16)
    """Conditions of the object; Ready summarizes them."""

    def condition(self, type_: str) -> Condition | None:
        """Return the condition of this type, or None where there is none."""
        return find(self.conditions, type_)

    def is_true(self, type_: str) -> bool:
        condition = self.condition(type_)
        return condition is not None and condition.status == "True"


AnyStatus = TypeVar("AnyStatus", bound=Status)


def find(conditions: Iterable[Condition], type_: str) -> Condition | None:
    return next((condition for condition in conditions if condition.type == type_), None)


class PendingCondition(WireModel):
    """A condition that has no transition time yet."""

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
    """Return `pending` as conditions: a condition keeps its time if its status did not change, others begin `now`."""
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
