"""Measurements, asked of the serving pods and of Prometheus before a plan is made; a pod that does not answer is left out."""

from __future__ import annotations

import asyncio
import logging

import aiohttp
from pydantic import ValidationError

from tidemill.contract import Measurements
from tidemill.engine.prometheus import Prometheus
from tidemill.plan.plan import Answers, Question

log = logging.getLogger(__name__)

LARGEST_ANSWER = 1 << 20


class Pods:
    """Asks pods. The session carries no credentials of ours: a pod is not the API server."""

    def __init__(
        self, session: aiohttp.ClientSession, prometheus: Prometheus | None = None, *, timeout: float = 1.0
    ) -> None:
        """`prometheus` is asked what else an analysis wants to know."""
        self._session = session
        self._prometheus = prometheus or Prometheus(session)
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def answer(self, question: Question | None) -> Answers:
        """What the pods said, in the order in which they were asked, without those that failed; then what came of the queries."""
        if question is None:
            return ()
        said, queried = await asyncio.gather(
            asyncio.gather(*(self._ask(url) for url in question.urls)),
            asyncio.gather(*(self._prometheus.ask(query) for query in question.queries)),
        )
        return (*(answer for answer in said if answer is not None), *queried)

    async def _ask(self, url: str) -> Measurements | None:
        try:
            async with self._session.get(url, timeout=self._timeout, allow_redirects=False) as response:
                response.raise_for_status()
                body = await response.content.read(LARGEST_ANSWER)
            return Measurements.model_validate_json(body)
        except (aiohttp.ClientError, TimeoutError, ConnectionError, ValidationError) as problem:
            log.info("no measurements from %s: %s %s", url, type(problem).__name__, str(problem)[:200])
            return None
