"""From what clients send to the matrix that a model works on: features in order, categories as their index."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tidemill.runtime.model.answer import surely_finite
from tidemill.runtime.model.signature import Feature, Signature
from tidemill.runtime.protocol.categories import FP64, Ambiguous, Elements, Precision, Spellings
from tidemill.runtime.protocol.column_names import ColumnNames
from tidemill.runtime.protocol.errors import bad, shown

Matrix = NDArray[Any]
"""[rows, features], float64 or, from the binary extension, as the client sent it."""
UNSEEN: Final = -1.0
INFINITE: Final = (math.inf, -math.inf)
EXACT: Final = 2**53
"""Whole numbers below this are floats of their own."""


class Rows(NamedTuple):
    """Rows as the model takes them, and the categories in the client's own words, for the log."""

    matrix: Matrix
    """[rows, features], in the order of the signature."""
    categories: dict[int, list[str | None]]
    """By index of the feature: the client's words, row by row. Protected columns that were sent stand behind the features."""
    whole: bool = False
    """Whether it is known that no value is missing."""


NO_CATEGORIES: Final[dict[int, list[str | None]]] = {}


class Features:
    """A signature's features, ready to take rows in."""

    def __init__(self, signature: Signature) -> None:
        self.names = tuple(feature.name for feature in signature.features)
        self.count = len(self.names)
        self.index = {name: index for index, name in enumerate(self.names)}
        self.indexes: tuple[dict[str, float] | None, ...] = tuple(
            {category: float(index) for index, category in enumerate(feature.categories)}
            if feature.type == "Categorical"
            else None
            for feature in signature.features
        )
        """For each feature that is a category: its index by name."""
        self._spellings = tuple(Spellings(feature.categories) for feature in signature.features)
        self._truth_words = tuple(spellings.truth_words for spellings in self._spellings)
        self.protected = signature.protected
        """Columns that are logged where they are sent, and that the model never sees."""
        self._protected_names = frozenset(column.name for column in signature.protected)
        self.column_names = ColumnNames(self.names)
        self._protected_spellings = tuple(Spellings(column.categories) for column in signature.protected)
        self.numeric = all(lookup is None for lookup in self.indexes)
        self.typed = frozenset(
            feature.name for feature in (*signature.features, *signature.protected) if feature.type == "Categorical"
        )
        """Columns of categories, whose values must keep the type that they were sent in."""
        self._pack = struct.Struct(f"{self.count}d").pack
        self._values = itemgetter(*self.names)

    def from_rows(self, rows: list[Any]) -> Rows:
        """Rows from objects that name each feature; what the model does not know is ignored, so that a column can be sent ahead."""
        if self.numeric and self.count > 1:
            try:
                packed = b"".join([self._pack(*self._values(row)) for row in rows])
            except (struct.error, OverflowError, TypeError, KeyError):
                pass
            else:
                protected = self._protected_of(rows) if self.protected else NO_CATEGORIES
                return Rows(np.frombuffer(packed).reshape(len(rows), self.count), protected, True)
        named = []
        for index, row in enumerate(rows):
            if not isinstance(row, dict):
                raise bad(f"rows[{index}]: must be an object that names each feature, not {shown(row)}")
            named.append(row if len(row.keys() & self.index.keys()) == self.count else self._renamed(row, index))
        rows = named
        columns = [[row[name] for row in rows] for name in self.names]
        encoded = self.from_columns(columns, lambda column, row: f"rows[{row}].{self.names[column]}")
        return Rows(encoded.matrix, encoded.categories | self._protected_of(rows))

    def _renamed(self, row: dict[str, Any], index: int) -> dict[str, Any]:
        """Return a row under the model's names; columns may be spelled as in the source, such as `sepal length (cm)`."""
        renamed = self.column_names.renamed(row)
        missing = self.column_names.missing(name for name in renamed if name not in self._protected_names)
        if missing is None:
            return renamed
        feature, why = missing
        if why.endswith("?"):
            raise bad(f"rows[{index}]: {why}")
        also = f" ({why})" if why else ""
        raise bad(f"rows[{index}].{feature}: is not there{also}; send null for a value that is missing")

    def _protected_of(self, rows: Sequence[Any]) -> dict[int, list[str | None]]:
        names = [column.name for column in self.protected]
        return self.protected_categories(
            {name: [row.get(name) for row in rows] for name in names if any(name in row for row in rows)}
        )

    def protected_categories(self, sent: Mapping[str, Sequence[Any]]) -> dict[int, list[str | None]]:
        """Protected columns as the log keeps them, by their index behind the features.

        A value that is neither a number nor a text is missing: what no model needs must not cost an answer.
        """
        return {
            self.count + index: [_group(value, column, spellings) for value in sent[column.name]]
            for index, (column, spellings) in enumerate(zip(self.protected, self._protected_spellings, strict=True))
            if column.name in sent
        }

    def from_columns(self, columns: Sequence[Sequence[Any]], where: Any) -> Rows:
        """Rows from one sequence of JSON values per feature; `where(column, row)` names the value in an error."""
        matrix = np.empty((len(columns[0]), self.count))
        categories: dict[int, list[str | None]] = {}
        for column, (values, lookup) in enumerate(zip(columns, self.indexes, strict=True)):
            if lookup is None:
                matrix[:, column] = [self._number(value, column, row, where) for row, value in enumerate(values)]
            else:
                precision = values.precision if isinstance(values, Elements) else FP64
                words = [self._category(value, column, row, where, precision) for row, value in enumerate(values)]
                matrix[:, column] = [math.nan if word is None else lookup.get(word, UNSEEN) for word in words]
                categories[column] = words
        return Rows(matrix, categories)

    def _number(self, value: Any, column: int, row: int, where: Any) -> float:
        if value is None:
            return math.nan
        if not isinstance(value, (int, float)):
            raise bad(f"{where(column, row)}: must be a number or null, not {shown(value)}")
        try:
            return float(value)
        except OverflowError:
            raise bad(f"{where(column, row)}: is too large a number") from None

    def _category(self, value: Any, column: int, row: int, where: Any, precision: Precision) -> str | None:
        """Return a category as the Dataset spells it: JSON and tensors have truth values and numbers, of which it keeps texts."""
        if type(value) is str:
            return self._truth_words[column].get(value, value) or None
        if value is None or value != value:
            return None
        if not isinstance(value, (str, int, float)):
            raise bad(f"{where(column, row)}: must be a string or null, not {shown(value)}")
        if value in INFINITE:
            raise bad(f"{where(column, row)}: is infinite; send null for a value that is missing")
        try:
            return self._spellings[column].of(value, precision)
        except Ambiguous as error:
            raise bad(f"{where(column, row)}: {error}") from None


def _group(value: Any, column: Feature, spellings: Spellings) -> str | None:
    """Return a protected value in words, numbers too; None where it is missing, or nothing that tells a group."""
    if column.type == "Categorical":
        if not isinstance(value, (str, int, float)) or value == "" or value != value:
            return None
        try:
            return spellings.of(value)
        except Ambiguous:
            return None
    try:
        return repr(float(value)) if isinstance(value, (int, float)) and math.isfinite(value) else None
    except OverflowError:
        return None


def must_be_finite(matrix: Matrix, names: Sequence[str]) -> None:
    """Refuse infinities, which no model can answer for; NaN stands for a missing value. JSON cannot spell either."""
    if surely_finite(matrix):
        return
    infinite = np.isinf(matrix)
    if infinite.any():
        row, column = np.argwhere(infinite)[0].tolist()
        raise bad(f"row {row}, {names[column]}: is infinite; send NaN for a value that is missing")
