"""Select the version to serve."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tidemill.api import InferenceService, ModelVersion, TrainingJob
from tidemill.api.conditions import Reason
from tidemill.plan.inferenceservice.observed import ServiceState
from tidemill.plan.inferenceservice.verdicts import Objection, objection
from tidemill.plan.modelversion import EARLIEST
from tidemill.plan.quarantine import how_to_lift, quarantine_of

MAX_REASON: Final = 500
"""Characters of another object's message."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The version to serve, or why there is none."""

    version: ModelVersion | None
    reason: Reason = Reason.NO_VERSION
    message: str = ""
    hopeless: bool = False
    """Whether only an edit helps."""
    passed_over: str = ""
    """The newer version that this service does not roll out, and why; empty if there is none."""
    wake: float | None = None
    """Seconds until a version that was passed over is tried again."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Why the version in service may no longer be rolled out; it answers until another one replaces it."""

    reason: str
    message: str


def select(service: InferenceService, state: ServiceState, now: datetime) -> Selection:
    """Select the pinned version, or the newest one that may be served and that this service holds nothing against."""
    if service.spec.model.version is not None:
        return _pinned(service, service.spec.model.version, state, now)
    servable = [version for version in state.versions if is_servable(version) and not version.spec.suspend]
    servable.sort(key=lambda version: (version.metadata.creation_timestamp or EARLIEST, version.name), reverse=True)
    passed_over: list[tuple[ModelVersion, Objection]] = []
    for version in servable:
        against = None if version.name == state.stable_version else objection(service, version, now)
        if against is None:
            return Selection(version, passed_over=_passed_over(passed_over), wake=_wake(passed_over, now))
        passed_over.append((version, against))
    model = service.spec.model.name
    if passed_over:
        message = f"no version of model {model!r} can be rolled out; {_passed_over(passed_over)}"
    else:
        message = _why_none(model, state)
    return Selection(
        None, Reason.NO_VERSION, message, passed_over=_passed_over(passed_over), wake=_wake(passed_over, now)
    )


def _why_none(model: str, state: ServiceState) -> str:
    """Return why the model has no version to serve: what its newest version or its newest run lacks."""
    if not state.versions:
        yet = "" if state.stable_version else " yet"
        if not state.runs:
            return f"model {model!r} has no version{yet}; create a TrainingJob with spec.modelName {model!r}"
        run = max(state.runs, key=lambda run: (run.metadata.creation_timestamp or EARLIEST, run.name))
        return f"model {model!r} has no version{yet}; see TrainingJob {run.name!r}{_ready(run)}"
    newest = max(state.versions, key=lambda version: (version.metadata.creation_timestamp or EARLIEST, version.name))
    of = len(state.versions)
    none = (
        f"none of the {of} versions of model {model!r} is" if of > 1 else f"the only version of model {model!r} is not"
    )
    return f"{none} ready to be served; see ModelVersion {newest.name!r}{_unfit(newest)}"


def _unfit(version: ModelVersion) -> str:
    """Return a colon and why the version is not served, which its own condition may not say yet."""
    if version.metadata.deletion_timestamp is not None:
        return ": it is being deleted"
    if version.spec.suspend:
        return ": it is suspended; set its spec.suspend to false"
    if (quarantine := quarantine_of(version)) is not None:
        return f": it is {quarantine}; {how_to_lift(version)}"[:MAX_REASON]
    return _ready(version)


def _ready(resource: ModelVersion | TrainingJob) -> str:
    """Return a colon and the reason and message of the object's Ready condition; empty before it has one."""
    ready = resource.status.condition("Ready")
    return f": {ready.reason}: {ready.message}"[:MAX_REASON] if ready else ""


def is_servable(version: ModelVersion) -> bool:
    """Return whether every service of the model may roll the version out."""
    return (
        version.status.is_true("Ready")
        and quarantine_of(version) is None
        and version.metadata.deletion_timestamp is None
    )


def withdrawal(state: ServiceState) -> Withdrawal | None:
    """Return why the version in service may no longer be rolled out; None if it may, or nothing is known of it yet."""
    name = state.stable_version
    if not name:
        return None
    version = state.version(name)
    if version is None or version.metadata.deletion_timestamp is not None:
        return Withdrawal(
            Reason.VERSION_DELETED,
            f"ModelVersion {name!r}, which is in service, was deleted; create it again to keep it",
        )
    if quarantine := quarantine_of(version):
        return Withdrawal(Reason.QUARANTINED, f"ModelVersion {name!r}, which is in service, is {quarantine}")
    ready = version.status.condition("Ready")
    if ready is not None and ready.status == "False":
        return Withdrawal(
            ready.reason, f"ModelVersion {name!r}, which is in service, may no longer be rolled out: {ready.message}"
        )
    if version.spec.suspend:
        return Withdrawal(Reason.SUSPENDED, f"ModelVersion {name!r}, which is in service, has spec.suspend set")
    return None


def _pinned(service: InferenceService, name: str, state: ServiceState, now: datetime) -> Selection:
    version = state.version(name)
    if version is None:
        message = f"ModelVersion {name!r} of model {service.spec.model.name!r} not found; correct spec.model.version"
        return Selection(None, Reason.DEPENDENCY_NOT_READY, message)
    if version.name == state.stable_version:
        return Selection(version)
    if not is_servable(version):
        ready = version.status.condition("Ready")
        message = f"the pinned version {name!r} cannot be served: " + (
            f"{ready.reason}: {ready.message}" if ready else "it is not judged yet"
        )
        return Selection(None, Reason.DEPENDENCY_NOT_READY, message, hopeless=version.status.is_true("Stalled"))
    against = objection(service, version, now)
    if against is None:
        return Selection(version)
    return Selection(
        None,
        Reason.DEPENDENCY_NOT_READY,
        f"the pinned version {name!r} is not rolled out: {against.message}",
        hopeless=against.until is None,
        wake=_wake([(version, against)], now),
    )


def _passed_over(passed_over: list[tuple[ModelVersion, Objection]]) -> str:
    return f"{passed_over[0][0].name} is not rolled out: {passed_over[0][1].message}" if passed_over else ""


def _wake(passed_over: list[tuple[ModelVersion, Objection]], now: datetime) -> float | None:
    waits = [(against.until - now).total_seconds() for _, against in passed_over if against.until is not None]
    return min(waits) + 1.0 if waits else None
