"""Rows of requests: read from CSV, drawn with replacement, and changed by a shift of the inputs."""

import csv
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from io import StringIO

Value = float | str | None
Row = dict[str, Value]


class Shift(StrEnum):
    """How rows change on their way to the service."""

    NONE = "none"
    DRIFT = "drift"
    """Some columns are scaled: an instrument was calibrated again."""
    DEFECT = "defect"
    """In addition to the drift, some columns lose half of their values: a sensor broke."""


@dataclass(frozen=True, slots=True)
class Example:
    """A real row and its right answer."""

    features: Row
    label: str
    """The class, as text: a service takes any spelling of it."""


@dataclass(frozen=True, slots=True)
class FeatureShift:
    """Change of a row by each shift."""

    scale: Mapping[str, float] = field(default_factory=dict)
    """Factor of each column that drifts."""
    defective: tuple[str, ...] = ()
    """Columns that lose values by the defect."""

    def change(self, row: Row, shift: Shift, rng: random.Random) -> Row:
        """Return `row` as it arrives with this shift."""
        match shift:
            case Shift.DRIFT:
                return {name: _scaled(value, self.scale.get(name, 1.0)) for name, value in row.items()}
            case Shift.DEFECT:
                lost = {name for name in self.defective if rng.random() < 0.5}
                shifted = self.change(row, Shift.DRIFT, rng)
                return {name: None if name in lost else value for name, value in shifted.items()}
            case _:
                return row


def _scaled(value: Value, factor: float) -> Value:
    return value * factor if isinstance(value, float) else value


def read(text: str, target: str) -> list[Example]:
    """The examples in a CSV with a header; a feature that reads as a number is one, what is empty is missing."""
    examples = []
    for line in csv.DictReader(StringIO(text)):
        label = line.pop(target)
        if not label:
            raise ValueError(f"a row has no {target}: {line}")
        examples.append(Example({name: _value(cell) for name, cell in line.items()}, label))
    if not examples:
        raise ValueError("there are no rows to ask")
    return examples


def write(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows as a CSV with a header."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue()


def _value(cell: str) -> Value:
    if cell == "":
        return None
    try:
        return float(cell)
    except ValueError:
        return cell
