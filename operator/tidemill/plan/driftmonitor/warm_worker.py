"""Run a check on a monitor's warm worker: when it is requested, what it reports, and when a Job takes it over.

    not requested ──▶ requested ──▶ reported
          │               │
          └───────────────┴─────▶ given up: a Job carries the run out

The status names the requested run before the request, and the run has the name of the equivalent Job. So every request
means the same run however often it is sent, and one run is counted once: when the status leaves Running.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from tidemill.api import DriftMonitor
from tidemill.api.conditions import PendingCondition, Reason, false, true
from tidemill.api.monitorstatus import WorkerStatus
from tidemill.children import names, worker
from tidemill.contract.orders import CHECKS_ROUTE
from tidemill.contract.reports import RunReport
from tidemill.plan.diagnosis import deployment_problem
from tidemill.plan.driftmonitor.windows import MAX_RUN_SECONDS
from tidemill.plan.lookup import base_url, is_being_deleted, is_ready, label
from tidemill.plan.types import Answers, CheckRequest, CheckResponse, Notice
from tidemill.plan.world import Manifest, World

UNHEARD_TIMEOUT_SECONDS: Final = 10.0
"""Seconds after which a worker that does not answer is given up."""
_POLL_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class WarmRun:
    """The state of a run on the worker after this visit."""

    status: WorkerStatus
    report: RunReport | None = None
    """The report of the run, once it is over."""
    wake: float | None = None
    notices: tuple[Notice, ...] = ()

    @property
    def by_job(self) -> bool:
        """Return whether a Job must carry the run out."""
        return bool(self.status.given_up)


def carry_on(monitor: DriftMonitor, run: str, world: World, answers: Answers, now: datetime) -> WarmRun:
    """Request `run`, wait for it, or give it up; for a run that has no Job."""
    status, ready = monitor.status.worker, address(monitor, world)
    if status is None or status.run != run:
        status = WorkerStatus(run=run, at=now.replace(microsecond=0))
        return WarmRun(status, wake=0.0) if ready else _given_up(status, "is not ready", type_="Normal")
    if status.given_up:
        return WarmRun(status)
    if not ready:
        return _given_up(status, "is no longer ready")
    waited = (now - status.at).total_seconds()
    response = next((answer for answer in answers if isinstance(answer, CheckResponse) and answer.run == run), None)
    if response is not None and response.report is not None:
        return WarmRun(status, response.report)
    if response is not None and (
        response.outcome == "Refused" or (response.outcome == "Unheard" and waited > UNHEARD_TIMEOUT_SECONDS)
    ):
        return _given_up(status, response.message)
    if waited > MAX_RUN_SECONDS:
        return _given_up(status, f"has not finished within {MAX_RUN_SECONDS:.0f} s")
    return WarmRun(status, wake=_POLL_SECONDS if response is not None else 0.0)


def request(monitor: DriftMonitor, run: str, order: str, world: World) -> CheckRequest | None:
    """Return the request to the worker; None unless the status names `run` as requested."""
    status, ready = monitor.status.worker, address(monitor, world)
    if status is None or status.run != run or status.given_up or not ready:
        return None
    return CheckRequest(run, f"{ready}{CHECKS_ROUTE}/{run}", order)


def address(monitor: DriftMonitor, world: World) -> str:
    """Return the URL of the worker; empty while it is not ready."""
    return next((base_url(pod) for pod in _pods(monitor, world) if is_ready(pod)), "")


def conditions_of(monitor: DriftMonitor, world: World) -> list[PendingCondition]:
    """Return WorkerReady, if the monitor has a worker; checks do not wait for it."""
    if not worker.is_needed(monitor):
        return []
    if address(monitor, world):
        return [true("WorkerReady", Reason.REPLICAS_READY)]
    deployment = world.get("Deployment", monitor.namespace, names.worker(monitor.name))
    problem = deployment_problem(deployment, _pods(monitor, world), world.events) or "the pod is starting"
    return [
        false(
            "WorkerReady", Reason.REPLICAS_NOT_READY, f"{problem}; until the worker is ready, each check runs as a Job"
        )
    ]


def _pods(monitor: DriftMonitor, world: World) -> list[Manifest]:
    pods = world.labelled("Pod", monitor.namespace, names.OWNER_UID, monitor.metadata.uid)
    return [pod for pod in pods if label(pod, names.COMPONENT) == worker.COMPONENT and not is_being_deleted(pod)]


def _given_up(status: WorkerStatus, why: str, *, type_: Literal["Normal", "Warning"] = "Warning") -> WarmRun:
    why = f"the warm worker {why}"[:512]
    notice = Notice("CheckedByJob", f"{status.run} runs as a Job: {why}", type_)
    return WarmRun(status.model_copy(update={"given_up": why}), notices=(notice,))
