"""Predictions for clients: read, asked of the candidate or of this process's own version, written, counted, logged."""

from __future__ import annotations

import logging
import time
from enum import StrEnum
from typing import Any, Final

import orjson

from tidemill.runtime.log.records import OVERHEAD, Author, Prediction
from tidemill.runtime.log.single_rows import SinglesLog
from tidemill.runtime.model.predictor import Answer, Unanswerable
from tidemill.runtime.protocol.errors import HTTPError, RowsRefusedError, wrong_method
from tidemill.runtime.protocol.features import Rows
from tidemill.runtime.protocol.infer import Codec
from tidemill.runtime.protocol.predict import RowCodec
from tidemill.runtime.protocol.request import Asked, is_valid_id
from tidemill.runtime.serve.handlers.context import MAX_WATCHED_REQUESTS, ServingContext
from tidemill.runtime.serve.http.bodies import Bodies, Receive, Scope, Send, accepted_type, joined
from tidemill.runtime.serve.http.request import Request
from tidemill.runtime.serve.http.responses import CLOSE, COMPRESSED_FROM, GZIPPED, Headers, Responses
from tidemill.runtime.serve.rollout.candidate import FORWARDED, ROWS_REFUSED, SECONDS, Reply
from tidemill.runtime.serve.rollout.forwarding import as_wanted, must_be_meant_for, routing_key
from tidemill.runtime.serve.rollout.router import RolloutRouter
from tidemill.runtime.serve.rollout.split import Split
from tidemill.runtime.serve.telemetry.cloudevents import AnsweredRequest
from tidemill.runtime.serve.telemetry.metrics import UnderWay
from tidemill.runtime.serve.version.model import ServedModel
from tidemill.runtime.serve.version.threads import BoundedExecutor

logger = logging.getLogger(__name__)


class Form(StrEnum):
    """The forms of a request for predictions, by the last part of their path."""

    INFER = "infer"
    ROWS = "predict"


LENGTH: Final = b"inference-header-content-length"
INLINE_ROWS: Final = 2_000
"""A compiled model answers this many rows at once on the event loop; more go to a thread, so that probes are answered."""
INLINE_ROWS_ESTIMATED: Final = 50
"""The same for a scikit-learn estimator."""
FAILED: Final = 500
"""The status where the model itself fails, and nothing else does."""
MAX_WAITING: Final = 64
"""Requests that may wait for a thread; more are told to come again."""
SLOW_PATH_HEADERS: Final = frozenset({b"content-encoding", b"transfer-encoding", FORWARDED.encode()})
"""Headers that send a request the long way."""


class Predicting:
    """Answers `infer` and `predict`."""

    def __init__(self, serving: ServingContext, bodies: Bodies, responses: Responses, *, log_percent: int) -> None:
        self._serving = serving
        self._bodies = bodies
        self._responses = responses
        self._count = 0
        self._sample = Split(log_percent)
        self._logs_all = log_percent >= 100
        self._singles = SinglesLog()
        self._threads = BoundedExecutor("predict", threads=2, max_waiting=MAX_WAITING, seconds=serving.bounds.timeout)
        self._own = serving.metrics.of(serving.identity.version, serving.identity.role)

    async def answer(self, form: Form, may_forward: bool, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request of the form; the candidate gets its share where the client may be sent on."""
        serving = self._serving
        model, metrics = serving.model, serving.metrics
        headers = joined(scope["headers"])
        # Only a candidate is sent requests by others of us; the header of any other client means nothing.
        forwarded = FORWARDED.encode() in headers and serving.identity.role == "Candidate"
        rollout = None if forwarded else serving.rollout
        started = time.perf_counter()
        under_way = UnderWay(self._own, started)
        try:
            if scope["method"] != "POST":
                raise wrong_method(form, scope["method"], "POST")
            body = await self._bodies.read(headers, receive)
            under_way.since = started = time.perf_counter()
            if not forwarded:
                metrics.under_way.add(under_way)
            if model is None:
                raise serving.state.refusal()
            header_length = accepted_type(headers, body)
            codec: Codec | RowCodec = model.codec if form is Form.INFER else model.row_codec
            asked = codec.read(body, header_length)
            request = Request(
                scope["path"],
                body,
                headers,
                asked.id or self._request_id(headers),
                asked.rows,
                asked.keys,
                serving.clock(),
            )
            if forwarded:
                must_be_meant_for(model, asked, headers)
                asked = model.codec.completed(asked)
            elif rollout is not None and may_forward and rollout.split.takes(routing_key(asked, headers)):
                forwarded_to = await self._ask_candidate(rollout, under_way, request, asked)
                if forwarded_to is not None:
                    reply, author = forwarded_to
                    head = await self._pass_on(send, asked, request, reply, author, started)
                    if head and serving.events is not None:
                        self._send_events(request, author, reply.body, head)
                    return
                rollout = None  # the fallback is not the stable version's own share
            answer = await self.ask(model, asked.rows)
            content, end = codec.write(asked, answer, request.id)
        except HTTPError as refusal:
            if forwarded:
                self._own.sent_back(refusal.status)
                if isinstance(refusal, RowsRefusedError):
                    refusal.headers += ((ROWS_REFUSED.encode(), b"yes"),)
            else:
                self._refused(refusal, time.perf_counter() - started)
            await self._responses.refuse(send, refusal)
            return
        finally:
            metrics.under_way.discard(under_way)
        seconds = time.perf_counter() - started
        compressed = None if forwarded else self._responses.compressed(content, headers)
        answered = self._responses.head(content if compressed is None else compressed, request.id, end, model.identity)
        if compressed is not None:
            content = compressed
            answered += GZIPPED
        if forwarded:
            answered.append((SECONDS.encode(), b"%.6f" % seconds))
        await send({"type": "http.response.start", "status": 200, "headers": answered})
        await send({"type": "http.response.body", "body": content})
        if forwarded:
            self._own.sent_back(200)  # the stable pod counts and logs it, if a client gets it
            return
        self._own.answered(200, seconds, len(answer.values))
        if rollout is not None and rollout.trial is not None:
            rollout.trial.stable.answered(seconds)
            if rollout.copies.split.percent and may_forward and rollout.copies.split.takes():
                rollout.copy(request, answer)
        elif serving.direct is not None:
            serving.direct.answered(seconds)
        if self._log(request.id, asked, answer, model.author) and serving.events is not None:
            self._send_events(request, model.author, content, answered)

    async def _ask_candidate(
        self, rollout: RolloutRouter, under_way: UnderWay, request: Request, asked: Asked
    ) -> tuple[Reply, Author] | None:
        """The candidate's answer with the outputs that the client wants, or None where this version must answer."""
        if rollout.author is not None:
            under_way.series = self._serving.metrics.of(rollout.author.version, rollout.author.role)
        answered = await rollout.ask(request)
        if answered is None:
            under_way.series = self._own
            return None
        reply, author = answered
        return as_wanted(reply, asked), author

    def _refused(self, refusal: HTTPError, seconds: float) -> None:
        """Count a client's request that got no answer."""
        self._own.answered(refusal.status, seconds, 0)
        if refusal.status == FAILED:
            rollout = self._serving.rollout
            if rollout is not None and rollout.trial is not None:
                rollout.trial.stable.failed()
            elif self._serving.direct is not None:
                self._serving.direct.failed()

    def at_once(self, form: Form, headers: dict[bytes, bytes], body: bytes) -> bytes | None:
        """The whole response to a request whose body is there, where nothing has to be waited for.

        None where it must go through `answer`: while a candidate is on trial, where events tell of requests, for models that are asked in a thread, for
        bodies that are compressed, and for all that is wrong.
        """
        serving = self._serving
        model, rollout = serving.model, serving.rollout
        if (
            model is None
            or not model.predictor.compiled
            or serving.state.draining
            or serving.events is not None
            or (rollout is not None and (rollout.split.percent or rollout.trial is not None))
            or not SLOW_PATH_HEADERS.isdisjoint(headers)
        ):
            return None
        started = time.perf_counter()
        codec: Codec | RowCodec = model.codec if form is Form.INFER else model.row_codec
        try:
            asked = codec.read(body, accepted_type(headers, body))
            if len(asked.rows.matrix) > INLINE_ROWS:
                return None
            request = asked.id or self._request_id(headers)
            answer = model.predictor.predict(asked.rows.matrix, whole=asked.rows.whole)
            content, end = codec.write(asked, answer, request)
        except Exception:  # whatever it is, `answer` meets it again and says what it is
            return None
        if len(content) >= COMPRESSED_FROM and b"accept-encoding" in headers:
            return None
        response = self._responses.whole(content, request, end, model.identity)
        seconds = time.perf_counter() - started
        self._own.answered(200, seconds, len(answer.values))
        if serving.direct is not None:
            serving.direct.answered(seconds)
        self._log(request, asked, answer, model.author)
        return response

    async def ask(self, model: ServedModel, rows: Rows) -> Answer:
        """Return the answer of this process's own version; raises HTTPError."""
        predictor = model.predictor
        try:
            if len(rows.matrix) <= (INLINE_ROWS if predictor.compiled else INLINE_ROWS_ESTIMATED):
                if model.batcher is not None:
                    return await model.batcher.ask(rows.matrix)
                return predictor.predict(rows.matrix, whole=rows.whole)
            return await self._threads.ask(predictor.predict, rows.matrix)
        except Unanswerable as error:
            raise RowsRefusedError(str(error)) from None
        except HTTPError:
            raise
        except Exception as error:  # whatever a model raises, the client is told and the server goes on
            logger.exception("the model failed")
            raise HTTPError(FAILED, f"the model failed on these rows: {type(error).__name__}") from None

    async def ask_rows(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Answer rows that come from within this process, as `predict` would; counted and logged like any other request."""
        model = self._serving.model
        if model is None:
            raise self._serving.state.refusal()
        started = time.perf_counter()
        request = self._request_id({})
        asked = Asked("", model.row_codec.listed({"rows": rows}))
        try:
            answer = await self.ask(model, asked.rows)
        except HTTPError as refusal:
            self._refused(refusal, time.perf_counter() - started)
            raise
        content, _ = model.row_codec.write(asked, answer, request)
        self._own.answered(200, time.perf_counter() - started, len(answer.values))
        self._log(request, asked, answer, model.author)
        document: dict[str, Any] = orjson.loads(content)
        return document

    def _request_id(self, headers: dict[bytes, bytes]) -> str:
        """Return the id in `x-request-id`, or one of our own where there is none that can be kept: gateways set that header."""
        given = headers.get(b"x-request-id")
        if given and is_valid_id(text := given.decode("latin-1")):
            return text
        self._count += 1
        return f"{self._serving.boot}-{self._count:x}"

    async def _pass_on(
        self, send: Send, asked: Asked, request: Request, reply: Reply, author: Author, started: float
    ) -> Headers:
        """Answer with the candidate's words; its headers where the request was logged, otherwise none."""
        head: Headers = [
            (b"content-type", reply.content_type),
            (b"content-length", str(len(reply.body)).encode()),
            (b"x-request-id", request.id.encode()),
            (b"x-model-version", author.version.encode()),
            (b"x-model-digest", author.digest.encode()),
        ]
        if reply.header_length is not None:
            head.append((b"inference-header-content-length", str(reply.header_length).encode()))
        if self._serving.state.draining:
            head.append(CLOSE)
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": reply.body})
        self._serving.metrics.of(author.version, author.role).answered(
            200, time.perf_counter() - started, len(reply.answer.values)
        )
        return head if self._log(request.id, asked, reply.answer, author) else []

    def _log(self, request: str, asked: Asked, answer: Answer, author: Author) -> bool:
        """Keep the answer, if it is of those that are; says whether it is."""
        if len(self._serving.watched) < MAX_WATCHED_REQUESTS:
            self._serving.watched.append(asked.rows.matrix)
        if not (self._logs_all or self._sample.takes()):
            return False
        log = self._serving.predictions
        if log is not None:
            rows, now = asked.rows, self._serving.clock()
            if len(rows.matrix) == 1 and not rows.categories and not asked.keys and self._serving.fast_path:
                self._singles.append(log, author, request, now, rows.matrix, answer)
            else:
                record = Prediction(request, now, rows, answer, author, asked.keys)
                log.append(record, len(rows.matrix), rows.matrix.nbytes + OVERHEAD)
        return True

    def _send_events(self, request: Request, author: Author, content: bytes, answered: Headers) -> None:
        """Send the request and its answer on as events; no client waits for it."""
        if self._serving.events is not None:
            headers = dict(answered)
            self._serving.events.put(
                AnsweredRequest(
                    request,
                    author.version,
                    author.role,
                    content,
                    headers.get(b"content-type", b"application/json").decode("latin-1"),
                    headers.get(LENGTH, b"").decode("latin-1"),
                )
            )
