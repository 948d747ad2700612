"""The state of one serving process; parts that are loaded later are None until then."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tidemill.runtime.log.retention import Retention
from tidemill.runtime.log.writer import Log
from tidemill.runtime.process.loops import Loops
from tidemill.runtime.serve.http.asgi_client import App
from tidemill.runtime.serve.http.bodies import Bounds
from tidemill.runtime.serve.rollout.router import RolloutRouter
from tidemill.runtime.serve.rollout.trial import Tally
from tidemill.runtime.serve.telemetry.cloudevents import CloudEventSender
from tidemill.runtime.serve.telemetry.metrics import Metrics
from tidemill.runtime.serve.telemetry.workers import WorkerSamples
from tidemill.runtime.serve.version.model import Identity, ServedModel
from tidemill.runtime.serve.version.readiness import State

MAX_WATCHED_REQUESTS: Final = 200
"""Requests whose rows are looked at in one go; more are passed over."""


@dataclass(slots=True)
class ServingContext:
    """One version of a model, and what is known of it while it is served."""

    identity: Identity
    boot: str
    """Makes request ids unique among all processes."""
    pod: str = ""
    """Names this process in measurements."""
    bounds: Bounds = field(default_factory=Bounds)
    fast_path: bool = True
    """Whether requests may be read, answered and logged in the ways that only speed them up."""
    clock: Callable[[], float] = time.time
    loops: Loops = field(default_factory=Loops)
    """The background loops."""
    state: State = field(init=False)
    model: ServedModel | None = None
    rollout: RolloutRouter | None = None
    """The version on trial, in a stable pod."""
    direct: Tally | None = None
    """In a candidate's pod: how it answered requests that no stable pod sent."""
    predictions: Log | None = None
    labels: Log | None = None
    events: CloudEventSender | None = None
    """Sends logged requests as CloudEvents too."""
    retention: Retention | None = None
    watched: list[Any] = field(default_factory=list)
    """Rows that were answered lately and not yet looked at for outliers, MAX_WATCHED_REQUESTS requests at most."""
    loaded_at: float = 0.0
    """When the model was loaded, in seconds since 1970."""
    bentoml: App | None = None
    """The BentoML service, once it is loaded."""
    workers: WorkerSamples | None = None
    """The counts of all processes on this address, where there are several."""
    metrics: Metrics = field(init=False)

    def __post_init__(self) -> None:
        self.state = State(stopped=self.loops.problem)
        self.metrics = Metrics(self.identity.service)
        if self.identity.role == "Candidate":
            self.direct = Tally(self.identity.version, self.identity.digest)

    def logs(self) -> dict[str, Log]:
        """The logs that are kept, by name."""
        return {
            name: log for name, log in (("predictions", self.predictions), ("labels", self.labels)) if log is not None
        }
