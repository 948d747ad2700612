"""The profile of a column of categories: exact counts of the known ones, and how many others there were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from tidemill.runtime.profile.grid import Integers
from tidemill.runtime.profile.numerical import frozen
from tidemill.runtime.tables.spelling import spellings

CATEGORIES = 1000
EXAMPLES = 8
_MAX_EXAMPLE_LENGTH = 80
_RARE = 5
"""Categories with fewer rows owe one of them to chance where they were just named."""


@dataclass(frozen=True, slots=True, eq=False)
class CategoricalProfile:
    """Counts of a column of categories; the categories are those of the reference, at most `CATEGORIES` of them."""

    name: str
    categories: tuple[str, ...]
    counts: Integers
    """Rows per category."""
    rows: int
    missing: int
    others: int
    """Rows with a category that is not in `categories`."""
    examples: tuple[str, ...]
    """Some of these: the first in alphabetical order, so that merging in any order finds the same."""
    unnamed: tuple[int, int] | None = None
    """The number of rows that the categories were taken from (second), and how many of them (first) have one that the
    other rows would not have named: as large a share of others is to be expected of rows in which nothing moved (Good, 1953). None in old profiles."""

    type: ClassVar[Literal["Categorical"]] = "Categorical"

    @property
    def present(self) -> int:
        """Rows with a category."""
        return self.rows - self.missing

    @property
    def expected_others(self) -> tuple[int, int]:
        """Return how many rows (first) of how many (second) are others where nothing has moved, as far as this reference tells.

        >>> empty("x", {"a": 98, "b": 1, "c": 1}).expected_others
        (2, 100)
        """
        own = (self.others, self.present)
        if self.unnamed is None:
            return (self.others + int(np.count_nonzero(self.counts == 1)), self.present)
        return max(self.unnamed, own, key=lambda pair: pair[0] / pair[1] if pair[1] else 0.0)

    def same_bins(self, other: object) -> bool:
        return isinstance(other, CategoricalProfile) and self.name == other.name and self.categories == other.categories

    def bins(self) -> Integers:
        """Rows per category, with all others in one last bin."""
        return np.append(self.counts, self.others)


class CategoricalCounter:
    """Adds batches to the categories of a profile, in memory that does not grow with the number of categories."""

    def __init__(self, like: CategoricalProfile) -> None:
        self._like = like
        self._index = {category: index for index, category in enumerate(like.categories)}
        for index, category in enumerate(like.categories):
            # Truth values are spelled in many ways; each is the one that the reference has, unless it has several.
            for other in spellings(category):
                self._index.setdefault(other, index)
        self._counts = np.zeros(len(like.categories), np.int64)
        self._rows = self._missing = self._others = 0
        self._examples: tuple[str, ...] = ()

    def add(self, counted: Mapping[str, int], *, missing: int = 0) -> None:
        """Count a batch, given as rows per category."""
        others: list[str] = []
        for category, count in counted.items():
            self._rows += count
            index = self._index.get(category)
            if index is None:
                self._others += count
                others.append(category)
            else:
                self._counts[index] += count
        self._rows += missing
        self._missing += missing
        if others:
            self._examples = _examples((*self._examples, *others))

    def profile(self) -> CategoricalProfile:
        """Return the profile of the rows so far."""
        return replace(
            self._like,
            counts=frozen(self._counts.copy()),
            rows=self._rows,
            missing=self._missing,
            others=self._others,
            examples=self._examples,
        )


def _examples(categories: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({category[:_MAX_EXAMPLE_LENGTH] for category in categories})[:EXAMPLES])


def empty(name: str, counted: Mapping[str, int], limit: int = CATEGORIES) -> CategoricalProfile:
    """Return a profile with nothing counted, whose categories are the most frequent ones of `counted`, rows per category."""
    frequent = sorted(counted, key=lambda category: (-counted[category], category))[:limit]
    categories = tuple(sorted(frequent))
    rows = sum(counted.values())
    # A row less, and a category of a single row is unknown (Good-Turing); where not all have room, so does one of the rarest.
    rarest = counted[frequent[-1]] if len(frequent) < len(counted) else 1
    named = sum(counted[category] for category in frequent)
    equally_rare = sum(counted[category] == rarest for category in frequent) if rarest < _RARE else 0
    unnamed = rows - named + equally_rare
    return CategoricalProfile(
        name, categories, frozen(np.zeros(len(categories), np.int64)), 0, 0, 0, (), (unnamed, rows)
    )


def merge(first: CategoricalProfile, second: CategoricalProfile) -> CategoricalProfile:
    """Both columns' counts together."""
    return replace(
        first,
        counts=frozen(first.counts + second.counts),
        rows=first.rows + second.rows,
        missing=first.missing + second.missing,
        others=first.others + second.others,
        examples=_examples(first.examples + second.examples),
    )
