"""What can go wrong between a decision and its deed, and the one map from answers of the API server to it.

* OperatorError
  - Refused       the API said no, and will say no again until something else changes
    - Invalid       the object would not be a valid one
    - NameConflict  an object with that name exists, and it is not ours
  - Conflict      someone else wrote first; look again
  - Missing       what was to be changed is not there
  - Expired       the list or watch is too old; begin again
  - Unavailable   the API cannot answer now; wait
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson


class OperatorError(Exception):
    """Something that the engine knows how to go on from."""


class Refused(OperatorError):
    """The API said no, and will say no again until something else changes."""


class Invalid(Refused):
    """The object would not be a valid one."""


class NameConflict(Refused):
    """An object with that name exists, and it is not ours."""


class Conflict(OperatorError):
    """Someone else wrote first; look again."""


class Missing(OperatorError):
    """What was to be changed is not there."""


class Expired(OperatorError):
    """The list or watch is too old; begin again."""


class Unavailable(OperatorError):
    """The API cannot answer now; wait, at least as long as it asks for."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


_BY_STATUS: Mapping[int, type[OperatorError]] = {
    # A token that has just expired is read anew with the next request.
    401: Unavailable,
    404: Missing,
    408: Unavailable,
    409: Conflict,
    410: Expired,
    422: Invalid,
    429: Unavailable,
}

UNREACHABLE = (aiohttp.ClientError, asyncio.TimeoutError, ConnectionError)
"""What the HTTP client raises when no answer came."""


def from_answer(status: int, body: bytes, what: str, *, retry_after: str | None = None) -> OperatorError:
    """The error for an answer with `status` ≥ 400 to `what`, with the API server's own words."""
    kind = _BY_STATUS.get(status, Unavailable if status >= 500 else Refused)
    message = f"{what}: {status} {_words(body)}"
    if kind is Unavailable:
        return Unavailable(message, _seconds(retry_after))
    return kind(message)


def from_failure(failure: BaseException, what: str) -> Unavailable:
    """The error for a request that got no answer."""
    return Unavailable(f"{what}: {type(failure).__name__} {failure}".rstrip())


def _words(body: bytes) -> str:
    try:
        status: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body[:200].decode(errors="replace").strip()
    return str(status.get("message", ""))[:1024] if isinstance(status, dict) else ""


def _seconds(text: str | None) -> float:
    try:
        # A server or proxy that asks for an hour would hold everything back; a minute is enough to be polite.
        return min(max(float(text or 0), 0.0), 60.0)
    except ValueError:
        return 0.0
