"""Handing labels to the service's other pods: one of them answered the request and can count the label in its trial."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

import orjson

from tidemill.runtime.protocol.feedback import Label
from tidemill.runtime.serve.rollout.candidate import FORWARDED

logger = logging.getLogger(__name__)

MAX_WAITING: Final = 1_000
SECONDS: Final = 2.0
MAX_LABELS: Final = 10_000


class Peers:
    """The way to the other pods. Labels are in the log already; one that is lost here is missing only in a score."""

    def __init__(self, path: str) -> None:
        """`path` is where pods take labels."""
        self.lost = 0
        self._path = path
        self._waiting: asyncio.Queue[tuple[str, Sequence[Label]]] = asyncio.Queue(MAX_WAITING)

    def send(self, peers: Sequence[str], labels: Sequence[Label]) -> None:
        """Hand labels to each of the peers, soon."""
        for peer in peers:
            try:
                self._waiting.put_nowait((peer, labels))
            except asyncio.QueueFull:
                self.lost += len(labels)

    async def run(self) -> None:
        """Hand over what waits, until cancelled."""
        first = await self._waiting.get()
        import aiohttp

        async with aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=SECONDS), cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            peer, labels = first
            while True:
                data = [
                    {"id": label.request, "row": label.row, "label": label.label, "time": label.time}
                    for label in labels
                ]
                try:
                    async with session.post(
                        peer + self._path,
                        data=orjson.dumps({"data": data}),
                        headers={"content-type": "application/json", FORWARDED: "feedback"},
                        allow_redirects=False,
                    ) as response:
                        await response.release()
                except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                    self.lost += len(labels)
                    logger.info("%d labels could not be handed to %s: %s", len(labels), peer, error)
                peer, labels = await self._waiting.get()
