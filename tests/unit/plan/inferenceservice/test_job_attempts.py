"""A Job judges the candidate by its exit code; one that never ran says nothing of it, and is started again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidemill.api.conditions import Reason
from tidemill.api.inferenceservice import AnalysisJob
from tidemill.plan.inferenceservice.job_attempts import Observed, again, observe, waiting

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
FRESH = AnalysisJob(metric="smoke", name="fraud-judge-1")
RAN = FRESH.model_copy(update={"started_at": NOW - timedelta(seconds=599)})
NO_ROOM = FRESH.model_copy(update={"reason": "Unschedulable", "message": "the pod cannot be scheduled; add a node"})
QUOTA = 'Error creating: pods "x" is forbidden: exceeded quota: pods, requested: pods=1, used: pods=1, limited: pods=1'


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def job(*conditions: tuple[str, str], age: float = 600.0, ended: float = 1.0, **spec: Any) -> dict[str, Any]:
    """Return a Job of `age` seconds whose `conditions` (type and reason) came `ended` seconds ago."""
    listed = [
        {"type": type_, "status": "True", "reason": reason, "lastTransitionTime": ago(ended)}
        for type_, reason in conditions
    ]
    return {
        "metadata": {"name": "fraud-judge-1", "uid": "j", "creationTimestamp": ago(age)},
        "spec": {"activeDeadlineSeconds": 600, **spec},
        "status": {"conditions": listed},
    }


def container(**state: Any) -> dict[str, Any]:
    status = {"containerStatuses": [{"name": "judge", "image": "judge:1", "state": state}]}
    return {"metadata": {"name": "p", "uid": "p"}, "status": {"phase": "Running", **status}}


def ended(exit_code: int, reason: str = "Error", **status: Any) -> dict[str, Any]:
    pod = container(terminated={"exitCode": exit_code, "reason": reason, "startedAt": ago(30)})
    pod["status"] |= {"phase": "Failed", **status}
    return pod


def deleted(pod: dict[str, Any]) -> dict[str, Any]:
    return {**pod, "metadata": {**pod["metadata"], "deletionTimestamp": ago(1)}}


UNPLACED: dict[str, Any] = {
    "metadata": {"name": "p", "uid": "p"},
    "status": {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes: 1 Insufficient cpu"}],
    },
}
RUNNING = container(running={"startedAt": ago(20)})
OVERDUE = job(("FailureTarget", "DeadlineExceeded"), ("Failed", "DeadlineExceeded"))
FAILED = job(("Failed", "BackoffLimitExceeded"))
EVICTED = {
    "metadata": {"name": "p", "uid": "p"},
    "status": {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."},
}
PULLING = container(waiting={"reason": "ImagePullBackOff"})
DISRUPTED = ended(137, conditions=[{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}])


def seen(
    before: AnalysisJob, manifest: dict[str, Any] | None, *pods: dict[str, Any], events: Any = None, now: datetime = NOW
) -> Observed:
    return observe(before, manifest, pods, now, events or {})


VERDICTS: dict[str, tuple[AnalysisJob, dict[str, Any], tuple[dict[str, Any], ...], str]] = {
    "it ended well": (FRESH, job(("Complete", "")), (), "Successful"),
    "its container failed": (FRESH, FAILED, (ended(3),), "Failed"),
    "its container failed, and its pod is gone since": (RAN.model_copy(update={"exit_code": 3}), FAILED, (), "Failed"),
    "it ran for its whole time": (RAN, OVERDUE, (), "Failed"),
    "it ran for its whole time, as its pod still shows": (
        FRESH,
        OVERDUE,
        (container(running={"startedAt": ago(590)}),),
        "Failed",
    ),
    "its container passed, and another container did not end": (
        FRESH,
        OVERDUE,
        (ended(0, "Completed", phase="Running"),),
        "Successful",
    ),
}


@pytest.mark.parametrize("case", VERDICTS)
def test_a_job_that_ran_to_its_end_is_a_verdict(case: str) -> None:
    before, manifest, pods, verdict = VERDICTS[case]

    result = seen(before, manifest, *pods)

    assert (verdict, None, 0, "") == (
        result.verdict.verdict,
        result.verdict.problem,
        result.job.attempt,
        waiting(result.job),
    )


NO_VERDICTS: dict[str, tuple[AnalysisJob, dict[str, Any], tuple[dict[str, Any], ...], Reason, str]] = {
    "it found no room": (FRESH, OVERDUE, (UNPLACED,), Reason.UNSCHEDULABLE, "free a node, or add one"),
    "it found no room, and its pod is gone": (NO_ROOM, OVERDUE, (), Reason.UNSCHEDULABLE, "add a node"),
    "it was never seen": (FRESH, OVERDUE, (), Reason.PROGRESSING, "its pod did not start within 600 s; see"),
    "it began in the last minute": (
        FRESH.model_copy(update={"started_at": NOW - timedelta(seconds=60)}),
        OVERDUE,
        (),
        Reason.PROGRESSING,
        "raise job.timeout",
    ),
    "its image cannot be pulled": (
        FRESH,
        OVERDUE,
        (PULLING,),
        Reason.IMAGE_UNAVAILABLE,
        "correct job.image of metric 'smoke'",
    ),
    "it was evicted": (FRESH, FAILED, (EVICTED,), Reason.UNSCHEDULABLE, "free memory or disk space of the node"),
    "it was preempted": (FRESH, FAILED, (DISRUPTED,), Reason.UNSCHEDULABLE, "disrupted"),
    "its node was drained": (
        RAN,
        job(("Failed", "BackoffLimitExceeded"), ended=61),
        (),
        Reason.UNSCHEDULABLE,
        "removed",
    ),
    "it is being deleted with its node": (RAN, FAILED, (deleted(ended(143)),), Reason.UNSCHEDULABLE, "removed"),
    "it had too little memory": (
        FRESH,
        FAILED,
        (ended(137, "OOMKilled"),),
        Reason.OUT_OF_MEMORY,
        "let it use less memory",
    ),
    "it had too little memory, and its pod is gone": (
        FRESH.model_copy(update={"reason": "OOMKilled", "message": "killed; use less memory", "started_at": NOW}),
        FAILED | {"status": job(("Failed", "BackoffLimitExceeded"), ended=90)["status"]},
        (),
        Reason.OUT_OF_MEMORY,
        "use less memory",
    ),
    "its command does not exist": (
        FRESH,
        FAILED,
        (ended(128, "StartError"),),
        Reason.DEPENDENCY_NOT_READY,
        "correct job.command",
    ),
}


@pytest.mark.parametrize("case", NO_VERDICTS)
def test_a_job_that_did_not_run_is_no_verdict_and_is_started_again(case: str) -> None:
    before, manifest, pods, reason, remedy = NO_VERDICTS[case]

    result = seen(before, manifest, *pods)

    assert ("Inconclusive", True) == (result.verdict.verdict, result.is_over)
    assert result.verdict.problem is not None
    assert reason == result.verdict.problem.reason
    assert remedy in result.verdict.problem.message
    assert "spec.resources" not in result.verdict.problem.message
    assert (1, NOW + timedelta(seconds=30), None, None) == (
        result.job.attempt,
        result.job.retry_at,
        result.job.started_at,
        result.job.exit_code,
    )
    assert "; it is started again at 2026-01-05T12:00:30Z" in waiting(result.job)


def test_a_job_without_a_pod_is_told_within_thirty_seconds_and_by_its_events() -> None:
    assert "" == waiting(seen(FRESH, job(age=10)).job)

    unread = seen(FRESH, job(age=16)).job
    explained = seen(unread, job(age=26), events={"j": ({"reason": "FailedCreate", "message": QUOTA},)}).job
    later = seen(explained, job(age=30)).job

    assert "no pod was created" in unread.message
    assert "ResourceQuota 'pods' is used up" in explained.message
    assert explained == later


def test_what_was_in_its_way_is_forgotten_when_it_runs() -> None:
    result = seen(NO_ROOM, job(), RUNNING)

    assert ("", "", NOW - timedelta(seconds=20)) == (result.job.reason, result.job.message, result.job.started_at)
    assert "Job fraud-judge-1 is running" == result.verdict.message


def test_a_container_that_crashes_is_its_verdict_and_nothing_in_its_way() -> None:
    result = seen(FRESH, job(), ended(3))

    assert ("", 3) == (waiting(result.job), result.job.exit_code)


def test_a_suspended_job_says_so() -> None:
    assert "the Job is suspended" in seen(FRESH, job(suspend=True)).job.message


def test_the_end_of_its_pod_may_be_seen_later_than_its_own() -> None:
    early = seen(RAN, FAILED)
    alive = seen(FRESH, FAILED, RUNNING)

    assert ("Inconclusive", 59.0, 0) == (early.verdict.verdict, early.wake, early.job.attempt)
    assert "waiting for its exit code" in alive.verdict.message


def test_the_next_try_keeps_what_was_in_the_way_until_it_runs() -> None:
    following = again(NO_ROOM, None, NOW).model_copy(update={"reason": "Unschedulable", "message": "no room"})

    assert 30.0 == seen(following, None).wake
    due = seen(following, None, now=NOW + timedelta(seconds=30))
    assert (None, "no room") == (due.wake, due.job.message)
    begun = seen(following, job(age=1), now=NOW + timedelta(seconds=31))
    assert "no room" == waiting(begun.job)


def test_another_job_of_the_same_name_begins_from_nothing() -> None:
    result = seen(RAN.model_copy(update={"exit_code": 3}), None)

    assert (None, None, "Inconclusive") == (result.job.started_at, result.job.exit_code, result.verdict.verdict)


def test_pauses_double_up_to_ten_minutes() -> None:
    tries = [again(FRESH.model_copy(update={"attempt": count}), None, NOW).retry_at for count in (0, 1, 2, 3, 4, 5, 99)]

    assert [30, 60, 120, 240, 480, 600, 600] == [(at - NOW).total_seconds() for at in tries if at]
