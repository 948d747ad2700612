"""Which Jobs that judge candidates are started and deleted, and how the rollout says that one does not run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support import monitors as make
from tidemill.api import InferenceService
from tidemill.api.conditions import Reason
from tidemill.api.inferenceservice import AnalysisJob, Outcome, RolloutStatus, Step
from tidemill.children import judge, names
from tidemill.children.installation import Installation
from tidemill.contract.serving import Arm
from tidemill.plan.diagnosis import Problem
from tidemill.plan.inferenceservice import analysis_jobs
from tidemill.plan.inferenceservice.analysis import ExternalVerdict, VersionComparison
from tidemill.plan.inferenceservice.canary import CanaryDecision, CandidateState, advance
from tidemill.plan.inferenceservice.observed import ServiceState
from tidemill.plan.inferenceservice.verdicts import is_verdict
from tidemill.plan.world import Manifest

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
INSTALLATION = Installation(workload_image="w:1", server_image="s:1")
SECOND = make.version("fraud-2", hour=2)
REFUSED = {"reason": "Refused", "message": "no pod can be created; raise the quota"}


def service(**job: Any) -> InferenceService:
    metric = {"name": "smoke", "type": "Job", "job": {"image": "judge:1", **job}}
    return InferenceService.model_validate(
        {
            "metadata": {"name": "fraud", "namespace": "shop", "uid": "u"},
            "spec": {"model": {"name": "fraud"}, "rollout": {"analysis": {"metrics": [metric]}}},
        }
    )


def name(attempt: int = 0, **job: Any) -> str:
    of = service(**job)
    return judge.name(of, SECOND, of.spec.rollout.analysis.metrics[0], attempt)


def rollout(*jobs: AnalysisJob, **fields: Any) -> RolloutStatus:
    begun = {
        "phase": "Progressing",
        "version": "fraud-2",
        "message": "step 1",
        "started_at": NOW,
        "step_started_at": NOW,
    }
    return RolloutStatus.model_validate({**begun, "jobs": jobs, **fields})


def recorded(attempt: int = 0, **fields: Any) -> AnalysisJob:
    return AnalysisJob.model_validate({"metric": "smoke", "name": name(attempt), "attempt": attempt, **fields})


def manifest(attempt: int = 0, **status: Any) -> Manifest:
    created = (NOW - timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {"name": name(attempt), "namespace": "shop", "uid": f"j{attempt}", "creationTimestamp": created}
    return {"kind": "Job", "metadata": metadata, "spec": {"activeDeadlineSeconds": 600}, "status": status}


def state(*judges: Manifest, ready: bool = True, exit_code: int | None = None) -> ServiceState:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    labels = {names.ROLE: "candidate", names.MODEL_VERSION: "fraud-2"}
    pods: list[Manifest] = [{"metadata": {"name": "c", "labels": labels}, "status": {"conditions": conditions}}]
    if exit_code is not None:
        ended = {"name": "judge", "state": {"terminated": {"exitCode": exit_code, "startedAt": "2026-01-05T11:55:00Z"}}}
        owner = [{"uid": job["metadata"]["uid"]} for job in judges]
        labels = {names.COMPONENT: judge.COMPONENT}
        pods.append(
            {
                "metadata": {"name": "p", "uid": "p", "labels": labels, "ownerReferences": owner},
                "status": {"containerStatuses": [ended]},
            }
        )
    deployment = {"metadata": {"name": "d"}, "status": {"availableReplicas": 1}}
    return ServiceState(None, deployment, tuple(pods), (SECOND,), judges=judges)


def started(status: RolloutStatus, seen: ServiceState, now: datetime = NOW) -> list[str]:
    jobs = analysis_jobs.to_start(service(), seen, status, INSTALLATION, now)
    return [job["metadata"]["name"] for job in jobs]


FAILED = {"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]}


def test_a_job_that_gave_no_verdict_is_deleted_and_another_one_is_started_after_a_pause() -> None:
    before = rollout(recorded(**REFUSED))
    observed = analysis_jobs.observe(service(), state(manifest(**FAILED)), before, SECOND, NOW)
    after = before.model_copy(update={"jobs": observed.jobs})
    [following] = observed.jobs

    assert (1, name(1), 30.0) == (following.attempt, following.name, observed.wake)
    assert ["AnalysisWaits"] == [notice.reason for notice in observed.notices]
    [retired] = analysis_jobs.retired(service(), state(manifest(**FAILED)), after)
    assert name(0) == retired.key.name
    assert [] == started(after, state(manifest(**FAILED)))
    assert [name(1)] == started(after, state(), NOW + timedelta(seconds=30))
    assert [] == started(after, state(manifest(1)), NOW + timedelta(seconds=30))


def test_the_same_visit_twice_counts_once() -> None:
    before = rollout(recorded(**REFUSED))
    seen = state(manifest(**FAILED))
    after = before.model_copy(update={"jobs": analysis_jobs.observe(service(), seen, before, SECOND, NOW).jobs})

    again = analysis_jobs.observe(service(), seen, after, SECOND, NOW)

    assert after.jobs == again.jobs
    assert () == again.notices


def test_no_job_is_started_on_a_candidate_that_does_not_answer() -> None:
    assert [] == started(rollout(), state(ready=False))
    assert [name()] == started(rollout(), state())


def test_a_job_that_fails_while_the_candidate_has_lost_its_pods_is_started_again_at_once() -> None:
    lost = rollout(
        recorded(), phase="Paused", reason="Unschedulable", message="the stable version answers all requests"
    )
    failed = {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}
    seen = state(manifest(**failed), ready=False, exit_code=1)

    [job] = analysis_jobs.observe(service(), seen, lost, SECOND, NOW).jobs

    assert (1, NOW, "") == (job.attempt, job.retry_at, job.reason)
    judged = analysis_jobs.observe(service(), state(manifest(**failed), exit_code=1), rollout(), SECOND, NOW)
    assert "Failed" == judged.verdicts["smoke"].verdict


def test_another_entry_in_the_spec_is_another_job_without_a_pause() -> None:
    waits = rollout(recorded(3, **REFUSED, retry_at=NOW + timedelta(minutes=4)))

    [job] = analysis_jobs.observe(service(args=["--quick"]), state(), waits, SECOND, NOW).jobs

    assert (0, name(args=["--quick"]), None, "") == (job.attempt, job.name, job.retry_at, job.reason)


def test_a_rollout_says_what_its_job_waits_for_and_forgets_it() -> None:
    waits = rollout(recorded(**REFUSED))
    explained = analysis_jobs.with_waiting(waits)

    assert "Refused" == explained.reason
    assert "step 1; metric 'smoke' waits for its Job: no pod can be created; raise the quota" == explained.message
    assert waits == analysis_jobs.without_waiting(explained)
    assert rollout(recorded()) == analysis_jobs.with_waiting(rollout(recorded()))


def test_what_the_candidate_itself_waits_for_comes_first() -> None:
    waits = rollout(recorded(**REFUSED), reason="Unschedulable", message="the stable version answers all requests")

    assert waits == analysis_jobs.with_waiting(waits) == analysis_jobs.without_waiting(waits)


def judged(problem: Problem | None) -> VersionComparison:
    arm = Arm(version="", digest="")
    return VersionComparison(arm, arm, 0, 0, {"smoke": ExternalVerdict(message="the Job waits", problem=problem)})


def ending(turn: CanaryDecision) -> Outcome:
    fields = {"version": "fraud-2", "outcome": "RolledBack", "startedAt": NOW, "at": NOW}
    return Outcome.model_validate({**fields, "reason": turn.reason, "message": turn.message})


def test_a_rollout_that_is_over_because_its_jobs_could_not_run_does_not_reject_the_version() -> None:
    spec = service().spec.rollout.model_copy(update={"deadline": "1h"})
    late = rollout().model_copy(update={"started_at": NOW - timedelta(hours=2)})

    turn = advance(spec, late, CandidateState(ready=1), judged(Problem(Reason.UNSCHEDULABLE, "no room")), NOW)

    assert ("RollBack", "Unschedulable") == (turn.verdict, turn.reason)
    assert "the rollout did not end within 1h: metric 'smoke': no room" == turn.message
    assert not is_verdict(ending(turn))


@pytest.mark.parametrize(("reason", "verdict"), [("Unschedulable", False), ("", True)])
def test_a_rollback_of_what_is_inconclusive_is_a_verdict_only_where_jobs_ran(reason: str, verdict: bool) -> None:
    steps = (Step(weight=50, pause="10s"),)
    spec = service().spec.rollout.model_copy(update={"on_inconclusive": "Rollback", "steps": steps})
    before = rollout().model_copy(update={"weight": 50, "step_started_at": NOW - timedelta(minutes=10)})
    problem = Problem(Reason(reason), "no room") if reason else None

    turn = advance(spec, before, CandidateState(ready=1), judged(problem), NOW)

    assert ("RollBack", verdict) == (turn.verdict, is_verdict(ending(turn)))
