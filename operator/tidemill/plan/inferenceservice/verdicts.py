"""What a service holds against a version, and how long: its own rejections, and failures of the surroundings.

A verdict is local. A version that failed here is rejected here, by digest, until a person asks for another try; other
services decide for themselves. A rollout that failed for want of room, memory, an image or the store says nothing about
the version: it is tried again, after longer and longer pauses.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Final, Protocol

from tidemill.api import InferenceService, ModelVersion
from tidemill.api.base import to_rfc3339
from tidemill.api.conditions import Reason
from tidemill.api.inferenceservice import Outcome, Rejection
from tidemill.children import names
from tidemill.plan.inferenceservice.surroundings import SURROUNDINGS

MIN_RETRY: Final = timedelta(minutes=5)
MAX_RETRY: Final = timedelta(hours=1)
MAX_REJECTIONS: Final = 64
CLOCK_SKEW: Final = timedelta(seconds=60)
"""How far ahead of the operator's clock a person's may be; a retry further in the future would lift verdicts to come."""


class _Named(Protocol):
    @property
    def version(self) -> str: ...
    @property
    def digest(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a service does not roll a version out, and the end of this where it is known."""

    message: str
    until: datetime | None = None


def is_verdict(outcome: Outcome) -> bool:
    """Return whether a finished rollout rejected its version."""
    return outcome.outcome == "RolledBack" and outcome.reason not in SURROUNDINGS | {Reason.QUARANTINED}


def rejection_of(outcome: Outcome) -> Rejection:
    return Rejection(
        version=outcome.version,
        digest=outcome.digest,
        reason=outcome.reason,
        message=outcome.message,
        at=outcome.at,
    )


def rejections(service: InferenceService, now: datetime) -> tuple[Rejection, ...]:
    """Return the rejections that are in force, newest first.

    A status of an earlier release has no list of them; its history does.
    """
    recorded = service.status.rejected
    if recorded is None:
        recorded = tuple(rejection_of(outcome) for outcome in service.status.history if is_verdict(outcome))
    version, until = _retry(service, now)
    return tuple(entry for entry in recorded if until is None or entry.version != version or entry.at > until)


def after(service: InferenceService, ended: Outcome | None, now: datetime) -> tuple[Rejection, ...]:
    """Return the rejections after a visit in which the rollout `ended`, newest first."""
    in_force = rejections(service, now)
    if ended is None or ended.outcome == "Superseded":
        return in_force
    others = tuple(entry for entry in in_force if not _is_same(entry, ended))
    return (rejection_of(ended), *others)[:MAX_REJECTIONS] if is_verdict(ended) else others


def objection(service: InferenceService, version: ModelVersion, now: datetime) -> Objection | None:
    """Return what stands against a rollout of `version` to `service`."""
    if service.metadata.annotations.get(names.ABORT) == version.name:
        return Objection(
            f"aborted by annotation {names.ABORT}; run kubectl tidemill retry {service.name} to try it again"
        )
    rejected = next((entry for entry in rejections(service, now) if _names(entry, version)), None)
    if rejected is not None:
        return Objection(
            f"rejected by this service ({rejected.reason}: {rejected.message}); "
            f"run kubectl tidemill retry {service.name} to try it again"
        )
    until = _tried_again_at(service, version, now)
    return Objection(f"tried again at {to_rfc3339(until)}", until) if until is not None else None


def _tried_again_at(service: InferenceService, version: ModelVersion, now: datetime) -> datetime | None:
    """Return when a version is tried again whose last rollouts failed by the surroundings; None if now."""
    ended = [outcome for outcome in service.status.history if _names(outcome, version)]
    failures = list(takewhile(lambda outcome: outcome.outcome == "RolledBack" and not is_verdict(outcome), ended))
    if not failures or failures[0].reason == Reason.QUARANTINED:
        return None
    newest = failures[0]
    if newest.generation and newest.generation != service.metadata.generation:
        return None
    asked, until = _retry(service, now)
    if asked == newest.version and until is not None and until >= newest.at:
        return None
    pause = min(MIN_RETRY * 2 ** min(len(failures) - 1, 10), MAX_RETRY)
    return newest.at + pause if now < newest.at + pause else None


def _retry(service: InferenceService, now: datetime) -> tuple[str, datetime | None]:
    """Return the version that a person wants to be tried again, and the time of the request; None for the time if invalid."""
    version, _, text = service.metadata.annotations.get(names.RETRY, "").partition("/")
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return version, None
    return version, at if at.tzinfo is not None and at <= now + CLOCK_SKEW else None


def _names(entry: _Named, version: ModelVersion) -> bool:
    digest = version.spec.artifact.digest
    return entry.version == version.name or bool(digest and entry.digest == digest)


def _is_same(entry: Rejection, ended: Outcome) -> bool:
    return entry.version == ended.version or bool(ended.digest and entry.digest == ended.digest)
