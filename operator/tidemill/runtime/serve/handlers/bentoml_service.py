"""The BentoML service that stands behind the gate: documentation, its own metrics, and `predict` for BentoML's clients."""

from __future__ import annotations

import asyncio
import os
import tempfile
import warnings
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from tidemill.runtime.protocol.errors import HTTPError
from tidemill.runtime.serve.version.model import Identity

App = Callable[[MutableMapping[str, Any], Any, Any], Awaitable[None]]
Ask = Callable[[list[dict[str, Any]]], Awaitable[dict[str, Any]]]


def prepare() -> Any:
    """BentoML, imported, which takes seconds; processes that are forked afterwards share what it takes."""
    # Its root is read-only in a pod, and nothing is reported about what runs here.
    os.environ.setdefault("BENTOML_HOME", str(Path(tempfile.gettempdir()) / "bentoml"))
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    prepare_metrics()
    with warnings.catch_warnings():
        # Its own dependencies use what others have deprecated; there is nothing to do about it here.
        warnings.simplefilter("ignore")
        import bentoml
    return bentoml


def prepare_metrics() -> None:
    """Say where BentoML's metrics are kept; `prometheus_client` reads that once, when it is imported."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="tidemill-metrics-")


def build(identity: Identity, ask: Ask) -> App:
    """The service's ASGI application; `ask` answers rows as the gate does. Takes seconds: BentoML is imported here."""
    bentoml = prepare()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")

        class ModelService:
            """One version of a model, behind the Open Inference Protocol at /v2."""

            @bentoml.api  # type: ignore[untyped-decorator]
            async def predict(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
                """Predictions, and for classification a probability per class, for rows that name each feature."""
                try:
                    return await ask(rows)
                except HTTPError as refusal:
                    raise bentoml.exceptions.InvalidArgument(refusal.message) from None

        service = bentoml.service(name=identity.service, logging={"access": {"enabled": False}})(ModelService)
        app: App = service.to_asgi()
        return app


class Lifespan:
    """Starts and stops an application that expects an ASGI server to do so."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._received: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._sent: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises RuntimeError where the application says it cannot start."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        self._task = asyncio.create_task(self._run(scope))
        await self._received.put({"type": "lifespan.startup"})
        reply = await self._sent.get()
        if reply["type"] != "lifespan.startup.complete":
            raise RuntimeError(f"the BentoML service does not start: {reply.get('message', reply['type'])}")

    async def _run(self, scope: dict[str, Any]) -> None:
        try:
            await self._app(scope, self._received.get, self._sent.put)
        except Exception as error:  # `start` waits for an answer, whatever is raised
            await self._sent.put({"type": "failed", "message": f"{type(error).__name__}: {error}"})

    async def stop(self) -> None:
        """Let it end."""
        if self._task is not None and not self._task.done():
            await self._received.put({"type": "lifespan.shutdown"})
            await asyncio.wait([self._task], timeout=1.0)
            self._task.cancel()
