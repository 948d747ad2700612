"""Pictures: where everything stands in a chart. The templates draw it as SVG, with its numbers in a table beneath.

A chart is laid out for a column as wide as a phone; in wider ones it is scaled up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
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
_MAX_NUMBER: Final = 16
"""Characters of a number on the axis."""
_OFFSET_DIGITS: Final = 12

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
class Distribution:
    """Shares or numbers of rows per stretch of values or per category, on one side or on two."""

    names: tuple[str, ...]
    before: tuple[float, ...]
    after: tuple[float, ...] = ()
    """Of the second side; empty where there is one alone."""
    positions: tuple[Position, ...] = ()
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
            for at, text in _fitting(shown.positions, width)
        ),
        tuple(
            Bar(round(left + slot * index + gap / 2, 1), y(value), round(slot - gap, 1), round(floor - y(value), 1))
            for index, value in enumerate(shown.before)
        ),
        outline=f"{path}V{floor:.1f}" if shown.after else "",
        legend=bool(shown.after),
    )


def named(names: Sequence[str]) -> tuple[Position, ...]:
    """Return the names of categories under the middle of their bars; where there are too many, those of the first and the last bar."""
    short = [name if len(name) <= _MAX_NAME else name[: _MAX_NAME - 1] + "…" for name in names]
    if len(names) > _MAX_NAMES:
        return (Position(0, short[0]), Position(1, short[-1]))
    return tuple(Position((index + 0.5) / len(names), name) for index, name in enumerate(short))


def axis(values: Sequence[float]) -> tuple[Position, ...]:
    """Return the numbers as texts at even distances; where they are too long, the first is written in full and the others as the difference.

    >>> [text for _, text in axis([0.0, 0.5, 1.0])]
    ['0', '0.5', '1']
    >>> [text for _, text in axis([1e9, 1e9 + 2e-6, 1e9 + 4e-6])]
    ['1,000,000,000', '+2.03e-06', '+4.05e-06']
    """
    texts = distinct(values)
    if max(map(len, texts)) > _MAX_NUMBER:
        texts = (number(values[0], _OFFSET_DIGITS), *(f"+{number(value - values[0])}" for value in values[1:]))
    last = max(1, len(values) - 1)
    return tuple(Position(index / last, text) for index, text in enumerate(texts))


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
    """Return as many of the texts as stand side by side without touching, the first and the last among them."""
    if not positions:
        return positions
    # Texts at the very ends stand wholly within, so they come half a text nearer to the next one.
    room = (max(len(text) for _, text in positions) + 1) * _CHARACTER * (1.5 if positions[0].at == 0 else 1)
    steps = len(positions) - 1
    for step in range(1, steps + 1):
        if steps % step == 0 and (step / steps) * width * (positions[-1].at - positions[0].at) >= room:
            return positions[::step]
    return positions[:1]
