"""Decide about versions in one visit: the stable version, the candidate, and rollouts that end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from tidemill.api import InferenceService, ModelVersion
from tidemill.api.conditions import Reason
from tidemill.api.inferenceservice import Outcome, RolloutStatus
from tidemill.children import names
from tidemill.plan.inferenceservice import analysis_jobs
from tidemill.plan.inferenceservice import canary as rollouts
from tidemill.plan.inferenceservice.analysis import add_up
from tidemill.plan.inferenceservice.observed import (
    ServiceState,
    candidate,
    previous_version,
    ready_candidates,
    rolled_out,
    stable_lacks_room,
    stable_obstacle,
    stable_problem,
)
from tidemill.plan.inferenceservice.selection import Selection, withdrawal
from tidemill.plan.inferenceservice.surroundings import loading_problem
from tidemill.plan.lookup import get_path
from tidemill.plan.quarantine import quarantine_of
from tidemill.plan.types import Answers, Notice

ROUTES_SETTLE_SECONDS = 4.0
"""Seconds until every pod has read a new routing table; a rejected candidate is kept that long."""
ROOM_SECONDS = 20.0
"""Seconds that a promotion waits for room before the candidate's pods make it."""
FIRST_SYNC_SECONDS = 30.0
"""Seconds within which the first sync after a start has shown every object."""


@dataclass(frozen=True, slots=True)
class RolloutDecision:
    """The decision about versions in one visit; what the stable pods are told of it is `routing.in_force`."""

    serve: ModelVersion | None
    """The version of the stable Deployment; None leaves it as it is."""
    try_out: ModelVersion | None = None
    """The version of the candidate Deployment."""
    rollout: RolloutStatus | None = None
    ended: Outcome | None = None
    retire_candidate: bool = False
    wake: float | None = None
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a rollout is undone."""

    reason: str
    message: str


def decide(
    service: InferenceService, state: ServiceState, selection: Selection, now: datetime, answers: Answers
) -> RolloutDecision:
    """Decide about the versions of `service`: begin a rollout, carry it on, or end it."""
    current = state.version(state.stable_version)
    rollout = service.status.rollout and rollouts.restored(service.spec.rollout, service.status.rollout)
    if state.stable is None:
        started = selection.version is not None
        notices = (
            (Notice("StableChosen", f"{selection.version.name} is the first version"),)
            if selection.version and service.status.stable is None
            else ()
        )
        return RolloutDecision(
            selection.version, notices=notices, retire_candidate=started and state.candidate is not None
        )
    if (
        rollout is None
        and state.candidate is not None
        and state.candidate_version == state.stable_version
        and not _was_promoted(service, state.stable_version)
    ):
        # The status was lost in the middle of a promotion: the Deployments know.
        rollout = rollouts.begin(state.stable_version, now).model_copy(update={"phase": "Promoting", "weight": 100})
    if rollout is not None and rollout.phase == "RollingBack":
        held = (now - rollout.step_started_at).total_seconds()
        if held < ROUTES_SETTLE_SECONDS:
            return RolloutDecision(current, rollout=rollout, wake=ROUTES_SETTLE_SECONDS - held)
        return RolloutDecision(current, retire_candidate=True)
    if rollout is not None and rollout.phase == "Promoting":
        if refused := _leave_promotion(service, state, selection, rollout, now):
            return refused
        promoting = _promoting(service, state, rollout, now)
        return replace(promoting, notices=(*promoting.notices, *_promotion_waits(state, rollout)))
    if rollout is not None and (refusal := _refused_by_hand(service, state, rollout)):
        return _roll_back(service, current, rollout, state, refusal, now)
    wanted = selection.version
    if service.spec.suspend:
        return RolloutDecision(current, rollout=rollout and _suspended(rollout, selection, now))
    if wanted is None or wanted.name == state.stable_version:
        if rollout is None:
            if (left := _grace_seconds(service, state, now)) > 0:
                return RolloutDecision(current, wake=left)
            # Its Service too, in case only its Deployment could be deleted.
            return RolloutDecision(current, retire_candidate=True)
        return _withdraw(service, current, rollout, state, now, "the candidate is no longer the selected version")
    whole = rollout is not None and rollout.weight == 100 and ready_candidates(state, rollout.version) > 0
    if rollout is not None and rollout.version != wanted.name and whole:
        # It answers every request already: it is promoted first, and then the newer version is rolled out.
        return _promote(current, state.version(rollout.version), rollout, now)
    if rollout is not None and rollout.version != wanted.name:
        ended = _outcome(service, rollout, state, "Superseded", "Superseded", f"{wanted.name} is newer", now)
        return RolloutDecision(
            current,
            try_out=wanted,
            rollout=rollouts.begin(wanted.name, now, state.stable_version),
            ended=ended,
            notices=(
                Notice("Superseded", f"{rollout.version}: {wanted.name} is newer"),
                Notice("RolloutStarted", f"{wanted.name} replaces {state.stable_version}"),
            ),
            wake=1.0,
        )
    if rollout is None:
        withdrawn = withdrawal(state)
        because = f": {withdrawn.message}" if withdrawn else ""
        notice = Notice("RolloutStarted", f"{wanted.name} replaces {state.stable_version}{because}"[:1000])
        if service.spec.rollout.strategy == "Recreate":
            rollout = rollouts.begin(wanted.name, now, state.stable_version).model_copy(
                update={"phase": "Promoting", "weight": 0, "message": "replacing the pods"}
            )
            return RolloutDecision(wanted, rollout=rollout, notices=(notice,))
        return RolloutDecision(
            current,
            try_out=wanted,
            rollout=rollouts.begin(wanted.name, now, state.stable_version),
            notices=(notice,),
            wake=5.0,
        )
    return _advance(service, state, current, wanted, rollout, now, answers)


def _advance(
    service: InferenceService,
    state: ServiceState,
    current: ModelVersion | None,
    wanted: ModelVersion,
    rollout: RolloutStatus,
    now: datetime,
    answers: Answers,
) -> RolloutDecision:
    jobs = analysis_jobs.observe(service, state, rollout, wanted, now)
    rollout = analysis_jobs.without_waiting(rollout).model_copy(update={"jobs": jobs.jobs})
    pair = add_up(answers, wanted.spec.artifact.digest, jobs.verdicts)
    pods = candidate(state, wanted.name, now)
    if pods.ready == 0 and pods.obstacle is None:
        pods = replace(pods, obstacle=loading_problem(answers))
    canary = _released(service, pods, rollout) or rollouts.advance(
        service.spec.rollout, rollout, pods, pair, now, _manual_control(service, rollout)
    )
    match canary.verdict:
        case "Promote":
            return _promote(current, wanted, canary.status, now)
        case "RollBack":
            refusal = _Refusal(canary.reason, canary.message)
            return _roll_back(service, current, canary.status, state, refusal, now)
    notices: tuple[Notice, ...] = ()
    # Without a ready pod of the candidate, that is what the rollout waits for first.
    status = analysis_jobs.with_waiting(canary.status) if pods.ready else canary.status
    has_lost_share = not pods.ready and canary.status.weight == 0 < rollout.weight
    waits = canary.status.reason not in ("", rollout.reason)
    if has_lost_share or waits:
        notices = (Notice("CandidateUnavailable", f"{wanted.name}: {canary.status.message}"[:1000], "Warning"),)
    elif canary.status.weight != rollout.weight:
        notices = (Notice("StepEntered", f"{wanted.name} answers {canary.status.weight}% of requests"),)
    elif canary.status.shadow != rollout.shadow:
        notices = (Notice("ShadowEntered", f"{canary.status.shadow}% of requests are mirrored to {wanted.name}"),)
    wake = min((wake for wake in (canary.wake, jobs.wake) if wake is not None), default=None)
    return RolloutDecision(current, try_out=wanted, rollout=status, notices=(*notices, *jobs.notices), wake=wake)


def _promote(
    current: ModelVersion | None, version: ModelVersion | None, rollout: RolloutStatus, now: datetime
) -> RolloutDecision:
    """Route every request to the candidate's pods first, which are known to work; then replace the stable pods."""
    promoting = rollout.model_copy(
        update={
            "phase": "Promoting",
            "weight": 100,
            "shadow": 0,
            "step_started_at": now.replace(microsecond=0),
            "reason": "",
            "message": "replacing the stable pods",
        }
    )
    notice = Notice("Promoting", f"{rollout.version} takes over all requests")
    return RolloutDecision(current, try_out=version, rollout=promoting, notices=(notice,), wake=ROUTES_SETTLE_SECONDS)


def _suspended(rollout: RolloutStatus, selection: Selection, now: datetime) -> RolloutStatus:
    """Return a rollout that stays as it is: until a user resumes the service, or corrects a spec that is not supported."""
    shares = f"{rollout.weight}% of requests" + (f", {rollout.shadow}% mirrored" if rollout.shadow else "")
    unsupported = selection.reason == Reason.UNSUPPORTED
    why = f"the spec is not supported: {selection.message}" if unsupported else "set spec.suspend to false to go on"
    update = {
        "reason": str(selection.reason if unsupported else Reason.SUSPENDED),
        "message": f"held at {shares}; {why}"[:1000],
        "waits_since": rollout.waits_since or now.replace(microsecond=0),
    }
    return rollout.model_copy(update=update)


def _manual_control(service: InferenceService, rollout: RolloutStatus) -> rollouts.ManualControl:
    """Read what a user says: pause the candidate, continue after its first n stages (`version/n`), or another spec."""
    annotations = service.metadata.annotations
    version, _, number = annotations.get(names.PROMOTE, "").partition("/")
    released = int(number) if version == rollout.version and number.isdecimal() and len(number) <= 3 else 0
    return rollouts.ManualControl(
        paused=annotations.get(names.PAUSE) == rollout.version,
        released=released,
        service=service.name,
        edited=service.status.observed_generation != service.metadata.generation,
    )


def _released(
    service: InferenceService, pods: rollouts.CandidateState, rollout: RolloutStatus
) -> rollouts.CanaryDecision | None:
    """Read the annotation to promote; one that names another version than the candidate is ignored."""
    if service.metadata.annotations.get(names.PROMOTE) == rollout.version and pods.ready:
        return rollouts.CanaryDecision(rollout, "Promote")
    return None


def _was_promoted(service: InferenceService, version: str) -> bool:
    """Return whether the newest finished rollout promoted `version`; its candidate only needs to be removed."""
    newest = service.status.history[0] if service.status.history else None
    return newest is not None and (newest.version, newest.outcome) == (version, "Promoted")


def _refused_by_hand(service: InferenceService, state: ServiceState, rollout: RolloutStatus) -> _Refusal | None:
    """Read what a person says against the candidate: an abort here, or a quarantine for all services."""
    if service.metadata.annotations.get(names.ABORT) == rollout.version:
        return _Refusal("Aborted", f"aborted by annotation {names.ABORT}")
    version = state.version(rollout.version)
    quarantine = quarantine_of(version) if version else None
    return _Refusal(Reason.QUARANTINED, str(quarantine)) if quarantine else None


def _roll_back(
    service: InferenceService,
    current: ModelVersion | None,
    rollout: RolloutStatus,
    state: ServiceState,
    refusal: _Refusal,
    now: datetime,
) -> RolloutDecision:
    timestamp = now.replace(microsecond=0)
    status = rollout.model_copy(
        update={
            "phase": "RollingBack",
            "weight": 0,
            "shadow": 0,
            "step_started_at": timestamp,
            "message": refusal.message[:1000],
        }
    )
    return RolloutDecision(
        current,
        rollout=status,
        ended=_outcome(service, rollout, state, "RolledBack", refusal.reason, refusal.message, now),
        notices=(Notice("RolledBack", f"{rollout.version}: {refusal.message}"[:1000], "Warning"),),
        wake=ROUTES_SETTLE_SECONDS,
    )


def _leave_promotion(
    service: InferenceService, state: ServiceState, selection: Selection, rollout: RolloutStatus, now: datetime
) -> RolloutDecision | None:
    """Return to the previous version, as long as pods of it answer: by abort, deadline, pin, or a newer version if stuck."""
    previous = previous_version(state, rollout.version) or state.version(rollout.previous)
    if previous is None:
        return None
    problem = stable_problem(state)
    refusal = _refused_by_hand(service, state, rollout)
    if refusal is None and rollouts.is_overdue(service.spec.rollout, rollout, now):
        obstacle = stable_obstacle(state)
        because = problem or (obstacle.message if obstacle else "")
        refusal = _Refusal(
            obstacle.reason if obstacle else "DeadlineExceeded",
            f"the rollout did not end within {service.spec.rollout.deadline}" + (f": {because}" if because else ""),
        )
    if refusal is not None:
        return _roll_back(service, previous, rollout, state, refusal, now)
    wanted = selection.version
    if wanted is None or wanted.name == rollout.version or service.spec.suspend:
        return None
    if service.spec.model.version is not None or problem:
        return _withdraw(service, previous, rollout, state, now, f"{wanted.name} is selected instead")
    return None


def _promoting(
    service: InferenceService, state: ServiceState, rollout: RolloutStatus, now: datetime
) -> RolloutDecision:
    """Replace the stable pods with the promoted version, while the candidate answers.

    Where there is no room for one more pod, the candidate's pods make room for it: the previous version answers meanwhile.
    """
    version = state.version(rollout.version)
    replacing = state.stable_version == rollout.version
    problem = stable_problem(state) if replacing else ""
    rollout = rollout.model_copy(update={"message": "replacing the stable pods" + (f": {problem}" if problem else "")})
    held = (now - rollout.step_started_at).total_seconds()
    if held < ROUTES_SETTLE_SECONDS and state.stable_version != rollout.version and state.candidate is not None:
        return RolloutDecision(
            state.version(state.stable_version), try_out=version, rollout=rollout, wake=ROUTES_SETTLE_SECONDS - held
        )
    if replacing and rollout.weight and state.candidate is not None and stable_lacks_room(state):
        if held < ROOM_SECONDS:
            return RolloutDecision(version, try_out=version, rollout=rollout, wake=ROOM_SECONDS - held)
        if previous_version(state, rollout.version) is not None:
            without_traffic = rollout.model_copy(update={"weight": 0, "step_started_at": now.replace(microsecond=0)})
            return RolloutDecision(version, try_out=version, rollout=without_traffic, wake=ROUTES_SETTLE_SECONDS)
    if replacing and not rollout.weight and state.candidate is not None:
        if held < ROUTES_SETTLE_SECONDS:
            return RolloutDecision(version, try_out=version, rollout=rollout, wake=ROUTES_SETTLE_SECONDS - held)
        return RolloutDecision(version, rollout=rollout, retire_candidate=True)
    keep = version if state.candidate is not None else None
    if state.stable_version != rollout.version or not rolled_out(state, rollout.version):
        return RolloutDecision(version, try_out=keep, rollout=rollout, wake=_until_overdue(service, rollout, now))
    ended = _outcome(service, rollout, state, "Promoted", Reason.PROMOTED, "all stable pods run it", now)
    notice = Notice("Promoted", f"all stable pods run {rollout.version}")
    return RolloutDecision(version, ended=ended, retire_candidate=state.candidate is not None, notices=(notice,))


def _promotion_waits(state: ServiceState, before: RolloutStatus) -> tuple[Notice, ...]:
    """Return the Event of a promotion whose pods do not run, once for each cause."""
    problem = stable_problem(state) if state.stable_version == before.version else ""
    if not problem or problem[:300] in before.message:
        return ()
    return (Notice("PromotionWaits", f"{before.version}: {problem}"[:1000], "Warning"),)


def _until_overdue(service: InferenceService, rollout: RolloutStatus, now: datetime) -> float | None:
    left = (rollouts.allowed(service.spec.rollout, rollout) - (now - rollout.started_at)).total_seconds()
    return left + 1.0 if left >= 0 else None


def _grace_seconds(service: InferenceService, state: ServiceState, now: datetime) -> float:
    """Return the seconds for which a candidate without a rollout in the status stays.

    The operator may have stopped before it wrote the status, and may see an older state after a restart.
    """
    if any(ended.version == state.candidate_version for ended in service.status.history):
        return 0.0
    created_at = get_path(state.candidate, "metadata", "creationTimestamp")
    return FIRST_SYNC_SECONDS - (now - datetime.fromisoformat(created_at)).total_seconds() if created_at else 0.0


def _withdraw(
    service: InferenceService,
    current: ModelVersion | None,
    rollout: RolloutStatus,
    state: ServiceState,
    now: datetime,
    message: str,
) -> RolloutDecision:
    timestamp = now.replace(microsecond=0)
    status = rollout.model_copy(
        update={"phase": "RollingBack", "weight": 0, "shadow": 0, "step_started_at": timestamp, "message": message}
    )
    return RolloutDecision(
        current,
        rollout=status,
        ended=_outcome(service, rollout, state, "Superseded", "Withdrawn", message, now),
        notices=(Notice("Superseded", f"{rollout.version}: {message}"),),
        wake=ROUTES_SETTLE_SECONDS,
    )


def _outcome(
    service: InferenceService,
    rollout: RolloutStatus,
    state: ServiceState,
    outcome: str,
    reason: str,
    message: str,
    now: datetime,
) -> Outcome:
    version = state.version(rollout.version)
    return Outcome.model_validate(
        {
            "version": rollout.version,
            "digest": version.spec.artifact.digest if version else "",
            "outcome": outcome,
            "reason": str(reason),
            "message": message[:1000],
            "started_at": rollout.started_at,
            "at": now.replace(microsecond=0),
            "generation": service.metadata.generation,
        }
    )
