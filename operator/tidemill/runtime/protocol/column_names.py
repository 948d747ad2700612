"""Column names as clients spell them: `sepal length (cm)` for `sepal_length_cm`, and names that the model does not know."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

from tidemill.runtime.protocol.errors import shown

T = TypeVar("T")
MAX_COMPARED: Final = 32
"""Unknown names that are compared with the model's, and named in an error: a request may hold very many."""
MAX_LENGTH: Final = 100
"""Characters of a name that are compared."""
_WORD: Final = re.compile(r"[^\W_]+")


def plain(name: str) -> str:
    """Return the words of a name in lower case, joined by underscores.

    >>> plain("sepal length (cm)"), plain("od280/od315_of_diluted_wines"), plain("Mean Radius")
    ('sepal_length_cm', 'od280_od315_of_diluted_wines', 'mean_radius')
    """
    return "_".join(_WORD.findall(name.casefold()))


class ColumnNames:
    """The names of a model's features, found by other spellings of them.

    >>> names = ColumnNames(["sepal_length_cm", "sepal_width_cm"])
    >>> names.renamed({"sepal length (cm)": 5.1, "sepal_width_cm": 3.5})
    {'sepal_width_cm': 3.5, 'sepal_length_cm': 5.1}
    >>> names.missing({"sepal_lenght_cm": 5.1, "sepal_width_cm": 3.5})
    ('sepal_length_cm', "unknown column 'sepal_lenght_cm'; did you mean 'sepal_length_cm'?")
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._known = frozenset(names)
        spellings = [plain(name) for name in names]
        counts = Counter(spellings)
        self._by_plain = {
            spelling: name
            for spelling, name in zip(spellings, names, strict=True)
            if spelling and counts[spelling] == 1
        }

    def renamed(self, row: dict[str, T]) -> dict[str, T]:
        """Return the row under the model's own names, where another spelling of one can only mean it."""
        spelled: dict[str, list[str]] = {}
        for name in row:
            if name not in self._known and (feature := self._by_plain.get(plain(name))) and feature not in row:
                spelled.setdefault(feature, []).append(name)
        wanted = {given[0]: feature for feature, given in spelled.items() if len(given) == 1}
        kept = {name: value for name, value in row.items() if name not in wanted}
        return kept | {feature: row[given] for given, feature in wanted.items()}

    def missing(self, given: Iterable[str]) -> tuple[str, str] | None:
        """Return the first feature that is not among the given names, and what to tell the client; None if all are there."""
        names = list(given)
        there = set(names)
        absent = [name for name in self._names if name not in there]
        if not absent:
            return None
        unknown = [name for name in names if name not in self._known][:MAX_COMPARED]
        compared = {plain(name)[:MAX_LENGTH]: name for name in absent[:MAX_COMPARED]}
        for name in unknown:
            if near := difflib.get_close_matches(plain(name[:MAX_LENGTH]), compared, 1, 0.75):
                feature = compared[near[0]]
                return feature, f"unknown column {shown(name)}; did you mean {feature!r}?"
        columns = "unknown column" if len(unknown) == 1 else "unknown columns"
        return absent[0], f"{columns} {', '.join(map(shown, unknown[:3]))}" if unknown else ""
