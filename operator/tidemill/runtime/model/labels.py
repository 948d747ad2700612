"""The classes of a model, and how a label that comes from outside is matched with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidemill.api.base import Scalar


def spelled(label: Scalar) -> str:
    """A label as the logs spell it.

    >>> spelled(1), spelled(True), spelled("M"), spelled(0.5)
    ('1', 'True', 'M', '0.5')
    """
    return str(label)


class ClassLabels:
    """A model's classes by index, and the index by whatever spelling a client uses."""

    def __init__(self, classes: Sequence[Scalar]) -> None:
        self.classes = tuple(classes)
        self.texts = tuple(spelled(label) for label in classes)
        self._index: dict[Scalar, int] = {}
        for place, label in enumerate(classes):
            self._index.setdefault(label, place)
        for place, text in enumerate(self.texts):
            self._index.setdefault(text, place)

    def index(self, label: Scalar) -> int | None:
        """Which class a label means: `1`, `1.0` and `"1"` are the same class where classes are numbers.

        >>> Labels((0, 1)).index("1"), Labels((0, 1)).index(1.0), Labels(("a", "b")).index("c")
        (1, 1, None)
        """
        return self._index.get(label)

    def text(self, label: Scalar) -> str:
        """A label as the logs spell it, in the class's own spelling where it means one."""
        index = self.index(label)
        return spelled(label) if index is None else self.texts[index]
