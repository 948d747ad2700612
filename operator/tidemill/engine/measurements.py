"""Ask pods and Prometheus before a plan is made: measurements of serving pods, query results, check runs of warm workers.

A serving pod that does not answer is left out; for a worker that does not answer the response says so.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Literal

import aiohttp
from pydantic import ValidationError

from tidemill.contract.orders import CHECK_HOLD_SECONDS
from tidemill.contract.reports import RunReport
from tidemill.contract.serving import Measurements
from tidemill.engine.prometheus import Prometheus
from tidemill.plan.types import Answers, CheckRequest, CheckResponse, Question

log = logging.getLogger(__name__)

MAX_RESPONSE_BYTES = 1 << 20
NOT_NOW = frozenset({409, 429, 503})
"""Status codes of a worker that is busy with another run, or is about to stop."""


class Pods:
    """Send questions to pods, without the credentials of the operator."""

    def __init__(
        self, session: aiohttp.ClientSession, prometheus: Prometheus | None = None, *, timeout: float = 1.0
    ) -> None:
        """Use `prometheus` for the queries of analyses."""
        self._session = session
        self._prometheus = prometheus or Prometheus(session)
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        # On a busy node a worker that counts rows answers late.
        self._check_timeout = aiohttp.ClientTimeout(total=CHECK_HOLD_SECONDS + 4 * timeout)

    async def answer(self, question: Question | None) -> Answers:
        """Return the measurements of pods that answered, in the order of the question; then the results of the queries, and of
        the check runs."""
        if question is None:
            return ()
        measured, queried, checked = await asyncio.gather(
            asyncio.gather(*(self._ask(url) for url in question.urls)),
            asyncio.gather(*(self._prometheus.ask(query) for query in question.queries)),
            asyncio.gather(*(self._check(request) for request in question.checks)),
        )
        return (*(answer for answer in measured if answer is not None), *queried, *checked)

    async def _ask(self, url: str) -> Measurements | None:
        try:
            async with self._session.get(url, timeout=self._timeout, allow_redirects=False) as response:
                response.raise_for_status()
                body = await _whole(response)
            return Measurements.model_validate_json(body)
        except (aiohttp.ClientError, TimeoutError, ConnectionError, ValidationError) as problem:
            log.info("no measurements from %s: %s %s", url, type(problem).__name__, str(problem)[:200])
            return None

    async def _check(self, request: CheckRequest) -> CheckResponse:
        """Request a run: the first request starts it, later ones return its state."""
        headers = {"content-type": "application/json"}
        try:
            async with self._session.post(
                request.url, data=request.order, headers=headers, timeout=self._check_timeout, allow_redirects=False
            ) as response:
                status = response.status
                body = await _whole(response)
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as problem:
            return _not_checked(request, "Unheard", f"does not answer: {type(problem).__name__}")
        if status == 202:
            return CheckResponse(request.run, "Running")
        if status != 200:
            text = " ".join(body.decode(errors="replace").split())[:300]
            return _not_checked(request, "Unheard" if status in NOT_NOW else "Refused", f"answers {status}: {text}")
        try:
            report = RunReport.model_validate_json(body)
        except ValidationError:
            return _not_checked(
                request, "Refused", "returned an invalid report; use the operator and the workload image of one release"
            )
        if report.checked is None and report.failure is None:
            return _not_checked(request, "Refused", "returned a report without a check")
        return CheckResponse(request.run, "Reported", report)


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    """Return the body; raises ClientPayloadError if it is too large."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_RESPONSE_BYTES:
            raise aiohttp.ClientPayloadError(f"a response of more than {MAX_RESPONSE_BYTES} bytes")
    return bytes(body)


def _not_checked(request: CheckRequest, outcome: Literal["Unheard", "Refused"], message: str) -> CheckResponse:
    log.info("no check by %s: %s", request.url, message)
    return CheckResponse(request.run, outcome, message=message)
