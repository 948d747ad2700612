"""Jobs that judge a candidate: what is a verdict on it, what is not, and which Jobs are started again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidemill.api import InferenceService, ModelVersion
from tidemill.api.conditions import Reason
from tidemill.api.inferenceservice import AnalysisResult, Outcome, RolloutStatus
from tidemill.children import judge, names
from tidemill.contract.serving import Arm
from tidemill.plan.diagnosis import Problem
from tidemill.plan.inferenceservice import analysis_jobs
from tidemill.plan.inferenceservice.analysis import ExternalVerdict, VersionComparison
from tidemill.plan.inferenceservice.canary import CanaryDecision, CandidateState, advance, begin
from tidemill.plan.inferenceservice.observed import ServiceState
from tidemill.plan.inferenceservice.verdicts import is_verdict

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
SERVICE = InferenceService.model_validate(
    {
        "metadata": {"name": "fraud", "namespace": "shop", "uid": "u-1"},
        "spec": {
            "model": {"name": "fraud"},
            "rollout": {
                "deadline": "1h",
                "steps": [{"weight": 50, "pause": "10s"}],
                "analysis": {"metrics": [{"name": "smoke", "type": "Job", "job": {"image": "judge:1"}}]},
            },
        },
    }
)
CANDIDATE = ModelVersion.model_validate(
    {
        "metadata": {"name": "fraud-2", "namespace": "shop"},
        "spec": {"modelName": "fraud", "artifact": {"uri": "s3://b/m", "digest": "sha256:" + "d" * 64}},
    }
)
(SMOKE,) = SERVICE.spec.rollout.analysis.metrics
BLOCKED = AnalysisResult(
    name="smoke", verdict="Inconclusive", reason="Unschedulable", message="Job fraud-judge does not start: no room"
)
READY = CandidateState(ready=1)
NO_ARM = Arm(version="", digest="")
DEADLINE = {"reason": "DeadlineExceeded", "message": "Job was active longer than specified deadline"}
ENDED = {"reason": "BackoffLimitExceeded", "message": "Job has reached the specified backoff limit"}


def observed(*pods: dict[str, Any], events: dict[str, Any] | None = None, **failed: str) -> ServiceState:
    """A service whose Job is active, or `failed` for a reason, with these pods."""
    condition = {"type": "Failed", "status": "True", "lastTransitionTime": "2026-01-05T08:58:00Z", **failed}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": judge.name(SERVICE, CANDIDATE, SMOKE),
            "namespace": "shop",
            "uid": "j-1",
            "creationTimestamp": "2026-01-05T08:50:00Z",
        },
        "status": {"conditions": [condition]} if failed else {},
    }
    return ServiceState(None, None, pods, (CANDIDATE,), judges=(job,), events=events or {})


def pod(**status: Any) -> dict[str, Any]:
    metadata = {"name": "p", "labels": {names.COMPONENT: judge.COMPONENT}, "ownerReferences": [{"uid": "j-1"}]}
    return {"metadata": metadata, "spec": {"containers": [{"name": "judge"}]}, "status": status}


def ended(reason: str, code: int) -> dict[str, Any]:
    return {"name": "judge", "state": {"terminated": {"reason": reason, "exitCode": code}}}


def rollout(*results: AnalysisResult) -> RolloutStatus:
    return begin("fraud-2", NOW - timedelta(minutes=10)).model_copy(
        update={"phase": "Progressing", "analysis": results}
    )


def verdict(state: ServiceState, *before: AnalysisResult) -> ExternalVerdict:
    return analysis_jobs.verdicts_of(SERVICE, state, CANDIDATE, rollout(*before), NOW)["smoke"]


NO_ROOM = {
    "phase": "Pending",
    "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: Insufficient cpu"}
    ],
}
QUOTA = {"j-1": ({"reason": "FailedCreate", "message": 'pods "x" is forbidden: exceeded quota: q'},)}
EVICTED = {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}
SURROUNDINGS: dict[str, tuple[ServiceState, tuple[AnalysisResult, ...], Reason]] = {
    "no pod for long": (observed(), (), Reason.REFUSED),
    "a quota": (observed(events=QUOTA), (), Reason.REFUSED),
    "a full node": (observed(pod(**NO_ROOM)), (), Reason.UNSCHEDULABLE),
    "a full node until the deadline": (observed(**DEADLINE), (BLOCKED,), Reason.UNSCHEDULABLE),
    "a quota until the deadline": (observed(events=QUOTA, **DEADLINE), (), Reason.REFUSED),
    "an eviction": (observed(pod(**EVICTED), **ENDED), (), Reason.UNSCHEDULABLE),
    "too little memory": (
        observed(pod(phase="Failed", containerStatuses=[ended("OOMKilled", 137)]), **ENDED),
        (),
        Reason.OUT_OF_MEMORY,
    ),
}


@pytest.mark.parametrize("case", SURROUNDINGS)
def test_a_job_that_cannot_run_says_nothing_of_the_candidate(case: str) -> None:
    state, before, reason = SURROUNDINGS[case]

    given = verdict(state, *before)

    assert given.problem is not None
    assert ("Inconclusive", reason) == (given.verdict, given.problem.reason)
    assert given.message.startswith("Job fraud-")


VERDICTS: dict[str, tuple[ServiceState, tuple[AnalysisResult, ...]]] = {
    "an exit code": (observed(pod(phase="Failed", containerStatuses=[ended("Error", 1)]), **ENDED), ()),
    "a deadline while it ran": (
        observed(pod(phase="Failed", containerStatuses=[ended("Error", 137)]), **DEADLINE),
        (BLOCKED,),
    ),
    "a deadline of a Job that was seen running": (
        observed(**DEADLINE),
        (BLOCKED.model_copy(update={"reason": "", "message": "Job fraud-judge is running"}),),
    ),
}


@pytest.mark.parametrize("case", VERDICTS)
def test_a_job_that_ran_and_failed_is_a_verdict(case: str) -> None:
    state, before = VERDICTS[case]

    given = verdict(state, *before)

    assert ("Failed", None) == (given.verdict, given.problem)


def test_a_job_that_could_not_run_is_started_again_after_a_pause() -> None:
    state, blocked = observed(**DEADLINE), rollout(BLOCKED)

    def again(seconds: int) -> list[str]:
        at = datetime(2026, 1, 5, 8, 58, tzinfo=UTC) + timedelta(seconds=seconds)
        return [retirement.reason for retirement in analysis_jobs.retired(SERVICE, state, blocked, at)]

    assert ([], ["it could not run and is started again"]) == (again(59), again(60))


def test_a_job_that_failed_is_not_started_again() -> None:
    failed = AnalysisResult(name="smoke", verdict="Failed", failures=1, message="Job fraud-judge failed")

    assert [] == list(analysis_jobs.retired(SERVICE, observed(**ENDED), rollout(failed), NOW))


def compared(problem: Problem | None) -> VersionComparison:
    return VersionComparison(NO_ARM, NO_ARM, 0, 0, {"smoke": ExternalVerdict(message=BLOCKED.message, problem=problem)})


def ending(turn: CanaryDecision) -> Outcome:
    known = {"version": "fraud-2", "outcome": "RolledBack", "startedAt": NOW, "at": NOW}
    return Outcome.model_validate({**known, "reason": turn.reason, "message": turn.message})


def test_a_rollout_that_is_over_because_its_jobs_could_not_run_is_no_verdict() -> None:
    late = rollout(BLOCKED).model_copy(update={"started_at": NOW - timedelta(hours=2)})

    turn = advance(SERVICE.spec.rollout, late, READY, compared(Problem(Reason.UNSCHEDULABLE, BLOCKED.message)), NOW)

    assert ("RollBack", "Unschedulable") == (turn.verdict, turn.reason)
    assert "the rollout did not end within 1h: metric 'smoke': Job fraud-judge does not start: no room" == turn.message
    assert not is_verdict(ending(turn))


@pytest.mark.parametrize(("reason", "verdict"), [("Unschedulable", False), ("", True)])
def test_a_rollback_of_what_is_inconclusive_is_a_verdict_only_where_jobs_ran(reason: str, verdict: bool) -> None:
    spec = SERVICE.spec.rollout.model_copy(update={"on_inconclusive": "Rollback"})
    before = rollout(BLOCKED).model_copy(update={"weight": 50, "step_started_at": NOW - timedelta(minutes=10)})
    problem = Problem(Reason(reason), BLOCKED.message) if reason else None

    turn = advance(spec, before, READY, compared(problem), NOW)

    assert ("RollBack", verdict) == (turn.verdict, is_verdict(ending(turn)))
