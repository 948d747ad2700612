"""Labels that clients send back: what the right answer to a row was.

A row goes by its request's id and its place in it, or by the key that the client gave it: the logs then name it by the key,
as if it had been a request of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tidemill.runtime.protocol.errors import bad, shown
from tidemill.runtime.protocol.request import checked_id, parse

if TYPE_CHECKING:
    from tidemill.api.base import Scalar

MAX_LABELS: Final = 100_000
MAX_LABEL_LENGTH: Final = 256


class Label(NamedTuple):
    """The right answer to one row of a request."""

    request: str
    row: int
    label: Scalar
    time: float
    """When it became known, in seconds since 1970."""


def read(body: bytes, *, classifies: bool, now: float) -> list[Label]:
    """The labels in `{"data": [{"id": …, "row": 0, "label": …, "time": …}]}`; `row` and `time` may be left out, and `key` may stand
    for `id` and `row`."""
    data = parse(body).get("data")
    if not isinstance(data, list) or not data:
        raise bad(f'data: must be a list such as [{{"id": "<request id>", "label": 1}}], not {shown(data)}')
    if len(data) > MAX_LABELS:
        raise bad(f"data: holds {len(data)} labels; send at most {MAX_LABELS} at once")
    return [_label(item, index, classifies=classifies, now=now) for index, item in enumerate(data)]


def _label(item: Any, index: int, *, classifies: bool, now: float) -> Label:
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
    if classifies:
        if not isinstance(label, (str, int, float)) or (isinstance(label, str) and len(label) > MAX_LABEL_LENGTH):
            raise bad(
                f"{where}.label: must be the class, a string of at most {MAX_LABEL_LENGTH} characters or a number, not {shown(label)}"
            )
    elif not isinstance(label, (int, float)) or isinstance(label, bool):
        raise bad(f"{where}.label: must be a number, not {shown(label)}")
    return Label(
        checked_id(request, f"{where}.{'key' if 'key' in item else 'id'}"),
        row,
        label,
        _time(item.get("time"), where, now),
    )


def _time(given: Any, where: str, now: float) -> float:
    if given is None:
        return now
    if isinstance(given, (int, float)) and not isinstance(given, bool) and 0 <= given < 1e11:
        return float(given)
    if isinstance(given, str) and len(given) <= 40:
        try:
            timestamp = datetime.fromisoformat(given)
        except ValueError:
            pass
        else:
            return (timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)).timestamp()
    raise bad(f"{where}.time: must be a time such as 2026-01-31T12:00:00Z or seconds since 1970, not {shown(given)}")
