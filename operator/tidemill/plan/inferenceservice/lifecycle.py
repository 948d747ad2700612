"""What is decided about versions in one visit: who answers, who is on trial, what has ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tidemill.api import InferenceService, ModelVersion
from tidemill.api.conditions import Reason
from tidemill.api.inferenceservice import Outcome, RolloutStatus
from tidemill.api.modelversion import Quarantine
from tidemill.children import names
from tidemill.plan.inferenceservice import analysis_jobs
from tidemill.plan.inferenceservice import canary as rollouts
from tidemill.plan.inferenceservice.analysis import add_up
from tidemill.plan.inferenceservice.observed import ServiceState, candidate, rolled_out
from tidemill.plan.inferenceservice.selection import Selection
from tidemill.plan.lookup import get_path
from tidemill.plan.modelversion import quarantine_of
from tidemill.plan.types import Answers, Notice

ROUTES_SETTLE = 4.0
"""Seconds until every pod has read a new routing table; a rejected candidate is kept that long."""
FIRST_LOOK = 30.0
"""Seconds within which the first full look after a start has shown everything that was there."""


@dataclass(frozen=True, slots=True)
class RolloutDecision:
    """What is decided about versions in this visit."""

    serve: ModelVersion | None
    """What the stable Deployment shall answer with; None leaves it as it is."""
    try_out: ModelVersion | None = None
    """What the candidate Deployment shall answer with."""
    rollout: RolloutStatus | None = None
    ended: Outcome | None = None
    quarantine: Quarantine | None = None
    retire_candidate: bool = False
    wake: float | None = None
    notices: tuple[Notice, ...] = ()


def decide(
    service: InferenceService, seen: ServiceState, choice: Selection, now: datetime, answers: Answers
) -> RolloutDecision:
    current = seen.version(seen.stable_version)
    rollout = service.status.rollout
    if seen.stable is None:
        started = choice.version is not None
        notices = (
            (Notice("StableChosen", f"{choice.version.name} answers"),)
            if choice.version and service.status.stable is None
            else ()
        )
        return RolloutDecision(choice.version, notices=notices, retire_candidate=started and seen.candidate is not None)
    if (
        rollout is None
        and seen.candidate is not None
        and seen.candidate_version == seen.stable_version
        and not _is_promoted(service, seen.stable_version)
    ):
        # The status was lost in the middle of a promotion: the Deployments know.
        rollout = rollouts.begin(seen.stable_version, now).model_copy(update={"phase": "Promoting", "weight": 100})
    if rollout is not None and rollout.phase == "RollingBack":
        held = (now - rollout.step_started_at).total_seconds()
        if held < ROUTES_SETTLE:
            return RolloutDecision(current, rollout=rollout, wake=ROUTES_SETTLE - held)
        return RolloutDecision(current, retire_candidate=True)
    if rollout is not None and rollout.phase == "Promoting":
        return _promoting(service, seen, rollout, now)
    if rollout is not None and (rejection := _rejection(seen, rollout)):
        # The mark went out, but not the status that tells of it: something came between the two writes.
        return _roll_back(current, rollout, seen, rejection, now)
    wanted = choice.version
    if service.spec.suspend:
        return RolloutDecision(current, rollout=rollout)
    if wanted is None or wanted.name == seen.stable_version:
        if rollout is None:
            if (left := _benefit_of_doubt(service, seen, now)) > 0:
                return RolloutDecision(current, wake=left)
            # Its Service too, of which nothing else tells when only its Deployment could be deleted.
            return RolloutDecision(current, retire_candidate=True)
        return _withdraw(current, rollout, seen, now, "the candidate is no longer wanted")
    if rollout is not None and rollout.version != wanted.name and rollout.weight == 100:
        # It answers every request already: it takes over first, and then the newer one has its turn.
        return _promote(current, seen.version(rollout.version), rollout, now)
    if rollout is not None and rollout.version != wanted.name:
        ended = _outcome(rollout, seen, "Superseded", "Superseded", f"{wanted.name} is newer", now)
        return RolloutDecision(current, try_out=wanted, rollout=rollouts.begin(wanted.name, now), ended=ended, wake=1.0)
    if rollout is None:
        notice = Notice("RolloutStarted", f"{wanted.name} is to follow {seen.stable_version}")
        if service.spec.rollout.strategy == "Recreate":
            rollout = rollouts.begin(wanted.name, now).model_copy(
                update={"phase": "Promoting", "weight": 0, "message": "pods are being replaced"}
            )
            return RolloutDecision(wanted, rollout=rollout, notices=(notice,))
        return RolloutDecision(
            current, try_out=wanted, rollout=rollouts.begin(wanted.name, now), notices=(notice,), wake=5.0
        )
    return _turn(service, seen, current, wanted, rollout, now, answers)


def _turn(
    service: InferenceService,
    seen: ServiceState,
    current: ModelVersion | None,
    wanted: ModelVersion,
    rollout: RolloutStatus,
    now: datetime,
    answers: Answers,
) -> RolloutDecision:
    pair = add_up(answers, wanted.spec.artifact.digest, analysis_jobs.told(service, seen, wanted))
    turn = _by_hand(service, seen, rollout) or rollouts.advance(
        service.spec.rollout, rollout, candidate(seen, wanted.name), pair, now, _hand(service, rollout)
    )
    match turn.verdict:
        case "Promote":
            return _promote(current, wanted, turn.status, now)
        case "RollBack":
            why = Quarantine(reason=turn.reason, message=turn.message[:1000], since=now.replace(microsecond=0))
            return _roll_back(current, turn.status, seen, why, now)
    notices: tuple[Notice, ...] = ()
    if turn.status.weight != rollout.weight:
        notices = (Notice("StepEntered", f"{wanted.name} answers {turn.status.weight} % of requests"),)
    elif turn.status.shadow != rollout.shadow:
        notices = (Notice("ShadowEntered", f"{wanted.name} is given copies of {turn.status.shadow} % of requests"),)
    return RolloutDecision(current, try_out=wanted, rollout=turn.status, notices=notices, wake=turn.wake)


def _promote(
    current: ModelVersion | None, version: ModelVersion | None, rollout: RolloutStatus, now: datetime
) -> RolloutDecision:
    """Its share goes to 100 % first, on pods that are known to work; the stable pods follow when that is in place."""
    promoting = rollout.model_copy(
        update={
            "phase": "Promoting",
            "weight": 100,
            "shadow": 0,
            "step_started_at": now.replace(microsecond=0),
            "message": "the stable pods are being replaced",
        }
    )
    notice = Notice("Promoting", f"{rollout.version} is to answer every request")
    return RolloutDecision(current, try_out=version, rollout=promoting, notices=(notice,), wake=ROUTES_SETTLE)


def _hand(service: InferenceService, rollout: RolloutStatus) -> rollouts.ManualControl:
    """What a person says of the candidate: hold it where it is, or let it go on from its first n stages (`version/n`)."""
    annotations = service.metadata.annotations
    version, _, number = annotations.get(names.PROMOTE, "").partition("/")
    released = int(number) if version == rollout.version and number.isdecimal() and len(number) <= 3 else 0
    return rollouts.ManualControl(paused=annotations.get(names.PAUSE) == rollout.version, released=released)


def _by_hand(service: InferenceService, seen: ServiceState, rollout: RolloutStatus) -> rollouts.CanaryDecision | None:
    """What a person asks for in an annotation that names the candidate; one that names another version is of another day."""
    if service.metadata.annotations.get(names.ABORT) == rollout.version:
        return rollouts.CanaryDecision(rollout, "RollBack", "Aborted", f"the annotation {names.ABORT} asks for it")
    if service.metadata.annotations.get(names.PROMOTE) == rollout.version and candidate(seen, rollout.version).ready:
        return rollouts.CanaryDecision(rollout, "Promote")
    return None


def _is_promoted(service: InferenceService, version: str) -> bool:
    """Whether the newest rollout that ended promoted `version`; what is left of its candidate is only to be removed."""
    newest = service.status.history[0] if service.status.history else None
    return newest is not None and (newest.version, newest.outcome) == (version, "Promoted")


def _rejection(seen: ServiceState, rollout: RolloutStatus) -> Quarantine | None:
    version = seen.version(rollout.version)
    return quarantine_of(version) if version else None


def _roll_back(
    current: ModelVersion | None, rollout: RolloutStatus, seen: ServiceState, why: Quarantine, now: datetime
) -> RolloutDecision:
    moment = now.replace(microsecond=0)
    status = rollout.model_copy(
        update={"phase": "RollingBack", "weight": 0, "shadow": 0, "step_started_at": moment, "message": why.message}
    )
    return RolloutDecision(
        current,
        rollout=status,
        ended=_outcome(rollout, seen, "RolledBack", why.reason, why.message, now),
        quarantine=why,
        notices=(Notice("RolledBack", f"{rollout.version}: {why.message}"[:1000], "Warning"),),
        wake=ROUTES_SETTLE,
    )


def _promoting(service: InferenceService, seen: ServiceState, rollout: RolloutStatus, now: datetime) -> RolloutDecision:
    """The stable Deployment takes the promoted version over, while the candidate goes on answering."""
    version = seen.version(rollout.version)
    held = (now - rollout.step_started_at).total_seconds()
    if held < ROUTES_SETTLE and seen.stable_version != rollout.version and seen.candidate is not None:
        return RolloutDecision(
            seen.version(seen.stable_version), try_out=version, rollout=rollout, wake=ROUTES_SETTLE - held
        )
    keep = version if seen.candidate is not None else None
    if seen.stable_version != rollout.version or not rolled_out(seen, rollout.version):
        return RolloutDecision(version, try_out=keep, rollout=rollout)
    ended = _outcome(rollout, seen, "Promoted", Reason.PROMOTED, "every stable pod answers with it", now)
    notice = Notice("Promoted", f"{rollout.version} answers every request")
    return RolloutDecision(version, ended=ended, retire_candidate=seen.candidate is not None, notices=(notice,))


def _benefit_of_doubt(service: InferenceService, seen: ServiceState, now: datetime) -> float:
    """Seconds for which a candidate stays that no status speaks of, since its version may not be seen yet.

    Whoever made it crashed before saying so, and the next life may first see an older world than it left.
    """
    if any(ended.version == seen.candidate_version for ended in service.status.history):
        return 0.0
    born = get_path(seen.candidate, "metadata", "creationTimestamp")
    return FIRST_LOOK - (now - datetime.fromisoformat(born)).total_seconds() if born else 0.0


def _withdraw(
    current: ModelVersion | None, rollout: RolloutStatus, seen: ServiceState, now: datetime, message: str
) -> RolloutDecision:
    moment = now.replace(microsecond=0)
    status = rollout.model_copy(
        update={"phase": "RollingBack", "weight": 0, "shadow": 0, "step_started_at": moment, "message": message}
    )
    return RolloutDecision(
        current,
        rollout=status,
        ended=_outcome(rollout, seen, "Superseded", "Withdrawn", message, now),
        wake=ROUTES_SETTLE,
    )


def _outcome(
    rollout: RolloutStatus, seen: ServiceState, outcome: str, reason: str, message: str, now: datetime
) -> Outcome:
    version = seen.version(rollout.version)
    return Outcome.model_validate(
        {
            "version": rollout.version,
            "digest": version.spec.artifact.digest if version else "",
            "outcome": outcome,
            "reason": str(reason),
            "message": message[:1000],
            "started_at": rollout.started_at,
            "at": now.replace(microsecond=0),
        }
    )
