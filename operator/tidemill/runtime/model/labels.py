"""The classes of a model, and how a label that comes from outside is matched with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tidemill.runtime.tables.spelling import TRUTH_AS_NUMBER, canonical

if TYPE_CHECKING:
    from tidemill.api.base import Scalar


def spelled(label: Scalar) -> str:
    """Return a label as the logs spell it.

    >>> spelled(1), spelled(True), spelled("M"), spelled(0.5)
    ('1', 'True', 'M', '0.5')
    """
    return str(label)


class ClassLabels:
    """A model's classes by index, and the index by whatever spelling a client uses.

    The exact spelling is tried first, then the canonical one, then truth values as 1 and 0; a spelling that two classes
    share means neither.
    """

    def __init__(self, classes: Sequence[Scalar]) -> None:
        self.classes = tuple(classes)
        self.texts = tuple(spelled(label) for label in classes)
        self._index: dict[Scalar, int] = {}
        for index, label in enumerate(classes):
            self._index.setdefault(label, index)
        for index, text in enumerate(self.texts):
            self._index.setdefault(text, index)
        spellings = [canonical(spelled(label)) for label in classes]
        self._canonical = _unambiguous(spellings)
        truths = {"0", "1", *TRUTH_AS_NUMBER}.issuperset(spellings)
        self._truth = (
            _unambiguous([TRUTH_AS_NUMBER.get(spelling, spelling) for spelling in spellings]) if truths else {}
        )

    def index(self, label: Scalar) -> int | None:
        """Return which class a label means: `1`, `1.0`, `"1"` and `"1.0"` are the same class where classes are numbers.

        >>> ClassLabels((0, 1)).index("1"), ClassLabels((0, 1)).index("1.0"), ClassLabels(("a", "b")).index("c")
        (1, 1, None)
        >>> ClassLabels((0, 1)).index("true"), ClassLabels((False, True)).index("0"), ClassLabels(("1", "01")).index("01")
        (1, 0, 1)
        """
        index = self._index.get(label)
        if index is None:
            text = canonical(spelled(label))
            index = self._canonical.get(text)
            if index is None:
                index = self._truth.get(TRUTH_AS_NUMBER.get(text, text))
        return index

    def text(self, label: Scalar) -> str:
        """Return a label as the logs spell it, in the class's own spelling where it means one."""
        index = self.index(label)
        return spelled(label) if index is None else self.texts[index]


def _unambiguous(spellings: Sequence[str]) -> dict[str, int]:
    counts = Counter(spellings)
    return {text: index for index, text in enumerate(spellings) if counts[text] == 1}
