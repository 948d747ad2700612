"""Connections that do not get on with a request: heads that take too long or never end, and messages longer than any that is taken.

uvicorn bounds neither, and gives up its own timer with the first byte that comes. One sweep a second looks at the connections
that wait for the rest of a head; those whose requests come whole are never among them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol

SWEEP_INTERVAL_SECONDS: Final = 1.0
MAX_HEAD_BYTES: Final = 64 * 1024
"""Bytes of a head that comes in pieces; what comes in one is bounded by how much is read at once."""
MAX_DISCARDED_BYTES: Final = 64 * 1024 * 1024
MAX_FRAMING_BYTES: Final = 256 * 1024
"""Bytes of a message that are neither head nor body nor what frames its chunks: each trailer is kept until the message ends."""
PER_BYTE: Final = 8
"""A body in chunks of one byte each is six times as long on its way."""


class ClientConnection(Protocol):
    """The part of a connection that the guard uses."""

    def give_up(self, status: bytes, message: str) -> None: ...


class SlowClientGuard:
    """Ends connections whose heads are too slow."""

    def __init__(self, seconds: float, body_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        """A head may take `seconds`; of messages, bodies of `body_bytes` are taken, and some more is thrown away."""
        self._max_message = MAX_DISCARDED_BYTES + PER_BYTE * body_bytes
        self._seconds = seconds
        self._clock = clock
        self._waiting: dict[ClientConnection, float] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def exceeded(self, message: int, body: int) -> bool:
        """Return whether more bytes came than any accepted message has: the rest lies around chunks, or never ends."""
        return message > self._max_message or message > MAX_FRAMING_BYTES + PER_BYTE * body

    def begin(self, connection: ClientConnection) -> None:
        """A head is waited for from now on."""
        self._waiting.setdefault(connection, self._clock())

    def end(self, connection: ClientConnection) -> None:
        """Stop waiting for the head: it has come, or it never will."""
        self._waiting.pop(connection, None)

    def look(self) -> None:
        """Give up those that take too long."""
        late = self._clock() - self._seconds
        for connection in [waiting for waiting, since in self._waiting.items() if since < late]:
            self.end(connection)
            connection.give_up(b"408 Request Timeout", f"headers: did not come within {self._seconds:g} s")

    async def sweep(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_SECONDS)
            self.look()
