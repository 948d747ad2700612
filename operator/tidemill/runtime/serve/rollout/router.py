"""A rollout in a stable pod: follows the routing table, sends the candidate its share, and keeps the trial's score."""

from __future__ import annotations

import asyncio
import importlib
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tidemill.runtime.log.records import Author, spelled_all
from tidemill.runtime.model.labels import ClassLabels
from tidemill.runtime.model.predictor import Answer
from tidemill.runtime.process.loops import Loop, Loops
from tidemill.runtime.protocol.errors import HTTPError
from tidemill.runtime.protocol.features import Rows
from tidemill.runtime.serve.http.request import Request
from tidemill.runtime.serve.rollout.candidate import CandidateClient, Reply, RowsRefused, Unanswered
from tidemill.runtime.serve.rollout.circuit_breaker import Breaker
from tidemill.runtime.serve.rollout.forwarding import candidate_headers
from tidemill.runtime.serve.rollout.scores import binned
from tidemill.runtime.serve.rollout.shadow import AT_ONCE, Copies, Copy
from tidemill.runtime.serve.rollout.split import Split
from tidemill.runtime.serve.rollout.trial import RolloutTrial, Tally
from tidemill.runtime.serve.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from tidemill.contract.serving import Routes
    from tidemill.runtime.serve.version.model import ServedModel

logger = logging.getLogger(__name__)

POLL_INTERVAL_SECONDS: Final = 0.25
"""Seconds between two looks at whether the file changed."""
MAX_PAIRED_ROWS: Final = 200_000
MAX_COMPARISONS: Final = 1_000
WARNING_INTERVAL_SECONDS: Final = 10.0

Predict = Callable[[Rows], Awaitable[Answer]]


class RolloutRouter:
    """Sends a stable pod's requests to the version on trial, and compares the answers."""

    def __init__(self, path: Path, model: ServedModel, metrics: Metrics, *, timeout: float, predict: Predict) -> None:
        """`path` is the routing table's file; `predict` asks the stable version off the requests' way."""
        self.trial: RolloutTrial | None = None
        self.peers: tuple[str, ...] = ()
        self.problem = ""
        """The reason why the routing table cannot be followed; the last good one stays in force."""
        self.split = Split()
        self.copies = Copies()
        """Answered requests that the candidate is to answer too."""
        self._path = path
        self._model = model
        self._metrics = metrics
        self._timeout = timeout
        self._predict = predict
        self._seen: tuple[int, int, int] | None = None
        self._routes: Routes | None = None
        self._candidate: CandidateClient | None = None
        self._author: Author | None = None
        self._breaker = Breaker()
        self._comparisons: asyncio.Queue[tuple[RolloutTrial, str, Rows, Reply]] = asyncio.Queue(MAX_COMPARISONS)
        self._complained = float("-inf")
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def routes(self) -> Routes | None:
        """The table in force."""
        return self._routes

    @property
    def breaker_open(self) -> bool:
        """Return whether the candidate is hardly asked because it does not answer."""
        return self._breaker.open

    @property
    def author(self) -> Author | None:
        """The candidate that is asked."""
        return self._author

    def start(self, loops: Loops) -> None:
        """Follow the file and compare answers; each loop goes on whatever happens to another one."""
        loops.start("routes", self._follow, period=POLL_INTERVAL_SECONDS, required=True)
        loops.start("comparisons", self._compare, required=True)
        for number in range(1, AT_ONCE + 1):
            loops.start(f"mirroring {number}", self._shadow, required=True)

    async def _follow(self, loop: Loop) -> None:
        while True:
            await self.look()
            loop.turned()
            await asyncio.sleep(POLL_INTERVAL_SECONDS)

    async def look(self) -> None:
        """Read the table if its file changed."""
        try:
            stat = self._path.stat()
            seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if seen == self._seen:
                return
            text = self._path.read_text().strip()
        except FileNotFoundError:
            return
        except OSError as error:
            self.problem = f"the routing table cannot be read: {error}"
            return
        from tidemill.contract.serving import Routes

        try:
            routes = Routes.model_validate_json(text) if text else Routes()
        except ValueError as error:
            self._seen = seen
            self.problem = f"the routing table is not understood and the last one stays: {str(error)[:300]}"
            logger.warning("%s", self.problem)
            return
        if routes.candidate is not None:
            # Loaded here and not with the first request, whose client would wait for it.
            await asyncio.to_thread(importlib.import_module, "aiohttp")
        self._adopt(routes)
        # Only now: a table that fails to be adopted is tried again.
        self._seen, self.problem = seen, ""

    def _adopt(self, routes: Routes) -> None:
        self._routes = routes
        self.peers = tuple(peer.rstrip("/") for peer in routes.peers)
        identity, wanted = self._model.identity, routes.candidate
        if wanted is None or (wanted.name, wanted.digest) == (identity.version, identity.digest):
            # A table that names this very version as the candidate was written for the pods it is replacing.
            self.split.percent = self.copies.split.percent = 0
            self.trial = None
            self._part_with_candidate()
            return
        if not routes.candidate_url:
            self.split.percent = self.copies.split.percent = 0
            self._part_with_candidate()
            return
        current = self._candidate
        if (
            current is None
            or (current.digest, current.version) != (wanted.digest, wanted.name)
            or current.url != routes.candidate_url.rstrip("/")
        ):
            tried = self.trial.candidate if self.trial else None
            if tried is None or (tried.version, tried.digest) != (wanted.name, wanted.digest):
                self.trial = RolloutTrial(
                    Tally(identity.version, identity.digest),
                    Tally(wanted.name, wanted.digest),
                    labels=self._model.labels,
                    target_std=self._model.signature.target_spread,
                    max_rows=MAX_PAIRED_ROWS,
                )
            self._part_with_candidate()
            self._candidate = CandidateClient(
                routes.candidate_url, wanted.name, wanted.digest, timeout=self._timeout, labels=self._model.labels
            )
            self._author = Author(wanted.name, wanted.digest, "Candidate", self._model.labels)
            self._breaker = Breaker()
        self.split.percent = min(max(routes.weight, 0), 100)
        self.copies.split.percent = min(max(routes.shadow, 0), 100)
        logger.info(
            "candidate %s gets %d %% of the requests and copies of %d %%",
            wanted.name,
            self.split.percent,
            self.copies.split.percent,
        )

    def _part_with_candidate(self) -> None:
        if self._candidate is not None:
            # Requests that are still with it keep their connection until they are answered.
            closing = asyncio.get_running_loop().create_task(_close_later(self._candidate, self._timeout))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        self._candidate, self._author = None, None

    async def ask(self, request: Request) -> tuple[Reply, Author] | None:
        """Return the candidate's answer, or None where the stable version must answer instead."""
        author, trial = self._author, self.trial
        if author is None or trial is None:
            return None
        reply = await self._exchange(trial, request)
        if reply is None:
            return None
        if reply.labels is not author.labels:
            author = Author(author.version, author.digest, author.role, reply.labels)
        if self._routes is not None and self._routes.compare and not self._comparisons.full():
            trial.remember(request.id, spelled_all(reply.answer, reply.labels), request.keys)
            self._comparisons.put_nowait((trial, request.id, request.rows, reply))
        return reply, author

    async def _exchange(self, trial: RolloutTrial, request: Request, *, copied: bool = False) -> Reply | None:
        """Ask the candidate, and count how it did; None where it was not asked, or gave no answer that counts."""
        candidate, breaker = self._candidate, self._breaker
        if candidate is None:
            return None
        if candidate.busy or not breaker.lets_through(time.monotonic()):
            self._metrics.candidate_skipped += not copied
            return None
        try:
            headers = candidate_headers(self._model, request)
            reply = await candidate.ask(request.path, request.body, headers, len(request.rows.matrix))
        except RowsRefused:
            # Answered in its own way: the stable version says whether the rows are at fault, and nothing is counted.
            breaker.succeeded()
            self._metrics.candidate_refusals += not copied
            return None
        except Unanswered as error:
            breaker.failed(time.monotonic())
            self._metrics.candidate_errors += not copied
            trial.candidate.failed()
            self._complain(candidate, error)
            return None
        breaker.succeeded()
        trial.candidate.answered(reply.seconds)
        return reply

    def copy(self, request: Request, answer: Answer) -> None:
        """Let the candidate answer a request too that the stable version has answered; no client waits for it."""
        if self.trial is not None:
            self.copies.put(Copy(self.trial, request, answer))

    async def _shadow(self, loop: Loop) -> None:
        while True:
            copy = await self.copies.get()
            if copy.trial is not self.trial:
                continue  # it was meant for another candidate
            try:
                request = copy.request
                reply = await self._exchange(copy.trial, request, copied=True)
                if reply is not None:
                    copy.trial.remember(request.id, spelled_all(reply.answer, reply.labels), request.keys)
                    self._settle(copy.trial, request.id, copy.answer, reply)
            except Exception as error:  # this comparison is lost, nothing else
                loop.survived(error)
            else:
                loop.turned()

    def _settle(self, trial: RolloutTrial, request: str, stable: Answer, reply: Reply) -> None:
        """Count where both versions stand on the same rows."""
        labels: ClassLabels | None = self._model.labels
        trial.compare(request, spelled_all(stable, labels))
        ours, theirs = binned(stable, reply.answer, labels, reply.labels, self._model.signature.target_spread)
        trial.stable.scored(ours)
        trial.candidate.scored(theirs)

    def _complain(self, candidate: CandidateClient, error: Unanswered) -> None:
        now = time.monotonic()
        if now - self._complained >= WARNING_INTERVAL_SECONDS:
            self._complained = now
            logger.warning(
                "candidate %s failed a request that the stable version answered: %s", candidate.version, error
            )

    async def _compare(self, loop: Loop) -> None:
        while True:
            trial, request, rows, reply = await self._comparisons.get()
            try:
                self._settle(trial, request, await self._predict(rows), reply)
            except (HTTPError, ValueError) as error:
                logger.info("the stable version has no answer to compare with: %s", error)
            except Exception as error:  # this comparison is lost, nothing else
                loop.survived(error)
            else:
                loop.turned()
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Let the connections of all candidates go, of those too that were parted with just now."""
        closing = tuple(self._closing)
        for task in closing:
            task.cancel()
        await asyncio.gather(*closing, return_exceptions=True)
        if self._candidate is not None:
            await self._candidate.close()


async def _close_later(candidate: CandidateClient, seconds: float) -> None:
    try:
        await asyncio.sleep(seconds)
    finally:
        await candidate.close()
