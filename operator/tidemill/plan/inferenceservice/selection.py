"""Select the version to serve."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.api import InferenceService, ModelVersion
from tidemill.api.conditions import Reason
from tidemill.plan.inferenceservice.observed import ServiceState
from tidemill.plan.modelversion import EARLIEST, quarantine_of


@dataclass(frozen=True, slots=True)
class Selection:
    """The version to serve, or why there is none."""

    version: ModelVersion | None
    reason: Reason = Reason.NO_VERSION
    message: str = ""
    hopeless: bool = False
    """Whether only an edit helps."""


def select(service: InferenceService, state: ServiceState) -> Selection:
    """Select the pinned version, or the newest one that may be served and was not rejected by this service."""
    rejected = {outcome.version for outcome in service.status.history if outcome.outcome == "RolledBack"}
    pinned = service.spec.model.version
    if pinned is not None:
        version = state.version(pinned)
        if version is None:
            message = (
                f"ModelVersion {pinned!r} of model {service.spec.model.name!r} not found; correct spec.model.version"
            )
            return Selection(None, Reason.DEPENDENCY_NOT_READY, message)
        if version.name == state.stable_version or (_is_servable(version) and version.name not in rejected):
            return Selection(version)
        ready = version.status.condition("Ready")
        message = f"the pinned version {pinned!r} cannot be served: " + (
            f"{ready.reason}: {ready.message}" if ready else "it is not judged yet"
        )
        return Selection(
            None,
            Reason.DEPENDENCY_NOT_READY,
            message,
            hopeless=version.status.is_true("Stalled") or version.name in rejected,
        )
    servable = [
        version
        for version in state.versions
        if _is_servable(version) and not version.spec.suspend and version.name not in rejected
    ]
    if not servable:
        known = len(state.versions)
        message = (
            f"none of the {known} versions of model {service.spec.model.name!r} is ready to be served"
            if known
            else (
                f"model {service.spec.model.name!r} has no version yet; create a TrainingJob with spec.modelName {service.spec.model.name!r}"
            )
        )
        return Selection(None, Reason.NO_VERSION, message)
    return Selection(max(servable, key=lambda version: (version.metadata.creation_timestamp or EARLIEST, version.name)))


def _is_servable(version: ModelVersion) -> bool:
    return (
        version.status.is_true("Ready")
        and quarantine_of(version) is None
        and version.metadata.deletion_timestamp is None
    )
