"""Explanations of answers (`explain`), and outlier scores of served rows, counted once a second.

Explanations come from a process of their own, outlier scores from a thread of the lowest priority; predictions go on during both.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import Final

import numpy as np
import orjson

from tidemill.runtime.explain.values import Explained
from tidemill.runtime.model.answer import Matrix, Unanswerable
from tidemill.runtime.model.background import Background
from tidemill.runtime.protocol.errors import HTTPError, bad, wrong_method
from tidemill.runtime.protocol.infer_response import NUMPY
from tidemill.runtime.protocol.request import Asked, parse
from tidemill.runtime.serve.handlers.context import ServingContext
from tidemill.runtime.serve.handlers.explain_process import Explainer
from tidemill.runtime.serve.http.bodies import Bodies, Receive, Scope, Send, accepted_type, joined
from tidemill.runtime.serve.http.responses import Responses
from tidemill.runtime.serve.version.model import ServedModel
from tidemill.runtime.serve.version.open_files import OpenFiles
from tidemill.runtime.serve.version.threads import BoundedExecutor

MAX_ROWS: Final = 16
"""Rows in one request."""
MAX_WAITING: Final = 8
SECONDS: Final = 30.0
RETRY_INTERVAL_SECONDS: Final = 1.0
FAR_OUT: Final = 0.999
"""A row is an outlier that lies further out than this share of the training rows."""


class Explaining:
    """Answers `explain`, and counts outliers."""

    def __init__(self, serving: ServingContext, bodies: Bodies, responses: Responses) -> None:
        self._serving = serving
        self._bodies = bodies
        self._responses = responses
        self._looked_at: tuple[ServedModel, Background] | None = None
        self._explainer: tuple[ServedModel, Explainer] | None = None

    @cached_property
    def _executor(self) -> BoundedExecutor:
        return BoundedExecutor("outliers", threads=1, max_waiting=MAX_WAITING, seconds=SECONDS, gives_way=True)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Explain the rows of a request, which looks like one to `infer` or to `predict`."""
        serving = self._serving
        try:
            if scope["method"] != "POST":
                raise wrong_method("explain", scope["method"], "POST")
            headers = joined(scope["headers"])
            body = await self._bodies.read(headers, receive)
            model = serving.model
            if model is None:
                raise serving.state.refusal()
            if accepted_type(headers, body) is not None:
                raise bad("inference-header-content-length: explain takes JSON")
            asked = model.row_codec.read(body) if "rows" in parse(body) else model.codec.read(body)
            if len(asked.rows.matrix) > MAX_ROWS:
                raise bad(f"inputs: holds {len(asked.rows.matrix)} rows; {MAX_ROWS} are explained at once")
            background = self._background_of(model)
            if background is None or model.files is None:
                raise HTTPError(501, "this version was made without the rows that explanations need; train it again")
            rows = np.asarray(asked.rows.matrix, np.float64)
            try:
                explained = await (await self._explainer_of(model, model.files)).explain(rows)
                content = await self._executor.ask(self._written, model, asked, rows, explained, background)
            except Unanswerable as error:
                raise bad(str(error)) from None
        except HTTPError as refusal:
            await self._responses.refuse(send, refusal)
            return
        await self._responses.send(send, 200, content)

    async def _explainer_of(self, model: ServedModel, files: OpenFiles) -> Explainer:
        before = self._explainer
        if before is None or before[0] is not model:
            self._explainer = (model, Explainer(files))
            if before is not None:
                await before[1].close()
        assert self._explainer is not None
        return self._explainer[1]

    async def close(self) -> None:
        """End what was started."""
        if self._explainer is not None:
            await self._explainer[1].close()

    def _written(
        self, model: ServedModel, asked: Asked, rows: Matrix, explained: Explained, background: Background
    ) -> bytes:
        answered, _ = model.codec.write(Asked("", asked.rows), model.predictor.predict(rows), asked.id)
        document = orjson.loads(answered)
        document["parameters"] = {
            "method": explained.method,
            "orders": explained.orders,
            "features": list(model.codec.features.names),
            "outputs": list(model.signature.classes),
        }
        for name, values in (
            ("expected", explained.expected),
            ("attributions", explained.attributions),
            ("outlier_score", background.rank(rows, model.signature)),
        ):
            document["outputs"].append(
                {
                    "name": name,
                    "datatype": "FP64",
                    "shape": list(values.shape),
                    "data": np.ascontiguousarray(values).ravel(),
                }
            )
        return orjson.dumps(document, option=NUMPY)

    def _background_of(self, model: ServedModel) -> Background | None:
        if not model.predictor.typical:
            return None
        if self._looked_at is None or self._looked_at[0] is not model:
            self._looked_at = (model, Background.from_json(model.predictor.typical))
        return self._looked_at[1]

    async def watch(self) -> None:
        """Look at what was asked, once a second, until cancelled."""
        while True:
            await asyncio.sleep(RETRY_INTERVAL_SECONDS)
            model, watched = self._serving.model, self._serving.watched
            if model is None or not watched:
                continue
            self._serving.watched = []
            try:
                await self._executor.ask(self._count, model, watched)
            except HTTPError:
                continue  # explanations are asked for; these rows are passed over

    def _count(self, model: ServedModel, watched: list[Matrix]) -> None:
        background = self._background_of(model)
        if background is None:
            return
        rows = np.concatenate(watched, dtype=np.float64)
        metrics = self._serving.metrics
        metrics.outliers += int((background.rank(rows, model.signature) > FAR_OUT).sum())
        metrics.scored += len(rows)
