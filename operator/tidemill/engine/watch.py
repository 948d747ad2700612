"""List and watch one kind, without an end: every object of it reaches `deliver`, and every change, in the order of the watch.

A list is read in pages, then changes are watched from its version on. The rules, each against a known fault:

* A silent connection is closed after 70 s: bookmarks come every 60 s, so silence means that the other end is gone.
* A watch ends after about five minutes, and goes on from the newest version that was seen; bookmarks keep that version young.
* Where the API server no longer knows a version (410, as answer or as event), everything is listed again. No deletion is
  reported for what went in between: `listed` is called after each list, so that a resync looks for it.
* Any other refusal, broken stream or unreadable line is answered with a pause that grows, never with the end of the process.
* A failure to take one event in is logged, and the next event is read.
* Streamed lists are not used: where one breaks off, the API server continues by version although it sent by name.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson

from tidemill.engine import errors
from tidemill.engine.client import Client
from tidemill.engine.kinds import Watched
from tidemill.plan.world import Manifest

log = logging.getLogger(__name__)

WATCH_SECONDS: Final = 300.0
"""How long the API server keeps a watch open, about."""
INACTIVITY_SECONDS: Final = 70.0
RETRY_SECONDS: Final = 1.0
"""The first pause after a failure; each further one in a row is twice as long."""
MAX_RETRY_SECONDS: Final = 30.0
MAX_FAILURES: Final = 5
"""Failures in a row after which a version is given up."""
CHANGES: Final = frozenset({"ADDED", "MODIFIED", "DELETED"})

Deliver = Callable[[str | None, Manifest], None]


class Watch:
    """The list and watch of one kind, in one namespace or in all."""

    def __init__(
        self,
        client: Client,
        watched: Watched,
        namespace: str | None,
        *,
        deliver: Deliver,
        listed: Callable[[], None],
        jitter: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._watched = watched
        self._namespace = namespace
        self._deliver = deliver
        self._listed = listed
        self._jitter = jitter
        self._sleep = sleep
        self._failures = 0
        self._version = ""
        """The newest version that was seen; empty where everything is to be listed."""

    def __str__(self) -> str:
        return f"{self._watched.plural} in {self._namespace}" if self._namespace else self._watched.plural

    async def run(self) -> None:
        """List and watch until cancelled."""
        while True:
            try:
                if not self._version:
                    self._version = await self._list()
                await self._follow()
                self._failures = 0
            except errors.Unavailable as problem:
                delay = self._delay(problem.retry_after)
                if self._failures >= MAX_FAILURES:
                    # The API server may not reach this version any more, such as after a restored backup.
                    self._version = ""
                log.warning("%s; again in %.1f s", problem, delay)
                await self._sleep(delay)
            except errors.OperatorError as problem:
                self._version = ""
                delay = self._delay()
                log.info("%s; listing again in %.1f s", problem, delay)
                await self._sleep(delay)

    async def _list(self) -> str:
        """Deliver every object as it is, and return the version from which changes are to be watched."""
        version = ""
        async for page in self._client.pages(self._watched, self._namespace):
            version = page.version
            for manifest in page.items:
                self._take(None, manifest)
        self._listed()
        return version

    async def _follow(self) -> None:
        """Deliver changes until the connection ends."""
        began = asyncio.get_running_loop().time()
        seconds = WATCH_SECONDS * (0.9 + 0.2 * self._jitter())
        events = self._client.watch(
            self._watched, self._namespace, self._version, seconds=seconds, inactivity=INACTIVITY_SECONDS
        )
        async with contextlib.aclosing(events):
            async for event in events:
                change, manifest = event.get("type"), event.get("object")
                if change == "ERROR" or not isinstance(manifest, dict):
                    self._version = ""
                    raise _problem(self._watched, manifest)
                self._version = (manifest.get("metadata") or {}).get("resourceVersion") or self._version
                if change in CHANGES:
                    self._take(change, manifest)
                elif change != "BOOKMARK":
                    log.warning("unknown watch event '%s' of %s; update Tidemill", change, self._watched.plural)
        if asyncio.get_running_loop().time() - began < RETRY_SECONDS:
            # A proxy that ends every connection at once must not be asked without a pause.
            await self._sleep(RETRY_SECONDS * (0.9 + 0.2 * self._jitter()))

    def _take(self, change: str | None, manifest: Manifest) -> None:
        # Objects in a list do not repeat their kind.
        manifest.setdefault("apiVersion", self._watched.api_version)
        manifest.setdefault("kind", self._watched.kind)
        try:
            self._deliver(change, manifest)
        except Exception:  # one object that cannot be taken in must not end the watch of all others
            log.exception("an event of %s was not processed; the next resync corrects it", self._watched.plural)

    def _delay(self, at_least: float = 0.0) -> float:
        """Return the seconds to wait after one more failure in a row."""
        self._failures += 1
        delay = min(RETRY_SECONDS * 2.0 ** min(self._failures - 1, 10), MAX_RETRY_SECONDS)
        return max(delay * (0.9 + 0.2 * self._jitter()), at_least)


def _problem(watched: Watched, status: Any) -> errors.OperatorError:
    """Return the error that the API server reports inside a watch."""
    code = status.get("code") if isinstance(status, dict) else None
    return errors.from_answer(
        code if isinstance(code, int) and code >= 400 else 500, orjson.dumps(status), f"watch {watched.plural}"
    )
