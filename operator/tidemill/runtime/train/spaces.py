"""The search space: for each parameter an interval from 0 to 1, or a handful of values.

A point of a space has one number for each parameter: its position in the interval, or the index of its choice. Samplers
work with points; only this module knows what they mean to an estimator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tidemill.api.base import Parameter
from tidemill.api.tuning import Interval, PositiveInterval, TunedParameter
from tidemill.runtime.failures import InvalidParameters

Point = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Way:
    """Numbers between two bounds, even or by orders of magnitude.

    >>> Way("C", 0.01, 100.0, logarithmic=True).at(0.5)
    1.0
    >>> [Way("depth", 1, 3, whole=True).at(position) for position in (0.0, 0.3, 0.5, 1.0)]
    [1, 1, 2, 3]
    """

    name: str
    low: float
    high: float
    logarithmic: bool = False
    whole: bool = False

    def at(self, position: float) -> float:
        """Return the value at `position`, from 0 to 1; fractions have six digits, which is as many as anybody tunes."""
        low, high = self._edges
        value = low * (high / low) ** position if self.logarithmic else low + position * (high - low)
        if self.whole:
            return int(min(max(math.floor(value + 0.5), self.low), self.high))
        return min(max(float(f"{value:.6g}"), self.low), self.high)

    def snapped(self, position: float) -> float:
        """Return the same position for every position with the same whole number."""
        return self._position_of(self.at(position)) if self.whole else position

    def positions(self, count: int) -> tuple[float, ...]:
        """Return at most `count` positions, evenly from one end to the other, each with another value."""
        if not self.whole:
            return tuple(position / (count - 1) for position in range(count)) if count > 1 else (0.5,)
        numbers = self.high - self.low + 1
        if numbers <= count:
            return tuple(self._position_of(self.low + step) for step in range(int(numbers)))
        distinct = {self.at(position / (count - 1) if count > 1 else 0.5): None for position in range(count)}
        return tuple(self._position_of(value) for value in distinct)

    @property
    def _edges(self) -> tuple[float, float]:
        """Whole numbers reach half a step beyond their bounds, so that the bounds are as likely as any other."""
        return (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)

    def _position_of(self, value: float) -> float:
        low, high = self._edges
        if self.logarithmic:
            return math.log(value / low) / math.log(high / low)
        return (value - low) / (high - low)


@dataclass(frozen=True, slots=True)
class Choice:
    """A few values without order."""

    name: str
    values: tuple[Parameter, ...]

    def at(self, index: float) -> Parameter:
        """Return the value at `index`, counted from 0."""
        return self.values[int(index)]

    def snapped(self, index: float) -> float:
        """Return the index itself: no two choices are the same."""
        return index

    def positions(self, count: int) -> tuple[float, ...]:
        """Return all indices: values without order cannot be thinned out, whatever the `count`."""
        return tuple(float(index) for index in range(len(self.values)))


Axis = Way | Choice


def axes(parameters: Sequence[TunedParameter]) -> tuple[Axis, ...]:
    """Return the axes of the search space; raises InvalidParameters for an interval without a whole number."""
    return tuple(_axis(parameter) for parameter in parameters)


def values(space: Sequence[Axis], point: Point) -> dict[str, Parameter]:
    """The parameters at a point."""
    return {axis.name: axis.at(position) for axis, position in zip(space, point, strict=True)}


def _axis(parameter: TunedParameter) -> Axis:
    match parameter.search_space:
        case space if space.categorical is not None:
            return Choice(parameter.name, space.categorical.choices)
        case space if space.log_uniform is not None:
            return _way(parameter.name, space.log_uniform)
        case space if space.uniform is not None:
            return _way(parameter.name, space.uniform)
    raise InvalidParameters(
        f"spec.tuning.parameters has no search space for {parameter.name!r}; set uniform, logUniform or categorical"
    )


def _way(name: str, between: Interval | PositiveInterval) -> Way:
    logarithmic = isinstance(between, PositiveInterval)
    if between.type == "Float":
        return Way(name, between.min, between.max, logarithmic)
    low, high = math.ceil(between.min), math.floor(between.max)
    if low > high:
        raise InvalidParameters(
            f"there is no whole number from {between.min:g} to {between.max:g}; correct the search space of {name!r} in spec.tuning.parameters"
        )
    return Way(name, low, high, logarithmic, whole=True)
