"""Pictures: where everything stands in a chart. The templates draw it as SVG, with its numbers in a table beneath.

A chart is laid out for a column as wide as a phone; in wider ones it is scaled up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from tidemill.contract.numbers import distinct, number

WIDTH: Final = 350
HEIGHT: Final = 190
_RIGHT, _BOTTOM = 8, 26
_TOP = 10
_TOP_LEGEND = 26
_CHARACTER: Final = 7.4
"""The width of a digit of the pictures' texts in the widest of the usual fonts."""
_MAX_LEVELS: Final = 4
"""Lines of the scale above the floor."""
_MAX_NAME: Final = 9
"""Characters of a category's name under its bar."""
_MAX_NAMES: Final = 8
_MAX_TICK: Final = 6
"""Characters of a number under the floor; five of them stand side by side."""
_MAX_DIGITS: Final = 17

Shape = Literal["dot", "triangle", "cross", "dash"]
Anchor = Literal["start", "middle", "end"]


class Level(NamedTuple):
    """A line of the scale at the left."""

    y: float
    text: str


class Tick(NamedTuple):
    """A text under the floor."""

    x: float
    text: str
    anchor: Anchor


class Bar(NamedTuple):
    """A filled bar on the floor."""

    x: float
    y: float
    width: float
    height: float


class PlottedMark(NamedTuple):
    """A point of a timeline."""

    x: float
    y: float
    shape: Shape
    colour: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture, in units of its view box."""

    title: str
    description: str
    """What it shows, for a reader who does not see it."""
    left: float
    levels: tuple[Level, ...]
    ticks: tuple[Tick, ...]
    bars: tuple[Bar, ...] = ()
    outline: str = ""
    """The path of the second side."""
    legend: bool = False
    marks: tuple[PlottedMark, ...] = ()
    note: str = ""
    """What the texts under the floor are counted in and from, where that is not said by themselves."""
    limit: float | None = None
    """Where the dashed line lies."""
    handovers: tuple[float, ...] = ()
    """Where dotted upright lines stand."""
    width: int = WIDTH
    height: int = HEIGHT
    right: float = WIDTH - _RIGHT
    top: float = _TOP
    floor: float = HEIGHT - _BOTTOM


class Position(NamedTuple):
    """A text on the axis, by its place from 0 to 1."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class AxisTexts:
    """The texts on an axis, and a sentence on what they are counted in and from; it is empty where they are the values."""

    positions: tuple[Position, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Shares or numbers of rows per stretch of values or per category, on one side or on two."""

    names: tuple[str, ...]
    before: tuple[float, ...]
    after: tuple[float, ...] = ()
    """Of the second side; empty where there is one alone."""
    axis: AxisTexts = AxisTexts()
    beyond: str = ""
    """What the picture leaves out."""


def bars(title: str, description: str, shown: Distribution, *, percent: bool = False) -> Chart:
    """Lay the bars out, those of a second side as an outline."""
    scale = _levels(0.0, max((*shown.before, *shown.after, 0.0)))
    texts = [f"{level:.0%}" if percent else number(level) for level in scale]
    if percent and len(set(texts)) < len(texts):
        texts = [f"{level:.2%}" for level in scale]
    left = _margin(texts)
    floor, width = HEIGHT - _BOTTOM, WIDTH - _RIGHT - left
    top = _TOP_LEGEND if shown.after else _TOP
    slot = width / max(1, len(shown.names))

    def y(value: float) -> float:
        return round(floor - (floor - top) * value / scale[-1], 1)

    path = f"M{left:.1f} {floor:.1f}" + "".join(
        f"V{y(value):.1f}H{left + slot * (index + 1):.1f}" for index, value in enumerate(shown.after)
    )
    gap = min(2.0, slot / 4)
    return Chart(
        title,
        description,
        left,
        tuple(Level(y(level), text) for level, text in zip(scale, texts, strict=True)),
        tuple(
            Tick(round(left + width * at, 1), text, "start" if at == 0 else "end" if at == 1 else "middle")
            for at, text in _fitting(shown.axis.positions, width)
        ),
        tuple(
            Bar(round(left + slot * index + gap / 2, 1), y(value), round(slot - gap, 1), round(floor - y(value), 1))
            for index, value in enumerate(shown.before)
        ),
        outline=f"{path}V{floor:.1f}" if shown.after else "",
        legend=bool(shown.after),
        note=shown.axis.note,
    )


def named(names: Sequence[str]) -> AxisTexts:
    """Return the names of categories under the middle of their bars; where there are too many, those of the first and the last bar."""
    short = [name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…" for name in names]
    if len(names) > _MAX_NAMES:
        return AxisTexts((Position(0, short[0]), Position(1, short[-1])))
    return AxisTexts(tuple(Position((index + 0.5) / len(names), name) for index, name in enumerate(short)))


def axis(values: Sequence[float]) -> AxisTexts:
    """Return the numbers as texts at even distances, the first and the last at the ends.

    >>> axis([0.0, 0.5, 1.0]).positions
    (Position(at=0.0, text='0'), Position(at=0.5, text='0.5'), Position(at=1.0, text='1'))
    >>> [text for _, text in axis([1e9, 1e9 + 2e-6, 1e9 + 4e-6]).positions]
    ['+0', '+2.03', '+4.05']
    """
    last = max(1, len(values) - 1)
    return _axis(values, [index / last for index in range(len(values))])


def marked(values: Sequence[float]) -> AxisTexts:
    """Return the numbers as texts, each under the middle of the bar that is its own.

    >>> marked([10.0, 20.0]).positions
    (Position(at=0.25, text='10'), Position(at=0.75, text='20'))
    """
    return _axis(values, [(index + 0.5) / len(values) for index in range(len(values))])


def _axis(values: Sequence[float], ticks: Sequence[float]) -> AxisTexts:
    """Return the numbers in full where they are short, else in units of a power of 1,000, else as distances from the first."""
    texts, note = distinct(values), ""
    if max(map(len, texts), default=0) > _MAX_TICK:
        size = max(map(abs, values))
        unit, scaled = _scaled(values, size)
        if max(map(len, scaled)) <= _MAX_TICK and len(set(scaled)) == len(set(texts)):
            texts, note = scaled, f"The axis is in units of {number(unit)}."
        elif values[0] != values[-1]:
            extent = values[-1] - values[0]
            unit, scaled = _scaled([value - values[0] for value in values], extent)
            texts = tuple(f"+{text}" for text in scaled)
            digits = math.ceil(math.log10(size) - math.log10(abs(extent))) + 3
            note = f"The axis shows the distance from {number(values[0], min(max(digits, 3), _MAX_DIGITS))}"
            note += "." if unit == 1 else f" in units of {number(unit)}."
    return AxisTexts(tuple(Position(at, text) for at, text in zip(ticks, texts, strict=True)), note)


def _scaled(values: Sequence[float], size: float) -> tuple[float, tuple[str, ...]]:
    """Return the power of 1,000 in which numbers up to `size` are short, and the numbers in it."""
    power = 3 * math.floor(math.log10(size) / 3) if 0 < size < math.inf else 0
    # A power of ten beyond 10^±300 is taken in halves, since neither it nor its inverse need be a float.
    first, second = 10.0 ** (power // 2), 10.0 ** (power - power // 2)
    return first * second, distinct([value / first / second for value in values])


class PlottedPoint(NamedTuple):
    """A value at one time; None where there was none."""

    value: float | None
    shape: Shape
    colour: str
    handover: bool = False
    """Whether another version took over before it."""


def timeline(
    title: str, description: str, points: Sequence[PlottedPoint], *, limit: float | None, ends: Sequence[str]
) -> Chart:
    """Lay the points out one after the other, with the limit that they are held against."""
    values = [point.value for point in points if point.value is not None]
    values += [] if limit is None else [limit]
    scale = _levels(min([0.0, *values]), max([0.0, *values]))
    texts = [number(level) for level in scale]
    left = _margin(texts)
    floor, width = HEIGHT - _BOTTOM, WIDTH - _RIGHT - left
    slot = width / max(1, len(points))

    def y(value: float) -> float:
        return round(floor - (floor - _TOP) * (value - scale[0]) / (scale[-1] - scale[0]), 1)

    return Chart(
        title,
        description,
        left,
        tuple(Level(y(level), text) for level, text in zip(scale, texts, strict=True)),
        tuple(
            Tick(left if index == 0 else WIDTH - _RIGHT, text, "start" if index == 0 else "end")
            for index, text in enumerate(ends[:2])
        ),
        marks=tuple(
            PlottedMark(
                round(left + slot * (index + 0.5), 1),
                floor if point.value is None else y(point.value),
                point.shape,
                point.colour,
            )
            for index, point in enumerate(points)
        ),
        limit=None if limit is None else y(limit),
        handovers=tuple(round(left + slot * index, 1) for index, point in enumerate(points) if point.handover),
    )


def _levels(low: float, high: float) -> list[float]:
    """Return the lines of a scale from `low` to `high` in steps of 1, 2 or 5.

    >>> _levels(0.0, 0.33), _levels(-3.0, 40.0)
    ([0.0, 0.1, 0.2, 0.3, 0.4], [-20.0, 0.0, 20.0, 40.0])
    >>> _levels(0.0, 0.0)
    [0.0, 1.0]
    """
    if not high > low:
        high = low + 1.0
        return [low, high]
    power = 10.0 ** math.floor(math.log10((high - low) / _MAX_LEVELS))
    step = next(
        factor * power
        for factor in (1, 2, 5, 10, 20)
        if math.ceil(high / (factor * power) - 1e-9) - math.floor(low / (factor * power) + 1e-9) <= _MAX_LEVELS
    )
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{step * index:.12g}") for index in range(first, last + 1)]


def _margin(texts: Sequence[str]) -> float:
    # A percent sign is nearly two digits wide.
    characters = max(len(text) + 0.7 * text.count("%") for text in texts)
    return round(max(28.0, characters * _CHARACTER + 8), 1)


def _fitting(positions: Sequence[Position], width: float) -> Sequence[Position]:
    """Return as many of the texts, at even distances, as stand side by side without touching."""
    for step in range(1, len(positions)):
        if (len(positions) - 1) % step == 0 and _apart(positions[::step], width):
            return positions[::step]
    return positions[:1]


def _apart(positions: Sequence[Position], width: float) -> bool:
    """Return whether a character's width lies between any text and the next one."""
    ends = [_ends(position, width) for position in positions]
    return all(left + _CHARACTER <= right for (_, left), (right, _) in pairwise(ends))


def _ends(position: Position, width: float) -> tuple[float, float]:
    """Return where a text begins and ends; at the very ends of the axis it stands wholly within."""
    length = len(position.text) * _CHARACTER
    left = width * position.at - length * (0 if position.at == 0 else 1 if position.at == 1 else 0.5)
    return left, left + length
