"""Background loops of a process: one that fails is started again with back-off, and each says whether it still turns.

running ── error ──▶ waiting (0.1 s, 0.2 s, … 30 s) ──▶ running
   │ turned(): it has done its work once more
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Final

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS: Final = 0.1
MAX_RETRY_SECONDS: Final = 30.0
MAX_FAILURES: Final = 5
"""Failures in a row after which a loop counts as stopped; it is started again all the same."""
MAX_MISSED_PERIODS: Final = 60
"""Periods without a turn after which a loop counts as stopped."""

Run = Callable[["Loop"], Coroutine[Any, Any, None]]


@dataclass(slots=True, eq=False)
class Loop:
    """One background loop."""

    name: str
    clock: Callable[[], float]
    turned_at: float
    period: float = 0.0
    """Seconds between two turns; 0 for a loop that waits for work."""
    required: bool = False
    """Whether the process is not ready while this loop stands still."""
    errors: int = 0
    failures: int = 0
    """Errors since the last turn."""
    error: str = ""
    """The last error; empty once the loop turns again."""
    ended: bool = False

    def turned(self) -> None:
        """Record that the loop has done its work once more."""
        self.turned_at = self.clock()
        if self.failures:
            logger.info("the loop %r runs again", self.name)
        self.failures, self.error = 0, ""

    def survived(self, error: Exception) -> None:
        """Count an error of one piece of work, after which the loop goes on with the next one."""
        self.errors += 1
        if self.errors.bit_count() == 1:  # the first, and then ever more rarely
            logger.error("the loop %r: %d errors so far", self.name, self.errors, exc_info=error)

    def failed(self, error: Exception) -> None:
        """Count an error that ended the loop, which is to be started again."""
        self.errors += 1
        self.failures += 1
        self.error = f"{type(error).__name__}: {error}"[:300]
        logger.error("the loop %r failed and is started again", self.name, exc_info=error)

    def problem(self) -> str:
        """Return why the loop counts as stopped; empty while it turns."""
        if self.ended:
            return f"the loop {self.name!r} has ended"
        if self.failures >= MAX_FAILURES:
            return f"the loop {self.name!r} failed {self.failures} times in a row: {self.error}"
        silent = self.clock() - self.turned_at
        if self.period and silent > MAX_MISSED_PERIODS * self.period:
            return f"the loop {self.name!r} has not run for {silent:.0f} s" + (f": {self.error}" if self.error else "")
        return ""


class Loops:
    """All background loops of a process."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Measure turns by `clock`, and wait with `sleep` before a loop is started again."""
        self._clock = clock
        self._sleep = sleep
        self._loops: list[Loop] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[Loop]:
        return iter(self._loops)

    def start(self, name: str, run: Run, *, period: float = 0.0, required: bool = False) -> asyncio.Task[None]:
        """Start a loop that survives every error; one that returns by itself has done its work."""
        loop = Loop(name, self._clock, self._clock(), period, required)
        self._loops.append(loop)
        task = asyncio.get_running_loop().create_task(self._supervise(loop, run), name=f"loop {name}")
        self._tasks.add(task)
        task.add_done_callback(lambda task: self._ended(task, loop))
        return task

    async def stop(self, seconds: float) -> None:
        """Cancel all loops, and wait up to `seconds` for them."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    def problem(self) -> str:
        """Return why a loop that the process needs counts as stopped; empty while all of them turn."""
        problems = (loop.problem() for loop in self._loops if loop.required)
        return next((problem for problem in problems if problem), "")

    async def _supervise(self, loop: Loop, run: Run) -> None:
        while True:
            started_at = self._clock()
            try:
                await run(loop)
            except Exception as error:  # a loop survives everything but the end of the process
                if self._clock() - started_at > 2 * MAX_RETRY_SECONDS:
                    loop.failures = 0
                loop.failed(error)
            else:
                self._loops.remove(loop)
                return
            await self._sleep(min(FIRST_RETRY_SECONDS * 2 ** min(loop.failures - 1, 10), MAX_RETRY_SECONDS))

    def _ended(self, task: asyncio.Task[None], loop: Loop) -> None:
        self._tasks.discard(task)
        loop.ended = loop in self._loops
