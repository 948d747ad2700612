"""Copies of answered requests, which wait for the candidate off the hot path; what does not fit is dropped and counted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.serve.http.request import Request
from tidemill.runtime.serve.rollout.split import Split

if TYPE_CHECKING:
    from tidemill.runtime.serve.rollout.trial import RolloutTrial

MAX_WAITING: Final = 500
MAX_BYTES: Final = 16 * 1024 * 1024
"""Memory that bodies may take while they wait."""
AT_ONCE: Final = 4
"""Copies that the candidate is asked at a time."""


class Copy(NamedTuple):
    """A request that the stable version has answered."""

    trial: RolloutTrial
    request: Request
    answer: Answer


class Copies:
    """Requests that wait to be sent to the candidate too."""

    def __init__(self) -> None:
        self.split = Split()
        """Decides which answered requests are copied."""
        self.sent = 0
        self.dropped = 0
        self._bytes = 0
        self._waiting: asyncio.Queue[Copy] = asyncio.Queue(MAX_WAITING)

    def put(self, copy: Copy) -> None:
        """Let a copy wait for its turn, if there is room."""
        if self._waiting.full() or self._bytes + len(copy.request.body) > MAX_BYTES:
            self.dropped += 1
            return
        self._bytes += len(copy.request.body)
        self._waiting.put_nowait(copy)

    async def get(self) -> Copy:
        """The next one."""
        copy = await self._waiting.get()
        self._bytes -= len(copy.request.body)
        self.sent += 1
        return copy
