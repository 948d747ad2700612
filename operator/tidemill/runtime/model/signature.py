"""The inputs and outputs of a model: features in order, their categories, and the classes it answers with.

A model works on one matrix of floats. Numbers stand for themselves; a category stands for its index in `categories`;
a missing value is NaN, a category that training never saw is -1.

Plain dataclasses: a server reads one of these before its first answer, and pydantic alone would take longer than the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from tidemill.api.base import Scalar

TASKS: Final = ("Classification", "Regression")
TYPES: Final = ("Numerical", "Categorical")


@dataclass(frozen=True, slots=True)
class Feature:
    """A column that the model takes."""

    name: str
    type: Literal["Numerical", "Categorical"]
    categories: tuple[str, ...] = ()
    minimum: float | None = None
    """Smallest value in training, for numerical features."""
    maximum: float | None = None
    importance: float = 0.0
    """Permutation importance on the hold-out, scaled so that all features sum to 1; 0 where none was measured."""

    def model_copy(self, *, update: Mapping[str, Any]) -> Feature:
        """This feature with other values."""
        return replace(self, **update)

    def to_wire(self) -> dict[str, Any]:
        """As JSON types, without what is not known."""
        fields = {
            "name": self.name,
            "type": self.type,
            "categories": list(self.categories),
            "minimum": self.minimum,
            "maximum": self.maximum,
            "importance": self.importance,
        }
        return {name: value for name, value in fields.items() if value is not None}

    @classmethod
    def from_wire(cls, wire: Any) -> Feature:
        """Return what `to_wire` gave; raises ValueError where it is anything else."""
        categories = _of(list, wire, "categories", [])
        if not all(isinstance(category, str) for category in categories):
            raise ValueError("categories: must be strings")
        return cls(
            name=_of(str, wire, "name"),
            type=_one_of(TYPES, wire, "type"),
            categories=tuple(categories),
            minimum=_number(wire, "minimum", None),
            maximum=_number(wire, "maximum", None),
            importance=_number(wire, "importance", 0.0) or 0.0,
        )


@dataclass(frozen=True, slots=True)
class Signature:
    """The features in the order of the matrix, and what comes out."""

    task: Literal["Classification", "Regression"]
    features: tuple[Feature, ...]
    target: str
    classes: tuple[Scalar, ...] = ()
    """For classification: the labels, in the order of the probabilities."""
    target_spread: float = 0.0
    """For regression: standard deviation of the hold-out's target."""
    target_mean: float | None = None
    """For regression: mean of the hold-out's target; None in versions of earlier releases."""
    gives_probabilities: bool = True
    """For classification: whether an answer carries a probability for each class."""
    takes_missing: bool = True
    """True where a row with a missing value is answered; otherwise it is refused."""
    protected: tuple[Feature, ...] = ()
    """Columns that the model never takes. Clients may send them next to the features, and they are logged to tell groups apart."""

    def model_copy(self, *, update: Mapping[str, Any]) -> Signature:
        """This signature with other values."""
        return replace(self, **update)

    def to_wire(self) -> dict[str, Any]:
        """As JSON types."""
        optional: dict[str, Any] = {} if self.target_mean is None else {"targetMean": self.target_mean}
        if self.protected:
            optional["protected"] = [column.to_wire() for column in self.protected]
        return {
            "task": self.task,
            "features": [feature.to_wire() for feature in self.features],
            "target": self.target,
            "classes": list(self.classes),
            "targetSpread": self.target_spread,
            "givesProbabilities": self.gives_probabilities,
            "takesMissing": self.takes_missing,
            **optional,
        }

    @classmethod
    def from_wire(cls, wire: Any) -> Signature:
        """Return what `to_wire` gave; raises ValueError where it is anything else."""
        classes = _of(list, wire, "classes", [])
        if not all(isinstance(label, (str, int, float)) for label in classes):
            raise ValueError("classes: must be strings, numbers or booleans")
        return cls(
            task=_one_of(TASKS, wire, "task"),
            features=tuple(Feature.from_wire(feature) for feature in _of(list, wire, "features")),
            target=_of(str, wire, "target"),
            classes=tuple(classes),
            target_spread=_number(wire, "targetSpread", 0.0) or 0.0,
            target_mean=_number(wire, "targetMean", None),
            gives_probabilities=_of(bool, wire, "givesProbabilities", True),
            takes_missing=_of(bool, wire, "takesMissing", True),
            protected=tuple(Feature.from_wire(column) for column in _of(list, wire, "protected", [])),
        )

    @classmethod
    def from_json(cls, text: bytes) -> Signature:
        """The signature in a version's folder; raises ValueError where it is none."""
        return cls.from_wire(json.loads(text))


_MISSING: Final = object()


def _of(kind: type, wire: Any, name: str, otherwise: Any = _MISSING) -> Any:
    if not isinstance(wire, dict):
        raise ValueError("must be a JSON object")  # noqa: TRY004 - one error for all that a file may be
    value = wire.get(name, otherwise)
    if not isinstance(value, kind):
        raise ValueError(f"{name}: must be of type {kind.__name__}")  # noqa: TRY004 - as above
    return value


def _one_of(words: tuple[str, ...], wire: Any, name: str) -> Any:
    if (value := _of(str, wire, name)) not in words:
        raise ValueError(f"{name}: must be one of {', '.join(words)}")
    return value


def _number(wire: dict[str, Any], name: str, otherwise: float | None) -> float | None:
    value = wire.get(name, otherwise)
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise ValueError(f"{name}: must be a number")
    return value


Task = Literal["Classification", "Regression"]
