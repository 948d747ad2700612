"""A request's body within its bounds, and the content types that are taken."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidemill.runtime.protocol.errors import HTTPError, bad, shown
from tidemill.runtime.serve.http.codings import decoded, too_long

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

SWEEP_INTERVAL_SECONDS: Final = 1.0
DISCARDED_BYTES: Final = 64 * 1024 * 1024
DISCARDED_SECONDS: Final = 2.0
BODY_SECONDS: Final = 30.0
JSON_TYPES: Final = frozenset({b"application/json", b"application/octet-stream"})
FORM_TYPE: Final = b"application/x-www-form-urlencoded"
MAX_CONCURRENT: Final = 4
"""The longest bodies that may be under way at once; there is room for many short ones too, which come whole."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of a request."""

    body_bytes: int = 10 * 1024 * 1024
    timeout: float = 5.0
    """Seconds within which a client wants its answer."""
    body_seconds: float = BODY_SECONDS
    """Seconds a client may take to send its body."""


class Bodies:
    """Reads bodies that are neither too long nor too slow."""

    def __init__(self, max_bytes: int, max_seconds: float) -> None:
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        self._waiting: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._max_held = MAX_CONCURRENT * max_bytes
        self._held = 0
        """Bytes of bodies that have come in part."""

    async def read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        """The whole body, decompressed; raises HTTPError: 408, 413 or 415."""
        most = self._max_bytes
        length = headers.get(b"content-length")
        if length is not None and int(length) > most:
            # A client that waits to be asked for its body is not asked for one that is too long.
            if headers.get(b"expect", b"").lower() != b"100-continue":
                await _discard(receive)
            raise too_long(self._max_bytes)
        task = asyncio.current_task()
        assert task is not None
        # One sweep a second looks at all who wait; a timer for each request would cost more than reading it.
        self._waiting[task] = time.monotonic()
        try:
            message = await receive()
            body: bytes = message.get("body", b"")
            if message.get("more_body"):
                body = await self._in_parts(body, receive)
            elif len(body) > most:
                raise too_long(self._max_bytes)
            if message["type"] == "http.disconnect":
                raise HTTPError(400, "body: the connection ended before it")
        except asyncio.CancelledError:
            if task in self._late:
                self._late.discard(task)
                task.uncancel()
                raise HTTPError(408, f"body: did not come within {self._max_seconds:g} s") from None
            raise
        finally:
            del self._waiting[task]
        coding = headers.get(b"content-encoding")
        return body if coding is None else decoded(body, coding, self._max_bytes)

    async def _in_parts(self, first: bytes, receive: Receive) -> bytes:
        parts, size = [first], len(first)
        self._held += size
        try:
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise HTTPError(400, "body: the connection ended before it")
                more = bool(message.get("more_body"))
                part = message.get("body", b"")
                parts.append(part)
                size += len(part)
                self._held += len(part)
                if size > self._max_bytes:
                    parts.clear()
                    await _discard(receive)
                    raise too_long(self._max_bytes)
                if self._held > self._max_held:
                    raise HTTPError(503, "body: too many long ones are being sent at once; send this one again later")
            return b"".join(parts)
        finally:
            self._held -= size

    async def sweep(self) -> None:
        """End the reading of bodies that take too long, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_SECONDS)
            late = time.monotonic() - self._max_seconds
            for task, since in self._waiting.items():
                if since < late and task not in self._late:
                    self._late.add(task)
                    task.cancel()


async def _discard(receive: Receive) -> None:
    """Let a client finish sending what is not wanted, within bounds: cut off at once, it would never see the answer."""
    size = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARDED_SECONDS):
            while size < DISCARDED_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body"):
                    return


def is_object(body: bytes) -> bool:
    """Return whether a body begins as a JSON object does."""
    return body[:64].lstrip(b" \t\r\n")[:1] == b"{"


def joined(fields: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return headers by name; several of one name are one list (RFC 9110, section 5.3).

    >>> joined([(b"content-encoding", b"gzip"), (b"content-encoding", b"gzip")])
    {b'content-encoding': b'gzip, gzip'}
    """
    headers = dict(fields)
    if len(headers) != len(fields):
        headers = {}
        for name, value in fields:
            headers[name] = value if name not in headers else headers[name] + b", " + value
    return headers


def accepted_type(headers: dict[bytes, bytes], body: bytes) -> int | None:
    """Return where the JSON of a request ends, or None where all of it is JSON; raise HTTPError for other content types.

    With the header of the binary extension any content type is taken, without it `application/octet-stream` is JSON as well. So is a JSON
    object that `curl -d` names a form, unless a browser sends it: a page may send forms to any address without asking first.
    """
    length = headers.get(b"inference-header-content-length")
    if length is not None:
        if not length.isdigit() or len(length) > 12:
            raise bad(f"inference-header-content-length: must be a whole number, not {shown(length.decode('latin-1'))}")
        return int(length)
    kind = headers.get(b"content-type")
    if kind and kind != b"application/json":
        plain = kind.partition(b";")[0].strip().lower()
        if plain not in JSON_TYPES and not (plain == FORM_TYPE and b"origin" not in headers and is_object(body)):
            raise HTTPError(
                415,
                f"content-type: must be application/json or application/octet-stream, not {shown(plain.decode('latin-1'))}",
            )
    return None
