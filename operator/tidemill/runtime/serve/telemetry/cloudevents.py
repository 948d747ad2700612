"""Requests and their answers as pairs of CloudEvents over HTTP, as KServe's logger sends them: binary mode, one POST each.

Best effort by design: a bounded number waits, a few are sent at a time, and what the sink does not take is counted and gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from tidemill.runtime.protocol.features import Features
from tidemill.runtime.serve.http.request import Request

if TYPE_CHECKING:
    import aiohttp

    from tidemill.runtime.serve.version.model import Identity

logger = logging.getLogger(__name__)

REQUEST: Final = "org.kubeflow.serving.inference.request"
RESPONSE: Final = "org.kubeflow.serving.inference.response"
MAX_WAITING: Final = 1_000
MAX_BYTES: Final = 16 * 1024 * 1024
AT_ONCE: Final = 4
SECONDS: Final = 5.0
REST: Final = 1.0
"""Seconds for which a sink that failed is left alone."""


class AnsweredRequest(NamedTuple):
    """A request that was answered."""

    request: Request
    version: str
    role: str
    answer: bytes
    answer_type: str
    answer_header_length: str


class CloudEventSender:
    """Sends requests and answers to one sink, from a bounded queue."""

    def __init__(self, url: str, identity: Identity, features: Features, *, redact: Collection[str] = ()) -> None:
        """`redact` names features whose values are left out; where there are any, requests are written again without them."""
        self.sent = 0
        self.dropped = 0
        self.failed = 0
        self._url = url
        self._identity = identity
        self._features = features
        self._redact = frozenset(redact)
        self._bytes = 0
        self._waiting: asyncio.Queue[AnsweredRequest] = asyncio.Queue(MAX_WAITING)

    def put(self, exchange: AnsweredRequest) -> None:
        """Let a pair of events wait for its turn, if there is room."""
        size = len(exchange.request.body) + len(exchange.answer)
        if self._waiting.full() or self._bytes + size > MAX_BYTES:
            self.dropped += 2
            return
        self._bytes += size
        self._waiting.put_nowait(exchange)

    async def run(self) -> None:
        """Send what waits, until cancelled."""
        first = await self._next()
        import aiohttp

        async with (
            aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=SECONDS), cookie_jar=aiohttp.DummyCookieJar()
            ) as session,
            asyncio.TaskGroup() as tasks,
        ):
            for begun in (first, *(None for _ in range(AT_ONCE - 1))):
                tasks.create_task(self._send_on(session, begun))

    async def _next(self) -> AnsweredRequest:
        exchange = await self._waiting.get()
        self._bytes -= len(exchange.request.body) + len(exchange.answer)
        return exchange

    async def _send_on(self, session: aiohttp.ClientSession, exchange: AnsweredRequest | None) -> None:
        while True:
            exchange = exchange or await self._next()
            body, content_type, header_length = self._asked(exchange)
            asked = await self._post(session, exchange, REQUEST, body, content_type, header_length)
            answered = asked and await self._post(
                session,
                exchange,
                RESPONSE,
                exchange.answer,
                exchange.answer_type,
                exchange.answer_header_length,
            )
            if not answered:
                await asyncio.sleep(REST)
            exchange = None

    async def _post(
        self,
        session: aiohttp.ClientSession,
        exchange: AnsweredRequest,
        kind: str,
        body: bytes,
        content_type: str,
        header_length: str,
    ) -> bool:
        import aiohttp

        identity = self._identity
        headers = {
            "ce-specversion": "1.0",
            "ce-id": exchange.request.id,
            "ce-source": f"/namespaces/{identity.namespace}/inferenceservices/{identity.service}",
            "ce-type": kind,
            "ce-time": datetime.fromtimestamp(exchange.request.received_at, UTC).isoformat(timespec="microseconds"),
            "ce-inferenceservicename": identity.service,
            "ce-namespace": identity.namespace,
            "ce-component": "predictor",
            "ce-endpoint": "canary" if exchange.role == "Candidate" else "default",
            "ce-modelversion": exchange.version,
            "content-type": content_type,
        }
        if header_length:
            headers["inference-header-content-length"] = header_length
        try:
            async with session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                await response.read()
                if response.status < 300:
                    self.sent += 1
                    return True
                problem = f"status {response.status}"
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            problem = type(error).__name__
        self.failed += 1
        if self.failed.bit_count() == 1:  # the first, and then ever more rarely
            logger.warning("the sink of events does not take them (%d so far): %s", self.failed, problem)
        return False

    def _asked(self, exchange: AnsweredRequest) -> tuple[bytes, str, str]:
        """The request as it came; or, where features are redacted, as one tensor for each of the others."""
        request = exchange.request
        if not self._redact:
            return (
                request.body,
                request.header(b"content-type", "application/json"),
                request.header(b"inference-header-content-length"),
            )
        inputs: list[dict[str, Any]] = []
        for index, name in enumerate(self._features.names):
            if name in self._redact:
                continue
            words = request.rows.categories.get(index)
            inputs.append(
                {
                    "name": name,
                    "shape": [len(request.rows.matrix)],
                    "datatype": "FP64" if words is None else "BYTES",
                    "data": request.rows.matrix[:, index].astype(float).tolist() if words is None else words,
                }
            )
        return orjson.dumps({"id": request.id, "inputs": inputs}), "application/json", ""
