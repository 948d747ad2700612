"""Describe the columns of a revision: name, role and type of each, and the rule that holds rows out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from pydantic import Field

from tidemill.api.base import WireModel
from tidemill.api.dataset import Role
from tidemill.runtime.failures import SchemaMismatch

FILE: Final = "schema.json"
HOLDOUT: Final = "tidemill:holdout"
"""The boolean column of a revision that says which rows training never sees."""

Type = Literal["Numerical", "Categorical", "Other"]


class Column(WireModel):
    """A column of a revision."""

    name: str
    role: Role
    type: Type
    """Numerical is float64 and Categorical is text, with null for a missing value; targets keep their own type; Other is as it came."""


class SplitRule(WireModel):
    """The rule that holds rows out: a row whose hash lies below the threshold of its class is, in this and every later revision."""

    strategy: Literal["Random", "Stratified", "Group"]
    test: float
    seed: int
    keys: tuple[str, ...]
    """The columns that make a row what it is; later ones do not move it."""
    thresholds: dict[str, float] = Field(default_factory=dict)
    """By class; the empty name stands for all others."""


class Schema(WireModel):
    """The columns of a revision, in order."""

    format: Literal["tidemill.dev/schema/v1"] = "tidemill.dev/schema/v1"
    columns: tuple[Column, ...]
    target: str = ""
    split: SplitRule

    @property
    def features(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.role == "Feature")

    @property
    def protected(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.role == "Protected")


def compare(before: Sequence[Column], after: Sequence[Column], evolution: str) -> None:
    """Raises SchemaMismatch where `after` changes more than `evolution` allows."""
    if evolution == "Any":
        return
    old, new = {column.name: column for column in before}, {column.name: column for column in after}
    changes = [f"{name!r} is gone" for name in old if name not in new]
    changes += [
        f"{name!r} was {_describe(old[name])} and is {_describe(new[name])}"
        for name in old
        if name in new and old[name] != new[name]
    ]
    if evolution == "Strict":
        changes += [f"{name!r} is new" for name in new if name not in old]
    if changes:
        more = f" and {len(changes) - 5} more" if len(changes) > 5 else ""
        raise SchemaMismatch(
            f"the columns changed more than spec.evolution {evolution} allows: {'; '.join(changes[:5])}{more}; fix the source, or set spec.evolution to Any"
        )


def _describe(column: Column) -> str:
    return f"{column.role} {column.type}"
