"""Labels that clients send back: what the right answer to a row was.

A row goes by its request's id and its place in it, or by the key that the client gave it: the logs then name it by the key,
as if it had been a request of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tidemill.runtime.model.labels import ClassLabels
from tidemill.runtime.protocol.errors import bad, shown
from tidemill.runtime.protocol.request import checked_id, parse

if TYPE_CHECKING:
    from tidemill.api.base import Scalar
    from tidemill.runtime.model.signature import Signature

MAX_LABELS: Final = 100_000
MAX_LABEL_LENGTH: Final = 256
MAX_NUMBER: Final = 1e100
"""The greatest label of a regression, so that sums of squares stay finite."""
MAX_DEVIATIONS: Final = 1e6
"""How many standard deviations of the hold-out's target a label may lie from its mean."""
CLOCK_SKEW_SECONDS: Final = 300.0
"""Seconds by which clocks of clients may differ from those of pods."""


class Label(NamedTuple):
    """The right answer to one row of a request."""

    request: str
    row: int
    label: Scalar
    time: float
    """When it became known, in seconds since 1970."""


class Feedback(NamedTuple):
    """The labels of one request."""

    labels: list[Label]
    strange: tuple[Scalar, ...] = ()
    """Labels among them that mean none of the classes, each time they were sent."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The labels that a version expects: one of its classes, or a number."""

    classes: ClassLabels | None
    minimum: float = -MAX_NUMBER
    maximum: float = MAX_NUMBER

    @classmethod
    def of(cls, signature: Signature) -> Expected:
        """Return what a version with this signature expects.

        >>> from tidemill.runtime.model.signature import Signature
        >>> Expected.of(Signature("Regression", (), "price", target_spread=2.0, target_mean=100.0)).maximum
        2000100.0
        """
        if signature.task == "Classification":
            return cls(ClassLabels(signature.classes))
        mean, reach = signature.target_mean, MAX_DEVIATIONS * signature.target_spread
        if mean is None or not 0 < reach < MAX_NUMBER:
            return cls(None)
        return cls(None, max(mean - reach, -MAX_NUMBER), min(mean + reach, MAX_NUMBER))

    def note(self, strange: Sequence[Scalar]) -> str:
        """Return what is wrong with labels that mean none of the classes, and what to send.

        >>> Expected(ClassLabels(("setosa", "virginica"))).note((0, 1, 1))
        "3 labels are indices of classes, not classes; send the names, such as 'setosa' instead of 0"
        >>> Expected(ClassLabels(("setosa", "virginica"))).note(("Setosa",))
        "1 label is not a class of the model, such as 'Setosa'; send one of the classes"
        """
        count = len(strange)
        texts = self.classes.texts if self.classes else ()
        if all(_is_index(label, len(texts)) for label in strange):
            are = (
                "label is the index of a class, not a class"
                if count == 1
                else "labels are indices of classes, not classes"
            )
            first = strange[0]
            return f"{count} {are}; send the names, such as {texts[int(first)]!r} instead of {shown(first)}"
        are = "label is not a class" if count == 1 else "labels are not classes"
        other = next(label for label in strange if not _is_index(label, len(texts)))
        return f"{count} {are} of the model, such as {shown(other)}; send one of the classes"


def _is_index(label: Scalar, classes: int) -> bool:
    try:
        return not isinstance(label, bool) and float(label).is_integer() and 0 <= float(label) < classes
    except ValueError:
        return False


def read(
    body: bytes, expected: Expected, *, now: float, answered_at: Callable[[str, int], float | None] = lambda *_: None
) -> Feedback:
    """The labels in `{"data": [{"id": …, "row": 0, "label": …, "time": …}]}`; `row` and `time` may be left out, and `key` may stand
    for `id` and `row`.

    `answered_at` returns when a row was answered, where this process knows it.
    """
    data = parse(body).get("data")
    if not isinstance(data, list) or not data:
        raise bad(f'data: must be a list such as [{{"id": "<request id>", "label": 1}}], not {shown(data)}')
    if len(data) > MAX_LABELS:
        raise bad(f"data: holds {len(data)} labels; send at most {MAX_LABELS} at once")
    labels = [_label(item, index, expected, now=now, answered_at=answered_at) for index, item in enumerate(data)]
    classes = expected.classes
    strange = () if classes is None else tuple(label.label for label in labels if classes.index(label.label) is None)
    return Feedback(labels, strange)


def _label(
    item: Any, index: int, expected: Expected, *, now: float, answered_at: Callable[[str, int], float | None]
) -> Label:
    where = f"data[{index}]"
    if not isinstance(item, dict):
        raise bad(f"{where}: must be an object, not {shown(item)}")
    request = item.get("id")
    if "key" in item:
        if request is not None or "row" in item:
            raise bad(f"{where}.key: names the row already; leave id and row out")
        request = item["key"]
        if not isinstance(request, str) or not request:
            raise bad(f"{where}.key: must be the key that the row was sent with, not {shown(request)}")
    if not isinstance(request, str) or not request:
        raise bad(
            f"{where}.id: must be the id of the request that was answered (header x-request-id), not {shown(request)}"
        )
    row = item.get("row", 0)
    if type(row) is not int or not 0 <= row < 2**31:
        raise bad(f"{where}.row: must be the row's place in the request, from 0, not {shown(row)}")
    label = item.get("label")
    if expected.classes is not None:
        if not isinstance(label, (str, int, float)) or (isinstance(label, str) and len(label) > MAX_LABEL_LENGTH):
            raise bad(
                f"{where}.label: must be the class, a string of at most {MAX_LABEL_LENGTH} characters or a number, not {shown(label)}"
            )
    elif not isinstance(label, (int, float)) or isinstance(label, bool):
        raise bad(f"{where}.label: must be a number, not {shown(label)}")
    elif not expected.minimum <= label <= expected.maximum:
        raise bad(
            f"{where}.label: must be between {expected.minimum:.6g} and {expected.maximum:.6g}, which is far beyond all values of the"
            f" target in training, not {shown(label)}; check the unit and the column that is sent"
        )
    request = checked_id(request, f"{where}.{'key' if 'key' in item else 'id'}")
    time = _time(item.get("time"), where, now)
    if time > now + CLOCK_SKEW_SECONDS:
        raise bad(
            f"{where}.time: must not be in the future, but {shown(item['time'])} is {time - now:.0f} s ahead of the server; send the time"
            " when the label became known"
        )
    known = answered_at(request, row) if "time" in item else None
    if known is not None and time < known - CLOCK_SKEW_SECONDS:
        raise bad(
            f"{where}.time: must not be before the request, but {shown(item['time'])} is {known - time:.0f} s before it was answered;"
            " send the time when the label became known"
        )
    # The newest label of a row counts: one that is dated ahead must not outlast those that come after it.
    return Label(request, row, label, min(time, now))


def _time(given: Any, where: str, now: float) -> float:
    if given is None:
        return now
    if isinstance(given, (int, float)) and not isinstance(given, bool) and 0 <= given < 1e11:
        return float(given)
    if isinstance(given, str) and len(given) <= 40:
        try:
            timestamp = datetime.fromisoformat(given)
            seconds = (timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            pass
        else:
            if seconds >= 0:
                return seconds
    raise bad(f"{where}.time: must be a time such as 2026-01-31T12:00:00Z or seconds since 1970, not {shown(given)}")
