"""The client: asks a row at a steady rate, checks every answer, and sends the labels after a while."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from traffic import protocol
from traffic.ledger import Ledger
from traffic.rows import Example, FeatureShift, Shift

MAX_CONCURRENT = 64
LABEL_BATCH = 0.5
"""Seconds for which labels are collected before they are sent together."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """What to do, and when to stop on its own."""

    url: str
    model: str
    rate: float
    """Requests in a second."""
    label_delay: float
    """Seconds from an answer to its label."""
    most: int
    """Requests after which nothing more is asked."""
    seconds: float
    """After which nothing more is asked."""
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer that was as it should be."""

    request: str
    version: str
    predicted: float | str


class Client:
    """Asks until its schedule is run or it is stopped; every request is made once, and a failed one is counted."""

    def __init__(
        self, schedule: Schedule, examples: Sequence[Example], feature_shift: FeatureShift, rng: random.Random
    ) -> None:
        self.schedule = schedule
        self.examples = examples
        self.feature_shift = feature_shift
        self.rng = rng
        self.shift = Shift.NONE
        self.ledger = Ledger()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)
        self._under_way: set[asyncio.Task[None]] = set()
        self._labels: asyncio.Queue[tuple[float, Answered, Example]] = asyncio.Queue()

    async def run(self) -> None:
        """Ask at the wanted rate; a slow service delays questions, it does not pile them up."""
        timeout = aiohttp.ClientTimeout(total=self.schedule.timeout)
        connector = aiohttp.TCPConnector(limit=MAX_CONCURRENT)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            labels = asyncio.create_task(self._send_labels(session))
            began = due = time.monotonic()
            asked = 0
            while asked < self.schedule.most and time.monotonic() - began < self.schedule.seconds:
                await self._slots.acquire()
                asked += 1
                task = asyncio.create_task(self._ask_one(session))
                self._under_way.add(task)
                task.add_done_callback(self._done)
                due = max(due + 1.0 / self.schedule.rate, time.monotonic() - 1.0)
                await asyncio.sleep(max(due - time.monotonic(), 0.0))
            await asyncio.gather(*self._under_way)
            await asyncio.sleep(self.schedule.label_delay + 4 * LABEL_BATCH)
            labels.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._slots.release()

    async def _ask_one(self, session: aiohttp.ClientSession) -> None:
        example = self.rng.choice(self.examples)
        answered = await self.ask(session, example, self.shift)
        if answered is not None:
            self._labels.put_nowait((time.monotonic() + self.schedule.label_delay, answered, example))

    async def ask(self, session: aiohttp.ClientSession, example: Example, shift: Shift) -> Answered | None:
        """Ask one row; what is wrong about the answer goes into the ledger."""
        row = self.feature_shift.change(example.features, shift, self.rng)
        self.ledger.sent += 1
        began = time.monotonic()
        try:
            url = self.schedule.url + protocol.infer_path(self.schedule.model)
            async with session.post(url, json=protocol.question(row)) as response:
                text = await response.text()
                if response.status != 200:
                    raise protocol.Wrong(f"status {response.status}: {text[:300]}")
                document = await response.json()
                predicted = protocol.answer(document)
                missing = [
                    name
                    for name in (protocol.REQUEST_ID, protocol.VERSION, protocol.DIGEST)
                    if not response.headers.get(name)
                ]
                if missing:
                    raise protocol.Wrong(f"no header {', '.join(missing)}")
                named = document.get("model_version")
                if named != response.headers[protocol.VERSION]:
                    raise protocol.Wrong(f"the body names {named}, the header {response.headers[protocol.VERSION]}")
                answered = Answered(
                    response.headers[protocol.REQUEST_ID], response.headers[protocol.VERSION], predicted
                )
                digest = response.headers[protocol.DIGEST]
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, protocol.Wrong) as failure:
            self.ledger.note_failure(time.time(), f"{type(failure).__name__}: {failure}")
            return None
        self.ledger.note_answer(answered.version, digest, time.monotonic() - began)
        return answered

    async def measure(self, examples: Sequence[Example], shift: Shift) -> dict[str, dict[str, int]]:
        """Ask every one of `examples` once, without sending labels: version to rows and right answers."""
        results: dict[str, dict[str, int]] = {}
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self.schedule.timeout)) as session:
            for example in examples:
                answered = await self.ask(session, example, shift)
                if answered is None:
                    continue
                counts = results.setdefault(answered.version, {"rows": 0, "right": 0})
                counts["rows"] += 1
                counts["right"] += protocol.same(answered.predicted, example.label)
        return results

    async def _send_labels(self, session: aiohttp.ClientSession) -> None:
        url = self.schedule.url + protocol.feedback_path(self.schedule.model)
        while True:
            due, answered, example = await self._labels.get()
            batch = [(answered, example)]
            await asyncio.sleep(max(due - time.monotonic(), 0.0) + LABEL_BATCH)
            while not self._labels.empty() and len(batch) < 500:
                _, answered, example = self._labels.get_nowait()
                batch.append((answered, example))
            data = [protocol.label(answered.request, example.label) for answered, example in batch]
            try:
                async with session.post(url, json={"data": data}) as response:
                    if response.status >= 300:
                        raise protocol.Wrong(f"status {response.status}: {(await response.text())[:300]}")
            except (aiohttp.ClientError, TimeoutError, OSError, protocol.Wrong) as failure:
                self.ledger.labels_failed += len(data)
                self.ledger.note_failure(time.time(), f"labels: {type(failure).__name__}: {failure}")
                continue
            self.ledger.labels_sent += len(data)
            for answered, example in batch:
                self.ledger.note_label(answered.version, protocol.same(answered.predicted, example.label))
