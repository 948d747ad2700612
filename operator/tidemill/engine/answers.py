"""Measurements, asked of the serving pods before a plan is made; a pod that does not answer in time is left out."""

from __future__ import annotations

import asyncio
import logging

import aiohttp
from pydantic import ValidationError

from tidemill.contract import Measurements
from tidemill.plan.plan import Answers, Question

log = logging.getLogger(__name__)

LARGEST_ANSWER = 1 << 20


class Pods:
    """Asks pods. The session carries no credentials of ours: a pod is not the API server."""

    def __init__(self, session: aiohttp.ClientSession, *, timeout: float = 1.0) -> None:
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def answer(self, question: Question | None) -> Answers:
        """What the pods said, in the order in which they were asked, without those that failed."""
        if question is None or not question.urls:
            return ()
        answers = await asyncio.gather(*(self._ask(url) for url in question.urls))
        return tuple(answer for answer in answers if answer is not None)

    async def _ask(self, url: str) -> Measurements | None:
        try:
            async with self._session.get(url, timeout=self._timeout, allow_redirects=False) as response:
                response.raise_for_status()
                body = await response.content.read(LARGEST_ANSWER)
            return Measurements.model_validate_json(body)
        except (aiohttp.ClientError, TimeoutError, ConnectionError, ValidationError) as problem:
            log.info("no measurements from %s: %s %s", url, type(problem).__name__, str(problem)[:200])
            return None
