"""CloudEvents of inference in binary mode over HTTP, as KServe's logger sends them, on their way to the monitor's log."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tidemill.contract.layout import PAYLOADS, prediction_folder
from tidemill.contract.orders import PayloadOrder, ReceiveOrder
from tidemill.runtime.failures import RunFailed
from tidemill.runtime.log.retention import Retention
from tidemill.runtime.log.writer import Log, boot_id
from tidemill.runtime.receive import inference
from tidemill.runtime.receive.exchanges import Exchange, ExchangeFile, Joining
from tidemill.runtime.store.objects import ObjectStore

logger = logging.getLogger(__name__)

REQUEST: Final = "org.kubeflow.serving.inference.request"
RESPONSE: Final = "org.kubeflow.serving.inference.response"
MAX_BYTES: Final = 4 * 1024 * 1024
"""Bytes of one event's body."""
LOG_BYTES: Final = 48 * 1024 * 1024
WRITE_INTERVAL_SECONDS: Final = 2.0


class PayloadReceiver:
    """Takes events, joins them, and writes the log."""

    def __init__(
        self, order: ReceiveOrder, payloads: PayloadOrder, *, credentials: Path, clock: Callable[[], float]
    ) -> None:
        self.refused = 0
        self._order = order
        self._payloads = payloads
        self._token = credentials / PAYLOADS / "token"
        self._clock = clock
        self._joining = Joining()
        self._log = Log(
            prediction_folder(order.namespace, payloads.log),
            f"receiver-{boot_id()}",
            ExchangeFile(),
            every=WRITE_INTERVAL_SECONDS,
            max_bytes=LOG_BYTES,
            clock=clock,
        )

    def take(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        """Take an event, whose headers have names in lower case; return the HTTP status and a sentence."""
        if self._payloads.secured and not self._is_right(headers.get("authorization", "")):
            return 401, "the token is not right, or the Secret is not there yet"
        kind, request = headers.get("ce-type", ""), headers.get("ce-id", "")
        if not headers.get("ce-specversion", "").startswith("1.") or not request or not kind:
            return 400, "this is no CloudEvent in binary mode: ce-specversion, ce-id and ce-type are needed"
        service = headers.get("ce-inferenceservicename", "")
        if kind not in (REQUEST, RESPONSE) or (self._payloads.service and service != self._payloads.service):
            return 200, "it is not of the service that is watched"
        version, now = headers.get("ce-modelversion", "")[:253], self._clock()
        try:
            if kind == REQUEST:
                columns = inference.asked(body, self._payloads.columns)
                complete = self._joining.asked(request[:128], columns, version, len(body), now)
            else:
                answers = inference.answered(body)
                complete = self._joining.answered(request[:128], answers, version, len(body), now)
        except inference.UnreadablePayloadError as error:
            self.refused += 1
            if self.refused.bit_count() == 1:  # the first, and then ever more rarely
                logger.warning("an event is not understood (%d so far): %s", self.refused, error)
            return 400, str(error)
        return (200, "taken") if self._keep(complete) else (503, "the store does not take the log; send it again later")

    async def run(self, open_store: Callable[[], ObjectStore]) -> None:
        """Write the log, until cancelled; then once more."""
        writing = asyncio.create_task(self._write(open_store))
        try:
            while True:
                await asyncio.sleep(WRITE_INTERVAL_SECONDS)
                self._keep(self._joining.lapsed(self._clock()))
        finally:
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writing
            self._keep(self._joining.lapsed(self._clock(), all_of_it=True))
            await self._log.flush()

    async def _write(self, open_store: Callable[[], ObjectStore]) -> None:
        while True:
            try:
                store = await asyncio.to_thread(open_store)
                break
            except (RunFailed, OSError) as error:
                logger.warning("the log waits for its store: %s", error)
                await asyncio.sleep(WRITE_INTERVAL_SECONDS)
        self._log.use(store)
        retention = Retention(
            (prediction_folder(self._order.namespace, self._payloads.log),),
            self._payloads.retention_seconds,
            clock=self._clock,
            uniform=lambda: int.from_bytes(os.urandom(2), "big") / 65536,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._log.run())
            tasks.create_task(retention.run(store))

    def _keep(self, complete: list[Exchange]) -> bool:
        kept = True
        for exchange in complete:
            size = 200 + sum(16 * len(values) for values in exchange.columns.values())
            kept = self._log.append(exchange, exchange.rows, size) and kept
        return kept

    def _is_right(self, authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        try:
            token = self._token.read_bytes().strip()
        except OSError:
            return False
        return bool(token) and scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token)
