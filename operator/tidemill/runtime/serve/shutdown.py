"""The end of a serving process: it answers on while the endpoints forget it, and ends in time whatever hangs."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn

from tidemill.runtime.serve.version.readiness import State

logger = logging.getLogger(__name__)

LAST_SECONDS: Final = 9.5
"""A process is gone this long after its drain, whatever hangs in a thread of it."""


class GracefulServer(uvicorn.Server):  # type: ignore[misc]
    """uvicorn that goes on answering for a while after SIGTERM."""

    def __init__(
        self,
        config: uvicorn.Config,
        state: State,
        drain_seconds: float,
        end_after: Callable[[float], None],
        *,
        drains_connections: bool = False,
    ) -> None:
        """`end_after` is told with the first signal in how many seconds the process must be gone; with `drains_connections` none
        is accepted from then on, and the drain ends with the last one."""
        super().__init__(config)
        self.failure: Exception | None = None
        """The error because of which the process cannot go on."""
        self._drains_connections = drains_connections
        self._state = state
        self._drain_seconds = drain_seconds
        self._end_after = end_after
        self._drained_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal starts the drain, the second ends it. Not recorded as uvicorn would: to be told to stop and to
        stop is a success, and the exit code is 0."""
        if self._drained_at is None:
            self._state.draining = True
            self._drained_at = time.monotonic() + self._drain_seconds
            self._end_after(self._drain_seconds + LAST_SECONDS)
        else:
            self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Look ten times a second whether the drain is over."""
        if self._drained_at is not None:
            if self._drains_connections:
                for listening in self.servers:
                    listening.close()
            over = self._drains_connections and not self.server_state.connections
            if over or time.monotonic() >= self._drained_at:
                self.should_exit = True
        return bool(await super().on_tick(counter))


def end_after(seconds: float) -> None:
    """End this process then, unless it has ended by itself.

    A thread that waits for a store cannot be stopped, and Python does not exit before its threads do.
    """

    def end() -> None:
        logger.error("something still hangs; the process ends nevertheless")
        logging.shutdown()
        os._exit(0)

    last = threading.Timer(seconds, end)
    last.daemon = True
    last.start()
