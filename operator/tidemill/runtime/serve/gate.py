"""The ASGI application that clients meet: `/v2` is answered here, everything else by the BentoML service behind it.

    request ─ headers, body ─ codec.read ─┬─ candidate's share ─ Rollout.ask ─ its answer ─┐
              (Refused: 4xx)              └─ Predictor.predict ─ codec.write ──────────────┴─ response, then log and counts

No framework code runs for a request: orjson reads it, and prebuilt bytes go out.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import orjson

from tidemill.runtime.predictor import Answer, Unanswerable
from tidemill.runtime.serve import feedback
from tidemill.runtime.serve.candidate import FEATURES, FORWARDED, SECONDS, Reply
from tidemill.runtime.serve.codec import Asked, Codec, checked_id
from tidemill.runtime.serve.features import Rows
from tidemill.runtime.serve.log import Log
from tidemill.runtime.serve.metrics import Metrics
from tidemill.runtime.serve.model import Identity, Model, server_metadata
from tidemill.runtime.serve.peers import Peers
from tidemill.runtime.serve.records import OVERHEAD, Author, LabelBatch, Prediction
from tidemill.runtime.serve.refusal import Refused, bad, shown
from tidemill.runtime.serve.requests import Bodies, Receive, Scope, Send, accepted_type
from tidemill.runtime.serve.rollout import Rollout
from tidemill.runtime.serve.rows import RowCodec
from tidemill.runtime.serve.split import Split
from tidemill.runtime.serve.state import State

logger = logging.getLogger(__name__)

JSON: Final = (b"content-type", b"application/json")
BYTES: Final = (b"content-type", b"application/octet-stream")
TEXT: Final = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
CLOSE: Final = (b"connection", b"close")
BODY_SECONDS: Final = 30.0
INFER, ROWS = "infer", "predict"
FROM_BEHIND_SECONDS: Final = 1.0
INLINE_ROWS: Final = 2_000
"""A compiled model answers this many rows at once on the event loop; more go to a thread, so that probes are answered."""
INLINE_ROWS_ESTIMATED: Final = 50
"""The same for a scikit-learn estimator."""

App = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]
Act = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a request may take."""

    body_bytes: int = 10 * 1024 * 1024
    timeout: float = 5.0
    """Seconds a client has patience for an answer."""
    body_seconds: float = BODY_SECONDS
    """Seconds a client may take to send its body."""


class Gate:
    """Answers clients with one version of a model."""

    def __init__(
        self,
        identity: Identity,
        *,
        boot: str,
        pod: str = "",
        bounds: Bounds | None = None,
        log_percent: int = 100,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`boot` makes request ids unique among all processes, `pod` names this one in measurements."""
        self.identity = identity
        self.state = State()
        self.metrics = Metrics(identity.service)
        self.model: Model | None = None
        self.rollout: Rollout | None = None
        self.predictions: Log | None = None
        self.labels: Log | None = None
        self.behind: App | None = None
        """The BentoML service, once it is loaded."""
        self.bounds = bounds or Bounds()
        self.bodies = Bodies(self.bounds.body_bytes, self.bounds.body_seconds)
        self.boot = boot
        self._pod = pod
        self._count = 0
        self._sample = Split(log_percent)
        self._logs_all = log_percent >= 100
        self._clock = clock
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="predict")
        self._own = self.metrics.of(identity.version, identity.role)
        self._marks: Headers = [
            (b"x-model-version", identity.version.encode()),
            (b"x-model-digest", identity.digest.encode()),
        ]
        self._server = server_metadata()
        base = f"/v2/models/{identity.model}"
        self.peers = Peers(f"{base}/feedback")
        self._acts = self._routes(base)
        self._base = base

    def _routes(self, base: str) -> dict[str, Act]:
        of_model: dict[str, Act] = {
            "": self._model_metadata,
            "/ready": self._model_ready,
            "/infer": lambda scope, receive, send: self._predict(INFER, True, scope, receive, send),
            "/predict": lambda scope, receive, send: self._predict(ROWS, True, scope, receive, send),
            "/feedback": self._feedback,
        }
        pinned: dict[str, Act] = {
            **of_model,
            "/infer": lambda scope, receive, send: self._predict(INFER, False, scope, receive, send),
            "/predict": lambda scope, receive, send: self._predict(ROWS, False, scope, receive, send),
        }
        return {
            "/v2": self._server_metadata,
            "/v2/health/live": self._live,
            "/v2/health/ready": self._ready,
            "/livez": self._live,
            "/healthz": self._live,
            "/readyz": self._ready,
            "/metrics": self._metrics,
            "/tidemill/v1/state": self._state,
            "/tidemill/v1/measurements": self._measurements,
            **{base + tail: act for tail, act in of_model.items()},
            **{f"{base}/versions/{self.identity.version}{tail}": act for tail, act in pinned.items()},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1003})
            return
        path = scope["path"]
        act = self._acts.get(path) or self._acts.get(path.rstrip("/") or "/")
        if act is not None:
            await act(scope, receive, send)
        elif path.startswith(("/v2/", "/tidemill/")):
            await self._refuse(send, Refused(404, self._unknown(path)))
        elif self.behind is not None:
            await self.behind(scope, receive, send)
        else:
            await self._refuse(
                send, Refused(404, "nothing is here, or not yet: this part of the server is still being loaded")
            )

    def _unknown(self, path: str) -> str:
        parts = path.split("/")
        model, version = self.identity.model, self.identity.version
        if path.startswith("/v2/models/"):
            if parts[3] != model:
                return f"model {shown(parts[3])} is not served here; this server has {model!r}"
            if len(parts) > 5 and parts[4] == "versions" and parts[5] != version:
                return f"version {shown(parts[5])} is not served here; this server has {version!r}"
        return f"there is nothing at {shown(path)}; see GET /v2 and GET {self._base}"

    # What is answered without a model

    async def _server_metadata(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._get(scope, send, 200, self._server)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._get(scope, send, 200, b'{"live":true}')

    async def _ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        ready, body = self.state.readiness()
        await self._get(scope, send, 200 if ready else 503, body)

    async def _state(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._get(scope, send, 200, orjson.dumps(self.report()))

    def report(self) -> dict[str, Any]:
        """What this process knows of itself."""
        rollout = self.rollout
        routes = rollout.routes if rollout else None
        return {
            **self.state.report(),
            "pod": self._pod,
            "namespace": self.identity.namespace,
            "service": self.identity.service,
            "model": self.identity.model,
            "version": self.identity.version,
            "digest": self.identity.digest,
            "role": self.identity.role,
            "compiled": self.model.predictor.compiled if self.model else None,
            "note": self.model.predictor.note if self.model else "",
            "bentoml": self.behind is not None,
            "routes": routes.to_wire() if routes else None,
            "routesProblem": rollout.problem if rollout else "",
            "candidateBreakerOpen": rollout.breaker_open if rollout else False,
            "logs": {
                name: log.report() for name, log in (("predictions", self.predictions), ("labels", self.labels)) if log
            },
        }

    async def _metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        text = self.metrics.text(self._gauges()).encode()
        if self.behind is not None:
            text += await _body_of(self.behind, "/metrics")
        await self._get(scope, send, 200, text, TEXT)

    def _gauges(self) -> list[tuple[str, dict[str, str], float]]:
        identity = self.identity
        who = {"model": identity.model, "model_version": identity.version, "role": identity.role}
        found: list[tuple[str, dict[str, str], float]] = [
            ("tidemill_model_info", {**who, "digest": identity.digest}, 1),
            ("tidemill_model_ready", who, int(self.state.readiness()[0])),
        ]
        for name, log in (("predictions", self.predictions), ("labels", self.labels)):
            if log is not None:
                mark = {"log": name}
                found += [
                    ("tidemill_log_backlog_rows", mark, log.backlog),
                    ("tidemill_log_backlog_bytes", mark, log.backlog_bytes),
                    ("tidemill_log_written_rows_total", mark, log.state.written),
                    ("tidemill_log_dropped_rows_total", mark, log.state.dropped),
                    ("tidemill_log_failures_total", mark, log.state.failures),
                ]
        trial = self.rollout.trial if self.rollout else None
        if trial is not None:
            pair = {"model_version": trial.candidate.version}
            found.append(("tidemill_compared_rows_total", pair, trial.compared))
            if trial.compared:
                found.append(("tidemill_prediction_agreement_ratio", pair, trial.agreed / trial.compared))
        return found

    async def _measurements(self, scope: Scope, receive: Receive, send: Send) -> None:
        from tidemill.contract import Measurements

        trial = self.rollout.trial if self.rollout else None
        found = trial.measurements(self._pod) if trial else Measurements(pod=self._pod)
        await self._get(scope, send, 200, orjson.dumps(found.to_wire()))

    # What needs the model

    async def _model_metadata(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.model is None:
            await self._refuse(send, self.state.refusal())
        else:
            await self._get(scope, send, 200, self.model.metadata)

    async def _model_ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        ready, body = self.state.readiness()
        await self._get(scope, send, 200 if ready else 503, body)

    async def _predict(self, form: str, may_forward: bool, scope: Scope, receive: Receive, send: Send) -> None:
        model, metrics = self.model, self.metrics
        metrics.in_flight += 1
        started = time.perf_counter()
        try:
            if scope["method"] != "POST":
                raise Refused(405, f"method: {form} takes POST, not {scope['method']}")
            headers = dict(scope["headers"])
            body = await self.bodies.read(headers, receive)
            started = time.perf_counter()
            if model is None:
                raise self.state.refusal()
            header_length = accepted_type(headers)
            codec: Codec | RowCodec = model.codec if form is INFER else model.row_codec
            asked = codec.read(body, header_length)
            request = asked.id or self._request_id(headers)
            forwarded = FORWARDED.encode() in headers
            rollout = self.rollout
            if rollout is not None and rollout.split.percent and may_forward and not asked.outputs and not forwarded:
                key = headers.get(b"x-routing-key")
                if rollout.split.takes(key.decode("latin-1") if key else ""):
                    found = await rollout.ask(
                        scope["path"], body, self._onward(model, headers, request), request, asked.rows
                    )
                    if found is not None:
                        await self._pass_on(send, asked, request, *found, started)
                        return
                    rollout = None  # the fallback is not the stable version's own share
            elif (
                forwarded
                and asked.positional
                and headers.get(FEATURES.encode(), model.features_digest.encode()) != model.features_digest.encode()
            ):
                raise Refused(
                    409,
                    f"inputs: were meant for other features than this version's; it takes {', '.join(model.codec.features.names[:20])}",
                )
            answer = await self.answer(model, asked.rows)
            content, end = codec.write(asked, answer, request)
        except Refused as refusal:
            self._own.answered(refusal.status, time.perf_counter() - started, 0)
            await self._refuse(send, refusal)
            return
        finally:
            metrics.in_flight -= 1
        seconds = time.perf_counter() - started
        answered = self._head(content, request, end)
        if forwarded:
            answered.append((SECONDS.encode(), b"%.6f" % seconds))
        await send({"type": "http.response.start", "status": 200, "headers": answered})
        await send({"type": "http.response.body", "body": content})
        self._own.answered(200, seconds, len(answer.values))
        if rollout is not None and rollout.trial is not None and not forwarded:
            rollout.trial.stable.answered(seconds)
        if self.predictions is not None and not forwarded and (self._logs_all or self._sample.takes()):
            self._log(self.predictions, Prediction(request, self._clock(), asked.rows, answer, model.author))

    async def answer(self, model: Model, rows: Rows) -> Answer:
        """What this process's own version says; raises Refused."""
        predictor = model.predictor
        try:
            if len(rows.matrix) <= (INLINE_ROWS if predictor.compiled else INLINE_ROWS_ESTIMATED):
                return predictor.predict(rows.matrix)
            return await asyncio.get_running_loop().run_in_executor(self._threads, predictor.predict, rows.matrix)
        except Unanswerable as error:
            raise bad(str(error)) from None
        except Exception as error:  # whatever a model raises, the client is told and the server goes on
            logger.exception("the model failed")
            if self.rollout is not None and self.rollout.trial is not None:
                self.rollout.trial.stable.failed()
            raise Refused(500, f"the model failed on these rows: {type(error).__name__}") from None

    async def ask_rows(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Answer rows that come from within this process, as `predict` would; counted and logged like any other request."""
        model = self.model
        if model is None:
            raise self.state.refusal()
        started = time.perf_counter()
        request = self._request_id({})
        asked = Asked("", model.row_codec.listed({"rows": rows}))
        answer = await self.answer(model, asked.rows)
        content, _ = model.row_codec.write(asked, answer, request)
        self._own.answered(200, time.perf_counter() - started, len(answer.values))
        if self.predictions is not None and (self._logs_all or self._sample.takes()):
            self._log(self.predictions, Prediction(request, self._clock(), asked.rows, answer, model.author))
        found: dict[str, Any] = orjson.loads(content)
        return found

    def _request_id(self, headers: dict[bytes, bytes]) -> str:
        given = headers.get(b"x-request-id")
        if given:
            return checked_id(given.decode("latin-1"), "x-request-id")
        self._count += 1
        return f"{self.boot}-{self._count:x}"

    def _onward(self, model: Model, headers: dict[bytes, bytes], request: str) -> dict[str, str]:
        """Headers for the candidate; its stable peer has taken any compression off."""
        onward = {FORWARDED: "predict", FEATURES: model.features_digest, "x-request-id": request}
        for name in (b"content-type", b"inference-header-content-length"):
            if name in headers:
                onward[name.decode()] = headers[name].decode("latin-1")
        onward.setdefault("content-type", "application/json")
        return onward

    async def _pass_on(
        self, send: Send, asked: Asked, request: str, reply: Reply, author: Author, started: float
    ) -> None:
        head: Headers = [
            (b"content-type", reply.content_type),
            (b"content-length", str(len(reply.body)).encode()),
            (b"x-request-id", request.encode()),
            (b"x-model-version", author.version.encode()),
            (b"x-model-digest", author.digest.encode()),
        ]
        if reply.header_length is not None:
            head.append((b"inference-header-content-length", str(reply.header_length).encode()))
        if self.state.draining:
            head.append(CLOSE)
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": reply.body})
        self.metrics.of(author.version, author.role).answered(
            200, time.perf_counter() - started, len(reply.answer.values)
        )
        if self.predictions is not None and (self._logs_all or self._sample.takes()):
            self._log(self.predictions, Prediction(request, self._clock(), asked.rows, reply.answer, author))

    def _log(self, log: Log, record: Prediction) -> None:
        log.append(record, len(record.asked.matrix), record.asked.matrix.nbytes + OVERHEAD)

    async def _feedback(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] != "POST":
                raise Refused(405, f"method: feedback takes POST, not {scope['method']}")
            headers = dict(scope["headers"])
            body = await self.bodies.read(headers, receive)
            if self.model is None:
                raise self.state.refusal()
            if accepted_type(headers) is not None:
                raise bad("inference-header-content-length: feedback is JSON")
            now = self._clock()
            labels = feedback.read(body, classifies=self.model.codec.classifies, now=now)
            from_peer = FORWARDED.encode() in headers
            if not from_peer:
                self._keep(LabelBatch(now, tuple(labels)))
        except Refused as refusal:
            await self._refuse(send, refusal)
            return
        rollout = self.rollout
        trial = rollout.trial if rollout else None
        if trial is not None and rollout is not None:
            unknown = [label for label in labels if not trial.label(label.request, label.row, label.label)]
            # What this boot of this pod named itself and does not know, no other pod knows.
            unknown = [label for label in unknown if not label.request.startswith(self.boot)]
            if unknown and not from_peer:
                self.peers.tell(rollout.peers, unknown)
        await self._send(send, 200, b'{"accepted":%d}' % len(labels))

    def _keep(self, batch: LabelBatch) -> None:
        self.metrics.feedback += len(batch.labels)
        if self.labels is not None and not self.labels.append(batch, len(batch.labels), OVERHEAD * len(batch.labels)):
            raise Refused(
                503, "data: the store does not take labels at present and no more can wait here; send them again later"
            )

    # Responses

    def _head(self, content: bytes, request: str, end: int | None) -> Headers:
        head: Headers = [
            JSON,
            (b"content-length", str(len(content)).encode()),
            (b"x-request-id", request.encode()),
            *self._marks,
        ]
        if end is not None:
            head[0] = BYTES
            head.append((b"inference-header-content-length", str(end).encode()))
        if self.state.draining:
            head.append(CLOSE)
        return head

    async def _get(self, scope: Scope, send: Send, status: int, body: bytes, kind: tuple[bytes, bytes] = JSON) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            await self._refuse(send, Refused(405, f"method: {scope['path']} takes GET, not {scope['method']}"))
        else:
            await self._send(send, status, body, kind)

    async def _refuse(self, send: Send, refusal: Refused) -> None:
        await self._send(
            send, refusal.status, orjson.dumps({"error": refusal.message}), close=refusal.status in (408, 413)
        )

    async def _send(
        self, send: Send, status: int, body: bytes, kind: tuple[bytes, bytes] = JSON, *, close: bool = False
    ) -> None:
        head: Headers = [kind, (b"content-length", str(len(body)).encode()), *self._marks]
        if close or self.state.draining:
            # The rest of a body that is not wanted must not be taken for the next request.
            head.append(CLOSE)
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body})


async def _body_of(app: App, path: str) -> bytes:
    """What an ASGI application answers to a GET; nothing where it fails."""
    parts: list[bytes] = []
    status = 500

    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()  # the application waits for a disconnect that never comes, and is cancelled
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "client": None,
        "server": None,
    }
    try:
        async with asyncio.timeout(FROM_BEHIND_SECONDS):
            await app(scope, receive, send)
    except Exception:  # what stands behind must not take our own answer along
        logger.exception("the BentoML service does not answer %s", path)
        return b""
    return b"".join(parts) if status == 200 else b""
