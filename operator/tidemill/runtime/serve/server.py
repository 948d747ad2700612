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
import random
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from tidemill.runtime.failures import RunFailed
from tidemill.runtime.log.counters import Counters
from tidemill.runtime.log.records import LabelFile, PredictionFile
from tidemill.runtime.log.retention import FIRST, SWEEP_INTERVAL_SECONDS, Retention
from tidemill.runtime.log.writer import Log, boot_id
from tidemill.runtime.process.loops import Loop
from tidemill.runtime.serve.app import ServingApp
from tidemill.runtime.serve.handlers import status
from tidemill.runtime.serve.handlers.context import ServingContext
from tidemill.runtime.serve.http import connection, fast_path
from tidemill.runtime.serve.http.bodies import Bounds
from tidemill.runtime.serve.rollout.router import RolloutRouter
from tidemill.runtime.serve.shutdown import GracefulServer, end_after
from tidemill.runtime.serve.telemetry.cloudevents import CloudEventSender
from tidemill.runtime.serve.telemetry.workers import WorkerSamples
from tidemill.runtime.serve.version.batching import MAX_ROWS
from tidemill.runtime.serve.version.loading import Loaded, until_loaded
from tidemill.runtime.serve.version.model import Identity, ServedModel

if TYPE_CHECKING:
    from tidemill.runtime.store.objects import ObjectStore

logger = logging.getLogger(__name__)

KEEP_ALIVE: Final = 75
"""Seconds an idle connection stays: longer than clients and proxies keep theirs, so that they close first."""
LAST_FLUSH: Final = 5.0
LAST_REQUESTS: Final = 3
WORK_SECONDS: Final = 1.0
SHUTDOWN_WAIT_SECONDS: Final = 0.25
THREADS_SECONDS: Final = 1.0
FOLLOW_SECONDS: Final = 2.0

Newer = Callable[[str], tuple[str, Loaded] | None]
"""From the digest that is served to another one with what answers for it, its golden rows included; or nothing."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One of several serving processes on one address."""

    folder: Path
    """Shared by all of them, for their sockets and counts."""
    index: int
    count: int


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Settings of a serving process."""

    host: str = "0.0.0.0"
    port: int = 8080
    pod: str = ""
    drain_seconds: float = 5.0
    log_seconds: float = 2.0
    log_percent: int = 100
    log_bytes: int = 64 * 1024 * 1024
    """Most memory that rows take while they wait to be written."""
    retention_seconds: float = 0.0
    """Seconds for which the log is kept; 0 without end."""
    retention_first_seconds: float = FIRST
    """When, after the start, what is too old is looked for."""
    retention_every_seconds: float = SWEEP_INTERVAL_SECONDS
    """And how often from then on."""
    redact: tuple[str, ...] = ()
    """Features whose values are not logged."""
    version_uri: str = ""
    """The version's URI in the log's store; logged rows are counted on the bins of its profile. Empty: nothing is counted."""
    events_url: str = ""
    """The URL that logged requests are sent to as CloudEvents."""
    batch_rows: int = MAX_ROWS
    """Rows of waiting requests that are asked of the model together at most; 1 for each by itself."""
    bentoml: bool = True
    fast_path: bool = True
    """Whether requests may be read, answered and logged in the ways that only speed them up: past uvicorn's ASGI cycle, by simdjson and
    templates, as columns of single rows. Answers are the same without."""
    bounds: Bounds = field(default_factory=Bounds)
    listen: socket.socket | None = None
    """An open socket to listen on instead of host and port."""
    worker: Worker | None = None
    """This process among several on one address; None where it is the only one."""
    drains_connections: bool = False
    """Whether the drain ends new connections at once, and itself with the last connection: for processes that no endpoint forgets."""
    retries: bool = True
    """Whether loading is tried again where it fails; otherwise the process ends."""

    @classmethod
    def from_environment(cls, **others: Any) -> ServerSettings:
        """Settings from `TIDEMILL_POD`, `TIDEMILL_DRAIN_SECONDS`, `TIDEMILL_LOG_SECONDS`, `TIDEMILL_LOG_BYTES`,
        `TIDEMILL_RETENTION_FIRST_SECONDS`, `TIDEMILL_RETENTION_EVERY_SECONDS`, `TIDEMILL_BATCH_ROWS`, `TIDEMILL_BENTOML`
        and `TIDEMILL_FAST_PATH` (yes or no); raises ValueError where one does not parse."""
        read: dict[str, Callable[[str], Any]] = {
            "pod": str,
            "drain_seconds": float,
            "log_seconds": float,
            "log_bytes": int,
            "retention_first_seconds": float,
            "retention_every_seconds": float,
            "batch_rows": int,
            "bentoml": _yes_or_no,
            "fast_path": _yes_or_no,
        }
        values = {
            name: kind(os.environ[variable])
            for name, kind in read.items()
            if (variable := f"TIDEMILL_{name.upper()}") in os.environ
        }
        return cls(**{**values, **others})


def _yes_or_no(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError(f"must be yes or no, not {text!r}")
    return text == "yes"


def serve(
    identity: Identity,
    attempt: Callable[[], Loaded],
    settings: ServerSettings,
    *,
    routes: Path | None = None,
    log_to: Callable[[Loaded], ObjectStore | None],
    newer: Newer | None = None,
) -> None:
    """Serve what `attempt` loads until told to stop, whereupon the process ends.

    `routes` is the routing table that a stable pod follows; `log_to` says which store predictions and labels go to;
    `newer` is asked every few seconds for what should take the place of the version with a digest.
    """
    serving = ServingContext(
        identity, boot=boot_id(), pod=settings.pod, bounds=settings.bounds, fast_path=settings.fast_path
    )
    gate = ServingApp(serving, log_percent=settings.log_percent, batch_rows=settings.batch_rows)
    config = uvicorn.Config(
        gate,
        host=settings.host,
        port=settings.port,
        http=_protocol(gate, fast=settings.fast_path),
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
    server = GracefulServer(
        config, serving.state, settings.drain_seconds, end_after, drains_connections=settings.drains_connections
    )
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_run(server, gate, attempt, settings, routes, log_to, newer))
        # Leaving the runner waits for threads. All that was worth waiting for is over.
        end_after(THREADS_SECONDS)


def _protocol(app: ServingApp, *, fast: bool) -> type[connection.HTTPConnection]:
    connection.check_versions()
    if not fast:
        return connection.protocol(app.slow_clients)
    return fast_path.protocol(app.ways(), app.slow_clients)


async def _run(
    server: GracefulServer,
    gate: ServingApp,
    attempt: Callable[[], Loaded],
    settings: ServerSettings,
    routes: Path | None,
    log_to: Callable[[Loaded], ObjectStore | None],
    newer: Newer | None,
) -> None:
    work = Work()
    loops = gate.serving.loops
    loops.start("late bodies", lambda _: gate.bodies.sweep())
    loops.start("late heads", lambda _: gate.slow_clients.sweep())
    loops.start("load", lambda _: gate.serving.metrics.load.watch())
    if settings.worker is not None:
        serving, worker = gate.serving, settings.worker
        serving.workers = samples = WorkerSamples(
            worker.folder, worker.index, worker.count, lambda: status.samples_of(serving)
        )
        loops.start("counts of processes", lambda _: samples.run())
    bringing_up = work.start(_bring_up(gate, attempt, settings, routes, log_to, newer))
    if not settings.retries:
        bringing_up.add_done_callback(lambda task: _stop_if_failed(task, server))
    try:
        await server.serve([settings.listen] if settings.listen else None)
        if server.failure is not None:
            raise server.failure
    finally:
        await work.stop()
        await loops.stop(WORK_SECONDS)
        await gate.explaining.close()
        await asyncio.gather(*(_last_flush(name, log) for name, log in gate.serving.logs().items()))
        if gate.serving.rollout is not None:
            await gate.serving.rollout.close()


def _stop_if_failed(bringing_up: asyncio.Task[None], server: GracefulServer) -> None:
    if not bringing_up.cancelled() and isinstance(error := bringing_up.exception(), RunFailed):
        server.failure, server.should_exit = error, True


async def _last_flush(name: str, log: Log) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(log.flush(), LAST_FLUSH)
    if log.backlog:
        why = log.state.error or f"the store does not answer within {LAST_FLUSH:g} s"
        logger.error("%d rows of %s could not be written and are lost: %s", log.backlog, name, why)


class Work:
    """Tasks that run in the background."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, background: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin; what fails is logged, and the process goes on without it."""
        task = asyncio.get_running_loop().create_task(background)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, RunFailed):
            logger.error("%s ended: %s", task.get_coro(), error, exc_info=error)

    async def stop(self) -> None:
        """End everything."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=WORK_SECONDS)


async def _bring_up(
    gate: ServingApp,
    attempt: Callable[[], Loaded],
    settings: ServerSettings,
    routes: Path | None,
    log_to: Callable[[Loaded], ObjectStore | None],
    newer: Newer | None,
) -> None:
    serving = gate.serving
    if settings.retries:
        loaded = await until_loaded(attempt, serving.state)
    else:
        loaded = await asyncio.to_thread(attempt)
    model = ServedModel(serving.identity, loaded.predictor, loaded.files, fast=settings.fast_path)
    store = log_to(loaded)
    if store is not None:
        _start_logs(serving, model, store, settings)
    if settings.events_url:
        serving.events = events = CloudEventSender(
            settings.events_url, serving.identity, model.codec.features, redact=settings.redact
        )
        serving.loops.start("events", lambda _: events.run())
    if routes is not None and serving.identity.role == "Stable":
        serving.rollout = RolloutRouter(
            routes,
            model,
            serving.metrics,
            timeout=settings.bounds.timeout,
            predict=lambda rows: gate.predicting.ask(model, rows),
        )
        await serving.rollout.look()
        serving.rollout.start(serving.loops)
        serving.loops.start("labels to other pods", lambda _: gate.peers.run())
    gate.swap(model)
    if newer is not None:
        serving.loops.start("newer versions", lambda _: _follow(gate, newer))
    serving.loops.start("outliers", lambda _: gate.explaining.watch())
    serving.state.loaded = True
    logger.info(
        "%s %s answers (%s)",
        serving.identity.model,
        serving.identity.version,
        "compiled" if loaded.predictor.compiled else "estimator",
    )
    # Clients that wait for the first answer get it before the rest is loaded, which takes the processor for seconds.
    await asyncio.sleep(SHUTDOWN_WAIT_SECONDS)
    settle()
    if settings.bentoml:
        await _load_bentoml(gate)


def _start_logs(serving: ServingContext, model: ServedModel, store: ObjectStore, settings: ServerSettings) -> None:
    from tidemill.contract.layout import counts_folder, label_folder, prediction_folder

    identity = serving.identity
    writer = f"{settings.pod or 'local'}-{serving.boot}"
    file = PredictionFile(model.codec.features, classifies=model.codec.classifies, redact=settings.redact)
    counters = None
    if settings.version_uri:
        folder = counts_folder(identity.namespace, identity.service)
        counters = Counters(folder, writer, identity.digest, file, clock=serving.clock)
        bring_up = partial(counters.bring_up, store, settings.version_uri)
        serving.loops.start("profile of the version", lambda _: bring_up())
    serving.predictions = Log(
        prediction_folder(identity.namespace, identity.service),
        writer,
        counters or file,
        every=settings.log_seconds,
        max_bytes=settings.log_bytes,
        written=serving.metrics.lags.written,
        observer=counters,
    )
    serving.labels = Log(
        label_folder(identity.namespace, identity.service),
        writer,
        LabelFile(model.labels),
        every=settings.log_seconds,
        max_bytes=settings.log_bytes,
    )
    for name, log in serving.logs().items():
        log.use(store)
        serving.loops.start(f"log of {name}", _writing(log))
    if settings.retention_seconds and identity.role == "Stable":
        serving.retention = retention = Retention(
            (
                prediction_folder(identity.namespace, identity.service),
                label_folder(identity.namespace, identity.service),
                counts_folder(identity.namespace, identity.service),
            ),
            settings.retention_seconds,
            clock=serving.clock,
            uniform=random.random,
            first=settings.retention_first_seconds,
            every=settings.retention_every_seconds,
        )
        serving.loops.start("retention", lambda _: retention.run(store))


def _writing(log: Log) -> Callable[[Loop], Coroutine[Any, Any, None]]:
    return lambda _: log.run()


async def _follow(gate: ServingApp, newer: Newer) -> None:
    """Swap the model whenever there is a newer one; one that cannot be served changes nothing and is logged once."""
    last_error = ""
    while True:
        await asyncio.sleep(FOLLOW_SECONDS)
        try:
            replacement = await asyncio.to_thread(newer, gate.serving.identity.digest)
            if replacement is not None:
                digest, loaded = replacement
                identity = replace(gate.serving.identity, digest=digest)
                gate.swap(ServedModel(identity, loaded.predictor, loaded.files, fast=gate.serving.fast_path))
                logger.info("%s answers now", digest)
                settle()
            last_error = ""
        except (RunFailed, OSError, ValueError) as error:
            if str(error) != last_error:
                logger.error("the newer version is not served: %s", error)
            last_error = str(error)


def settle() -> None:
    """Give back what loading left over, and take what is loaded out of the garbage collector's sight.

    A full collection walks a few hundred thousand objects of imported modules, all of which stay; a request would wait for it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # glibc only; elsewhere there is nothing to give back


async def _load_bentoml(gate: ServingApp) -> None:
    """BentoML takes seconds to load and nothing that `/v2` needs: it comes when the model answers already."""
    from tidemill.runtime.serve.handlers import bentoml_service

    app = await asyncio.to_thread(bentoml_service.build, gate.serving.identity, gate.predicting.ask_rows)
    lifespan = bentoml_service.Lifespan(app)
    await lifespan.start()
    gate.serving.bentoml = app
    settle()
    logger.info("the BentoML service stands behind")
    try:
        await asyncio.Event().wait()
    finally:
        await lifespan.stop()
