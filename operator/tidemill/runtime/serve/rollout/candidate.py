"""Asking the candidate: one request forwarded on a kept-alive connection, within a bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from tidemill.runtime.model.labels import ClassLabels
from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.serve.rollout import candidate_response
from tidemill.runtime.serve.rollout.candidate_response import Malformed

if TYPE_CHECKING:
    import aiohttp

FORWARDED: Final = "x-tidemill-forwarded"
"""Marks a request of a stable pod: it is answered here with all outputs, and neither forwarded again, nor logged, nor counted
with those of clients; the sender does that."""
FEATURES: Final = "x-tidemill-features"
"""Names the features and their order that a forwarded request without names was meant for."""
SECONDS: Final = "x-tidemill-seconds"
"""The header with the seconds that the version took to answer a forwarded request, without the way to it and back."""
ROWS_REFUSED: Final = "x-tidemill-rows-refused"
"""Marks a refusal of rows that the version has no answer to: a stable pod must not take it for a failure."""
MAX_TIMEOUT_SECONDS: Final = 2.0
LATE_SECONDS: Final = 0.02
GRACE_SECONDS: Final = 0.5
MAX_CONCURRENT: Final = 64
MAX_RESPONSE_BYTES: Final = 64 * 1024 * 1024


class Unanswered(Exception):
    """The candidate gave no answer that can be passed on; the message says why."""


class RowsRefused(Exception):
    """The candidate has no answer to these rows, and counts as healthy; the message says why."""


class Reply(NamedTuple):
    """A candidate's answer: as it came, for the client, and as it was understood, for the log."""

    body: bytes
    content_type: bytes
    header_length: int | None
    answer: Answer
    labels: ClassLabels | None
    seconds: float
    """Seconds that the version took."""


class CandidateClient:
    """One candidate version behind one URL."""

    def __init__(self, url: str, version: str, digest: str, *, timeout: float, labels: ClassLabels | None) -> None:
        self.url = url.rstrip("/")
        self.version = version
        self.digest = digest
        self.at_once = 0
        """Requests that wait for it now."""
        self._timeout = min(timeout, MAX_TIMEOUT_SECONDS)
        self._labels = labels
        self._session: aiohttp.ClientSession | None = None

    @property
    def busy(self) -> bool:
        """Return whether as many requests wait for it as may be risked."""
        return self.at_once >= MAX_CONCURRENT

    async def ask(self, path: str, body: bytes, headers: dict[str, str], rows: int) -> Reply:
        """Return its answer to a request for `rows` rows; raise Unanswered or RowsRefused."""
        started = time.perf_counter()
        self.at_once += 1
        exchange = asyncio.get_running_loop().create_task(self._post(path, body, headers))
        try:
            await asyncio.wait((exchange,), timeout=self._timeout)
            if not exchange.done():
                # Timers run before sockets: where this process itself was held up, the answer may be there unread.
                held_up = time.perf_counter() - started > self._timeout + LATE_SECONDS
                await asyncio.wait((exchange,), timeout=GRACE_SECONDS if held_up else LATE_SECONDS)
            if not exchange.done():
                raise Unanswered(f"no answer within {self._timeout:g} s")
            status, came, content = exchange.result()
        except (OSError, ValueError) as error:
            raise Unanswered(f"{type(error).__name__}: {error}") from None
        finally:
            exchange.cancel()
            self.at_once -= 1
        took = time.perf_counter() - started
        if status == 400 and ROWS_REFUSED in came and self._is_from_candidate(came):
            raise RowsRefused(content[:200].decode(errors="replace"))
        if status != 200:
            raise Unanswered(f"status {status}: {content[:200].decode(errors='replace')}")
        if not self._is_from_candidate(came):
            raise Unanswered(
                f"answered by {came.get('x-model-version')} {came.get('x-model-digest')}, not by {self.version} {self.digest}"
            )
        length = came.get("inference-header-content-length")
        try:
            header_length = None if length is None else int(length)
            answer, labels = candidate_response.read(content, header_length, rows, self._labels)
        except (Malformed, ValueError) as error:
            raise Unanswered(f"a malformed answer: {error}") from None
        with contextlib.suppress(ValueError):
            took = min(took, float(came.get(SECONDS, took)))
        return Reply(
            content, came.get("content-type", "application/json").encode(), header_length, answer, labels, took
        )

    def _is_from_candidate(self, headers: dict[str, str]) -> bool:
        return headers.get("x-model-digest") == self.digest and headers.get("x-model-version") == self.version

    async def _post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MAX_CONCURRENT, keepalive_timeout=20),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                # The time is kept around the whole exchange, a second attempt included.
                timeout=aiohttp.ClientTimeout(total=None),
            )
        for attempt in (1, 2):
            try:
                async with self._session.post(
                    self.url + path, data=body, headers=headers, allow_redirects=False
                ) as response:
                    content = b""
                    async for chunk in response.content.iter_any():
                        content += chunk
                        if len(content) > MAX_RESPONSE_BYTES:
                            raise ValueError(f"an answer of more than {MAX_RESPONSE_BYTES} bytes")
                    return response.status, {name.lower(): value for name, value in response.headers.items()}, content
            except aiohttp.ServerDisconnectedError as error:
                # An idle connection may be closed just when it is used again; a new one tells.
                if attempt == 2:
                    raise OSError("it closed the connection") from error
            except aiohttp.ClientError as error:
                raise OSError(f"{type(error).__name__}: {error}") from error
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Let its connections go."""
        if self._session is not None:
            await self._session.close()
            self._session = None
