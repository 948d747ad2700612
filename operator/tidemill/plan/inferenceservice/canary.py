"""Advance a rollout by one step, from the present state.

Starting ──▶ Shadowing ──▶ Progressing ──▶ Switched ──▶ Promoting ──▶ (promoted)
    │            │  ▲        │  ▲    │          │
    │            ▼  │        ▼  │    │          │
    │           Paused      Paused   │          │
    └────────────┴──────────────┴────┴──────────┴──▶ RollingBack ──▶ (rolled back)

The strategy decides which of the stages in the middle there are: see `stages`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from tidemill.api.conditions import Reason
from tidemill.api.durations import seconds
from tidemill.api.inferenceservice import AnalysisResult, Rollout, RolloutStatus
from tidemill.children import names
from tidemill.contract.numbers import quantity
from tidemill.plan.diagnosis import Problem
from tidemill.plan.inferenceservice.analysis import VersionComparison, judge
from tidemill.plan.inferenceservice.stages import Stage, stages

START_TIMEOUT_SECONDS = 180.0
"""Seconds for a process of the candidate to become ready, and for a pod to start one before the status says that it does not."""
UNREADY_GRACE_SECONDS = 10.0
"""Seconds for which no candidate pod may be ready before its share is taken back; the stable version answers meanwhile."""
NOT_STARTED = "no pod of the candidate has started; see kubectl describe pod"
MAX_RESTARTS = 2
"""Restarts after which a candidate counts as crashing."""


@dataclass(frozen=True, slots=True)
class CandidateState:
    """The state of the candidate's pods."""

    ready: int = 0
    restarts: int = 0
    problem: str = ""
    """Why its pods are not ready; empty if no reason is known."""
    wanted: int = 1
    """The wanted number of pods."""
    obstacle: Problem | None = None
    """What in their surroundings keeps its pods from running: no verdict on the version."""
    unready_seconds: float | None = None
    """Seconds for which a process of it has run without being ready; None if no process runs."""
    otherwise: str = "the stable version answers all requests"
    """What happens to requests while none of its pods is ready."""


@dataclass(frozen=True, slots=True)
class ManualControl:
    """The control of a user, by annotations and by edits of the spec."""

    paused: bool = False
    released: int = 0
    """The number of stages, from the first, after which a user lets the rollout continue."""
    service: str = ""
    """The name of the service, for the commands in messages."""
    edited: bool = False
    """Whether the spec was edited since the last visit."""


@dataclass(frozen=True, slots=True)
class CanaryDecision:
    """The next step of the rollout."""

    status: RolloutStatus
    verdict: Literal["GoOn", "Promote", "RollBack"] = "GoOn"
    reason: str = ""
    message: str = ""
    wake: float | None = None


NO_CONTROL = ManualControl()


def begin(version: str, now: datetime, previous: str = "") -> RolloutStatus:
    """Return a rollout of `version` that starts now, from the version `previous`."""
    timestamp = now.replace(microsecond=0)
    return RolloutStatus(
        phase="Starting",
        version=version,
        previous=previous,
        started_at=timestamp,
        step_started_at=timestamp,
        message="waiting for the candidate to be ready",
    )


def advance(
    spec: Rollout,
    status: RolloutStatus,
    candidate: CandidateState,
    comparison: VersionComparison,
    now: datetime,
    control: ManualControl = NO_CONTROL,
) -> CanaryDecision:
    """Return the next step of a rollout that is neither promoting nor rolling back."""
    if candidate.restarts >= MAX_RESTARTS:
        message = f"the candidate is crash-looping ({quantity(candidate.restarts, 'restart')})" + _problem_suffix(
            candidate
        )
        return CanaryDecision(status, "RollBack", "CandidateCrashed", message)
    if candidate.ready == 0 and (obstacle := _obstacle(status, candidate, now)):
        return _wait_for(obstacle, status, candidate, now)
    if status.reason:
        # What was told of missing pods is over, as is what was told of other steps.
        status = _resumed(status, now).model_copy(update={"reason": ""})
        control = replace(control, edited=True)
    if is_overdue(spec, status, now):
        return _overdue(spec, status, candidate, comparison)
    if candidate.ready == 0:
        return _unready(status, candidate, now)
    if status.phase == "Starting":
        return _enter(spec, status, 0, candidate, now)
    return _analyse(spec, status, candidate, comparison, now, control)


def restored(spec: Rollout, status: RolloutStatus) -> RolloutStatus:
    """Return the rollout as its step asks, although the status tells that no pod of the candidate was ready for it."""
    if status.desired_weight is None and status.desired_shadow is None:
        return status
    weight, shadow = status.desired_weight or 0, status.desired_shadow or 0
    asked = status.model_copy(
        update={"weight": weight, "shadow": shadow, "desired_weight": None, "desired_shadow": None}
    )
    plan = stages(spec)
    step = _step_of(plan, asked)
    name = plan[step].name if 0 <= step < len(plan) else f"{weight}% of requests"
    return asked.model_copy(update={"message": name})


def is_overdue(spec: Rollout, status: RolloutStatus, now: datetime) -> bool:
    """Return whether the rollout has exceeded its deadline; it does not while it waits for a user."""
    return status.waits_since is None and now - status.started_at > allowed(spec, status)


def allowed(spec: Rollout, status: RolloutStatus) -> timedelta:
    """Return how long the rollout may take; the time for which the previous version is kept warm does not count."""
    kept = sum(stage.hold for stage in stages(spec) if stage.phase == "Switched")
    return timedelta(seconds=seconds(spec.deadline) + status.waited_seconds + kept)


def _overdue(
    spec: Rollout, status: RolloutStatus, candidate: CandidateState, comparison: VersionComparison
) -> CanaryDecision:
    """Undo a rollout at its deadline; that is a verdict on the version only if nothing else stood in the way."""
    problem = _missing_pods(candidate) or _missing_analysis(spec, status, comparison)
    reason = str(problem.reason) if problem else "DeadlineExceeded"
    because = f": {problem.message}" if problem else ""
    return CanaryDecision(status, "RollBack", reason, f"the rollout did not end within {spec.deadline}{because}"[:1000])


def _missing_pods(candidate: CandidateState) -> Problem | None:
    """Return what keeps wanted pods of the candidate from running; None if all run, or if processes of it fail."""
    if candidate.ready >= candidate.wanted:
        return None
    if candidate.obstacle is not None or candidate.unready_seconds is not None or candidate.restarts:
        return candidate.obstacle
    return Problem(Reason.PROGRESSING, candidate.problem or NOT_STARTED)


def _missing_analysis(spec: Rollout, status: RolloutStatus, comparison: VersionComparison) -> Problem | None:
    """Return what keeps the analysis from a verdict; None if a metric fails, or if none that matters lacks its source."""
    if spec.on_inconclusive == "Continue" or any(result.verdict == "Failed" for result in status.analysis):
        return None
    for metric in spec.analysis.metrics:
        external = comparison.external.get(metric.name)
        if external is None or external.value is not None or external.verdict != "Inconclusive":
            continue
        if external.problem is not None:
            return Problem(external.problem.reason, f"metric '{metric.name}': {external.problem.message}")
        if metric.prometheus is not None and external.message:
            return Problem(Reason.DEPENDENCY_NOT_READY, f"metric '{metric.name}' has no value: {external.message}")
    return None


def _problem_suffix(candidate: CandidateState) -> str:
    return f": {candidate.problem}" if candidate.problem else ""


def unanswered(otherwise: str, problem: str) -> str:
    """Return what to say of a candidate that would answer requests if a pod of it were ready."""
    because = f": {problem}" if problem else ""
    return f"{otherwise}: no pod of the candidate is ready{because}"[:1000]


def _obstacle(status: RolloutStatus, candidate: CandidateState, now: datetime) -> Problem | None:
    """Return what keeps the candidate's pods from running; a pod that has had long to start a process has an obstacle too."""
    if candidate.obstacle is not None or candidate.unready_seconds is not None:
        return candidate.obstacle
    waited = (now - status.started_at).total_seconds() - status.waited_seconds
    if status.phase == "Starting" and not status.reason and waited <= START_TIMEOUT_SECONDS:
        return None
    return Problem(Reason.PROGRESSING, candidate.problem or NOT_STARTED)


def _wait_for(obstacle: Problem, status: RolloutStatus, candidate: CandidateState, now: datetime) -> CanaryDecision:
    """Wait for the surroundings of the candidate's pods: nothing is known of the version, and the stable one answers.

    The wait has no end of its own: a user aborts it, or a newer version comes.
    """
    waiting = "waiting for the candidate's pods" if status.phase == "Starting" else candidate.otherwise
    update = {
        "phase": status.phase if status.phase == "Starting" else "Paused",
        "weight": 0,
        "shadow": 0,
        "reason": str(obstacle.reason),
        "message": f"{waiting}: {obstacle.message}"[:1000],
        "waits_since": status.waits_since or now.replace(microsecond=0),
    }
    return CanaryDecision(status.model_copy(update=update), wake=START_TIMEOUT_SECONDS)


def _unready(status: RolloutStatus, candidate: CandidateState, now: datetime) -> CanaryDecision:
    """Wait for a candidate whose process runs without being ready, and reject it if that takes too long."""
    unready = candidate.unready_seconds
    if unready is not None and unready > START_TIMEOUT_SECONDS:
        message = f"the candidate was not ready within {START_TIMEOUT_SECONDS:.0f} s" + _problem_suffix(candidate)
        return CanaryDecision(status, "RollBack", "CandidateNotReady", message)
    if unready is None:
        waited = max((now - status.started_at).total_seconds() - status.waited_seconds, 0.0)
    else:
        waited = unready
    wake = START_TIMEOUT_SECONDS - min(waited, START_TIMEOUT_SECONDS) + 1.0
    if status.phase == "Starting":
        message = candidate.problem or "waiting for the candidate to be ready"
        return CanaryDecision(status.model_copy(update={"message": message}), wake=wake)
    if waited <= UNREADY_GRACE_SECONDS and (status.weight or status.shadow):
        return CanaryDecision(status, wake=UNREADY_GRACE_SECONDS - waited + 1.0)
    update = {
        "phase": "Paused",
        "weight": 0,
        "shadow": 0,
        "reason": "CandidateNotReady",
        "message": unanswered(candidate.otherwise, candidate.problem),
    }
    return CanaryDecision(status.model_copy(update=update), wake=wake)


def _enter(spec: Rollout, status: RolloutStatus, step: int, candidate: CandidateState, now: datetime) -> CanaryDecision:
    """Enter a stage, or promote after the last one."""
    plan = stages(spec)
    interval = seconds(spec.analysis.interval)
    if step >= len(plan):
        return CanaryDecision(_resumed(status, now), "Promote")
    stage = plan[step]
    if stage.weight == 100 and candidate.ready < candidate.wanted:
        message = f"{candidate.ready} of {candidate.wanted} candidate pods are ready; waiting for all of them"
        return CanaryDecision(status.model_copy(update={"message": message}), wake=interval)
    entered = _resumed(status, now).model_copy(
        update={
            "phase": stage.phase,
            "step": step,
            "weight": stage.weight,
            "shadow": stage.shadow,
            "step_started_at": now.replace(microsecond=0),
            "message": stage.name,
        }
    )
    return CanaryDecision(entered, wake=interval)


def _resumed(status: RolloutStatus, now: datetime) -> RolloutStatus:
    """Return the rollout after a pause; its length does not count for the deadline."""
    if status.waits_since is None:
        return status
    waited = status.waited_seconds + int((now - status.waits_since).total_seconds())
    return status.model_copy(update={"waits_since": None, "waited_seconds": waited})


def _paused(status: RolloutStatus, message: str, *, manual: bool, now: datetime) -> RolloutStatus:
    if not manual:
        return _resumed(status, now).model_copy(update={"phase": "Paused", "message": message})
    since = status.waits_since or now.replace(microsecond=0)
    return status.model_copy(update={"phase": "Paused", "message": message, "waits_since": since})


def _analyse(
    spec: Rollout,
    status: RolloutStatus,
    candidate: CandidateState,
    comparison: VersionComparison,
    now: datetime,
    control: ManualControl,
) -> CanaryDecision:
    plan = stages(spec)
    # If steps were removed from the spec meanwhile, the rollout continues from the last one.
    step = _step_of(plan, status)
    if step >= len(plan):
        return _enter(spec, status, step, candidate, now)
    stage = plan[step] if step >= 0 else _without_steps(status)
    if control.edited:
        # What the message says of the steps is of the steps before.
        status = status.model_copy(update={"message": stage.name})
    interval = seconds(spec.analysis.interval)
    since = (now - (status.analysed_at or status.step_started_at)).total_seconds()
    due = since >= interval
    if due:
        results = judge(spec.analysis.metrics, comparison, status.analysis)
        status = status.model_copy(update={"analysis": results, "analysed_at": now.replace(microsecond=0)})
        for result in results:
            if result.verdict == "Failed" and result.failures > spec.analysis.failure_limit:
                reasons = f"{result.name}: {result.message}" + (
                    f" ({quantity(result.samples, 'sample')})" if result.samples else ""
                )
                return CanaryDecision(status, "RollBack", result.name, reasons)
    if (status.weight, status.shadow) != (stage.weight, stage.shadow):
        # The steps were edited: what the spec says of this step is what the candidate gets.
        return _enter(spec, status, step, candidate, now)
    if status.step != step >= 0:
        status = status.model_copy(update={"step": step})
    if control.paused:
        return CanaryDecision(
            _paused(
                status,
                f"paused by annotation {names.PAUSE}; run kubectl tidemill resume {control.service} to continue",
                manual=True,
                now=now,
            ),
            wake=interval if due else interval - since,
        )
    if not due:
        return CanaryDecision(status, wake=interval - since)
    released = control.released > step
    remaining = stage.hold - (now - status.step_started_at).total_seconds()
    if remaining > 0 and not released:
        return CanaryDecision(_within(status, stage, now), wake=min(interval, remaining))
    if any(result.verdict == "Failed" for result in status.analysis):
        message = "a metric failed; re-evaluating before the next step"
        return CanaryDecision(_resumed(status, now).model_copy(update={"message": message}), wake=interval)
    if stage.manual and not released:
        message = f"{stage.name}; waiting for a user; run kubectl tidemill promote {control.service} to continue"
        return CanaryDecision(_paused(status, message, manual=True, now=now), wake=interval)
    undecided = [result for result in status.analysis if result.verdict == "Inconclusive"]
    # A user who continues the rollout has decided; and a candidate with all requests only waits for its predecessor to stop.
    if undecided and not released and stage.phase != "Switched":
        return _undecided(spec, status, step, candidate, undecided, now, interval)
    return _enter(spec, status, step + 1, candidate, now)


def _step_of(plan: tuple[Stage, ...], status: RolloutStatus) -> int:
    """Return the stage of a rollout by the present spec; -1 if the stages before the switch were all removed.

    Fewer steps never switch a candidate that has not answered every request before.
    """
    if status.weight == 100:
        if status.step < len(plan) and plan[status.step].weight == 100:
            return status.step
        whole = next((index for index, stage in enumerate(plan) if stage.weight == 100), None)
        if whole is not None:
            return whole
        return len(plan) if status.phase == "Switched" else len(plan) - 1
    switched = next((index for index, stage in enumerate(plan) if stage.phase == "Switched"), len(plan))
    return min(status.step, switched - 1)


def _without_steps(status: RolloutStatus) -> Stage:
    """Return the stage of a rollout whose steps were all removed: it is judged once more, and then promoted."""
    name = f"{status.weight}% of requests; there are no more steps, so it is promoted if the next judgement is good"
    return Stage("Progressing", status.weight, status.shadow, 0.0, name=name)


def _within(status: RolloutStatus, stage: Stage, now: datetime) -> RolloutStatus:
    """Return the rollout within its stage, after a pause or without one."""
    if status.phase == "Paused":
        status = _resumed(status, now).model_copy(update={"phase": stage.phase})
    return status.model_copy(update={"message": stage.name})


def _undecided(
    spec: Rollout,
    status: RolloutStatus,
    step: int,
    candidate: CandidateState,
    undecided: list[AnalysisResult],
    now: datetime,
    interval: float,
) -> CanaryDecision:
    reasons = "; ".join(f"{result.name}: {result.message}" for result in undecided)
    match spec.on_inconclusive:
        case "Continue":
            return _enter(spec, status, step + 1, candidate, now)
        case "Rollback":
            message = f"inconclusive at the end of the step: {reasons}"
            # Jobs that could not run say nothing about the version.
            blocked = [result.reason for result in undecided if result.reason]
            reason = blocked[0] if len(blocked) == len(undecided) else "Inconclusive"
            return CanaryDecision(status, "RollBack", reason, message)
        case _:
            return CanaryDecision(
                _paused(status, f"inconclusive, waiting for more data: {reasons}", manual=False, now=now), wake=interval
            )
