"""Does the canary go on? One step of its life, decided from what is seen now.

Starting ──▶ Progressing ──▶ Promoting ──▶ (promoted)
    │        │  ▲    │
    │        ▼  │    │
    │       Paused   │
    └──────────┴─────┴──▶ RollingBack ──▶ (rolled back)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from tidemill.api.durations import seconds
from tidemill.api.inferenceservice import AnalysisResult, Rollout, RolloutStatus
from tidemill.plan.analysis import Pair, judge

START_LIMIT = 180.0
"""Seconds a candidate has to become ready."""
CRASH_LIMIT = 2
"""Restarts after which a candidate counts as crashing."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is seen of the candidate's pods."""

    ready: int = 0
    restarts: int = 0
    trouble: str = ""
    """What its pods complain of."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What the rollout does next."""

    status: RolloutStatus
    verdict: Literal["GoOn", "Promote", "RollBack"] = "GoOn"
    reason: str = ""
    message: str = ""
    wake: float | None = None


def begin(version: str, now: datetime) -> RolloutStatus:
    """A rollout of `version` that has just been decided on."""
    moment = now.replace(microsecond=0)
    return RolloutStatus(
        phase="Starting",
        version=version,
        started_at=moment,
        step_started_at=moment,
        message="waiting for the candidate to be ready",
    )


def advance(spec: Rollout, status: RolloutStatus, candidate: Candidate, pair: Pair, now: datetime) -> Turn:
    """The next turn of a rollout that is neither promoting nor rolling back."""
    if candidate.restarts >= CRASH_LIMIT:
        message = f"the candidate crashed {candidate.restarts} times" + (
            f": {candidate.trouble}" if candidate.trouble else ""
        )
        return Turn(status, "RollBack", "CandidateCrashed", message)
    if now - status.started_at > timedelta(seconds=seconds(spec.deadline)):
        return Turn(status, "RollBack", "DeadlineExceeded", f"the rollout did not end within {spec.deadline}")
    if status.phase == "Starting":
        return _start(spec, status, candidate, now)
    return _examine(spec, status, pair, now)


def _start(spec: Rollout, status: RolloutStatus, candidate: Candidate, now: datetime) -> Turn:
    waited = (now - status.started_at).total_seconds()
    if candidate.ready == 0:
        if waited > START_LIMIT:
            message = f"the candidate was not ready within {START_LIMIT:.0f} s" + (
                f": {candidate.trouble}" if candidate.trouble else ""
            )
            return Turn(status, "RollBack", "CandidateNotReady", message)
        message = candidate.trouble or "waiting for the candidate to be ready"
        return Turn(status.model_copy(update={"message": message}), wake=START_LIMIT - waited + 1.0)
    if not spec.steps:
        return Turn(status, "Promote")
    return Turn(_enter(spec, status, 0, now), wake=seconds(spec.analysis.interval))


def _enter(spec: Rollout, status: RolloutStatus, step: int, now: datetime) -> RolloutStatus:
    weight = spec.steps[step].weight
    return status.model_copy(
        update={
            "phase": "Progressing",
            "step": step,
            "weight": weight,
            "step_started_at": now.replace(microsecond=0),
            "message": f"step {step + 1} of {len(spec.steps)}: {weight} % of requests",
        }
    )


def _examine(spec: Rollout, status: RolloutStatus, pair: Pair, now: datetime) -> Turn:
    interval = seconds(spec.analysis.interval)
    since = (now - (status.analysed_at or status.step_started_at)).total_seconds()
    if since < interval:
        return Turn(status, wake=interval - since)
    results = judge(spec.analysis.metrics, pair, status.analysis)
    status = status.model_copy(update={"analysis": results, "analysed_at": now.replace(microsecond=0)})
    for result in results:
        if result.verdict == "Failed" and result.failures > spec.analysis.failure_limit:
            return Turn(status, "RollBack", result.name, f"{result.name}: {result.message} ({result.samples} samples)")
    held = (now - status.step_started_at).total_seconds()
    step = min(status.step, len(spec.steps) - 1)
    remaining = seconds(spec.steps[step].pause) - held
    if remaining > 0:
        return Turn(status, wake=min(interval, remaining))
    if any(result.verdict == "Failed" for result in results):
        return Turn(
            status.model_copy(update={"message": "a metric failed; judged again before the next step"}), wake=interval
        )
    if undecided := [result for result in results if result.verdict == "Inconclusive"]:
        return _undecided(spec, status, step, undecided, now, interval)
    return _next_step(spec, status, step, now, interval)


def _undecided(
    spec: Rollout, status: RolloutStatus, step: int, undecided: list[AnalysisResult], now: datetime, interval: float
) -> Turn:
    said = "; ".join(f"{result.name}: {result.message}" for result in undecided)
    match spec.on_inconclusive:
        case "Continue":
            return _next_step(spec, status, step, now, interval)
        case "Rollback":
            return Turn(status, "RollBack", "Inconclusive", said)
        case _:
            return Turn(
                status.model_copy(update={"phase": "Paused", "message": f"inconclusive, waiting for more: {said}"}),
                wake=interval,
            )


def _next_step(spec: Rollout, status: RolloutStatus, step: int, now: datetime, interval: float) -> Turn:
    if step + 1 >= len(spec.steps):
        return Turn(status, "Promote")
    return Turn(_enter(spec, status, step + 1, now), wake=interval)
