"""The process that explains a version's answers, from this side: started when it is first asked, ended when no more requests come.

asked ─ others wait? ─ lock ─ running? ─ no ─ start, and wait for `ready` ─┬─ rows ──▶ its standard input
  │                                                                       └─ values ◀── its standard output
  └─ too many wait: 503      too long: 504, and the process is ended if the rows took it that long
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import Final

from tidemill.runtime.explain import messages
from tidemill.runtime.explain.values import Explained
from tidemill.runtime.model.answer import Matrix
from tidemill.runtime.process.memory import memory_headroom
from tidemill.runtime.protocol.errors import HTTPError
from tidemill.runtime.serve.version.open_files import OpenFiles

MAX_WAITING: Final = 8
SECONDS: Final = 30.0
IDLE: Final = 120.0
"""Seconds without a request after which the process gives its memory back."""
NEEDED: Final = 350 << 20
"""Bytes that the process may take. It is not begun where the container has fewer left: the server would end with it."""
MODULE: Final = "tidemill.runtime.explain"
WITHOUT_COMPILING: Final = {"NUMBA_DISABLE_JIT": "1"}
"""shap would have numba compile for five seconds and take 120 MB for it; a few rows take no longer without."""


class Explainer:
    """Explains the answers of one version."""

    def __init__(self, files: OpenFiles) -> None:
        self._files = files
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._process: asyncio.subprocess.Process | None = None
        self._loading: asyncio.Task[bytes] | None = None
        """Reads the message that the process sends once it has loaded everything."""
        self._last: asyncio.TimerHandle | None = None

    async def explain(self, rows: Matrix) -> Explained:
        """Return the explanation of the answers to `rows`; raises Unanswerable, or HTTPError where there is none now."""
        if self._waiting >= MAX_WAITING:
            raise HTTPError(503, f"explain: too many queued requests ({self._waiting}); retry later")
        self._waiting += 1
        try:
            async with asyncio.timeout(SECONDS), self._lock:
                return await self._asked(rows)
        except TimeoutError:
            raise HTTPError(504, f"explain: no answer within {SECONDS:g} s; send fewer rows at once") from None
        finally:
            self._waiting -= 1

    async def _asked(self, rows: Matrix) -> Explained:
        begun = False
        try:
            process = await self._running()
            assert process.stdin is not None
            begun = True
            process.stdin.write(messages.framed(messages.rows_to_bytes(rows)))
            await process.stdin.drain()
            explained = messages.from_bytes(await _message(process))
        except (asyncio.IncompleteReadError, OSError):
            raise HTTPError(503, await self._why()) from None
        except asyncio.CancelledError:
            if begun:
                # Its answer would be taken for the next one's. What is only being loaded goes on, and serves the next request.
                await self.close()
            raise
        self._end_when_idle()
        return explained

    async def _running(self) -> asyncio.subprocess.Process:
        if self._last is not None:
            self._last.cancel()
        if self._process is None or self._process.returncode is not None:
            if not self._files.unchanged:
                raise HTTPError(503, "explain: the files of this version were overwritten; restart the server")
            free = memory_headroom()
            if free is not None and free < NEEDED:
                raise HTTPError(
                    503,
                    f"explain: {free >> 20} MiB of the memory limit are free, and {NEEDED >> 20} MiB are needed in addition to the "
                    "server; raise limits.memory in the service's spec.resources",
                )
            descriptors = self._files.descriptors
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                MODULE,
                *(f"{name}={descriptor}" for name, descriptor in descriptors.items()),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                pass_fds=tuple(descriptors.values()),
                env={**os.environ, **WITHOUT_COMPILING},
            )
            self._loading = asyncio.create_task(_message(self._process))
        assert self._loading is not None
        # Who gives up waiting must not take half of the message along.
        await asyncio.shield(self._loading)
        return self._process

    async def _why(self) -> str:
        """Return why the process ended."""
        process, self._process = self._process, None
        code = None if process is None else await process.wait()
        needs = f"it needs {NEEDED >> 20} MiB of memory in addition to the server's"
        return f"explain: its process ended with {code}; {needs if code == -signal.SIGKILL else 'the output of this server says why'}"

    def _end_when_idle(self) -> None:
        self._last = asyncio.get_running_loop().call_later(IDLE, self._kill)

    def _kill(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def close(self) -> None:
        """End the process; the next request would start another one."""
        if self._last is not None:
            self._last.cancel()
        if self._loading is not None:
            self._loading.cancel()
        self._kill()
        process, self._process = self._process, None
        if process is not None:
            await process.wait()


async def _message(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    (length,) = messages.LENGTH.unpack(await process.stdout.readexactly(messages.LENGTH.size))
    return await process.stdout.readexactly(length)
