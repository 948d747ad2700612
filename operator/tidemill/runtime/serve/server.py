"""Runs a gate in one uvicorn process: load, answer, and on SIGTERM answer on for a while before going.

start ── loading ──▶ ready ── SIGTERM ──▶ draining ── drain seconds ──▶ closing ── log flushed ──▶ exit 0
           │  ▲        │                     │ ready=503, answers carry `connection: close`    ▲
           └──┘ again  └ BentoML follows     └ the endpoints forget this pod meanwhile         └ at the latest LAST_SECONDS after the drain
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final

import uvicorn

from tidemill.runtime.objects import Store
from tidemill.runtime.serve.gate import Gate
from tidemill.runtime.serve.loading import Loaded, until_loaded
from tidemill.runtime.serve.log import Log, boot_id
from tidemill.runtime.serve.model import Identity, Model
from tidemill.runtime.serve.records import LabelFile, PredictionFile
from tidemill.runtime.serve.requests import Bounds
from tidemill.runtime.serve.rollout import Rollout
from tidemill.runtime.serve.serving import Serving
from tidemill.runtime.serve.state import State

logger = logging.getLogger(__name__)

KEEP_ALIVE: Final = 75
"""Seconds an idle connection stays: longer than clients and proxies keep theirs, so that they close first."""
LAST_FLUSH: Final = 5.0
LAST_REQUESTS: Final = 3
WORK_SECONDS: Final = 1.0
LAST_SECONDS: Final = 9.5
"""A process is gone this long after its drain, whatever hangs in a thread of it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a serving process behaves."""

    host: str = "0.0.0.0"
    port: int = 8080
    pod: str = ""
    drain_seconds: float = 5.0
    log_seconds: float = 2.0
    log_percent: int = 100
    log_bytes: int = 64 * 1024 * 1024
    """Most memory that rows take while they wait to be written."""
    bentoml: bool = True
    bounds: Bounds = field(default_factory=Bounds)
    listen: socket.socket | None = None
    """An open socket to listen on instead of host and port."""

    @classmethod
    def from_environment(cls, **others: Any) -> Settings:
        """Settings from `TIDEMILL_POD`, `TIDEMILL_DRAIN_SECONDS`, `TIDEMILL_LOG_SECONDS`, `TIDEMILL_LOG_BYTES` and
        `TIDEMILL_BENTOML` (yes or no); raises ValueError where one does not parse."""
        read: dict[str, Callable[[str], Any]] = {
            "pod": str,
            "drain_seconds": float,
            "log_seconds": float,
            "log_bytes": int,
        }
        found = {
            name: kind(os.environ[variable])
            for name, kind in read.items()
            if (variable := f"TIDEMILL_{name.upper()}") in os.environ
        }
        return cls(**{**found, **others})


class Server(uvicorn.Server):  # type: ignore[misc]
    """uvicorn that goes on answering for a while after SIGTERM."""

    def __init__(
        self, config: uvicorn.Config, state: State, drain_seconds: float, end_after: Callable[[float], None]
    ) -> None:
        """`end_after` is told with the first signal in how many seconds the process must be gone."""
        super().__init__(config)
        self._state = state
        self._drain_seconds = drain_seconds
        self._end_after = end_after
        self._drained_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal starts the drain, the second ends it. Not recorded as uvicorn would: to be told to stop and to
        stop is a success, and the exit code is 0."""
        if self._drained_at is None:
            self._state.draining = True
            self._drained_at = time.monotonic() + self._drain_seconds
            self._end_after(self._drain_seconds + LAST_SECONDS)
        else:
            self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        if self._drained_at is not None and time.monotonic() >= self._drained_at:
            self.should_exit = True
        return bool(await super().on_tick(counter))


def end_after(seconds: float) -> None:
    """End this process then, unless it has ended by itself.

    A thread that waits for a store cannot be stopped, and Python does not exit before its threads do.
    """

    def end() -> None:
        logger.error("something still hangs %g s after this process was told to stop; it ends nevertheless", seconds)
        logging.shutdown()
        os._exit(0)

    last = threading.Timer(seconds, end)
    last.daemon = True
    last.start()


def serve(
    identity: Identity,
    attempt: Callable[[], Loaded],
    settings: Settings,
    *,
    routes: Path | None = None,
    log_to: Callable[[Loaded], Store | None],
) -> None:
    """Serve what `attempt` loads until told to stop.

    `routes` is the routing table that a stable pod follows; `log_to` says which store predictions and labels go to.
    """
    serving = Serving(identity, boot=boot_id(), pod=settings.pod, bounds=settings.bounds)
    gate = Gate(serving, log_percent=settings.log_percent)
    config = uvicorn.Config(
        gate,
        host=settings.host,
        port=settings.port,
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=LAST_REQUESTS,
        backlog=2048,
    )
    server = Server(config, serving.state, settings.drain_seconds, end_after)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_run(server, gate, attempt, settings, routes, log_to))


async def _run(
    server: Server,
    gate: Gate,
    attempt: Callable[[], Loaded],
    settings: Settings,
    routes: Path | None,
    log_to: Callable[[Loaded], Store | None],
) -> None:
    work = Work()
    work.start(gate.bodies.sweep())
    work.start(_bring_up(gate, attempt, settings, routes, log_to, work))
    try:
        await server.serve([settings.listen] if settings.listen else None)
    finally:
        await work.stop()
        await asyncio.gather(*(_last_flush(name, log) for name, log in gate.serving.logs().items()))
        if gate.serving.rollout is not None:
            await gate.serving.rollout.close()


async def _last_flush(name: str, log: Log) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(log.flush(), LAST_FLUSH)
    if log.backlog:
        why = log.state.error or f"the store does not answer within {LAST_FLUSH:g} s"
        logger.error("%d rows of %s could not be written and are lost: %s", log.backlog, name, why)


class Work:
    """What goes on beside the requests."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, deed: Coroutine[Any, Any, None]) -> None:
        """Begin; what fails is logged, and the process goes on without it."""
        task = asyncio.get_running_loop().create_task(deed)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s ended: %s", task.get_coro(), error, exc_info=error)

    async def stop(self) -> None:
        """End everything."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=WORK_SECONDS)


async def _bring_up(
    gate: Gate,
    attempt: Callable[[], Loaded],
    settings: Settings,
    routes: Path | None,
    log_to: Callable[[Loaded], Store | None],
    work: Work,
) -> None:
    serving = gate.serving
    loaded = await until_loaded(attempt, serving.state)
    model = Model(serving.identity, loaded.predictor)
    store = log_to(loaded)
    if store is not None:
        _start_logs(serving, model, store, settings, work)
    if routes is not None and serving.identity.role == "Stable":
        serving.rollout = Rollout(
            routes,
            model,
            serving.metrics,
            patience=settings.bounds.timeout,
            predict=lambda rows: gate.predicting.ask(model, rows),
        )
        await serving.rollout.look()
        work.start(serving.rollout.run())
        work.start(gate.peers.run())
    serving.model = model
    serving.state.loaded = True
    logger.info(
        "%s %s answers (%s)",
        serving.identity.model,
        serving.identity.version,
        "compiled" if loaded.predictor.compiled else "estimator",
    )
    settle()
    if settings.bentoml:
        await _load_bentoml(gate)


def _start_logs(serving: Serving, model: Model, store: Store, settings: Settings, work: Work) -> None:
    from tidemill.contract_serving import label_folder, prediction_folder

    identity = serving.identity
    writer = f"{settings.pod or 'local'}-{serving.boot}"
    serving.predictions = Log(
        prediction_folder(identity.namespace, identity.service),
        writer,
        PredictionFile(model.codec.features, classifies=model.codec.classifies),
        every=settings.log_seconds,
        most_bytes=settings.log_bytes,
    )
    serving.labels = Log(
        label_folder(identity.namespace, identity.service),
        writer,
        LabelFile(model.labels),
        every=settings.log_seconds,
        most_bytes=settings.log_bytes,
    )
    for log in serving.logs().values():
        log.use(store)
        work.start(log.run())


def settle() -> None:
    """Give back what loading left over, and take what is loaded out of the garbage collector's sight.

    A full collection walks a few hundred thousand objects of imported modules, all of which stay; a request would wait for it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # glibc only; elsewhere there is nothing to give back


async def _load_bentoml(gate: Gate) -> None:
    """BentoML takes seconds to load and nothing that `/v2` needs: it comes when the model answers already."""
    from tidemill.runtime.serve import service

    app = await asyncio.to_thread(service.build, gate.serving.identity, gate.predicting.ask_rows)
    lifespan = service.Lifespan(app)
    await lifespan.start()
    gate.serving.behind = app
    settle()
    logger.info("the BentoML service stands behind")
    try:
        await asyncio.Event().wait()
    finally:
        await lifespan.stop()
