"""Query Prometheus for the analysis of a rollout: only servers that the installation allows, within bounds.

Everyone who may write an InferenceService makes the operator send a query. So it queries only servers that the administrator
allows, follows no redirect, sends no credentials, and accepts one finite number alone.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any, Final

import aiohttp
import orjson

from tidemill.plan.types import Queried, Query

log = logging.getLogger(__name__)

MAX_RESPONSE_BYTES: Final = 1 << 18


class Prometheus:
    """Query the servers that are allowed."""

    def __init__(self, session: aiohttp.ClientSession, addresses: Sequence[str] = (), *, timeout: float = 2.0) -> None:
        """Allow the base URLs `addresses`; the first is used if a query names none."""
        self._session = session
        self._addresses = tuple(address.rstrip("/") for address in addresses)
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def ask(self, query: Query) -> Queried:
        """Return the number, or why there is none; raises nothing."""
        address = query.address.rstrip("/") or next(iter(self._addresses), "")
        if not address:
            return Queried(
                query.metric, problem="the installation names no Prometheus; see analysis.prometheus of the chart"
            )
        if address not in self._addresses:
            known = ", ".join(self._addresses) or "none"
            return Queried(
                query.metric,
                problem=f"{address} is not among the servers that may be asked ({known}); see analysis.prometheus of the chart",
            )
        try:
            return Queried(query.metric, await self._number(address, query.query))
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            log.info("no answer from %s: %s %s", address, type(problem).__name__, str(problem)[:200])
            return Queried(query.metric, problem=f"{address} does not answer: {type(problem).__name__}")
        except ValueError as problem:
            return Queried(query.metric, problem=f"{address}: {str(problem)[:300]}")

    async def _number(self, address: str, query: str) -> float:
        async with self._session.post(
            f"{address}/api/v1/query", data={"query": query}, timeout=self._timeout, allow_redirects=False
        ) as response:
            body = b""
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > MAX_RESPONSE_BYTES:
                    raise ValueError(f"a response of more than {MAX_RESPONSE_BYTES} bytes")
        try:
            parsed = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise ValueError(f"status {response.status} and no JSON; is this a Prometheus?") from None
        return _read(parsed, response.status)


def _read(parsed: Any, status: int) -> float:
    """Return the one number in a response; raises ValueError with what is there instead."""
    if not isinstance(parsed, dict) or parsed.get("status") != "success":
        error = parsed.get("error") if isinstance(parsed, dict) else None
        raise ValueError(f"status {status}: {error or 'not the answer of a Prometheus'}")
    data = parsed.get("data")
    kind, result = (data.get("resultType"), data.get("result")) if isinstance(data, dict) else (None, None)
    if kind == "vector" and isinstance(result, list):
        if not result:
            raise ValueError("the query has no result yet")
        if len(result) > 1:
            raise ValueError(f"the query has {len(result)} results; aggregate them into one, such as with sum()")
        result = result[0].get("value") if isinstance(result[0], dict) else None
    elif kind != "scalar":
        raise ValueError(f"the query gives a {kind}; it must give one number")
    if not isinstance(result, list) or len(result) != 2:
        raise ValueError("not the answer of a Prometheus")
    number = float(str(result[1]))
    if not math.isfinite(number):
        raise ValueError(f"the query gives {result[1]}")
    return number
