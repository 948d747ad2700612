"""The errors of requests to the API server, and the one map from its responses to them.

* OperatorError
  - Refused       the API server refuses, and will refuse again until something changes
    - Invalid       the object would not be a valid one
    - NameConflict  an object with that name exists, and it is not ours
  - Conflict      someone else wrote first; read again
  - Missing       the object does not exist
  - Expired       the position of a list or watch is too old; list again
  - Unavailable   the API server cannot answer now; wait
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson


class OperatorError(Exception):
    """An error that the engine can recover from."""


class Refused(OperatorError):
    """The API server refuses, and will refuse again until something changes."""


class Invalid(Refused):
    """The object would not be a valid one."""


class NameConflict(Refused):
    """An object with that name exists, and it is not ours."""


class Conflict(OperatorError):
    """Someone else wrote first; read again."""


class Missing(OperatorError):
    """The object does not exist."""


class Expired(OperatorError):
    """The position of a list or watch is too old; list again."""


class Unavailable(OperatorError):
    """The API server cannot answer now; wait at least as long as it asks for."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


_BY_STATUS: Mapping[int, type[OperatorError]] = {
    # A token that has just expired is read again for the next request.
    401: Unavailable,
    404: Missing,
    408: Unavailable,
    409: Conflict,
    410: Expired,
    422: Invalid,
    429: Unavailable,
}

UNREACHABLE = (aiohttp.ClientError, asyncio.TimeoutError, ConnectionError)
"""Exceptions that the HTTP client raises when no response arrives."""


def from_answer(status: int, body: bytes, what: str, *, retry_after: str | None = None) -> OperatorError:
    """Return the error for a response with `status` ≥ 400 to `what`, with the message of the API server."""
    kind = _BY_STATUS.get(status, Unavailable if status >= 500 else Refused)
    message = f"{what}: {status} {_message(body)}"
    if kind is Unavailable:
        return Unavailable(message, _seconds(retry_after))
    return kind(message)


def from_failure(failure: BaseException, what: str) -> Unavailable:
    """Return the error for a request without a response."""
    return Unavailable(f"{what}: {type(failure).__name__} {failure}".rstrip())


def _message(body: bytes) -> str:
    try:
        status: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body[:200].decode(errors="replace").strip()
    return str(status.get("message", ""))[:1024] if isinstance(status, dict) else ""


def _seconds(text: str | None) -> float:
    try:
        # A server or proxy that asks for an hour would hold everything back; wait a minute at most.
        return min(max(float(text or 0), 0.0), 60.0)
    except ValueError:
        return 0.0
