"""The ASGI application that clients meet: everything is answered here but what BentoML's own clients ask for.

    request ─ headers, body ─ codec.read ─┬─ candidate's share ─ Rollout.ask ─ its answer ─┐
              (HTTPError: 4xx)            └─ Predictor.predict ─ codec.write ──────────────┴─ response, then log and counts

No framework code runs for a request: orjson reads it, and prebuilt bytes go out. `predicting` answers predictions,
`labelling` takes labels, `reports` says how things stand.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any, Final

import orjson

from tidemill.runtime.protocol.errors import HTTPError, bad, shown
from tidemill.runtime.serve.handlers import status
from tidemill.runtime.serve.handlers.context import ServingContext
from tidemill.runtime.serve.handlers.explain import Explaining
from tidemill.runtime.serve.handlers.feedback import Labelling
from tidemill.runtime.serve.handlers.predict import Form, Predicting
from tidemill.runtime.serve.http.asgi_client import App
from tidemill.runtime.serve.http.bodies import Bodies, Receive, Scope, Send, joined
from tidemill.runtime.serve.http.responses import HTML, TEXT, Responses
from tidemill.runtime.serve.http.slow_clients import SlowClientGuard
from tidemill.runtime.serve.rollout.peers import Peers
from tidemill.runtime.serve.version.model import ServedModel, server_metadata

logger = logging.getLogger(__name__)

BENTOML_PATHS: Final = frozenset({"/predict", "/schema.json"})
"""Paths of BentoML's own clients. Its page loads scripts from elsewhere, and is not shown."""

AtOnce = Callable[[dict[bytes, bytes], bytes], bytes | None]
Act = Callable[[Scope, Receive, Send], Awaitable[None]]


class ServingApp:
    """Answers clients with one version of a model."""

    def __init__(self, serving: ServingContext, *, log_percent: int = 100, batch_rows: int = 1) -> None:
        """`log_percent` of the predictions are logged; of requests that wait, up to `batch_rows` rows are asked together."""
        identity = serving.identity
        self.serving = serving
        self.bodies = Bodies(serving.bounds.body_bytes, serving.bounds.body_seconds)
        self.slow_clients = SlowClientGuard(serving.bounds.body_seconds, serving.bounds.body_bytes)
        self._base = f"/v2/models/{identity.model}"
        self.peers = Peers(f"{self._base}/feedback")
        self._responses = Responses(identity, serving.state)
        self.predicting = Predicting(serving, self.bodies, self._responses, log_percent=log_percent)
        self._batch_rows = batch_rows
        self.explaining = Explaining(serving, self.bodies, self._responses)
        self._labelling = Labelling(serving, self.bodies, self._responses, self.peers)
        self._server = server_metadata()
        self._acts = self._routes(self._base)

    def swap(self, model: ServedModel) -> None:
        """Answer with `model` from now on; requests that are under way are answered by the model they began with.

        It has the name and the version's name of the one before, takes the same features and gives the same classes:
        paths and logs stay as they are. Raises ValueError where it does not.
        """
        serving, before = self.serving, self.serving.model
        if before is not None and (
            (model.identity.model, model.identity.version) != (before.identity.model, before.identity.version)
            or model.codec.features.names != before.codec.features.names
            or model.codec.features.indexes != before.codec.features.indexes
            or (model.signature.task, model.signature.classes) != (before.signature.task, before.signature.classes)
        ):
            raise ValueError(
                "it takes other features or gives other classes than the one that is served; restart the server"
            )
        model.batch(self._batch_rows)
        serving.identity, serving.model = model.identity, model
        serving.loaded_at = serving.clock()
        self._responses.serve(model.identity)

    def ways(self) -> dict[bytes, AtOnce]:
        """By path: what may be answered at once, without this application."""
        at_once = self.predicting.at_once
        pinned = f"{self._base}/versions/{self.serving.identity.version}"
        return {f"{base}/{form}".encode(): partial(at_once, form) for base in (self._base, pinned) for form in Form}

    def _routes(self, base: str) -> dict[str, Act]:
        predict = self.predicting.answer
        of_model: dict[str, Act] = {
            "": self._model_metadata,
            "/ready": self._model_ready,
            "/infer": lambda scope, receive, send: predict(Form.INFER, True, scope, receive, send),
            "/predict": lambda scope, receive, send: predict(Form.ROWS, True, scope, receive, send),
            "/feedback": self._labelling.answer,
            "/explain": self.explaining.answer,
        }
        pinned: dict[str, Act] = {
            **of_model,
            "/infer": lambda scope, receive, send: predict(Form.INFER, False, scope, receive, send),
            "/predict": lambda scope, receive, send: predict(Form.ROWS, False, scope, receive, send),
        }
        return {
            "/": self._home,
            "/docs.json": self._openapi,
            "/v2": self._server_metadata,
            "/v2/openapi.json": self._openapi,
            "/v2/health/live": self._live,
            "/v2/health/ready": self._ready,
            "/livez": self._live,
            "/healthz": self._live,
            "/readyz": self._ready,
            "/metrics": self._metrics,
            "/tidemill/v1/state": self._state,
            "/tidemill/v1/measurements": self._measurements,
            **{base + tail: act for tail, act in of_model.items()},
            **{f"{base}/versions/{self.serving.identity.version}{tail}": act for tail, act in pinned.items()},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1003})
            return
        path = scope["path"]
        act = self._acts.get(path) or self._acts.get(path.rstrip("/") or "/")
        if act is not None:
            await self._acted(act, scope, receive, send)
        elif path not in BENTOML_PATHS:
            await self._responses.refuse(send, HTTPError(404, self._unknown(path)))
        elif self.serving.bentoml is not None:
            await self._ask_bentoml(self.serving.bentoml, scope, receive, send)
        else:
            await self._responses.refuse(
                send, HTTPError(404, "not found; the BentoML API is still starting or switched off, try again later")
            )

    async def _acted(self, act: Act, scope: Scope, receive: Receive, send: Send) -> None:
        """Do it; where that fails by our own fault, the client is told so in the protocol's words, and it is counted."""
        begun = False

        async def saying(message: MutableMapping[str, Any]) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await act(scope, receive, saying)
        except Exception:
            if begun:
                raise
            logger.exception("a request to %s failed", scope["path"])
            identity = self.serving.identity
            self.serving.metrics.of(identity.version, identity.role).answered(500, 0.0, 0)
            await self._responses.refuse(send, HTTPError(500, "internal server error; see the server log"))

    async def _ask_bentoml(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on with its body, checked as one to `predict` is: BentoML bounds no bodies, and takes more types."""
        headers = joined(scope["headers"])
        try:
            body = await self.bodies.read(
                {name: value for name, value in headers.items() if name != b"content-encoding"}, receive
            )
            if scope["method"] not in ("GET", "HEAD"):
                if self.serving.model is None:
                    raise self.serving.state.refusal()
                kind = headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
                if b"inference-header-content-length" in headers:
                    raise bad("inference-header-content-length: only infer takes tensors' bytes")
                if kind != b"application/json":
                    raise HTTPError(415, f"content-type: must be application/json, not {shown(kind.decode('latin-1'))}")
                self.serving.model.row_codec.read(body)
        except HTTPError as refusal:
            await self._responses.refuse(send, refusal)
            return
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive_again() -> MutableMapping[str, Any]:
            return messages.pop() if messages else await receive()

        await app(scope, receive_again, send)

    def _unknown(self, path: str) -> str:
        parts = path.split("/")
        model, version = self.serving.identity.model, self.serving.identity.version
        if path.startswith("/v2/models/"):
            if parts[3] != model:
                return f"model {shown(parts[3])} is not served here; this server has {model!r}"
            if len(parts) > 5 and parts[4] == "versions" and parts[5] != version:
                return f"version {shown(parts[5])} is not served here; this server has {version!r}"
        return f"there is nothing at {shown(path)}; see GET /v2 and GET {self._base}"

    async def _server_metadata(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._responses.get(scope, send, 200, self._server)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._responses.get(scope, send, 200, b'{"live":true}')

    async def _ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        ready, body = self.serving.state.readiness()
        await self._responses.get(scope, send, 200 if ready else 503, body)

    async def _model_ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        ready, body = self.serving.state.readiness(self.serving.identity.model)
        await self._responses.get(scope, send, 200 if ready else 503, body)

    async def _home(self, scope: Scope, receive: Receive, send: Send) -> None:
        from tidemill.runtime.serve.handlers.home import home

        host = dict(scope["headers"]).get(b"host", b"") or b"localhost"
        # The first page loads the templates, for which no other request should wait.
        content = await asyncio.to_thread(home, self.serving, host.decode("latin-1"))
        await self._responses.get(scope, send, 200, content.encode(), HTML)

    async def _openapi(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.serving.model is None:
            await self._responses.refuse(send, self.serving.state.refusal())
        else:
            from tidemill.runtime.serve.handlers.openapi import document

            bounds = self.serving.bounds
            await self._responses.get(scope, send, 200, orjson.dumps(document(self.serving.model, bounds)))

    async def _model_metadata(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.serving.model is None:
            await self._responses.refuse(send, self.serving.state.refusal())
        else:
            await self._responses.get(scope, send, 200, self.serving.model.metadata)

    async def _state(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._responses.get(scope, send, 200, orjson.dumps(status.state(self.serving)))

    async def _metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._responses.get(scope, send, 200, await status.metrics(self.serving), TEXT)

    async def _measurements(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._responses.get(scope, send, 200, status.measurements(self.serving))
